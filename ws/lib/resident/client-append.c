/* what callers other than the view do to a client: they send to it and end it, and never wait for
 * it */
#include "client.h"
#include "worker.h"

#include <errno.h>

static bool is_behind(const struct client *client)
{
	size_t waiting = output_waiting(client);

	return waiting > CLIENT_MOST_OUTPUT ||
	       (waiting > CLIENT_MUCH_OUTPUT && worker_is_short_of_memory(client->worker));
}

int client_append(struct websocket *ws, const char *frames, size_t length)
{
	struct client *client = (struct client *)ws;

	if (!client->is_open || client->is_lost || client->sent_close || ws->ended)
		return 0;
	if (output_add(client, frames, length) < 0 || output_flush(client) < 0)
		client_lose(client, "write to the client");
	if (client->output.bytes == NULL && !client->is_lost)
		return 0;
	client_arm(client);
	if (!is_behind(client))
		return 0;
	errno = ENOBUFS;
	return -1;
}

void client_cut(struct websocket *ws, int code)
{
	struct client *client = (struct client *)ws;

	client_send_close(client, code, NULL, 0);
	if (!client->is_lost && output_flush(client) < 0)
		client_lose(client, "write to the client");
	if (!client->is_held)
		client_resume_later(client);
}
