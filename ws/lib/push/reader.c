#include "reader.h"
#include "place.h"
#include "stream.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

struct reader {
	struct redis *redis;
	struct place place;
	bool begins_with_gap;
	char why[192];
};

static void explain(struct reader *reader)
{
	snprintf(reader->why, sizeof reader->why, "Redis: %s", redis_why(reader->redis));
}

/* connects, and finds where to begin */
static int begin(struct reader *reader, const char *name, const char *after, const char **why)
{
	static char text[sizeof reader->why];

	if (redis_keep(&reader->redis, REDIS_OPERATION_MS, why) < 0)
		return -1;
	if (place_find(&reader->place, reader->redis, name, after, &reader->begins_with_gap) == 0)
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
	if (begin(reader, name, after, why) == 0)
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

int reader_ask(struct reader *reader, int block_ms)
{
	if (stream_ask(reader->redis, reader->place.channel, reader->place.last, block_ms) == 0)
		return 0;
	explain(reader);
	return -1;
}

enum reader_result reader_take(struct reader *reader, message_function *function, void *context)
{
	const struct redis_reply *reply;
	bool is_end;

	if (redis_receive(reader->redis, &reply) == 0) {
		if (reply == NULL)
			return READER_WAITS;
		if (place_take(&reader->place, reader->redis, reply, function, context, &is_end) ==
		    0)
			return READER_TOOK;
	}
	explain(reader);
	return READER_FAILED;
}

const char *reader_last(const struct reader *reader)
{
	return reader->place.last;
}

void reader_give_up(struct reader *reader)
{
	snprintf(reader->why, sizeof reader->why, "Redis: no reply within a second");
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
