#include "redis.h"
#include "aside.h"
#include "clock.h"
#include "lookup.h"
#include "redis-tls.h"

#include <errno.h>
#include <hiredis/hiredis.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum { WORDS = 16 }; /* the most that a command of ours has */

struct redis {
	redisContext *context;
	redisReply *asked;        /* the last reply of redis_ask, or NULL */
	redisReply *received;     /* the last reply of redis_receive, or NULL */
	long long deadline;       /* of the operation, in ms of the monotonic clock */
	bool is_overdue;          /* a reply did not come in time: the next one could be that one */
	void *handshake;          /* of TLS, until the first reply has come; NULL otherwise */
	char why[REDIS_WHY_SIZE]; /* the reason of the last failure */
};

static int fail(void)
{
	errno = EIO;
	return -1;
}

int redis_fail(struct redis *redis, const char *reason)
{
	if (reason != redis->why)
		snprintf(redis->why, sizeof redis->why, "%s", reason);
	return fail();
}

struct redis_word redis_string(const char *text)
{
	return (struct redis_word){text, strlen(text)};
}

void redis_begin(struct redis *redis)
{
	redis->deadline = clock_now_ms() + REDIS_OPERATION_MS - aside_waited_ms();
}

/* The reply may still come, so that this connection is of no more use. */
static int give_up(struct redis *redis, const char *overdue)
{
	char reason[REDIS_WHY_SIZE];

	snprintf(reason, sizeof reason, "Redis: %s", overdue);
	redis_rest(reason, REDIS_REST_MS);
	redis->is_overdue = true;
	return redis_fail(redis, overdue);
}

/* waits until the connection is readable or writable, but not beyond the operation's second */
static int wait_for(struct redis *redis, short events, const char *overdue)
{
	for (;;) {
		/* a process that was stopped looks once more, though the time is up */
		int left = clock_left_ms(redis->deadline);
		int ready = aside_wait(redis->context->fd, events, left);
		if (ready > 0)
			return 0;
		if (ready < 0 && errno != EINTR)
			overdue = strerror(errno);
		else if (ready < 0)
			continue;
		return give_up(redis, overdue);
	}
}

/* fails for the reason that hiredis has */
static int fail_in_hiredis(struct redis *redis)
{
	if (redis->handshake)
		return redis_fail(redis, redis_tls_explain(redis->handshake));
	return redis_fail(redis, redis->context ? redis->context->errstr : "memory is short");
}

/* waits until the connection is made or refused */
static int finish_connecting(struct redis *redis)
{
	int error = 0;
	socklen_t size = sizeof error;

	if (redis->context == NULL || redis->context->err)
		return fail_in_hiredis(redis);
	if (wait_for(redis, POLLOUT, "no connection within a second") < 0)
		return -1;
	if (getsockopt(redis->context->fd, SOL_SOCKET, SO_ERROR, &error, &size) < 0)
		error = errno;
	return error ? redis_fail(redis, strerror(error)) : 0;
}

/* connects to the first address that takes us; each gets its share of the time */
static int connect_to_host(struct redis *redis, const char *host, int port, int lookup_ms)
{
	char addresses[LOOKUP_MAX][LOOKUP_SIZE];
	long long end = redis->deadline;
	const char *why;
	size_t count = lookup_host(host, lookup_ms, addresses, &why);
	int result = count > 0 ? -1 : redis_fail(redis, why);

	for (size_t i = 0; i < count && result < 0; i++) {
		long long now = clock_now_ms();
		if (redis->context)
			redisFree(redis->context);
		redis->context = redisConnectNonBlock(addresses[i], port);
		redis->deadline = now + (end - now) / (long long)(count - i);
		result = finish_connecting(redis);
	}
	redis->deadline = end;
	redis->is_overdue = false;
	if (result == 0) /* notices a host that vanished without a word */
		redisEnableKeepAlive(redis->context);
	return result;
}

/* Version 1 of hiredis brought TLS, in a library of its own with the same version. */
const char *redis_prepare_tls(void)
{
#if HIREDIS_MAJOR >= 1
#define TEXT_OF(version) #version
#define LIBRARY_OF(version) "libhiredis_ssl.so." TEXT_OF(version)
	return redis_tls_load(LIBRARY_OF(HIREDIS_SONAME));
#else
	return "rediss:// needs TLS, which hiredis has from version 1 on";
#endif
}

static int begin_tls(struct redis *redis, const char *host)
{
	const char *why = redis_prepare_tls();

	if (why == NULL)
		why = redis_tls_begin(redis->context, host, &redis->handshake);
	return why ? redis_fail(redis, why) : 0;
}

static int connect_to(struct redis *redis, const struct redis_address *address, int lookup_ms)
{
	if (address->host) {
		if (connect_to_host(redis, address->host, address->port, lookup_ms) < 0)
			return -1;
		return address->is_tls ? begin_tls(redis, address->host) : 0;
	}
	redis->context = redisConnectUnixNonBlock(address->path);
	return finish_connecting(redis);
}

struct redis *redis_connect(const struct redis_address *address, int lookup_ms, const char **why)
{
	static char text[sizeof((struct redis *)0)->why];
	struct redis *redis = calloc(1, sizeof *redis);

	*why = "memory is short";
	if (redis == NULL)
		return NULL;
	redis_begin(redis);
	if (connect_to(redis, address, lookup_ms) == 0)
		return redis;
	memcpy(text, redis->why, sizeof text);
	*why = text;
	redis_free(redis);
	return NULL;
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
	return redis->why;
}

int redis_fd(const struct redis *redis)
{
	return redis->context->fd;
}

int redis_refuse(struct redis *redis)
{
	return redis_fail(redis, "unexpected reply");
}

/* Keeps a reply in the place of an older one. */
static int keep_reply(struct redis *redis, redisReply **place, redisReply *reply)
{
	freeReplyObject(*place);
	*place = reply;
	return reply && reply->type == REDIS_REPLY_ERROR ? redis_fail(redis, reply->str) : 0;
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
		       : fail_in_hiredis(redis);
}

/* writes the command that was appended; during a handshake it is Redis that has to go on */
static int flush(struct redis *redis)
{
	short events = redis->handshake ? POLLIN : POLLOUT;
	int done = 0;

	for (;;) {
		if (redisBufferWrite(redis->context, &done) != REDIS_OK)
			return fail_in_hiredis(redis);
		if (done)
			return 0;
		if (wait_for(redis, events, "takes no command within a second") < 0)
			return -1;
	}
}

/* reads until the reply is whole */
static int read_reply(struct redis *redis, void **reply)
{
	for (;;) {
		if (redisGetReplyFromReader(redis->context, reply) != REDIS_OK)
			return fail_in_hiredis(redis);
		if (*reply) {
			redis->handshake = NULL;
			return 0;
		}
		if (wait_for(redis, POLLIN, "no reply within a second") < 0)
			return -1;
		if (redisBufferRead(redis->context) != REDIS_OK)
			return fail_in_hiredis(redis);
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

void redis_hold(struct redis *redis)
{
	freeReplyObject(redis->received);
	redis->received = redis->asked;
	redis->asked = NULL;
}

int redis_send(struct redis *redis, const struct redis_word *words, size_t count)
{
	redis_begin(redis);
	return append(redis, words, count) < 0 ? -1 : flush(redis);
}

int redis_receive(struct redis *redis, const struct redis_reply **reply)
{
	void *received = NULL;

	redis_begin(redis);
	if (redisBufferRead(redis->context) != REDIS_OK ||
	    redisGetReplyFromReader(redis->context, &received) != REDIS_OK)
		return fail_in_hiredis(redis);
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

bool redis_number(const struct redis_reply *reply, long long *number)
{
	if (reply == NULL || value(reply)->type != REDIS_REPLY_INTEGER)
		return false;
	*number = value(reply)->integer;
	return true;
}

const char *redis_text(const struct redis_reply *reply, size_t *length)
{
	if (reply == NULL || value(reply)->type != REDIS_REPLY_STRING)
		return NULL;
	*length = value(reply)->len;
	return value(reply)->str;
}
