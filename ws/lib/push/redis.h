/*
 * A connection to Redis, its commands and their replies. Only redis.c knows
 * hiredis, which speaks the protocol; redis-keep.c logs in.
 *
 * An operation has a second, all its steps together: it begins with redis_keep,
 * redis_send or redis_receive, and what is asked by redis_ask until the next one
 * of them belongs to it. So no caller waits longer, however slow Redis is.
 *
 * Where a function fails with EIO, redis_why tells the reason. A connection that
 * broke, or whose reply is overdue, stays so: redis_keep makes a new one.
 */
#ifndef REDIS_H
#define REDIS_H

#include "redis-address.h"

#include <stdbool.h>
#include <stddef.h>

enum {
	REDIS_OPERATION_MS = 1000, /* how long an operation may take */
	REDIS_REST_MS = 1000,      /* how long a Redis that failed is left alone */
	REDIS_WHY_SIZE = 160       /* room for a reason and its NUL */
};

/* a connection; opaque */
struct redis;

/* A reply or a part of one; opaque. It belongs to its connection. A reply of redis_ask is valid
 * until the next redis_ask, one of redis_receive until the next redis_receive. */
struct redis_reply;

/* one word of a command, which may have any bytes */
struct redis_word {
	const char *text;
	size_t length;
};

/* the word that a string is */
struct redis_word redis_string(const char *text);

/* Connects, without logging in. Returns NULL with *why in static memory if that fails. */
struct redis *redis_connect(const struct redis_address *address, int lookup_ms, const char **why);

/* Prepares TLS for rediss://. Returns NULL, or why there is none, in static memory. */
const char *redis_prepare_tls(void);

/* begins an operation on a connection that there is */
void redis_begin(struct redis *redis);

/*
 * Makes sure that *redis is a live connection: connects if it is NULL, or if the old connection was
 * lost, which is then closed. A host name that has not been looked up before is waited for by up to
 * lookup_ms, of the operation's second. For a second after it failed, or after a reply was
 * overdue, it fails at once for the same reason. Returns 0, or -1 with errno EIO, *redis NULL and
 * *reason set to a sentence in static memory. redis_free releases it.
 */
int redis_keep(struct redis **redis, int lookup_ms, const char **reason);

/* Lets redis_keep leave Redis alone for so long, for this reason. */
void redis_rest(const char *reason, int rest_ms);

/* Starts to look up the host name in the address, if there is one, so that redis_keep has it. */
void redis_prepare(void);

/* closes the connection and frees it; NULL is allowed */
void redis_free(struct redis *redis);

/* true if the connection broke, so that redis_keep has to make another */
bool redis_is_lost(const struct redis *redis);

/* why the last call failed with EIO, in English; valid until the next one */
const char *redis_why(const struct redis *redis);

/*
 * Sends a command and waits for its reply, which is stored in *reply. Returns 0, or -1 with errno
 * EIO if there was no reply in time or Redis refused the command.
 */
int redis_ask(struct redis *redis, const struct redis_word *words, size_t count,
	      const struct redis_reply **reply);

/* lets the last reply of redis_ask stay valid as long as one of redis_receive */
void redis_hold(struct redis *redis);

/* Sends a command whose reply redis_receive takes. Returns 0, or -1 with errno EIO. */
int redis_send(struct redis *redis, const struct redis_word *words, size_t count);

/* the descriptor that is readable when redis_receive has something to take */
int redis_fd(const struct redis *redis);

/*
 * Takes what has come of a reply. Returns 0 with *reply set, or set to NULL if the rest is still to
 * come; -1 with errno EIO if the connection broke or Redis refused the command.
 */
int redis_receive(struct redis *redis, const struct redis_reply **reply);

/* Sets the reason. Returns -1 with errno EIO. */
int redis_fail(struct redis *redis, const char *reason);

/* Sets the reason to "unexpected reply". Returns -1 with errno EIO. */
int redis_refuse(struct redis *redis);

/* The functions below take NULL as a reply of no kind. */

/* true if the reply says that there is nothing */
bool redis_is_nil(const struct redis_reply *reply);

/* true if the reply is a list of exactly this many parts */
bool redis_is_list_of(const struct redis_reply *reply, size_t count);

/* true if the reply is a list, which may be empty */
bool redis_is_list(const struct redis_reply *reply);

/* how many parts a list has; 0 for any other reply */
size_t redis_count(const struct redis_reply *reply);

/* the part with that index; NULL if there is none */
const struct redis_reply *redis_part(const struct redis_reply *reply, size_t i);

/* true if the reply is a number, which is then stored in *number */
bool redis_number(const struct redis_reply *reply, long long *number);

/* The bytes of a string, which a NUL follows, and in *length their number; NULL if the reply is of
 * another kind. */
const char *redis_text(const struct redis_reply *reply, size_t *length);

#endif
