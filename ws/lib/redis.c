#include "redis.h"
#include "redis-settings.h"

#include <errno.h>
#include <hiredis/hiredis.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

enum {
	WORDS = 16,         /* the most that a command of ours has */
	OPERATION_MS = 1000 /* how long an operation may take */
};

struct redis {
	redisContext *context;
	redisReply *asked;    /* the last reply of redis_ask, or NULL */
	redisReply *received; /* the last reply of redis_receive, or NULL */
	long long deadline;   /* of the operation, in ms of the monotonic clock */
	bool is_overdue;      /* a reply did not come in time: the next one could be that one */
};

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

static long long milliseconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000LL + now.tv_nsec / 1000000;
}

static void begin_operation(struct redis *redis)
{
	redis->deadline = milliseconds() + OPERATION_MS;
}

/* waits until the connection is readable or writable, but not beyond the operation's second */
static int wait_for(struct redis *redis, short events, const char *overdue)
{
	struct pollfd set = {.fd = redis->context->fd, .events = events};

	for (;;) {
		long long left = redis->deadline - milliseconds();
		int ready = left > 0 ? poll(&set, 1, (int)left) : 0;
		if (ready > 0)
			return 0;
		if (ready < 0 && errno != EINTR)
			overdue = strerror(errno);
		else if (ready < 0)
			continue;
		redis->is_overdue = true;
		return set_reason(redis, overdue);
	}
}

/* begins to connect; NULL if memory is short */
static redisContext *connect_to(const struct redis_address *address)
{
	return address->path ? redisConnectUnixNonBlock(address->path)
			     : redisConnectNonBlock(address->host, address->port);
}

/* waits until the connection is made or refused */
static int finish_connecting(struct redis *redis)
{
	int error = 0;
	socklen_t size = sizeof error;

	if (redis->context->err)
		return fail();
	if (wait_for(redis, POLLOUT, "no connection within a second") < 0)
		return -1;
	if (getsockopt(redis->context->fd, SOL_SOCKET, SO_ERROR, &error, &size) < 0)
		error = errno;
	return error ? set_reason(redis, strerror(error)) : 0;
}

static struct redis_word word(const char *text)
{
	return (struct redis_word){text, strlen(text)};
}

static int select_database(struct redis *redis, int database)
{
	char number[16];
	int length = snprintf(number, sizeof number, "%d", database);
	const struct redis_word words[] = {word("SELECT"), {number, (size_t)length}};
	const struct redis_reply *reply;

	return database > 0 ? redis_ask(redis, words, 2, &reply) : 0;
}

/* logs in, or asks for a sign of life, so that a connection that is refused is noticed */
static int log_in(struct redis *redis, const struct redis_address *address)
{
	struct redis_word words[3] = {word("PING")};
	const struct redis_reply *reply;
	size_t count = 1;

	if (address->user.bytes || address->password.bytes)
		words[0] = word("AUTH");
	if (address->user.bytes)
		words[count++] = (struct redis_word){address->user.bytes, address->user.length};
	if (address->password.bytes)
		words[count++] = (struct redis_word){address->password.bytes,
						     address->password.length};
	if (redis_ask(redis, words, count, &reply) < 0)
		return -1;
	return select_database(redis, address->database);
}

/* 0, or -1 with the reason in errstr, or without a context if memory is short */
static int connect_and_log_in(struct redis *redis, const struct redis_address *address)
{
	redis->context = connect_to(address);
	if (redis->context == NULL || finish_connecting(redis) < 0)
		return fail();
	if (address->host) /* notices a host that vanished without a word */
		redisEnableKeepAlive(redis->context);
	return log_in(redis, address);
}

static struct redis *open_at(const struct redis_address *address, const char **reason)
{
	struct redis *redis = calloc(1, sizeof *redis);

	*reason = "calloc for a connection to Redis";
	if (redis == NULL)
		return NULL;
	begin_operation(redis);
	if (connect_and_log_in(redis, address) == 0)
		return redis;
	*reason = redis_settings_describe(address,
					  redis->context ? redis_why(redis) : "memory is short");
	redis_free(redis);
	return NULL;
}

static struct redis *open_or_explain(const char **reason)
{
	struct redis_address address;
	struct redis *redis = NULL;

	if (redis_settings_read(&address, reason) == 0)
		redis = open_at(&address, reason);
	redis_address_free(&address);
	return redis;
}

int redis_keep(struct redis **redis, const char **reason)
{
	if (*redis && redis_is_lost(*redis)) {
		redis_free(*redis);
		*redis = NULL;
	}
	if (*redis)
		begin_operation(*redis);
	else
		*redis = open_or_explain(reason);
	return *redis ? 0 : fail();
}

void redis_free(struct redis *redis)
{
	if (redis == NULL)
		return;
	freeReplyObject(redis->asked);
	freeReplyObject(redis->received);
	if (redis->context)
		redisFree(redis->context);
	free(redis);
}

/* A connection on which no reply is due becomes readable only when it is over. */
bool redis_is_lost(const struct redis *redis)
{
	struct pollfd set = {.fd = redis->context->fd, .events = POLLIN};

	return redis->context->err || redis->is_overdue || poll(&set, 1, 0) != 0;
}

const char *redis_why(const struct redis *redis)
{
	return redis->context->errstr;
}

int redis_fd(const struct redis *redis)
{
	return redis->context->fd;
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

/* writes the command that was appended */
static int flush(struct redis *redis)
{
	int done = 0;

	for (;;) {
		if (redisBufferWrite(redis->context, &done) != REDIS_OK)
			return fail();
		if (done)
			return 0;
		if (wait_for(redis, POLLOUT, "takes no command within a second") < 0)
			return -1;
	}
}

/* reads until the reply is whole */
static int read_reply(struct redis *redis, void **reply)
{
	for (;;) {
		if (redisGetReplyFromReader(redis->context, reply) != REDIS_OK)
			return fail();
		if (*reply)
			return 0;
		if (wait_for(redis, POLLIN, "no reply within a second") < 0)
			return -1;
		if (redisBufferRead(redis->context) != REDIS_OK)
			return fail();
	}
}

int redis_ask(struct redis *redis, const struct redis_word *words, size_t count,
	      const struct redis_reply **reply)
{
	void *received = NULL;

	if (append(redis, words, count) < 0 || flush(redis) < 0 || read_reply(redis, &received) < 0)
		return -1;
	*reply = received;
	return keep_reply(redis, &redis->asked, received);
}

int redis_send(struct redis *redis, const struct redis_word *words, size_t count)
{
	begin_operation(redis);
	return append(redis, words, count) < 0 ? -1 : flush(redis);
}

int redis_receive(struct redis *redis, const struct redis_reply **reply)
{
	void *received = NULL;

	begin_operation(redis);
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
