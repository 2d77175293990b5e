/* how a connection ends once its view has returned */
#include "client.h"
#include "worker.h"

#include <sys/socket.h>

enum { LINGER_MS = 2000 };

/* waits until the client has taken what was sent */
static void drain_output(struct client *client)
{
	while (!client->is_lost && output_waiting(client) > 0)
		client_suspend(client, WANTS_ROOM, -1);
}

/* reads on and drops it, until the client closes, has gone, or the time is up: to close a socket
 * that has something unread would destroy what was sent last */
static void drain_input(struct client *client)
{
	long long until = client->worker->loop.now + LINGER_MS;
	struct frames_item item;

	while (!client->is_lost && !client->got_close && client->worker->loop.now < until) {
		client_drop_window(client);
		client_suspend(client, WANTS_INPUT, (int)(until - client->worker->loop.now));
		if (!client->is_readable)
			continue;
		if (!client_read(client) && client->ws.input_ended)
			return;
		while (client->is_open && client_decode(client, &item))
			;
	}
}

void client_close(struct client *client)
{
	websocket_close(&client->ws);
	if (client->ws.error)
		connection_log(&client->ws, client->ws.reason);
	client->ws.input_ended = false;
	drain_output(client);
	/* a handshake was refused, or a rule broken: the client sees the end at once (7.1.7) */
	if ((!client->is_open || client->ws.error) && !client->is_lost)
		shutdown(client->watch.fd, SHUT_WR);
	drain_input(client);
}
