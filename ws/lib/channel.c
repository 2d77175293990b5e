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

int channel_publish(struct redis *redis, const char *name, const char *text, size_t length,
		    char id[MESSAGE_ID_SIZE])
{
	if (!channel_is_name(name))
		return fail(EINVAL);
	if (length > MESSAGE_MAX)
		return fail(EMSGSIZE);
	if (utf8_valid_prefix(text, length) < length || (length > 0 && memchr(text, '\n', length)))
		return fail(EILSEQ);
	return stream_add(redis, name, text, length, id);
}

int channel_find_start(struct redis *redis, const char *name, const char *after,
		       char id[MESSAGE_ID_SIZE])
{
	if (after && message_is_id(after)) {
		strcpy(id, after);
		return 0;
	}
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

	if (channel_find_start(redis, name, after, id) < 0 ||
	    stream_read(redis, name, id, &reply) < 0 || stream_entries(redis, reply, &entries) < 0)
		return -1;
	stream_take(entries, function, context, id);
	return 0;
}
