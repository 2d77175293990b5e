/* a subscriber with a reader of its own */
#include "clock.h"
#include "reader.h"
#include "redis.h"
#include "subscription.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	SEND_TIMEOUT_MS = 30000, /* how long a client may take nothing */
	/* A reader that hears nothing for so long asks again, so that a Redis that hangs is
	 * noticed. It is long because each client has one. */
	BLOCK_MS = 10000,
	OVERDUE_MS = BLOCK_MS + REDIS_OPERATION_MS,
};

struct subscription {
	struct feed feed;
	struct reader *reader;
	char line[MESSAGE_LINE_SIZE];
};

static void subscription_free(struct subscription *subscription)
{
	reader_close(subscription->reader);
	free(subscription);
}

static void release(struct feed *feed)
{
	subscription_free((struct subscription *)feed);
}

/* Ends the connection. Returns -1 with errno set. */
static int fail(struct websocket *ws, int error, const char *reason)
{
	connection_end(ws, error, reason);
	errno = error;
	return -1;
}

static bool send_message(void *context, const char *id, const char *text, size_t length)
{
	struct websocket *ws = context;
	char *line = ((struct subscription *)ws->feed)->line;

	/* where it fails the connection is over, and websocket_wait tells why */
	return websocket_send(ws, line, message_json(id, text, length, line)) == 0 || ws->ended;
}

/* asks for what comes next */
static int ask(struct subscription *subscription)
{
	subscription->feed.due_ms = clock_now_ms() + OVERDUE_MS;
	return reader_ask(subscription->reader, BLOCK_MS);
}

static void deliver(struct websocket *ws)
{
	struct subscription *subscription = (struct subscription *)ws->feed;
	struct reader *reader = subscription->reader;

	switch (reader_take(reader, send_message, ws)) {
	case READER_WAITS:
		if (clock_now_ms() < subscription->feed.due_ms)
			return;
		reader_give_up(reader);
		break;
	case READER_TOOK:
		if (ask(subscription) == 0)
			return;
		break;
	case READER_FAILED:
		break;
	}
	fail(ws, EIO, reader_why(reader));
}

/* opens the reader, and asks it for what the client is to get */
static int begin(struct websocket *ws, struct subscription *subscription, const char *channel,
		 const char *after)
{
	const char *why;
	char text[sizeof ws->reason];
	struct reader *reader = reader_open(channel, after, &why);

	if (reader == NULL)
		return fail(ws, errno, why);
	subscription->reader = reader;
	if (ask(subscription) < 0)
		return fail(ws, EIO, reader_why(reader));
	subscription->feed.fd = reader_fd(reader);
	subscription->feed.deliver = deliver;
	subscription->feed.release = release;
	if (connection_feed(ws, &subscription->feed) == 0) {
		if (reader_begins_with_gap(reader))
			send_message(ws, after, NULL, 0);
		return 0;
	}
	snprintf(text, sizeof text, "epoll_ctl for Redis: %s", strerror(errno));
	return fail(ws, errno, text);
}

int subscription_begin_alone(struct websocket *ws, const char *channel, const char *after)
{
	struct subscription *subscription = calloc(1, sizeof *subscription);

	if (subscription == NULL)
		return fail(ws, ENOMEM, "calloc for a subscription");
	if (begin(ws, subscription, channel, after) < 0) {
		int error = errno;
		subscription_free(subscription);
		errno = error;
		return -1;
	}
	ws->send_timeout_ms = SEND_TIMEOUT_MS;
	return 0;
}
