#include "push.h"
#include "channel.h"
#include "connection.h"
#include "reader.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* how long a client may take nothing */
enum { SEND_TIMEOUT_MS = 30000 };

struct subscription {
	struct feed feed;
	struct reader *reader;
	char line[MESSAGE_LINE_SIZE];
};

static void release(struct feed *feed)
{
	struct subscription *subscription = (struct subscription *)feed;

	reader_close(subscription->reader);
	free(subscription);
}

/* Ends the connection. Returns -1 with errno set. */
static int fail(struct websocket *ws, int error, const char *reason)
{
	connection_end(ws, error, reason);
	errno = error;
	return -1;
}

static void send_message(void *context, const char *id, const char *text, size_t length)
{
	struct websocket *ws = context;
	char *line = ((struct subscription *)ws->feed)->line;

	if (websocket_send(ws, line, message_json(id, text, length, line)) < 0)
		return; /* the connection is over, and websocket_wait tells why */
}

static void deliver(struct websocket *ws)
{
	struct reader *reader = ((struct subscription *)ws->feed)->reader;

	switch (reader_take(reader, send_message, ws)) {
	case READER_WAITS:
		return;
	case READER_TOOK:
		if (reader_ask(reader) == 0)
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
	if (reader_ask(reader) < 0)
		return fail(ws, EIO, reader_why(reader));
	subscription->feed = (struct feed){reader_fd(reader), deliver, release};
	if (connection_feed(ws, &subscription->feed) == 0) {
		if (reader_begins_with_gap(reader))
			send_message(ws, after, NULL, 0);
		return 0;
	}
	snprintf(text, sizeof text, "epoll_ctl for Redis: %s", strerror(errno));
	return fail(ws, errno, text);
}

int websocket_subscribe(struct websocket *ws, const char *channel, const char *after)
{
	if (ws->feed) {
		errno = EALREADY;
		return -1;
	}
	if (!channel_is_name(channel) || (after && !channel_is_start(after))) {
		errno = EINVAL;
		return -1;
	}
	struct subscription *subscription = calloc(1, sizeof *subscription);
	if (subscription == NULL)
		return fail(ws, ENOMEM, "calloc for a subscription");
	if (begin(ws, subscription, channel, after) < 0) {
		int error = errno;
		release(&subscription->feed);
		errno = error;
		return -1;
	}
	ws->send_timeout_ms = SEND_TIMEOUT_MS;
	return 0;
}

int websocket_publish(const char *channel, const char *text, size_t length)
{
	static struct redis *redis; /* is kept from one message to the next */
	const char *reason;
	char id[MESSAGE_ID_SIZE];

	if (redis_keep(&redis, REDIS_OPERATION_MS, &reason) < 0)
		return -1;
	return channel_publish(redis, channel, text, length, id);
}
