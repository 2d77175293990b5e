/* a subscriber that shares a reader with all others of its channel, once it has caught up */
#include "aside.h"
#include "batch.h"
#include "frames.h"
#include "hub.h"
#include "redis-pool.h"
#include "stream.h"
#include "subscription.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

struct subscription {
	struct feed feed;
	struct subscriber subscriber;
	bool begins_with_gap;
	char gap[MESSAGE_ID_SIZE];
};

/* what is done aside for the view, on whose stack this lies */
struct step {
	struct websocket *ws;
	struct subscription *subscription;
	const char *channel;
	const char *after;
	int error; /* 0 if it was done */
	char why[sizeof((struct websocket *)0)->reason];
};

static void release(struct feed *feed)
{
	struct subscription *subscription = (struct subscription *)feed;

	hub_leave(&subscription->subscriber);
	free(subscription);
}

/* ends the connection in a way that lets the client come back. Returns -1 with errno set. */
static int fail(struct websocket *ws, int error, const char *why)
{
	connection_end(ws, error, why);
	websocket_close_with(ws, FRAMES_CODE_TRY_AGAIN, "");
	errno = error;
	return -1;
}

static void note_failure(struct step *step, struct redis *redis)
{
	step->error = EIO;
	snprintf(step->why, sizeof step->why, "Redis: %s", redis_why(redis));
}

/* a connection for the step, or NULL if it has failed */
static struct redis *take_redis(struct step *step)
{
	const char *why;
	struct redis *redis = redis_pool_take(&why);

	step->error = redis ? 0 : EIO;
	if (redis == NULL)
		snprintf(step->why, sizeof step->why, "%s", why);
	return redis;
}

static void find_start(void *argument)
{
	struct step *step = argument;
	struct subscription *subscription = step->subscription;
	struct redis *redis = take_redis(step);

	if (redis == NULL)
		return;
	if (place_find(&subscription->subscriber.place, redis, step->channel, step->after,
		       &subscription->begins_with_gap) < 0)
		note_failure(step, redis);
	if (subscription->begins_with_gap)
		message_copy_id(subscription->gap, step->after);
	redis_pool_give(redis);
}

/* sends what has been read */
static void send_batch(struct step *step)
{
	struct websocket *ws = step->ws;
	size_t length;
	const char *frames = batch_frames(&length);

	if (batch_is_incomplete() || (length > 0 && ws->carrier->append(ws, frames, length) < 0)) {
		step->error = ENOBUFS;
		snprintf(step->why, sizeof step->why,
			 "memory for the messages of all clients is short");
	}
	batch_clear();
}

static void send_gap(struct step *step)
{
	if (!step->subscription->begins_with_gap)
		return;
	step->subscription->begins_with_gap = false;
	batch_add(NULL, step->subscription->gap, NULL, 0);
	send_batch(step);
}

/* The subscribers that have joined had read further when our last read began, and that read found
 * nothing. Either what they have read was deleted, and we are as far as they are, or the channel
 * has begun anew. */
static int level_up(struct place *place, struct redis *redis, const char *read_before)
{
	struct stream_info info;

	if (stream_get_info(redis, place->channel, &info) < 0)
		return -1;
	if (message_is_after(read_before, info.last))
		hub_begin_anew(place->channel, read_before);
	else
		message_copy_id(place->last, read_before);
	return 0;
}

/* joins the subscribers that have caught up */
static void join(struct step *step, struct redis *redis, const char *read_before)
{
	struct subscriber *subscriber = &step->subscription->subscriber;

	if (message_is_after(read_before, subscriber->place.last) &&
	    level_up(&subscriber->place, redis, read_before) < 0) {
		note_failure(step, redis);
		return;
	}
	int joined = hub_join(subscriber);
	step->subscription->feed.wants_room = joined == 0;
	if (joined >= 0)
		return;
	step->error = errno;
	snprintf(step->why, sizeof step->why, "memory for a subscriber is short");
}

/* Reads a batch and sends it, and joins after the last one. If the others are sent more meanwhile,
 * hub_join finds it out, and the next batch has that. */
static void read_on(void *argument)
{
	struct step *step = argument;
	struct place *place = &step->subscription->subscriber.place;
	char read_before[MESSAGE_ID_SIZE];
	bool is_end = false;
	struct redis *redis = take_redis(step);

	if (redis == NULL)
		return;
	send_gap(step);
	hub_get_last(place->channel, read_before);
	if (place_read(place, redis, batch_add, NULL, &is_end) < 0)
		note_failure(step, redis);
	else
		send_batch(step);
	if (step->error == 0 && is_end)
		join(step, redis, read_before);
	redis_pool_give(redis);
}

/* does a step aside: 0, or -1 with errno set, the connection being over */
static int do_aside(struct step *step, void (*function)(void *step))
{
	if (aside_call(function, step) < 0) {
		step->error = EIO;
		snprintf(step->why, sizeof step->why, "too many others wait for Redis");
	}
	return step->error ? fail(step->ws, step->error, step->why) : 0;
}

static void catch_up(struct websocket *ws)
{
	struct step step = {.ws = ws, .subscription = (struct subscription *)ws->feed};

	if (!step.subscription->subscriber.hub)
		do_aside(&step, read_on);
}

int subscription_begin_shared(struct websocket *ws, const char *channel, const char *after)
{
	struct subscription *subscription = calloc(1, sizeof *subscription);
	struct step step = {ws, subscription, channel, after, 0, ""};

	if (subscription == NULL)
		return fail(ws, ENOMEM, "calloc for a subscription");
	subscription->subscriber.ws = ws;
	if (do_aside(&step, find_start) < 0) {
		int error = errno;
		free(subscription);
		errno = error;
		return -1;
	}
	subscription->feed.fd = -1;
	subscription->feed.wants_room = true;
	subscription->feed.deliver = catch_up;
	subscription->feed.release = release;
	return connection_feed(ws, &subscription->feed);
}
