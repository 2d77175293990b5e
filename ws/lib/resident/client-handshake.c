/* the opening handshake of a client of a resident process */
#include "client.h"
#include "coroutine.h"
#include "handshake.h"
#include "worker.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Parsing and printing take some kilobytes of stack, and are done on that outside. */
struct step {
	struct client *client;
	struct handshake *handshake;
	const char *protocol;
	const char *reason;
	int status;
	bool is_head;
	int result;
	int error;
};

static int run_outside(void (*function)(void *argument), struct step *step)
{
	coroutine_call_outside(function, step);
	errno = step->error;
	return step->result;
}

static int fail(struct step *step, int error)
{
	step->error = error;
	return -1;
}

static int answer(struct step *step, const char *bytes, size_t length)
{
	struct client *client = step->client;

	client->is_answered = true;
	if (client->is_lost)
		return fail(step, EPIPE);
	if (output_add(client, bytes, length) == 0)
		return 0;
	client_lose(client, "write to the client");
	return fail(step, EPIPE);
}

static void refuse_outside(void *argument)
{
	struct step *step = argument;
	char text[HANDSHAKE_ANSWER_SIZE];
	size_t length = handshake_refuse(text, step->status, step->reason, step->is_head);

	step->result = length == 0 ? fail(step, EINVAL) : answer(step, text, length);
}

int client_refuse(struct client *client, int status, const char *reason, bool is_head)
{
	struct step step = {
		.client = client, .status = status, .reason = reason, .is_head = is_head};

	if (client->is_answered) {
		errno = EALREADY;
		return -1;
	}
	return run_outside(refuse_outside, &step);
}

static void accept_outside(void *argument)
{
	struct step *step = argument;
	char text[HANDSHAKE_ANSWER_SIZE];
	size_t length = handshake_accept(text, step->client->variables, step->protocol);

	step->result = length == 0 ? fail(step, EINVAL) : answer(step, text, length);
}

int client_accept(struct websocket *ws, const char *protocol)
{
	struct client *client = (struct client *)ws;
	struct step step = {.client = client, .protocol = protocol};

	if (client->is_answered) {
		errno = EALREADY;
		return -1;
	}
	if (run_outside(accept_outside, &step) < 0)
		return -1;
	client->is_open = true;
	client->worker->open++;
	return 0;
}

/* Refuses what a limit does not allow. The log tells of it once while it lasts. */
static bool refuse(struct client *client, enum refusal refusal, int status, const char *reason)
{
	struct worker *worker = client->worker;

	worker->refused[refusal]++;
	if (!worker->is_stopping && log_is_new(worker, &worker->log.refused_at[refusal])) {
		char line[128];
		snprintf(line, sizeof line, "clients are refused: %s", reason);
		connection_log(&client->ws, line);
	}
	client_refuse(client, status, reason, false);
	return false;
}

/* what the limits say of one more client */
static bool is_within_limits(struct client *client)
{
	const struct worker *worker = client->worker;
	const struct limits *limits = &worker->limits;

	if (worker->is_stopping)
		return refuse(client, REFUSED_FULL, 503, "the server is stopping");
	if (limits->max_clients && worker->open >= limits->max_clients)
		return refuse(client, REFUSED_FULL, 503,
			      "too many clients (WEBSOCKET_MAX_CLIENTS)");
	if (worker_is_short_of_memory(worker))
		return refuse(
			client, REFUSED_MEMORY, 503,
			"memory for the messages of all clients is short (WEBSOCKET_MAX_MEMORY)");
	if (!client_count_address(client))
		return refuse(client, REFUSED_ADDRESS, 429,
			      "too many clients of one address (WEBSOCKET_MAX_PER_ADDRESS)");
	return true;
}

static void parse_outside(void *argument)
{
	struct step *step = argument;
	struct client *client = step->client;

	step->result = handshake_parse(step->handshake, client->input, client->end);
}

static int parse(struct client *client, struct handshake *handshake)
{
	struct step step = {.client = client, .handshake = handshake};

	return run_outside(parse_outside, &step);
}

/* reads until the head is whole, or deserves a refusal: the status, or 0 if the client has gone */
static int read_head(struct client *client, struct handshake *handshake)
{
	long long limit = (long long)client->worker->limits.handshake_seconds * 1000;
	long long until = client->heard_at + limit;
	int status = HANDSHAKE_MORE;

	while (status == HANDSHAKE_MORE) {
		long long left = until - client->worker->loop.now;
		if (client->end == WORKER_READ_SIZE)
			return 431;
		if (client->worker->is_stopping)
			return 503;
		if (limit > 0 && left <= 0)
			return 408;
		if (client->has_read)
			client_suspend(client, WANTS_INPUT, limit > 0 ? (int)left : -1);
		if (client_read(client))
			status = parse(client, handshake);
		else if (client->ws.input_ended || client->is_lost)
			return 0;
	}
	return status;
}

static void keep_variables_outside(void *argument)
{
	struct step *step = argument;
	struct client *client = step->client;

	client->variables = handshake_variables(step->handshake, client->input,
						client->worker->name,
						client->peer[0] ? client->peer : NULL);
}

/* keeps the variables, and lets the window begin behind the head */
static bool take_head(struct client *client, struct handshake *handshake)
{
	struct step step = {.client = client, .handshake = handshake};

	run_outside(keep_variables_outside, &step);
	if (client->variables == NULL)
		return refuse(client, REFUSED_MEMORY, 503, "memory is short");
	client->at = handshake->length;
	if (client->at == client->end)
		client_drop_window(client);
	frames_init(&client->frames, client->worker->limits.max_message);
	return true;
}

bool client_shake_hands(struct client *client)
{
	struct handshake handshake = {0};
	int status = read_head(client, &handshake);

	if (status == HANDSHAKE_COMPLETE)
		return take_head(client, &handshake) && is_within_limits(client);
	client_drop_window(client);
	if (status == 0)
		return false;
	client->worker->refused[status == 408   ? REFUSED_LATE
				: status == 503 ? REFUSED_FULL
						: REFUSED_MALFORMED]++;
	client_refuse(client, status, handshake.reason, handshake.is_head);
	return false;
}
