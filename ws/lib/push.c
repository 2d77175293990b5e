#include "push.h"
#include "channel.h"
#include "connection.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* how long a client may take nothing */
enum { SEND_TIMEOUT_MS = 30000 };

struct subscription {
	struct feed feed;
	redisContext *redis;
	char name[CHANNEL_NAME_MAX + 1];
	char last[CHANNEL_ID_SIZE]; /* the id of what the client has seen */
	bool served;                /* and it has seen it here, so it was there then */
	char line[CHANNEL_LINE_SIZE];
};

static void release(struct feed *feed)
{
	struct subscription *subscription = (struct subscription *)feed;

	redisFree(subscription->redis);
	free(subscription);
}

/* ends the connection: -1 with errno set */
static int fail(struct websocket *ws, int error, const char *reason)
{
	connection_end(ws, error, reason);
	errno = error;
	return -1;
}

static int fail_without_redis(struct websocket *ws, const redisContext *redis)
{
	char reason[sizeof ws->reason];

	snprintf(reason, sizeof reason, "Redis: %s", redis->errstr);
	return fail(ws, EIO, reason);
}

static void send_message(void *context, const char *id, const char *text, size_t length)
{
	struct websocket *ws = context;
	char *line = ((struct subscription *)ws->feed)->line;

	if (websocket_send(ws, line, channel_json(id, text, length, line)) < 0)
		return; /* the connection is over, and websocket_wait tells why */
}

/*
 * Whether nothing was lost before this reply. A client that is slower than what is published reads
 * full batches, and may have been overtaken by the end of what is kept; if what it has seen last is
 * there even now, it was not. One that was away for longer than that has all that is kept.
 */
static int is_complete(struct subscription *subscription, const redisReply *reply)
{
	int count = channel_count(subscription->redis, reply);

	if (count < CHANNEL_BATCH || !subscription->served)
		return count < 0 ? -1 : 1;
	return channel_has(subscription->redis, subscription->name, subscription->last);
}

static void deliver(struct websocket *ws)
{
	struct subscription *subscription = (struct subscription *)ws->feed;
	redisContext *redis = subscription->redis;
	void *reply = NULL;

	if (redisBufferRead(redis) != REDIS_OK ||
	    redisGetReplyFromReader(redis, &reply) != REDIS_OK) {
		fail_without_redis(ws, redis);
		return;
	}
	if (reply == NULL) /* it is not all there yet */
		return;
	int complete = is_complete(subscription, reply);
	if (complete > 0 && channel_take(redis, reply, send_message, ws, subscription->last) > 0)
		subscription->served = true;
	freeReplyObject(reply);
	if (complete == 0)
		fail(ws, ENOBUFS, "the client is behind by more than is kept");
	else if (complete < 0 ||
		 channel_ask(redis, subscription->name, subscription->last, true) < 0)
		fail_without_redis(ws, redis);
}

/* connects to Redis and asks it for what the client is to get */
static int begin(struct websocket *ws, struct subscription *subscription, const char *after)
{
	const char *reason;
	char text[sizeof ws->reason];

	if (channel_keep(&subscription->redis, &reason) < 0)
		return fail(ws, EIO, reason);
	if (channel_start(subscription->redis, subscription->name, after, subscription->last) < 0 ||
	    channel_ask(subscription->redis, subscription->name, subscription->last, true) < 0)
		return fail_without_redis(ws, subscription->redis);
	subscription->feed = (struct feed){subscription->redis->fd, deliver, release};
	if (connection_feed(ws, &subscription->feed) == 0)
		return 0;
	snprintf(text, sizeof text, "epoll_ctl for Redis: %s", strerror(errno));
	return fail(ws, errno, text);
}

int websocket_subscribe(struct websocket *ws, const char *channel, const char *after)
{
	if (!channel_is_name(channel) || ws->feed) {
		errno = ws->feed ? EALREADY : EINVAL;
		return -1;
	}
	struct subscription *subscription = calloc(1, sizeof *subscription);
	if (subscription == NULL)
		return fail(ws, ENOMEM, "calloc for a subscription");
	snprintf(subscription->name, sizeof subscription->name, "%s", channel);
	if (begin(ws, subscription, after) < 0) {
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
	static redisContext *redis; /* is kept from one message to the next */
	const char *reason;
	char id[CHANNEL_ID_SIZE];

	return channel_keep(&redis, &reason) < 0
		       ? -1
		       : channel_publish(redis, channel, text, length, id);
}
