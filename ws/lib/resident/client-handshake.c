/* the opening handshake of a client of a resident process */
#include "client.h"
#include "coroutine.h"
#include "handshake.h"
#include "worker.h"

#include <errno.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ORDINARY_VARIABLES = 1024 };

/*
 * Parsing and printing take some kilobytes of stack. The functions whose names end in _outside do
 * them on the stack outside the coroutine.
 */

/* Sends the one answer to the handshake; a length of 0 says that an argument of it was wrong.
 * Returns 0 or an error number. */
static int answer(struct client *client, const char *bytes, size_t length)
{
	if (client->is_answered)
		return EALREADY;
	if (length == 0)
		return EINVAL;
	client->is_answered = true;
	if (client->is_lost)
		return EPIPE;
	if (output_add(client, bytes, length) == 0)
		return 0;
	client_lose(client, "write to the client");
	return EPIPE;
}

static int result_of(int error)
{
	if (error == 0)
		return 0;
	errno = error;
	return -1;
}

struct rejection {
	struct client *client;
	int status;
	const char *reason;
	bool is_head;
	int error;
};

static void refuse_outside(void *argument)
{
	struct rejection *rejection = argument;
	char text[HANDSHAKE_ANSWER_SIZE];
	size_t length = handshake_refuse(text, rejection->status, rejection->reason,
					 rejection->is_head);

	rejection->error = answer(rejection->client, text, length);
}

int client_refuse(struct client *client, int status, const char *reason, bool is_head)
{
	struct rejection rejection = {client, status, reason, is_head, 0};

	coroutine_call_outside(refuse_outside, &rejection);
	return result_of(rejection.error);
}

struct acceptance {
	struct client *client;
	const char *protocol;
	int error;
};

static void accept_outside(void *argument)
{
	struct acceptance *acceptance = argument;
	char text[HANDSHAKE_ANSWER_SIZE];
	size_t length = handshake_accept(text, acceptance->client->variables, acceptance->protocol);

	acceptance->error = answer(acceptance->client, text, length);
}

int client_accept(struct websocket *ws, const char *protocol)
{
	struct client *client = (struct client *)ws;
	struct acceptance acceptance = {client, protocol, 0};

	coroutine_call_outside(accept_outside, &acceptance);
	if (acceptance.error == 0) {
		client->is_open = true;
		client->worker->open++;
	}
	return result_of(acceptance.error);
}

/* Refuses what a limit does not allow. The log tells of it once while it lasts. */
static bool refuse(struct client *client, enum refusal refusal, int status, const char *reason)
{
	struct worker *worker = client->worker;

	worker->refused[refusal]++;
	if (log_is_new(worker, &worker->log.refused_at[refusal])) {
		char line[128];
		snprintf(line, sizeof line, "clients are refused: %s", reason);
		connection_log(&client->ws, line);
	}
	client_refuse(client, status, reason, false);
	return false;
}

/* refuses the client if it is one too many for a limit: true if it is not */
static bool is_within_limits(struct client *client)
{
	const struct worker *worker = client->worker;
	const struct limits *limits = &worker->limits;

	if (limits->max_clients && worker->open >= limits->max_clients)
		return refuse(client, REFUSED_FULL, 503,
			      "too many clients (WEBSOCKET_MAX_CLIENTS)");
	if (!client_make_room(client))
		return refuse(
			client, REFUSED_MEMORY, 503,
			"memory for the messages of all clients is short (WEBSOCKET_MAX_MEMORY)");
	if (!client_count_address(client))
		return refuse(client, REFUSED_ADDRESS, 429,
			      "too many clients of one address (WEBSOCKET_MAX_PER_ADDRESS)");
	return true;
}

/*
 * Any program of the machine reaches a TCP socket, a browser too, which says of which site its page
 * is. So no page is let in but through a web server, which sets this Origin once it has checked the
 * client's, as it does for websocketd. A program that is not a browser may leave it out.
 */
static bool has_fitting_origin(struct client *client)
{
	const char *origin = handshake_variable(client->variables, "HTTP_ORIGIN");

	if (!client->worker->is_tcp || origin == NULL ||
	    strcmp(origin, "https://duplex.invalid") == 0)
		return true;
	client->worker->refused[REFUSED_MALFORMED]++;
	connection_log(&client->ws, "WebSocket refused: over TCP the Origin has to be "
				    "https://duplex.invalid, which the web server sets");
	client_refuse(client, 403, NULL, false);
	return false;
}

/* in place of a status: the client has gone, and gets no answer */
enum { CLIENT_HAS_GONE = -1 };

/* the head of a request, as far as it has come */
struct head {
	struct client *client;
	struct handshake handshake;
	int status; /* as handshake_parse returns it, or CLIENT_HAS_GONE */
};

static void parse_outside(void *argument)
{
	struct head *head = argument;

	head->status = handshake_parse(&head->handshake, head->client->input, head->client->end);
}

/* waits for more of the head, for at most timeout_ms; -1 is without a limit */
static void read_more(struct head *head, int timeout_ms)
{
	struct client *client = head->client;

	if (client->has_read)
		client_suspend(client, WANTS_INPUT, timeout_ms);
	if (client_read(client))
		coroutine_call_outside(parse_outside, head);
	else if (client->ws.input_ended || client->is_lost)
		head->status = CLIENT_HAS_GONE;
}

_Static_assert((int)HANDSHAKE_MAX_HEAD <= (int)WORKER_READ_SIZE, "a longer head is refused");

/* reads until the head is whole, or deserves a refusal, or the client has gone */
static void read_head(struct head *head)
{
	struct client *client = head->client;
	long long limit = (long long)client->worker->limits.handshake_seconds * 1000;
	long long until = client->heard_at + limit;

	while (head->status == HANDSHAKE_MORE) {
		long long left = until - client->worker->loop.now;
		if (client->worker->is_stopping && client->stop_at == 0)
			head->status = 503; /* the server stops before the head is whole */
		else if (limit > 0 && left <= 0)
			head->status = 408;
		else
			read_more(head, limit > 0 ? (int)left : -1);
	}
}

static void keep_variables_outside(void *argument)
{
	struct head *head = argument;
	struct client *client = head->client;

	client->variables = handshake_variables(&head->handshake, client->input,
						client->worker->name,
						client->peer[0] ? client->peer : NULL);
}

/* how many bytes the variables take beyond what an ordinary handshake costs any client */
static size_t count_long(char *variables)
{
	size_t size = malloc_usable_size(variables);

	return size > ORDINARY_VARIABLES ? size - ORDINARY_VARIABLES : 0;
}

/* keeps the variables, and lets the window begin behind the head */
static bool take_head(struct head *head)
{
	struct client *client = head->client;

	coroutine_call_outside(keep_variables_outside, head);
	if (client->variables == NULL)
		return refuse(client, REFUSED_MEMORY, 503, "memory is short");
	client->long_variables = count_long(client->variables);
	client->at = head->handshake.length;
	if (client->at == client->end)
		client_drop_window(client);
	frames_init(&client->frames, client->worker->limits.max_message);
	return true;
}

bool client_shake_hands(struct client *client)
{
	struct head head = {.client = client, .status = HANDSHAKE_MORE};

	read_head(&head);
	if (head.status == HANDSHAKE_COMPLETE)
		return take_head(&head) && has_fitting_origin(client) && is_within_limits(client);
	client_drop_window(client);
	if (head.status == CLIENT_HAS_GONE)
		return false;
	client->worker->refused[head.status == 408   ? REFUSED_LATE
				: head.status == 503 ? REFUSED_FULL
						     : REFUSED_MALFORMED]++;
	client_refuse(client, head.status, head.handshake.reason, head.handshake.is_head);
	return false;
}
