#include "stream.h"
#include "channel.h"
#include "utf8.h"

#include <stdio.h>
#include <string.h>

enum { KEY_SIZE = CHANNEL_NAME_MAX + 16, NUMBER_SIZE = 24 };

static struct redis_word word(const char *text)
{
	return (struct redis_word){text, strlen(text)};
}

static struct redis_word write_number(char text[NUMBER_SIZE], size_t number)
{
	snprintf(text, NUMBER_SIZE, "%zu", number);
	return word(text);
}

static struct redis_word write_key(char text[KEY_SIZE], const char *name)
{
	snprintf(text, KEY_SIZE, "duplex:%s", name);
	return word(text);
}

int stream_add(struct redis *redis, const char *name, const char *text, size_t length,
	       char id[MESSAGE_ID_SIZE])
{
	char key[KEY_SIZE];
	char kept[NUMBER_SIZE];
	const struct redis_word words[] = {
		word("XADD"),
		write_key(key, name),
		word("MAXLEN"),
		word("~"),
		write_number(kept, STREAM_KEPT),
		word("*"),
		word("text"),
		{length > 0 ? text : "", length},
	};
	const struct redis_reply *reply;

	if (redis_ask(redis, words, sizeof words / sizeof *words, &reply) < 0)
		return -1;
	const char *added = redis_text(reply, &length);
	if (added == NULL || length >= MESSAGE_ID_SIZE)
		return redis_refuse(redis);
	strcpy(id, added);
	return 0;
}

/* the id of an entry; NULL if it is not an entry */
static const char *id_of(const struct redis_reply *entry)
{
	size_t length = 0;
	const char *id = redis_is_list_of(entry, 2) ? redis_text(redis_part(entry, 0), &length)
						    : NULL;

	return length < MESSAGE_ID_SIZE ? id : NULL;
}

int stream_find_last(struct redis *redis, const char *name, size_t count, char id[MESSAGE_ID_SIZE])
{
	char key[KEY_SIZE];
	char number[NUMBER_SIZE];
	size_t last = count < STREAM_BATCH ? count : STREAM_BATCH;
	const struct redis_word words[] = {
		word("XREVRANGE"), write_key(key, name), word("+"),
		word("-"),         word("COUNT"),        write_number(number, last + 1),
	};
	const struct redis_reply *reply;

	if (redis_ask(redis, words, sizeof words / sizeof *words, &reply) < 0)
		return -1;
	if (!redis_is_list(reply))
		return redis_refuse(redis);
	const char *before = id_of(redis_part(reply, last));
	strcpy(id, before ? before : "0-0");
	return 0;
}

int stream_has(struct redis *redis, const char *name, const char *id, bool *has)
{
	char key[KEY_SIZE];
	const struct redis_word words[] = {word("XRANGE"), write_key(key, name), word(id),
					   word(id)};
	const struct redis_reply *reply;

	if (redis_ask(redis, words, sizeof words / sizeof *words, &reply) < 0)
		return -1;
	if (!redis_is_list(reply))
		return redis_refuse(redis);
	*has = redis_count(reply) == 1;
	return 0;
}

int stream_read(struct redis *redis, const char *name, const char *id,
		const struct redis_reply **reply)
{
	char key[KEY_SIZE];
	char number[NUMBER_SIZE];
	const struct redis_word words[] = {
		word("XREAD"),   word("COUNT"),        write_number(number, STREAM_BATCH),
		word("STREAMS"), write_key(key, name), word(id),
	};

	return redis_ask(redis, words, sizeof words / sizeof *words, reply);
}

int stream_ask(struct redis *redis, const char *name, const char *id)
{
	char key[KEY_SIZE];
	char number[NUMBER_SIZE];
	const struct redis_word words[] = {
		word("XREAD"),        word("COUNT"), write_number(number, STREAM_BATCH),
		word("BLOCK"),        word("0"),     word("STREAMS"),
		write_key(key, name), word(id),
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

/* the text of an entry; NULL if it is not a message of ours */
static const char *text_of(const struct redis_reply *entry, size_t *length)
{
	const struct redis_reply *fields = redis_part(entry, 1);
	const char *text = redis_is_list_of(fields, 2) ? redis_text(redis_part(fields, 1), length)
						       : NULL;
	bool is_ours = text && *length <= MESSAGE_MAX &&
		       utf8_valid_prefix(text, *length) == *length;

	return is_ours ? text : NULL;
}

void stream_take(const struct redis_reply *entries, message_function *function, void *context,
		 char id[MESSAGE_ID_SIZE])
{
	size_t length;

	for (size_t i = 0; i < redis_count(entries); i++) {
		const struct redis_reply *entry = redis_part(entries, i);
		const char *entry_id = id_of(entry);
		const char *text = entry_id ? text_of(entry, &length) : NULL;
		if (text)
			function(context, entry_id, text, length);
		if (entry_id)
			strcpy(id, entry_id);
	}
}
