/* what the functions of websocket.h do with a client of a resident process */
#include "client.h"
#include "handshake.h"
#include "worker.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

enum { MUCH_OUTPUT = 65536, LARGE_MESSAGE = 65536 };

static struct client *of(struct websocket *ws)
{
	return (struct client *)ws;
}

/* The first call that needs it accepts the handshake: false if there is no connection. */
static bool is_open(struct client *client)
{
	if (!client->is_answered && client_accept(&client->ws, NULL) < 0)
		return false;
	return client->is_open && !client->is_lost;
}

/* ends the connection with a close frame, for a reason that the log tells */
static void fail(struct client *client, int error, int code, const char *reason)
{
	client_send_close(client, code, reason, strlen(reason));
	connection_end(&client->ws, error, reason);
	frames_free(&client->frames);
}

static void fail_for(struct client *client, const struct frames_item *item)
{
	char reason[sizeof client->ws.reason];
	int error = item->code == FRAMES_CODE_NOT_UTF8         ? EILSEQ
		    : item->code == FRAMES_CODE_TOO_LONG       ? EMSGSIZE
		    : item->code == FRAMES_CODE_INTERNAL_ERROR ? ENOMEM
							       : EPROTO;

	if (error == EMSGSIZE)
		snprintf(reason, sizeof reason,
			 "the client sent a message of more than %zu bytes (WEBSOCKET_MAX_MESSAGE)",
			 client->worker->limits.max_message);
	else if (error == EILSEQ)
		snprintf(reason, sizeof reason, "the client sent text that is not valid UTF-8");
	else
		snprintf(reason, sizeof reason, "%s", item->reason);
	fail(client, error, item->code, reason);
}

/* the client closes: it gets its code back (RFC 6455 5.5.1) */
static void take_close(struct client *client, const struct frames_item *item)
{
	client->got_close = true;
	client->ws.close_code = item->code;
	client->ws.input_ended = true;
	client_send_close(client, item->code, NULL, 0);
}

/* A large message has begun: there must be memory for it. */
static bool has_memory(struct client *client)
{
	const struct worker *worker = client->worker;
	size_t limit = worker->limits.max_memory;

	return limit == 0 || worker->memory < limit ||
	       frames_announced(&client->frames) <= LARGE_MESSAGE;
}

/* acts on an event that is not a message: true if there may be more */
static bool take_event(struct client *client, enum frames_event event,
		       const struct frames_item *item)
{
	switch (event) {
	case FRAMES_PING:
		return client_send_frame(client, FRAMES_OPCODE_PONG, item->bytes, item->length) ==
		       0;
	case FRAMES_CLOSE:
		take_close(client, item);
		return false;
	case FRAMES_ERROR:
		fail_for(client, item);
		return false;
	case FRAMES_MORE:
		client_drop_window(client);
		if (!has_memory(client))
			fail(client, ENOBUFS, FRAMES_CODE_TRY_AGAIN,
			     "memory for the messages of all clients is short");
		return false;
	default: /* a pong */
		return true;
	}
}

bool client_decode(struct client *client, struct frames_item *item)
{
	while (client->input && !client->got_close && !client->ws.error) {
		size_t used;
		enum frames_event event = frames_next(&client->frames, client->input + client->at,
						      client->end - client->at, &used, item);
		client->at += used;
		if (event == FRAMES_MESSAGE)
			return true;
		if (!take_event(client, event, item))
			return false;
	}
	return false;
}

static bool has_input(struct websocket *ws)
{
	struct client *client = of(ws);

	if (!client->has_ahead && is_open(client))
		client->has_ahead = client_decode(client, &client->ahead);
	return client->has_ahead || ws->ended || ws->input_ended;
}

static bool take(struct websocket *ws, struct websocket_message *message)
{
	struct client *client = of(ws);

	if (!client->has_ahead && (!is_open(client) || !client_decode(client, &client->ahead)))
		return false;
	client->has_ahead = false;
	message->text = client->ahead.bytes;
	message->length = client->ahead.length;
	message->is_binary = client->ahead.is_binary;
	return true;
}

/* an epoll descriptor for the set, or -1 with errno set */
static int open_set(const struct pollfd *set, size_t count)
{
	int epoll = epoll_create1(EPOLL_CLOEXEC);

	for (size_t i = 0; epoll >= 0 && i < count; i++) {
		struct epoll_event event = {.events = (uint16_t)set[i].events};
		for (size_t j = 0; j < count; j++)
			event.events |= set[j].fd == set[i].fd ? (uint16_t)set[j].events : 0U;
		if (set[i].fd >= 0 && epoll_ctl(epoll, EPOLL_CTL_ADD, set[i].fd, &event) < 0 &&
		    errno != EEXIST) {
			int error = errno;
			close(epoll);
			errno = error;
			return -1;
		}
	}
	return epoll;
}

static void notify_set(struct watch *watch, uint32_t events)
{
	struct client *client = (struct client *)((char *)watch -
						  offsetof(struct client, set_watch));

	(void)events;
	if (client->wants & WANTS_SET)
		client_resume(client);
}

static int wait_for_set(struct client *client, struct pollfd *set, size_t count, int timeout_ms)
{
	struct loop *loop = &client->worker->loop;
	int ready = poll(set, count, 0);

	if (ready != 0)
		return ready;
	client->set_watch = (struct watch){.fd = open_set(set, count), .notify = notify_set};
	if (client->set_watch.fd < 0)
		return -1;
	if (loop_watch(loop, &client->set_watch, EPOLLIN) == 0)
		client_suspend(client, WANTS_INPUT | WANTS_SET, timeout_ms);
	loop_watch(loop, &client->set_watch, 0);
	close(client->set_watch.fd);
	client->set_watch.fd = -1;
	return poll(set, count, 0);
}

static void notify_feed(struct watch *watch, uint32_t events)
{
	struct client *client = (struct client *)((char *)watch -
						  offsetof(struct client, feed_watch));

	(void)events;
	client->ws.feed_is_ready = true;
	loop_watch(&client->worker->loop, watch, 0); /* until it has delivered */
	if (client->wants & WANTS_INPUT)
		client_resume(client);
}

static int watch_feed(struct websocket *ws)
{
	struct client *client = of(ws);

	client->feed_watch = (struct watch){.fd = ws->feed->fd, .notify = notify_feed};
	return loop_watch(&client->worker->loop, &client->feed_watch, EPOLLIN);
}

/* In one turn a view reads once: one whose client never pauses lets the others go on. */
static void wait_without_time(struct client *client)
{
	if (client->has_read)
		client_yield(client);
	if (!client->ws.input_ended && !client->is_lost)
		client_read(client);
}

static int wait_for(struct websocket *ws, struct pollfd *set, size_t count, int timeout_ms)
{
	struct client *client = of(ws);
	int ready = 0;

	if (!is_open(client) || ws->input_ended)
		return 0;
	if (ws->feed && !ws->feed_is_ready &&
	    loop_watch(&client->worker->loop, &client->feed_watch, EPOLLIN) < 0)
		client_lose(client, "epoll_ctl for the feed");
	if (client->input || client->has_ahead) { /* there is something to be read first */
		if (timeout_ms == 0 && count > 0)
			ready = poll(set, count, 0);
		return ready;
	}
	if (timeout_ms == 0) {
		wait_without_time(client);
		return count > 0 ? poll(set, count, 0) : 0;
	}
	if (count > 0)
		ready = wait_for_set(client, set, count, timeout_ms);
	else
		client_suspend(client, WANTS_INPUT, timeout_ms);
	if (client->is_readable && !ws->input_ended && !client->is_lost)
		client_read(client);
	return ready;
}

/* how many whole messages the client has sent, of those that were read */
static size_t count(struct websocket *ws)
{
	struct client *client = of(ws);

	if (!has_input(ws) && is_open(client))
		wait_without_time(client);
	return has_input(ws) && client->has_ahead
		       ? 1 + frames_count(client->input + client->at, client->end - client->at)
		       : 0;
}

/*
 * The view waits while much of its output does, but goes on when the client sends: a client that
 * sends many messages before it reads what comes back would else wait for this view, and this view
 * for it.
 */
static void wait_for_room(struct client *client)
{
	size_t most = WEBSOCKET_MAX_QUEUE * client->worker->limits.max_message;

	while (output_waiting(client) > MUCH_OUTPUT && !client->ws.ended &&
	       !client->ws.input_ended) {
		bool may_go_on = output_waiting(client) < most;
		if (may_go_on && (client->at < client->end || client->is_readable))
			return;
		client_suspend(client, WANTS_ROOM | (may_go_on ? WANTS_INPUT : 0U), -1);
	}
}

static int send_message(struct websocket *ws, const char *bytes, size_t length, bool is_binary)
{
	struct client *client = of(ws);

	if (is_open(client))
		client_send_frame(client, is_binary ? FRAMES_OPCODE_BINARY : FRAMES_OPCODE_TEXT,
				  bytes, length);
	client->sent_in_turn += length;
	if (client->output.bytes)
		wait_for_room(client);
	else if (client->sent_in_turn > MUCH_OUTPUT)
		client_yield(client);
	if (!client->is_lost && client->is_open && !ws->ended)
		return 0;
	errno = EPIPE;
	return -1;
}

static bool is_gone(struct websocket *ws)
{
	struct client *client = of(ws);
	struct pollfd set = {client->watch.fd, POLLRDHUP, 0};

	return client->is_lost || poll(&set, 1, 0) != 0;
}

static void close_connection(struct websocket *ws, int code, const char *reason, size_t length)
{
	struct client *client = of(ws);

	if (!client->is_answered && client->variables && !client->is_lost)
		client_accept(ws, NULL);
	client_send_close(client, code, reason, length);
	client->has_ahead = false;
	if (client->feed_watch.fd >= 0)
		loop_watch(&client->worker->loop, &client->feed_watch, 0);
	client->feed_watch.fd = -1;
}

static int refuse(struct websocket *ws, int status)
{
	return client_refuse(of(ws), status, NULL, false);
}

static const char *variable(struct websocket *ws, const char *name)
{
	const char *variables = of(ws)->variables;

	return variables ? handshake_variable(variables, name) : NULL;
}

static const char *address(struct websocket *ws)
{
	const char *remote = variable(ws, "REMOTE_ADDR");

	return remote ? remote : "unknown client";
}

static int descriptor(struct websocket *ws)
{
	(void)ws;
	errno = ENOTSUP;
	return -1;
}

const struct carrier client_carrier = {
	.take = take,
	.has_input = has_input,
	.wait = wait_for,
	.count = count,
	.send = send_message,
	.is_gone = is_gone,
	.close = close_connection,
	.accept = client_accept,
	.refuse = refuse,
	.variable = variable,
	.address = address,
	.descriptor = descriptor,
	.watch_feed = watch_feed,
};
