/* what the functions of websocket.h do with a client of a resident process */
#include "client.h"
#include "handshake.h"
#include "network.h"
#include "worker.h"

#include <errno.h>
#include <poll.h>

static struct client *of(struct websocket *ws)
{
	return (struct client *)ws;
}

static bool has_input(struct websocket *ws)
{
	struct client *client = of(ws);

	if (!client->has_ahead && client_is_open(client))
		client->has_ahead = client_decode(client, &client->ahead);
	return client->has_ahead || ws->ended || ws->input_ended;
}

static bool take(struct websocket *ws, struct websocket_message *message)
{
	struct client *client = of(ws);

	if (!client->has_ahead &&
	    (!client_is_open(client) || !client_decode(client, &client->ahead)))
		return false;
	client->has_ahead = false;
	message->text = client->ahead.bytes;
	message->length = client->ahead.length;
	message->is_binary = client->ahead.is_binary;
	return true;
}

/* how many whole messages the client has sent, of those that were read */
static size_t count(struct websocket *ws)
{
	struct client *client = of(ws);

	if (!has_input(ws) && client_is_open(client))
		client_wait_without_time(client);
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
	while (output_waiting(client) > CLIENT_MUCH_OUTPUT && !client->ws.ended &&
	       !client->ws.input_ended) {
		bool may_go_on = client_may_read(client);
		if (may_go_on && (client->at < client->end || client->is_readable))
			return;
		client_suspend(client, WANTS_ROOM | (may_go_on ? WANTS_INPUT : 0U), -1);
	}
}

static int send_message(struct websocket *ws, const char *bytes, size_t length, bool is_binary)
{
	struct client *client = of(ws);

	if (client_is_open(client))
		client_send_frame(client, is_binary ? FRAMES_OPCODE_BINARY : FRAMES_OPCODE_TEXT,
				  bytes, length);
	client->sent_in_turn += length;
	if (client->output.bytes)
		wait_for_room(client);
	else if (client->sent_in_turn > CLIENT_MUCH_OUTPUT)
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
}

static int refuse(struct websocket *ws, int status)
{
	struct client *client = of(ws);

	if (client_refuse(client, status, NULL, false) < 0)
		return -1;
	client->worker->refused[REFUSED_BY_VIEW]++;
	return 0;
}

static const char *variable(struct websocket *ws, const char *name)
{
	const char *variables = of(ws)->variables;

	return variables ? handshake_variable(variables, name) : NULL;
}

static const char *address(struct websocket *ws)
{
	return network_for_log(variable(ws, "REMOTE_ADDR"));
}

static bool may_log(struct websocket *ws)
{
	return log_may_add(of(ws)->worker);
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
	.wait = client_wait_for,
	.count = count,
	.send = send_message,
	.is_gone = is_gone,
	.close = close_connection,
	.accept = client_accept,
	.refuse = refuse,
	.variable = variable,
	.address = address,
	.descriptor = descriptor,
	.may_log = may_log,
	.append = client_append,
	.cut = client_cut,
};
