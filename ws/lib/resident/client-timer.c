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

/* when it is given up if it takes nothing, or 0 */
static long long take_due(const struct client *client)
{
	return client->output.bytes ? client->took_at + TAKES_NOTHING_MS : 0;
}

/* when it is pinged, or given up for the ping before, if it stays silent; or 0 */
static long long silence_due(const struct client *client)
{
	long long limit = (long long)client->worker->limits.ping_seconds * 1000;

	if (!client->is_open || limit == 0 || client->sent_close || client->is_lost)
		return 0;
	return (client->pinged_at ? client->pinged_at : client->heard_at) + limit;
}

/* when the nearest of its times is, or 0 */
static long long next_due(const struct client *client)
{
	if (client->is_lost)
		return 0; /* client_arm has it go on in the next turn */
	return earlier(earlier(client->deadline, client->stop_at),
		       earlier(take_due(client), silence_due(client)));
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

static bool has_come(long long time, long long now)
{
	return time != 0 && time <= now;
}

void client_expire(struct timer *timer)
{
	struct client *client = (struct client *)((char *)timer - offsetof(struct client, timer));
	long long now = client->worker->loop.now;

	timers_clear(&client->worker->loop.timers, timer);
	if (has_come(client->deadline, now)) {
		client->is_due = true;
		client->deadline = 0; /* else it would be due again at once */
	}
	if (has_come(client->stop_at, now))
		tell_of_stop(client);
	if (has_come(take_due(client), now))
		client_give_up(client, ETIMEDOUT, "the client takes nothing");
	else if (has_come(silence_due(client), now))
		ping(client);
	client_set_timer(client);
	client_resume_or_wait(client);
}
