/* what a client of a resident process has sent, taken frame by frame */
#include "client.h"
#include "worker.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { LARGE_MESSAGE = 65536 };

/* ends the connection with a close frame, for a reason that the log tells */
static void fail(struct client *client, int error, int code, const char *reason)
{
	client_send_close(client, code, reason, strlen(reason));
	connection_end(&client->ws, error, reason);
	frames_free(&client->frames);
}

static void fail_for(struct client *client, const struct frames_item *item)
{
	char reason[sizeof client->ws.reason];
	int error = item->code == FRAMES_CODE_NOT_UTF8         ? EILSEQ
		    : item->code == FRAMES_CODE_TOO_LONG       ? EMSGSIZE
		    : item->code == FRAMES_CODE_INTERNAL_ERROR ? ENOMEM
							       : EPROTO;

	if (error == EMSGSIZE)
		snprintf(reason, sizeof reason,
			 "the client sent a message of more than %zu bytes (WEBSOCKET_MAX_MESSAGE)",
			 client->worker->limits.max_message);
	else if (error == EILSEQ)
		snprintf(reason, sizeof reason, "the client sent text that is not valid UTF-8");
	else
		snprintf(reason, sizeof reason, "%s", item->reason);
	fail(client, error, item->code, reason);
}

/* the client closes: it gets its code back (RFC 6455 5.5.1) */
static void take_close(struct client *client, const struct frames_item *item)
{
	client->got_close = true;
	client->ws.close_code = item->code;
	client->ws.input_ended = true;
	client_send_close(client, item->code, NULL, 0);
}

static void note_begin(struct client *client)
{
	if (frames_memory(&client->frames) == 0)
		client->begun_at = 0;
	else if (client->begun_at == 0)
		client->begun_at = client->worker->loop.now;
}

/* A large message has begun: there must be memory for it. */
static bool has_memory(struct client *client)
{
	return frames_announced(&client->frames) <= LARGE_MESSAGE || client_make_room(client);
}

/* acts on an event that is not a message: true if there may be more */
static bool take_event(struct client *client, enum frames_event event,
		       const struct frames_item *item)
{
	switch (event) {
	case FRAMES_PING:
		client_send_frame(client, FRAMES_OPCODE_PONG, item->bytes, item->length);
		return !client->is_lost;
	case FRAMES_CLOSE:
		take_close(client, item);
		return false;
	case FRAMES_ERROR:
		fail_for(client, item);
		return false;
	case FRAMES_MORE:
		client_drop_window(client);
		note_begin(client);
		if (!has_memory(client))
			fail(client, ENOBUFS, FRAMES_CODE_TRY_AGAIN,
			     "memory for the messages of all clients is short");
		return false;
	default: /* a pong */
		return true;
	}
}

bool client_decode(struct client *client, struct frames_item *item)
{
	while (client->input && !client->got_close && !client->ws.error) {
		size_t used;
		enum frames_event event = frames_next(&client->frames, client->input + client->at,
						      client->end - client->at, &used, item);
		client->at += used;
		if (event == FRAMES_MESSAGE) {
			client->begun_at = 0;
			return true;
		}
		if (!take_event(client, event, item))
			return false;
	}
	return false;
}
