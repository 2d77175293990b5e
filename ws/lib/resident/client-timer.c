/* the times of a client: what its coroutine waits for, pings, and the stop of the server */
#include "client.h"
#include "worker.h"

#include <errno.h>
#include <poll.h>

enum { TAKES_NOTHING_MS = 30000 };

static long long earlier(long long a, long long b)
{
	return a != 0 && (b == 0 || a < b) ? a : b;
}

/* when the nearest of its times is, or 0 */
static long long next_due(const struct client *client)
{
	long long silence = (long long)client->worker->limits.ping_seconds * 1000;
	long long due = earlier(client->deadline, client->stop_at);

	if (client->is_lost)
		return 0; /* client_arm has it go on in the next turn */
	if (client->output.bytes)
		due = earlier(client->took_at + TAKES_NOTHING_MS, due);
	if (client->is_open && silence > 0 && !client->sent_close)
		due = earlier((client->pinged_at ? client->pinged_at : client->heard_at) + silence,
			      due);
	return due;
}

/* A timer that is due too early costs less than one that is moved with each message. */
void client_set_timer(struct client *client)
{
	long long due = next_due(client);

	if (due != 0 && (client->timer.place == 0 || due < client->timer.due))
		timers_set(&client->worker->loop.timers, &client->timer, due);
}

void client_stop_at(struct client *client, long long time)
{
	client->stop_at = time;
	client_set_timer(client);
}

/* true if the client sent something that its view has not asked for yet */
static bool has_sent(const struct client *client)
{
	struct pollfd set = {client->watch.fd, POLLIN, 0};

	return poll(&set, 1, 0) > 0 && set.revents & POLLIN;
}

/* sends a ping to a client that was silent, or ends one that did not answer the last ping */
static void ping(struct client *client)
{
	if (has_sent(client)) {
		client->heard_at = client->worker->loop.now;
		client->pinged_at = 0;
		return;
	}
	if (client->pinged_at) {
		client_give_up(client, ETIMEDOUT, "the client did not answer a ping");
		return;
	}
	client->pinged_at = client->worker->loop.now;
	if (client_send_frame(client, FRAMES_OPCODE_PING, "", 0) == 0 && output_flush(client) < 0)
		client_lose(client, "write to the client");
}

static void tell_of_stop(struct client *client)
{
	client->stop_at = 0;
	client->is_due = true;
	client_send_close(client, FRAMES_CODE_GOING_AWAY, NULL, 0);
	client->ws.input_ended = client->is_open; /* else the handshake is refused */
	if (!client->is_lost && output_flush(client) < 0)
		client_lose(client, "write to the client");
}

static bool is_silent(const struct client *client)
{
	long long limit = (long long)client->worker->limits.ping_seconds * 1000;
	long long since = client->pinged_at ? client->pinged_at : client->heard_at;

	return client->is_open && limit > 0 && !client->sent_close && !client->is_lost &&
	       since + limit <= client->worker->loop.now;
}

void client_expire(struct timer *timer)
{
	struct client *client = (struct client *)((char *)timer - offsetof(struct client, timer));
	long long now = client->worker->loop.now;

	timers_clear(&client->worker->loop.timers, timer);
	if (client->deadline && client->deadline <= now) {
		client->is_due = true;
		client->deadline = 0; /* else it would be due again at once */
	}
	if (client->stop_at && client->stop_at <= now)
		tell_of_stop(client);
	if (client->output.bytes && client->took_at + TAKES_NOTHING_MS <= now)
		client_give_up(client, ETIMEDOUT, "the client takes nothing");
	else if (is_silent(client))
		ping(client);
	client_set_timer(client);
	client_resume_or_wait(client);
}
