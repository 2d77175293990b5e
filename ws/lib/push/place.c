#include "place.h"
#include "stream.h"

#include <stdio.h>

int place_find(struct place *place, struct redis *redis, const char *channel, const char *after,
	       bool *is_gap)
{
	*place = (struct place){0};
	snprintf(place->channel, sizeof place->channel, "%s", channel);
	return channel_find_start(redis, channel, after, place->last, is_gap);
}

/*
 * A reader that is slower than the publishers gets full batches, and the end of what is kept may
 * have overtaken it. That has not happened if something at or before its last message is still
 * kept, nor if that message was deleted by itself. Where the caller named the message, nobody knows
 * what was kept then: the reader gets all that is kept, and no gap.
 */
static int check_overtaken(const struct place *place, struct redis *redis, size_t count,
			   bool *is_overtaken)
{
	struct stream_info info;

	*is_overtaken = false;
	if (count < STREAM_BATCH || !place->was_read)
		return 0;
	if (stream_get_info(redis, place->channel, &info) < 0)
		return -1;
	*is_overtaken = message_is_after(info.first, place->last) &&
			message_is_after(place->last, info.deleted);
	return 0;
}

int place_take(struct place *place, struct redis *redis, const struct redis_reply *reply,
	       message_function *function, void *context, bool *is_end)
{
	const struct redis_reply *entries;
	bool is_overtaken;
	bool is_enough;

	if (stream_entries(redis, reply, &entries) < 0)
		return -1;
	size_t count = redis_count(entries);
	if (check_overtaken(place, redis, count, &is_overtaken) < 0)
		return -1;
	if (is_overtaken)
		function(context, place->last, NULL, 0);
	stream_take(entries, function, context, place->last, &is_enough);
	place->was_read |= count > 0;
	*is_end = count < STREAM_BATCH && !is_enough;
	return 0;
}

int place_read(struct place *place, struct redis *redis, message_function *function, void *context,
	       bool *is_end)
{
	const struct redis_reply *reply;

	if (stream_read(redis, place->channel, place->last, STREAM_BATCH, &reply) < 0)
		return -1;
	redis_hold(redis); /* place_take asks more */
	return place_take(place, redis, reply, function, context, is_end);
}
