/* a client's share of the memory that all clients of a worker have together */
#include "client.h"
#include "worker.h"

#include <errno.h>

/* An honest client sends a message in less, and takes what is sent to it, or comes again. */
enum { LONG_MS = 5000 };

void client_count_memory(struct client *client)
{
	size_t memory = client->output.capacity + frames_memory(&client->frames) +
			(client->input ? WORKER_READ_SIZE : 0) + client->long_variables;

	client->worker->memory += memory - client->counted;
	client->counted = memory;
}

/* Since when the client holds memory, by a message that is not whole or by what it does not take; 0
 * if it holds none. */
static long long holds_since(const struct client *client)
{
	long long message = client->ws.ended ? 0 : client->begun_at;
	long long output = client->output.bytes ? client->output.marked_at : 0;

	if (client->is_lost)
		return 0;
	return message != 0 && (output == 0 || message < output) ? message : output;
}

static bool is_long_ago(const struct worker *worker, long long time)
{
	return time != 0 && time + LONG_MS <= worker->loop.now;
}

/* the client that holds memory for longest, and for long; or NULL */
static struct client *find_slowest(struct worker *worker)
{
	struct client *slowest = NULL;
	long long since = 0;

	for (struct client *client = worker->clients; client; client = client->next) {
		long long its = holds_since(client);
		if (is_long_ago(worker, its) && client != worker->running &&
		    (slowest == NULL || its < since)) {
			slowest = client;
			since = its;
		}
	}
	return slowest;
}

/* ends a client that does not take what is sent to it: a close frame would wait behind that */
static void drop(struct client *client)
{
	client_give_up(client, ENOBUFS,
		       "memory is short, and it was slowest to take what was sent to it");
	client_arm(client);
}

/* ends one whose message does not become whole */
static void cut(struct client *client)
{
	client->begun_at = 0;
	connection_end(&client->ws, ENOBUFS,
		       "memory is short, and its message was under way for longest");
	frames_free(&client->frames);
	client_cut(&client->ws, FRAMES_CODE_TRY_AGAIN);
	client_count_memory(client);
}

/* Clients that hold their memory by messages that never become whole, or by answers that they do
 * not take, would keep all others out for as long as they like. */
bool client_make_room(struct client *client)
{
	struct worker *worker = client->worker;
	struct client *slowest;

	while (worker_is_short_of_memory(worker) && (slowest = find_slowest(worker)) != NULL) {
		if (!client->is_lost && output_flush(client) < 0)
			client_lose(client, "write to the client");
		if (slowest->output.bytes && is_long_ago(worker, slowest->output.marked_at))
			drop(slowest);
		else
			cut(slowest);
	}
	return !worker_is_short_of_memory(worker);
}
