/* a client's share of the memory that all clients of a worker have together */
#include "client.h"
#include "worker.h"

#include <errno.h>

/* An honest client sends a message in less, or comes again. */
enum { LONG_UNDER_WAY_MS = 5000 };

void client_count_memory(struct client *client)
{
	size_t memory = client->output.capacity + frames_memory(&client->frames) +
			(client->input ? WORKER_READ_SIZE : 0);

	client->worker->memory += memory - client->counted;
	client->counted = memory;
}

/* the client whose message has been unfinished for longest, if that is long enough; or NULL */
static struct client *find_slowest(struct worker *worker)
{
	struct client *slowest = NULL;

	for (struct client *client = worker->clients; client; client = client->next)
		if (client->begun_at && !client->ws.ended && client != worker->running &&
		    (slowest == NULL || client->begun_at < slowest->begun_at))
			slowest = client;
	return slowest && slowest->begun_at + LONG_UNDER_WAY_MS <= worker->loop.now ? slowest
										    : NULL;
}

/* Clients that hold their memory by messages that never become whole would keep all others out for
 * as long as they like. */
bool client_make_room(struct client *client)
{
	struct worker *worker = client->worker;
	struct client *slowest;

	while (worker_is_short_of_memory(worker) && (slowest = find_slowest(worker)) != NULL) {
		slowest->begun_at = 0;
		connection_end(&slowest->ws, ENOBUFS,
			       "memory is short, and its message was under way for longest");
		frames_free(&slowest->frames);
		if (!client->is_lost && output_flush(client) < 0)
			client_lose(client, "write to the client");
		client_cut(&slowest->ws, FRAMES_CODE_TRY_AGAIN);
		client_count_memory(slowest);
	}
	return !worker_is_short_of_memory(worker);
}
