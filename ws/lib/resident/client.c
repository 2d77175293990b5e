#include "client.h"
#include "coroutine.h"
#include "worker.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { LITTLE_OUTPUT = 16384 };

void client_lose(struct client *client, const char *call)
{
	connection_end_after(&client->ws, call);
	client->is_lost = true;
	output_drop(client);
	client->worker->corked = 0;
}

void client_give_up(struct client *client, int error, const char *reason)
{
	connection_end(&client->ws, error, reason);
	client->is_lost = true;
	output_drop(client);
}

void client_drop_window(struct client *client)
{
	struct worker *worker = client->worker;

	if (worker->input)
		free(client->input);
	else
		worker->input = client->input;
	client->input = NULL;
	client->at = client->end = 0;
}

void client_resume_later(struct client *client)
{
	client->is_held = false;
	loop_go_on_later(&client->worker->loop, &client->turn);
}

void client_arm(struct client *client)
{
	client_count_memory(client);
	uint32_t events = (client->wants & WANTS_INPUT ? EPOLLIN | EPOLLRDHUP : 0U) |
			  (client->output.bytes ? EPOLLOUT : 0U);

	if (client->wants & WANTS_TURN)
		events |= client->watch.events;
	if (client->is_lost && client->is_held)
		loop_watch(&client->worker->loop, &client->watch, 0);
	if (!client->is_lost && loop_watch(&client->worker->loop, &client->watch, events) < 0)
		client_lose(client, "epoll_ctl");
	if (!client->is_held &&
	    (client->is_lost || (client->wants & WANTS_ROOM && client->output.bytes == NULL)))
		client_resume_later(client); /* no event would resume it */
	client_set_timer(client);
}

void client_suspend(struct client *client, unsigned char wants, int timeout_ms)
{
	if (!client->is_lost && output_flush(client) < 0)
		client_lose(client, "write to the client");
	client->wants = wants;
	client->deadline = timeout_ms < 0 ? 0 : client->worker->loop.now + timeout_ms;
	client_arm(client);
	coroutine_suspend();
	client->deadline = 0;
}

void client_yield(struct client *client)
{
	client_resume_later(client);
	client_suspend(client, WANTS_TURN, -1);
}

bool client_read(struct client *client)
{
	struct worker *worker = client->worker;

	if (client->input == NULL) {
		client->input = worker->input ? worker->input : malloc(WORKER_READ_SIZE);
		worker->input = NULL;
	}
	if (client->input == NULL) {
		client_lose(client, "malloc for what the client sends");
		return false;
	}
	ssize_t n = read(client->watch.fd, client->input + client->end,
			 WORKER_READ_SIZE - client->end);
	client->has_read = true;
	client->is_readable = false;
	if (n > 0) {
		client->heard_at = worker->loop.now;
		client->pinged_at = 0;
		client->end += (size_t)n;
	} else if (n == 0) {
		client->ws.input_ended = true;
	} else if (errno != EAGAIN && errno != EINTR) {
		client_lose(client, "read from the client");
	}
	return n > 0;
}

bool client_is_open(struct client *client)
{
	if (!client->is_answered && client_accept(&client->ws, NULL) < 0)
		return false;
	return client->is_open && !client->is_lost;
}

int client_send_frame(struct client *client, enum frames_opcode opcode, const void *bytes,
		      size_t length)
{
	char head[FRAMES_HEAD_SIZE];

	if (client->is_lost || client->sent_close)
		return -1;
	size_t head_length = frames_head(head, opcode, length);
	if (output_add(client, head, head_length) == 0 && output_add(client, bytes, length) == 0)
		return 0;
	client_lose(client, "write to the client");
	return -1;
}

void client_send_close(struct client *client, int code, const char *reason, size_t length)
{
	char frame[FRAMES_CLOSE_SIZE];

	if (!client->is_open || client->sent_close || client->is_lost)
		return;
	client->sent_close = true;
	size_t frame_length = frames_close(frame, code, reason, length);
	if (output_add(client, frame, frame_length) < 0)
		client_lose(client, "write to the client");
}

static void serve_client(void *room)
{
	struct client *client = room;

	if (client_shake_hands(client))
		client->worker->view(&client->ws);
	client_close(client);
}

static void note_ending(struct client *client)
{
	static const struct {
		int error;
		enum ending ending;
	} endings[] = {
		{0, ENDED_ORDINARILY},      {EPROTO, ENDED_PROTOCOL}, {EILSEQ, ENDED_PROTOCOL},
		{EMSGSIZE, ENDED_TOO_LONG}, {ENOBUFS, ENDED_MEMORY},  {ENOMEM, ENDED_MEMORY},
		{ETIMEDOUT, ENDED_SILENT},
	};
	size_t i = 0;

	while (i < sizeof endings / sizeof *endings && endings[i].error != client->ws.error)
		i++;
	client->worker->ended[i < sizeof endings / sizeof *endings ? endings[i].ending
								   : ENDED_OTHERWISE]++;
}

/* Takes the client out of all lists. Its memory stays until the turn is over, because an event of
 * this turn may still name it. */
static void release(struct client *client)
{
	struct worker *worker = client->worker;

	if (client->is_open) {
		note_ending(client);
		worker->open--;
	}
	client_forget_address(client);
	timers_clear(&worker->loop.timers, &client->timer);
	loop_watch(&worker->loop, &client->watch, 0);
	close(client->watch.fd);
	client->watch.fd = -1;
	worker->corked = 0;
	output_drop(client);
	frames_free(&client->frames);
	client_drop_window(client);
	free(client->variables);
	client->long_variables = 0;
	client_count_memory(client);
	*(client->previous ? &client->previous->next : &worker->clients) = client->next;
	if (client->next)
		client->next->previous = client->previous;
	worker->connected--;
	client->next = worker->over;
	worker->over = client;
}

/* runs the client until it suspends itself or ends */
static void resume(struct client *client)
{
	client->wants = 0;
	client->is_due = false;
	client->has_read = false;
	client->sent_in_turn = 0;
	client->worker->running = client;
	bool goes_on = coroutine_resume(client);
	client->worker->running = NULL;
	if (!goes_on)
		release(client);
}

void client_wake(struct client *client, unsigned char what)
{
	if (client->wants & what && !client->turn.is_due)
		resume(client);
}

void client_drop_all(struct worker *worker)
{
	for (struct client *client; (client = worker->clients) != NULL;) {
		if (client->ws.feed)
			client->ws.feed->release(client->ws.feed);
		release(client);
	}
}

void client_free_over(struct worker *worker)
{
	while (worker->over) {
		struct client *client = worker->over;
		worker->over = client->next;
		coroutine_free(client);
	}
}

static void take_turn(struct turn *turn)
{
	resume((struct client *)((char *)turn - offsetof(struct client, turn)));
}

void client_resume_or_wait(struct client *client)
{
	bool has_room = output_waiting(client) <= LITTLE_OUTPUT;

	if (client->turn.is_due)
		return; /* it goes on then */
	if (!client->is_held &&
	    ((client->wants & WANTS_INPUT && client->is_readable) ||
	     (client->wants & WANTS_ROOM && has_room) || client->is_lost || client->is_due))
		resume(client);
	else
		client_arm(client);
}

static void notify(struct watch *watch, uint32_t events)
{
	struct client *client = (struct client *)((char *)watch - offsetof(struct client, watch));

	if (client->output.bytes && !client->is_lost && output_flush(client) < 0)
		client_lose(client, "write to the client");
	if (events & ~(uint32_t)EPOLLOUT)
		client->is_readable = true;
	client_resume_or_wait(client);
}

int client_start(struct worker *worker, int fd, const char *peer)
{
	struct client *client = NULL;
	size_t timers = worker->connected + 1 + worker->helpers + WORKER_TIMERS;

	if (timers_reserve(&worker->loop.timers, timers) == 0)
		client = coroutine_create(sizeof *client, serve_client);
	if (client == NULL)
		return -1;
	connection_init(&client->ws, &client_carrier);
	client->ws.log_name = worker->name;
	client->worker = worker;
	client->timer.expire = client_expire;
	client->turn.go_on = take_turn;
	client->watch = (struct watch){.fd = fd, .notify = notify};
	client->set_watch.fd = -1;
	client->heard_at = worker->loop.now;
	for (size_t i = 0; peer[i] && i + 1 < sizeof client->peer; i++)
		client->peer[i] = peer[i];
	client->next = worker->clients;
	if (client->next)
		client->next->previous = client;
	worker->clients = client;
	worker->connected++;
	resume(client);
	return 0;
}
