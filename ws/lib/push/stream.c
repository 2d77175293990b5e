#include "stream.h"
#include "channel.h"
#include "limit.h"
#include "memory.h"
#include "utf8.h"

#include <stdio.h>
#include <string.h>

enum {
	KEY_SIZE = CHANNEL_NAME_MAX + 16,
	NUMBER_SIZE = 24,
	MOST_BATCHES = 500 /* that are searched for messages of ours */
};

static struct redis_word write_number(char text[NUMBER_SIZE], size_t number)
{
	snprintf(text, NUMBER_SIZE, "%zu", number);
	return redis_string(text);
}

static struct redis_word write_key(char text[KEY_SIZE], const char *name)
{
	snprintf(text, KEY_SIZE, "duplex:%s", name);
	return redis_string(text);
}

int stream_add(struct redis *redis, const char *name, const char *text, size_t length,
	       char id[MESSAGE_ID_SIZE])
{
	char key[KEY_SIZE];
	char kept[NUMBER_SIZE];
	const struct redis_word words[] = {
		redis_string("XADD"),
		write_key(key, name),
		redis_string("MAXLEN"),
		redis_string("~"),
		write_number(kept, STREAM_KEPT),
		redis_string("*"),
		redis_string("text"),
		{length > 0 ? text : "", length},
	};
	const struct redis_reply *reply;

	if (memory_ask(redis, key, words, sizeof words / sizeof *words, &reply) < 0)
		return -1;
	size_t id_length;
	const char *added = redis_text(reply, &id_length);
	if (added == NULL || id_length >= MESSAGE_ID_SIZE)
		return redis_refuse(redis);
	message_copy_id(id, added);
	if (length > MEMORY_SMALL)
		memory_trim(redis, key); /* the message is published, whatever becomes of this */
	return 0;
}

int stream_count(struct redis *redis, const char *name, const char *address, bool *is_allowed)
{
	char key[KEY_SIZE];

	write_key(key, name);
	return limit_count(redis, key, address, is_allowed);
}

/* the id of an entry; NULL if it is not an entry */
static const char *id_of(const struct redis_reply *entry)
{
	size_t length = 0;
	const char *id = redis_is_list_of(entry, 2) ? redis_text(redis_part(entry, 0), &length)
						    : NULL;

	return length < MESSAGE_ID_SIZE ? id : NULL;
}

/* the text of an entry; NULL if it is not a message of ours */
static const char *text_of(const struct redis_reply *entry, size_t *length)
{
	const struct redis_reply *fields = redis_part(entry, 1);
	const char *field = redis_is_list_of(fields, 2) ? redis_text(redis_part(fields, 0), length)
							: NULL;
	const char *text = field && strcmp(field, "text") == 0
				   ? redis_text(redis_part(fields, 1), length)
				   : NULL;
	bool is_ours = text && *length <= MESSAGE_MAX &&
		       utf8_valid_prefix(text, *length) == *length;

	return is_ours ? text : NULL;
}

/*
 * Goes back through entries, of which the newest comes first, and writes the id of each to id,
 * until *count of them were messages and one more entry is found. True if it is.
 */
static bool go_back(const struct redis_reply *entries, size_t *count, char id[MESSAGE_ID_SIZE])
{
	size_t length;

	for (size_t i = 0; i < redis_count(entries); i++) {
		const struct redis_reply *entry = redis_part(entries, i);
		const char *entry_id = id_of(entry);
		if (entry_id == NULL)
			continue;
		message_copy_id(id, entry_id);
		if (*count == 0)
			return true;
		if (text_of(entry, &length))
			(*count)--;
	}
	return false;
}

/* reads entries from the end of the range on, the newest first */
static int read_back(struct redis *redis, const char *name, const char *end, size_t count,
		     const struct redis_reply **entries)
{
	char key[KEY_SIZE];
	char number[NUMBER_SIZE];
	const struct redis_word words[] = {
		redis_string("XREVRANGE"), write_key(key, name),  redis_string(end),
		redis_string("-"),         redis_string("COUNT"), write_number(number, count),
	};

	if (redis_ask(redis, words, sizeof words / sizeof *words, entries) < 0)
		return -1;
	return redis_is_list(*entries) ? 0 : redis_refuse(redis);
}

int stream_find_last(struct redis *redis, const char *name, size_t count, char id[MESSAGE_ID_SIZE])
{
	char end[MESSAGE_ID_SIZE + 1] = "+";
	size_t wanted = (count = count < STREAM_BATCH ? count : STREAM_BATCH) + 1;
	const struct redis_reply *entries;

	for (int i = 0; i < MOST_BATCHES; i++) {
		if (read_back(redis, name, end, wanted, &entries) < 0)
			return -1;
		id[0] = '\0';
		if (go_back(entries, &count, id))
			return 0;
		if (redis_count(entries) < wanted || id[0] == '\0') {
			message_copy_id(id, "0-0");
			return 0;
		}
		snprintf(end, sizeof end, "(%s", id);
		wanted = STREAM_BATCH;
	}
	return 0;
}

/* copies the id that a reply is; "0-0" if it is not one */
static void copy_id(char id[MESSAGE_ID_SIZE], const struct redis_reply *reply)
{
	size_t length;
	const char *text = redis_text(reply, &length);

	message_copy_id(id, text && message_is_id(text) ? text : "0-0");
}

int stream_get_info(struct redis *redis, const char *name, struct stream_info *info)
{
	char key[KEY_SIZE];
	const struct redis_word words[] = {redis_string("XINFO"), redis_string("STREAM"),
					   write_key(key, name)};
	const struct redis_reply *reply;
	size_t length;

	*info = (struct stream_info){"0-0", "0-0", "0-0"};
	if (redis_ask(redis, words, sizeof words / sizeof *words, &reply) < 0)
		return strcmp(redis_why(redis), "ERR no such key") == 0 ? 0 : -1;
	if (!redis_is_list(reply))
		return redis_refuse(redis);
	for (size_t i = 0; i + 1 < redis_count(reply); i += 2) {
		const char *field = redis_text(redis_part(reply, i), &length);
		const struct redis_reply *value = redis_part(reply, i + 1);
		if (field && strcmp(field, "first-entry") == 0)
			copy_id(info->first, redis_part(value, 0));
		else if (field && strcmp(field, "last-generated-id") == 0)
			copy_id(info->last, value);
		else if (field && strcmp(field, "max-deleted-entry-id") == 0)
			copy_id(info->deleted, value);
	}
	return 0;
}

int stream_read(struct redis *redis, const char *name, const char *id, size_t count,
		const struct redis_reply **reply)
{
	char key[KEY_SIZE];
	char number[NUMBER_SIZE];
	const struct redis_word words[] = {
		redis_string("XREAD"),   redis_string("COUNT"), write_number(number, count),
		redis_string("STREAMS"), write_key(key, name),  redis_string(id),
	};

	return redis_ask(redis, words, sizeof words / sizeof *words, reply);
}

int stream_ask(struct redis *redis, const char *name, const char *id, int block_ms)
{
	char key[KEY_SIZE];
	char number[NUMBER_SIZE];
	char block[NUMBER_SIZE];
	const struct redis_word words[] = {
		redis_string("XREAD"),
		redis_string("COUNT"),
		write_number(number, STREAM_BATCH),
		redis_string("BLOCK"),
		write_number(block, (size_t)block_ms),
		redis_string("STREAMS"),
		write_key(key, name),
		redis_string(id),
	};

	return redis_send(redis, words, sizeof words / sizeof *words);
}

int stream_entries(struct redis *redis, const struct redis_reply *reply,
		   const struct redis_reply **entries)
{
	const struct redis_reply *stream = redis_part(reply, 0);

	*entries = NULL;
	if (redis_is_nil(reply))
		return 0;
	if (!redis_is_list_of(reply, 1) || !redis_is_list_of(stream, 2) ||
	    !redis_is_list(redis_part(stream, 1)))
		return redis_refuse(redis);
	*entries = redis_part(stream, 1);
	return 0;
}

size_t stream_take(const struct redis_reply *entries, message_function *function, void *context,
		   char id[MESSAGE_ID_SIZE], bool *is_enough)
{
	size_t length;
	size_t count = 0;

	*is_enough = false;
	for (size_t i = 0; i < redis_count(entries) && !*is_enough; i++) {
		const struct redis_reply *entry = redis_part(entries, i);
		const char *entry_id = id_of(entry);
		const char *text = entry_id ? text_of(entry, &length) : NULL;
		if (text)
			*is_enough = !function(context, entry_id, text, length);
		if (entry_id)
			message_copy_id(id, entry_id);
		count += text != NULL;
	}
	return count;
}
