#include "push.h"
#include "channel.h"
#include "connection.h"
#include "limit.h"
#include "reader.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* how long a client may take nothing */
enum { SEND_TIMEOUT_MS = 30000 };

/* room for what is said of a message that cannot be published */
enum { REASON_SIZE = 160 };

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

bool websocket_is_channel(const char *name)
{
	return channel_is_name(name);
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
		subscription_free(subscription);
		errno = error;
		return -1;
	}
	ws->send_timeout_ms = SEND_TIMEOUT_MS;
	return 0;
}

/* Publishes over a connection that is kept from one message to the next. *why tells of EIO. */
static int publish(const struct publication *publication, char why[REASON_SIZE])
{
	static struct redis *redis;
	const char *reason;
	char id[MESSAGE_ID_SIZE];

	if (redis_keep(&redis, REDIS_OPERATION_MS, &reason) < 0) {
		snprintf(why, REASON_SIZE, "%s", reason);
		return -1;
	}
	int result = channel_publish(redis, publication, id);
	snprintf(why, REASON_SIZE, "Redis: %s", redis_why(redis));
	return result;
}

int websocket_publish(const char *channel, const char *text, size_t length)
{
	char why[REASON_SIZE];

	return publish(&(struct publication){channel, text, length, NULL}, why);
}

/* the close code of RFC 6455 7.4 for a message that cannot be published */
static int code_for(int error)
{
	switch (error) {
	case EMSGSIZE:
		return 1009;
	case EIO:
		return 1013; /* try again later */
	default:
		return 1008; /* a policy is violated */
	}
}

int websocket_publish_from(struct websocket *ws, const char *channel, const char *text,
			   size_t length)
{
	char why[REASON_SIZE];
	char reason[sizeof ws->reason];

	if (publish(&(struct publication){channel, text, length, ws->carrier->address(ws)}, why) ==
	    0)
		return 0;
	int error = errno;
	if (error == EDQUOT)
		snprintf(why, sizeof why, "more than %zu a second (DUPLEX_MAX_PUBLISH)",
			 limit_rate());
	snprintf(reason, sizeof reason, "a message is not published: %s",
		 error == EIO || error == EDQUOT ? why : strerror(error));
	connection_end(ws, error, reason);
	websocket_close_with(ws, code_for(error), "the message is not published");
	errno = error;
	return -1;
}
