#include "reader.h"
#include "channel.h"
#include "stream.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

struct reader {
	struct redis *redis;
	char name[CHANNEL_NAME_MAX + 1];
	char last[MESSAGE_ID_SIZE]; /* the id of the last message that was given */
	bool was_given;             /* last was read here, and not named by the caller */
	bool begins_with_gap;
	char why[192];
};

static void explain(struct reader *reader)
{
	snprintf(reader->why, sizeof reader->why, "Redis: %s", redis_why(reader->redis));
}

/* connects, and finds where to begin */
static int begin(struct reader *reader, const char *after, const char **why)
{
	static char text[sizeof reader->why];

	if (redis_keep(&reader->redis, REDIS_OPERATION_MS, why) < 0)
		return -1;
	if (channel_find_start(reader->redis, reader->name, after, reader->last,
			       &reader->begins_with_gap) == 0)
		return 0;
	snprintf(text, sizeof text, "Redis: %s", redis_why(reader->redis));
	*why = text;
	return -1;
}

struct reader *reader_open(const char *name, const char *after, const char **why)
{
	*why = "not a valid name of a channel, or not a valid start";
	if (!channel_is_name(name) || (after && !channel_is_start(after))) {
		errno = EINVAL;
		return NULL;
	}
	struct reader *reader = calloc(1, sizeof *reader);
	*why = "calloc for a reader";
	if (reader == NULL)
		return NULL;
	snprintf(reader->name, sizeof reader->name, "%s", name);
	if (begin(reader, after, why) == 0)
		return reader;
	reader_close(reader);
	errno = EIO;
	return NULL;
}

bool reader_begins_with_gap(const struct reader *reader)
{
	return reader->begins_with_gap;
}

int reader_fd(const struct reader *reader)
{
	return redis_fd(reader->redis);
}

int reader_ask(struct reader *reader)
{
	if (stream_ask(reader->redis, reader->name, reader->last) == 0)
		return 0;
	explain(reader);
	return -1;
}

/*
 * A reader that is slower than the publishers gets full batches, and the end of what is kept may
 * have overtaken it. It did not if something at or before its last message is still kept, nor if
 * that message was deleted by itself. What was kept when the caller named a message is not known,
 * and such a reader gets all that there is.
 */
static int check_overtaken(struct reader *reader, size_t count, bool *is_overtaken)
{
	struct stream_info info;

	*is_overtaken = false;
	if (count < STREAM_BATCH || !reader->was_given)
		return 0;
	if (stream_get_info(reader->redis, reader->name, &info) < 0)
		return -1;
	*is_overtaken = message_is_after(info.first, reader->last) &&
			message_is_after(reader->last, info.deleted);
	return 0;
}

/* gives the messages of a reply */
static enum reader_result give(struct reader *reader, const struct redis_reply *reply,
			       message_function *function, void *context)
{
	const struct redis_reply *entries;
	bool is_overtaken;

	if (stream_entries(reader->redis, reply, &entries) < 0 ||
	    check_overtaken(reader, redis_count(entries), &is_overtaken) < 0)
		return READER_FAILED;
	if (is_overtaken)
		function(context, reader->last, NULL, 0);
	stream_take(entries, function, context, reader->last);
	reader->was_given |= redis_count(entries) > 0;
	return READER_TOOK;
}

enum reader_result reader_take(struct reader *reader, message_function *function, void *context)
{
	const struct redis_reply *reply;
	enum reader_result result = READER_FAILED;

	if (redis_receive(reader->redis, &reply) == 0)
		result = reply ? give(reader, reply, function, context) : READER_WAITS;
	if (result == READER_FAILED)
		explain(reader);
	return result;
}

const char *reader_why(const struct reader *reader)
{
	return reader->why;
}

void reader_close(struct reader *reader)
{
	if (reader)
		redis_free(reader->redis);
	free(reader);
}
