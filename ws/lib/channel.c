#include "channel.h"
#include "utf8.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KEY "duplex:%s" /* of a channel, in Redis */
enum { KEY_SIZE = CHANNEL_NAME_MAX + 16 };

bool channel_is_name(const char *name)
{
	size_t length = strspn(name,
			       "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_");

	return length > 0 && length <= CHANNEL_NAME_MAX && name[length] == '\0';
}

bool channel_is_id(const char *id)
{
	size_t time = strspn(id, "0123456789");
	size_t sequence = id[time] == '-' ? strspn(id + time + 1, "0123456789") : 0;

	return time > 0 && time <= 19 && sequence > 0 && sequence <= 19 &&
	       id[time + 1 + sequence] == '\0';
}

static int fail(int error)
{
	errno = error;
	return -1;
}

/* splits "password@address", the password of any bytes; NULL without one */
static const char *split_password(const char *address, char *password, size_t size)
{
	const char *at = strrchr(address, '@');

	password[0] = '\0';
	if (at == NULL)
		return address;
	snprintf(password, size, "%.*s", (int)(at - address), address);
	return at + 1;
}

static redisContext *connect_to(const char *address)
{
	static const struct timeval limit = {.tv_sec = 1};
	const char *colon = strrchr(address, ':');
	char host[256];
	char *end;

	if (address[0] == '/')
		return redisConnectUnixWithTimeout(address, limit);
	if (colon == NULL || (size_t)(colon - address) >= sizeof host)
		return NULL;
	snprintf(host, sizeof host, "%.*s", (int)(colon - address), address);
	long port = strtol(colon + 1, &end, 10);
	return *end == '\0' && port > 0 && port < 65536
		       ? redisConnectWithTimeout(host, (int)port, limit)
		       : NULL;
}

/* NULL if Redis lets us in, or why it does not */
static const char *refusal(redisContext *redis, const char *password)
{
	static char text[128];
	redisReply *reply = password[0] ? redisCommand(redis, "AUTH %s", password)
					: redisCommand(redis, "PING");

	if (reply == NULL)
		return redis->errstr;
	snprintf(text, sizeof text, "%s", reply->type == REDIS_REPLY_ERROR ? reply->str : "");
	freeReplyObject(reply);
	return text[0] ? text : NULL;
}

static redisContext *connect_or_say(const char **reason)
{
	static const struct timeval limit = {.tv_sec = 1};
	static char text[384];
	char password[128];
	const char *variable = getenv(CHANNEL_REDIS);
	const char *address = split_password(variable && variable[0] ? variable
								     : CHANNEL_REDIS_DEFAULT,
					     password, sizeof password);
	redisContext *redis = connect_to(address);
	const char *why = redis == NULL ? "is no address" : redis->err ? redis->errstr : NULL;

	if (why == NULL && address[0] != '/')
		redisEnableKeepAlive(redis); /* a host that is gone without a word is noticed */
	if (why == NULL && redisSetTimeout(redis, limit) != REDIS_OK)
		why = redis->errstr;
	if (why == NULL)
		why = refusal(redis, password);
	if (why == NULL)
		return redis;
	snprintf(text, sizeof text, "Redis at %s: %s", address, why);
	*reason = text;
	if (redis)
		redisFree(redis);
	errno = EIO;
	return NULL;
}

/* A connection that nothing is asked of has nothing to say but that it is over. */
static bool is_lost(const redisContext *redis)
{
	struct pollfd set = {.fd = redis->fd, .events = POLLIN};

	return redis->err || poll(&set, 1, 0) != 0;
}

int channel_keep(redisContext **redis, const char **reason)
{
	if (*redis && is_lost(*redis)) {
		redisFree(*redis);
		*redis = NULL;
	}
	if (*redis == NULL)
		*redis = connect_or_say(reason);
	return *redis ? 0 : -1;
}

/* says why this is not the reply that was asked for */
static int refuse(redisContext *redis, const redisReply *reply)
{
	snprintf(redis->errstr, sizeof redis->errstr, "%s",
		 reply->type == REDIS_REPLY_ERROR ? reply->str : "an answer that is none");
	return fail(EIO);
}

/* the reply if it is of this type; NULL with errno EIO if it is another, which is freed, or none */
static redisReply *expect(int type, redisContext *redis, redisReply *reply)
{
	if (reply && reply->type == type)
		return reply;
	if (reply)
		refuse(redis, reply);
	freeReplyObject(reply);
	errno = EIO;
	return NULL;
}

static void write_key(char key[KEY_SIZE], const char *name)
{
	snprintf(key, KEY_SIZE, KEY, name);
}

int channel_publish(redisContext *redis, const char *name, const char *text, size_t length,
		    char id[CHANNEL_ID_SIZE])
{
	char key[KEY_SIZE];

	if (!channel_is_name(name))
		return fail(EINVAL);
	if (length > CHANNEL_MESSAGE_MAX)
		return fail(EMSGSIZE);
	if (utf8_valid_prefix(text, length) < length || (length > 0 && memchr(text, '\n', length)))
		return fail(EILSEQ);
	write_key(key, name);
	redisReply *reply = expect(REDIS_REPLY_STRING, redis,
				   redisCommand(redis, "XADD %s MAXLEN ~ %d * text %b", key,
						CHANNEL_KEPT, text, length));
	if (reply == NULL)
		return -1;
	snprintf(id, CHANNEL_ID_SIZE, "%s", reply->str);
	freeReplyObject(reply);
	return 0;
}

/* the id of an entry of a stream; NULL if it is none */
static const char *id_of(const redisReply *entry)
{
	bool is_entry = entry->type == REDIS_REPLY_ARRAY && entry->elements == 2 &&
			entry->element[0]->type == REDIS_REPLY_STRING &&
			entry->element[0]->len < CHANNEL_ID_SIZE;

	return is_entry ? entry->element[0]->str : NULL;
}

/* the id after which the last so many messages come */
static int find_last(redisContext *redis, const char *name, size_t count, char id[CHANNEL_ID_SIZE])
{
	char key[KEY_SIZE];

	write_key(key, name);
	redisReply *reply = expect(
		REDIS_REPLY_ARRAY, redis,
		redisCommand(redis, "XREVRANGE %s + - COUNT %d", key, (int)count + 1));
	if (reply == NULL)
		return -1;
	const char *first = reply->elements > count ? id_of(reply->element[count]) : NULL;
	snprintf(id, CHANNEL_ID_SIZE, "%s", first ? first : "0-0");
	freeReplyObject(reply);
	return 0;
}

/* "-" and a number: that number; -1 if it is none */
static long count_of(const char *after)
{
	size_t digits = after[0] == '-' ? strspn(after + 1, "0123456789") : 0;

	return digits > 0 && after[1 + digits] == '\0' ? strtol(after + 1, NULL, 10) : -1;
}

bool channel_is_start(const char *after)
{
	return channel_is_id(after) || count_of(after) >= 0;
}

int channel_start(redisContext *redis, const char *name, const char *after,
		  char id[CHANNEL_ID_SIZE])
{
	long count = after ? count_of(after) : 0;

	if (after && channel_is_id(after)) {
		snprintf(id, CHANNEL_ID_SIZE, "%s", after);
		return 0;
	}
	count = count < 0 ? 0 : count > CHANNEL_BATCH ? CHANNEL_BATCH : count;
	return find_last(redis, name, (size_t)count, id);
}

int channel_has(redisContext *redis, const char *name, const char *id)
{
	char key[KEY_SIZE];

	write_key(key, name);
	redisReply *reply = expect(REDIS_REPLY_ARRAY, redis,
				   redisCommand(redis, "XRANGE %s %s %s", key, id, id));
	if (reply == NULL)
		return -1;
	bool has = reply->elements == 1;
	freeReplyObject(reply);
	return has;
}

/* word by word, as hiredis takes three times as long to make them of a format */
int channel_ask(redisContext *redis, const char *name, const char *id, bool wait)
{
	char key[KEY_SIZE];
	char count[16];
	const char *words[] = {"XREAD", "COUNT", count, "STREAMS", key, id};
	const char *waiting[] = {"XREAD", "COUNT", count, "BLOCK", "0", "STREAMS", key, id};
	int done = 0;

	write_key(key, name);
	snprintf(count, sizeof count, "%d", CHANNEL_BATCH);
	if (redisAppendCommandArgv(redis, wait ? 8 : 6, wait ? waiting : words, NULL) != REDIS_OK)
		return fail(EIO);
	while (!done)
		if (redisBufferWrite(redis, &done) != REDIS_OK)
			return fail(EIO);
	return 0;
}

/* the text of an entry; NULL if it is none of ours */
static const redisReply *text_of(const redisReply *entry)
{
	const redisReply *fields = entry->element[1];
	const redisReply *text = fields->type == REDIS_REPLY_ARRAY && fields->elements == 2
					 ? fields->element[1]
					 : NULL;
	bool is_ours = text && text->type == REDIS_REPLY_STRING &&
		       text->len <= CHANNEL_MESSAGE_MAX &&
		       utf8_valid_prefix(text->str, text->len) == text->len;

	return is_ours ? text : NULL;
}

/* the entries in a reply; NULL if there are none */
static const redisReply *entries_of(const redisReply *reply)
{
	bool is_stream = reply->type == REDIS_REPLY_ARRAY && reply->elements == 1 &&
			 reply->element[0]->type == REDIS_REPLY_ARRAY &&
			 reply->element[0]->elements == 2 &&
			 reply->element[0]->element[1]->type == REDIS_REPLY_ARRAY;

	return is_stream ? reply->element[0]->element[1] : NULL;
}

int channel_count(redisContext *redis, const redisReply *reply)
{
	const redisReply *entries = entries_of(reply);

	if (entries)
		return (int)entries->elements;
	return reply->type == REDIS_REPLY_NIL ? 0 : refuse(redis, reply);
}

int channel_take(redisContext *redis, const redisReply *reply, channel_function *function,
		 void *context, char id[CHANNEL_ID_SIZE])
{
	const redisReply *entries = entries_of(reply);
	int count = channel_count(redis, reply);

	for (int i = 0; i < count; i++) {
		const char *entry_id = id_of(entries->element[i]);
		const redisReply *text = entry_id ? text_of(entries->element[i]) : NULL;
		if (text)
			function(context, entry_id, text->str, text->len);
		if (entry_id)
			snprintf(id, CHANNEL_ID_SIZE, "%s", entry_id);
	}
	return count;
}

/* writes a byte as it stands in a string of JSON (RFC 8259 7) to out; the end of what it wrote */
static char *escape(char *out, unsigned char byte)
{
	static const char hex[] = "0123456789abcdef";

	if (byte < 0x20) {
		out = stpcpy(out, "\\u00");
		*out++ = hex[byte >> 4];
		*out++ = hex[byte & 15];
		return out;
	}
	if (byte == '"' || byte == '\\')
		*out++ = '\\';
	*out++ = (char)byte;
	return out;
}

size_t channel_json(const char *id, const char *text, size_t length, char line[CHANNEL_LINE_SIZE])
{
	char *out = stpcpy(stpcpy(stpcpy(line, "{\"id\":\""), id), "\",\"text\":\"");

	for (size_t i = 0; i < length; i++)
		out = escape(out, (unsigned char)text[i]);
	return (size_t)(stpcpy(out, "\"}") - line);
}
