#include "push.h"
#include "channel.h"
#include "connection.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* how long a client may take nothing, and how long it may take for what was read at once before it
 * is asked whether it has lost something */
enum { PATIENCE_MS = 30000, SLOW_SECONDS = 1 };

struct subscription {
	struct feed feed;
	redisContext *redis;
	char name[CHANNEL_NAME_MAX + 1];
	char last[CHANNEL_ID_SIZE]; /* the id of what the client has seen */
};

static void release(struct feed *feed)
{
	struct subscription *subscription = (struct subscription *)feed;

	redisFree(subscription->redis);
	free(subscription);
}

static void end_without_redis(struct websocket *ws, const redisContext *redis)
{
	char reason[sizeof ws->reason];

	snprintf(reason, sizeof reason, "Redis: %s",
		 redis->err ? redis->errstr : "an answer that is none");
	connection_end(ws, EIO, reason);
}

static void send_message(void *context, const char *id, const char *text, size_t length)
{
	struct websocket *ws = context;
	size_t json_length;
	char *json = channel_json(id, text, length, &json_length);

	if (json)
		websocket_send(ws, json, json_length);
	else
		connection_end(ws, ENOMEM, "malloc for what is published");
	free(json);
}

/* A slow client may have been overtaken by the end of what is kept: then something is lost. */
static bool is_overtaken(struct subscription *subscription, time_t began)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec - began > SLOW_SECONDS &&
	       !channel_has(subscription->redis, subscription->name, subscription->last);
}

static void deliver(struct websocket *ws)
{
	struct subscription *subscription = (struct subscription *)ws->feed;
	redisContext *redis = subscription->redis;
	struct timespec began;
	void *reply = NULL;

	clock_gettime(CLOCK_MONOTONIC, &began);
	if (redisBufferRead(redis) != REDIS_OK ||
	    redisGetReplyFromReader(redis, &reply) != REDIS_OK) {
		end_without_redis(ws, redis);
		return;
	}
	if (reply == NULL) /* it is not all there yet */
		return;
	int taken = channel_take(reply, send_message, ws, subscription->last);
	freeReplyObject(reply);
	if (taken >= 0 && is_overtaken(subscription, began.tv_sec))
		connection_end(ws, ENOBUFS, "the client is behind by more than is kept");
	else if (taken < 0 || channel_ask(redis, subscription->name, subscription->last, true) < 0)
		end_without_redis(ws, redis);
}

/* connects to Redis and asks it for what the client is to get */
static int begin(struct websocket *ws, struct subscription *subscription, const char *after)
{
	const char *reason;

	subscription->redis = channel_connect(&reason);
	if (subscription->redis == NULL) {
		connection_end(ws, EIO, reason);
		return -1;
	}
	if (channel_start(subscription->redis, subscription->name, after, subscription->last) < 0 ||
	    channel_ask(subscription->redis, subscription->name, subscription->last, true) < 0) {
		end_without_redis(ws, subscription->redis);
		return -1;
	}
	subscription->feed = (struct feed){subscription->redis->fd, deliver, release};
	return connection_feed(ws, &subscription->feed);
}

int websocket_subscribe(struct websocket *ws, const char *channel, const char *after)
{
	if (!channel_is_name(channel) || ws->feed) {
		errno = ws->feed ? EALREADY : EINVAL;
		return -1;
	}
	struct subscription *subscription = calloc(1, sizeof *subscription);
	if (subscription == NULL)
		return -1;
	snprintf(subscription->name, sizeof subscription->name, "%s", channel);
	if (begin(ws, subscription, after) < 0) {
		int error = ws->error ? ws->error : errno;
		release(&subscription->feed);
		errno = error;
		return -1;
	}
	ws->patience = PATIENCE_MS;
	return 0;
}

int websocket_publish(const char *channel, const char *text, size_t length)
{
	static redisContext *redis; /* is kept from one message to the next */
	const char *reason;
	char id[CHANNEL_ID_SIZE];

	if (redis && redis->err) {
		redisFree(redis);
		redis = NULL;
	}
	if (redis == NULL && (redis = channel_connect(&reason)) == NULL)
		return -1;
	return channel_publish(redis, channel, text, length, id);
}
