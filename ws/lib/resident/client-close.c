/* how a connection ends once its view has returned */
#include "client.h"
#include "worker.h"

#include <sys/socket.h>

enum { LINGER_MS = 2000, QUIET_MS = 50 };

/* waits until the client has taken what was sent */
static void drain_output(struct client *client)
{
	while (!client->is_lost && output_waiting(client) > 0)
		client_suspend(client, WANTS_ROOM, -1);
}

/*
 * Reads on and drops it, until the client closes, has gone, or the time is up: to close a socket
 * that has something unread would destroy what was sent last. Where a rule was broken or the
 * handshake was refused, the client sees the end (7.1.7) as soon as it sends no more: a web server
 * between would pass on an end that comes earlier, and drop the close frame with what it has not
 * yet passed on.
 */
static void drain_input(struct client *client, bool has_failed)
{
	long long until = client->worker->loop.now + LINGER_MS;
	struct frames_item item;

	while (!client->is_lost && !client->got_close && client->worker->loop.now < until) {
		long long left = until - client->worker->loop.now;
		client_drop_window(client);
		client_suspend(client, WANTS_INPUT,
			       (int)(has_failed && left > QUIET_MS ? QUIET_MS : left));
		if (!client->is_readable) {
			if (has_failed && !client->is_lost)
				shutdown(client->watch.fd, SHUT_WR);
			has_failed = false;
			continue;
		}
		if (!client_read(client) && client->ws.input_ended)
			return;
		while (client->is_open && client_decode(client, &item))
			;
	}
}

void client_close(struct client *client)
{
	websocket_close(&client->ws);
	if (client->ws.error && !client->ws.end_logged)
		connection_log(&client->ws, client->ws.reason);
	client->ws.input_ended = false;
	drain_output(client);
	drain_input(client, !client->is_open || client->ws.error);
}
