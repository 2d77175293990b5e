#include "redis.h"

#include <errno.h>
#include <hiredis/hiredis.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WORDS = 16 }; /* the most that a command of ours has */

struct redis {
	redisContext *context;
	redisReply *asked;    /* the last reply of redis_ask, or NULL */
	redisReply *received; /* the last reply of redis_receive, or NULL */
};

static const struct timeval time_limit = {.tv_sec = 1};

/* splits "password@address", the password of any bytes; returns the address */
static const char *split_password(const char *address, char *password, size_t size)
{
	const char *at = strrchr(address, '@');

	password[0] = '\0';
	if (at == NULL)
		return address;
	snprintf(password, size, "%.*s", (int)(at - address), address);
	return at + 1;
}

/* NULL if the address is not valid, or memory is short */
static redisContext *connect_to(const char *address)
{
	const char *colon = strrchr(address, ':');
	char host[256];
	char *end;

	if (address[0] == '/')
		return redisConnectUnixWithTimeout(address, time_limit);
	if (colon == NULL || (size_t)(colon - address) >= sizeof host)
		return NULL;
	snprintf(host, sizeof host, "%.*s", (int)(colon - address), address);
	long port = strtol(colon + 1, &end, 10);
	return *end == '\0' && port > 0 && port < 65536
		       ? redisConnectWithTimeout(host, (int)port, time_limit)
		       : NULL;
}

/* Logs in. Returns NULL, or why Redis does not let us in. */
static const char *log_in(redisContext *context, const char *password)
{
	static char text[128];
	redisReply *reply = password[0] ? redisCommand(context, "AUTH %s", password)
					: redisCommand(context, "PING");

	if (reply == NULL)
		return context->errstr;
	snprintf(text, sizeof text, "%s", reply->type == REDIS_REPLY_ERROR ? reply->str : "");
	freeReplyObject(reply);
	return text[0] ? text : NULL;
}

/* Prepares a new connection. Returns NULL, or why it cannot be used. */
static const char *prepare(redisContext *context, const char *address, const char *password)
{
	if (context == NULL)
		return "not a valid address";
	if (context->err)
		return context->errstr;
	if (address[0] != '/')
		redisEnableKeepAlive(context); /* notices a host that vanished without a word */
	if (redisSetTimeout(context, time_limit) != REDIS_OK)
		return context->errstr;
	return log_in(context, password);
}

static redisContext *connect_or_explain(const char **reason)
{
	static char text[384];
	char password[128];
	const char *variable = getenv(REDIS_VARIABLE);
	const char *address = split_password(variable && variable[0] ? variable : REDIS_DEFAULT,
					     password, sizeof password);
	redisContext *context = connect_to(address);
	const char *why = prepare(context, address, password);

	if (why == NULL)
		return context;
	snprintf(text, sizeof text, "Redis at %s: %s", address, why);
	*reason = text;
	if (context)
		redisFree(context);
	return NULL;
}

int redis_keep(struct redis **redis, const char **reason)
{
	if (*redis && redis_is_lost(*redis)) {
		redis_free(*redis);
		*redis = NULL;
	}
	if (*redis)
		return 0;
	redisContext *context = connect_or_explain(reason);
	struct redis *made = context ? calloc(1, sizeof *made) : NULL;
	if (made) {
		made->context = context;
		*redis = made;
		return 0;
	}
	if (context) {
		redisFree(context);
		*reason = "Redis: calloc for a connection";
	}
	errno = EIO;
	return -1;
}

void redis_free(struct redis *redis)
{
	if (redis == NULL)
		return;
	freeReplyObject(redis->asked);
	freeReplyObject(redis->received);
	redisFree(redis->context);
	free(redis);
}

/* A connection on which no reply is due becomes readable only when it is over. */
bool redis_is_lost(const struct redis *redis)
{
	struct pollfd set = {.fd = redis->context->fd, .events = POLLIN};

	return redis->context->err || poll(&set, 1, 0) != 0;
}

const char *redis_why(const struct redis *redis)
{
	return redis->context->errstr;
}

int redis_fd(const struct redis *redis)
{
	return redis->context->fd;
}

static int fail(void)
{
	errno = EIO;
	return -1;
}

static int set_reason(struct redis *redis, const char *reason)
{
	snprintf(redis->context->errstr, sizeof redis->context->errstr, "%s", reason);
	return fail();
}

int redis_refuse(struct redis *redis)
{
	return set_reason(redis, "unexpected reply");
}

/* Keeps a reply in the place of an older one. */
static int keep_reply(struct redis *redis, redisReply **place, redisReply *reply)
{
	freeReplyObject(*place);
	*place = reply;
	return reply && reply->type == REDIS_REPLY_ERROR ? set_reason(redis, reply->str) : 0;
}

/* word by word, since hiredis takes three times as long to build a command from a format */
static int append(struct redis *redis, const struct redis_word *words, size_t count)
{
	const char *texts[WORDS];
	size_t lengths[WORDS];

	for (size_t i = 0; i < count; i++) {
		texts[i] = words[i].text;
		lengths[i] = words[i].length;
	}
	return redisAppendCommandArgv(redis->context, (int)count, texts, lengths) == REDIS_OK
		       ? 0
		       : fail();
}

int redis_ask(struct redis *redis, const struct redis_word *words, size_t count,
	      const struct redis_reply **reply)
{
	void *received = NULL;

	if (append(redis, words, count) < 0 || redisGetReply(redis->context, &received) != REDIS_OK)
		return fail();
	*reply = received;
	return keep_reply(redis, &redis->asked, received);
}

int redis_send(struct redis *redis, const struct redis_word *words, size_t count)
{
	int done = 0;

	if (append(redis, words, count) < 0)
		return -1;
	while (!done)
		if (redisBufferWrite(redis->context, &done) != REDIS_OK)
			return fail();
	return 0;
}

int redis_receive(struct redis *redis, const struct redis_reply **reply)
{
	void *received = NULL;

	if (redisBufferRead(redis->context) != REDIS_OK ||
	    redisGetReplyFromReader(redis->context, &received) != REDIS_OK)
		return fail();
	*reply = received;
	return keep_reply(redis, &redis->received, received);
}

/* what hiredis makes of a reply is what redis_reply stands for */
static const redisReply *value(const struct redis_reply *reply)
{
	return (const redisReply *)reply;
}

bool redis_is_nil(const struct redis_reply *reply)
{
	return reply && value(reply)->type == REDIS_REPLY_NIL;
}

bool redis_is_list(const struct redis_reply *reply)
{
	return reply && value(reply)->type == REDIS_REPLY_ARRAY;
}

size_t redis_count(const struct redis_reply *reply)
{
	return redis_is_list(reply) ? value(reply)->elements : 0;
}

bool redis_is_list_of(const struct redis_reply *reply, size_t count)
{
	return redis_is_list(reply) && redis_count(reply) == count;
}

const struct redis_reply *redis_part(const struct redis_reply *reply, size_t i)
{
	return i < redis_count(reply) ? (const struct redis_reply *)value(reply)->element[i] : NULL;
}

const char *redis_text(const struct redis_reply *reply, size_t *length)
{
	if (reply == NULL || value(reply)->type != REDIS_REPLY_STRING)
		return NULL;
	*length = value(reply)->len;
	return value(reply)->str;
}
