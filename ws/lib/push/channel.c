#include "channel.h"
#include "stream.h"
#include "utf8.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

bool channel_is_name(const char *name)
{
	size_t length = strspn(name,
			       "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_");

	return length > 0 && length <= CHANNEL_NAME_MAX && name[length] == '\0';
}

/* true if after is "-" and a number */
static bool is_count(const char *after)
{
	size_t digits = after[0] == '-' ? strspn(after + 1, "0123456789") : 0;

	return digits > 0 && after[1 + digits] == '\0';
}

bool channel_is_start(const char *after)
{
	return message_is_id(after) || is_count(after);
}

static int fail(int error)
{
	errno = error;
	return -1;
}

int channel_publish(struct redis *redis, const struct publication *publication,
		    char id[MESSAGE_ID_SIZE])
{
	const char *text = publication->text;
	size_t length = publication->length;
	bool is_allowed = true;

	if (!channel_is_name(publication->channel))
		return fail(EINVAL);
	if (length > MESSAGE_MAX)
		return fail(EMSGSIZE);
	if (utf8_valid_prefix(text, length) < length || (length > 0 && memchr(text, '\n', length)))
		return fail(EILSEQ);
	if (publication->address &&
	    stream_count(redis, publication->channel, publication->address, &is_allowed) < 0)
		return -1;
	return is_allowed ? stream_add(redis, publication->channel, text, length, id)
			  : fail(EDQUOT);
}

/* begins after this message, or with all that is kept if the channel does not reach so far */
static int begin_after(struct redis *redis, const char *name, const char *after,
		       char id[MESSAGE_ID_SIZE], bool *is_gap)
{
	struct stream_info info;

	if (stream_get_info(redis, name, &info) < 0)
		return -1;
	*is_gap = message_is_after(after, info.last);
	message_copy_id(id, *is_gap ? "0-0" : after);
	return 0;
}

int channel_find_start(struct redis *redis, const char *name, const char *after,
		       char id[MESSAGE_ID_SIZE], bool *is_gap)
{
	*is_gap = false;
	if (after && message_is_id(after))
		return begin_after(redis, name, after, id, is_gap);
	/* a number that is too large becomes the largest, which is more than is read at once */
	size_t count = after && is_count(after) ? strtoul(after + 1, NULL, 10) : 0;
	return stream_find_last(redis, name, count, id);
}

int channel_read(struct redis *redis, const char *name, const char *after,
		 message_function *function, void *context)
{
	char id[MESSAGE_ID_SIZE];
	const struct redis_reply *reply;
	const struct redis_reply *entries;
	size_t left = STREAM_BATCH;
	size_t wanted;
	bool is_gap;
	bool is_enough;

	if (channel_find_start(redis, name, after, id, &is_gap) < 0)
		return -1;
	if (is_gap && !function(context, after, NULL, 0))
		return 0;
	do {
		wanted = left;
		if (stream_read(redis, name, id, wanted, &reply) < 0 ||
		    stream_entries(redis, reply, &entries) < 0)
			return -1;
		left -= stream_take(entries, function, context, id, &is_enough);
		/* entries of another program do not count, and messages may follow them */
	} while (left > 0 && !is_enough && redis_count(entries) >= wanted);
	return 0;
}
