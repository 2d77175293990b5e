/*
 * Channels: what many processes publish to and read from, on one machine or
 * several. A channel is a stream of Redis, of which the newest messages are
 * kept, so that a reader that was away can go on where it was. Both the HTTP
 * program and the WebSocket endpoints use it; the connection and its protocol
 * are hiredis's.
 *
 * All lengths are in bytes.
 */
#ifndef CHANNEL_H
#define CHANNEL_H

#include <hiredis/hiredis.h>
#include <stdbool.h>
#include <stddef.h>

/* Where Redis is: a path, or host:port; before it "password@" if one is needed. */
#define CHANNEL_REDIS "DUPLEX_REDIS"
#define CHANNEL_REDIS_DEFAULT "/run/duplex-redis/redis.sock"

enum {
	CHANNEL_NAME_MAX = 64, /* the longest name */
	CHANNEL_ID_SIZE = 48,  /* room for an id and its NUL */
	CHANNEL_MESSAGE_MAX = 16384,
	CHANNEL_LINE_SIZE = 6 * CHANNEL_MESSAGE_MAX + 80, /* room for a message as JSON */
	CHANNEL_KEPT = 10000, /* how many messages of a channel are kept, at least */
	CHANNEL_BATCH = 100,  /* how many are read at once */
};

/* what is called for each message that is read */
typedef void channel_function(void *context, const char *id, const char *text, size_t length);

/* true if it is 1 to 64 letters, digits, "-" and "_", so that no name leads to another key */
bool channel_is_name(const char *name);

/* true if it is the id of a message, as channel_publish has given it */
bool channel_is_id(const char *id);

/* Makes *redis a connection to Redis if it is NULL, or one that is lost. 0, or -1 with errno EIO,
 * *redis NULL and *reason in English, in static memory, if there is none within about a second a
 * step. What uses it later may set redis->err: then it is lost. The caller frees it by redisFree.
 */
int channel_keep(redisContext **redis, const char **reason);

/* Where EIO is told below, redis->errstr says why; the connection is lost if redis->err is set. */

/* Publishes text on a channel and writes its id: 0, or -1 with errno set:
 *   EINVAL    the name is none
 *   EMSGSIZE  the text is longer than CHANNEL_MESSAGE_MAX
 *   EILSEQ    it is not valid UTF-8, or it contains a newline
 *   EIO       Redis did not say that it took it
 */
int channel_publish(redisContext *redis, const char *name, const char *text, size_t length,
		    char id[CHANNEL_ID_SIZE]);

/* true if it tells where a reader may begin: an id, or "-" and a number */
bool channel_is_start(const char *after);

/* Finds where a reader begins, and writes the id after which it is served:
 *   after  an id: what was published after that message;
 *          "-20": the last 20, and so on, to 100; NULL or anything else: only what comes
 * 0, or -1 with errno EIO. */
int channel_start(redisContext *redis, const char *name, const char *after,
		  char id[CHANNEL_ID_SIZE]);

/* 1 if the message with that id is still kept, and so everything after it; 0 if not; -1 with errno
 * EIO if Redis does not say */
int channel_has(redisContext *redis, const char *name, const char *id);

/* Asks for what comes after id, and if wait is true for as long as nothing does: to be followed by
 * channel_take when the descriptor of redis is readable. 0, or -1 with errno EIO. */
int channel_ask(redisContext *redis, const char *name, const char *id, bool wait);

/* how many messages are in a reply to channel_ask, -1 with errno EIO if it is no such reply */
int channel_count(redisContext *redis, const redisReply *reply);

/* Gives the messages of a reply to channel_ask, and writes the id of the last to id. How many there
 * were, or -1 with errno EIO if it is no such reply. */
int channel_take(redisContext *redis, const redisReply *reply, channel_function *function,
		 void *context, char id[CHANNEL_ID_SIZE]);

/* Writes a message as the line of JSON that clients get, {"id":"...","text":"..."}, without a
 * newline but with a NUL, to line; its length without that. The text has up to CHANNEL_MESSAGE_MAX
 * bytes. */
size_t channel_json(const char *id, const char *text, size_t length, char line[CHANNEL_LINE_SIZE]);

#endif
