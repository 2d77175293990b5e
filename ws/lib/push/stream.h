/*
 * The stream of Redis that a channel is kept in: its commands and what their
 * replies mean. A stream that does not exist is an empty one.
 *
 * The functions return 0, or -1 with errno EIO and redis_why set. A name must
 * be one that channel_is_name accepts.
 */
#ifndef STREAM_H
#define STREAM_H

#include "message.h"
#include "redis.h"

enum {
	STREAM_KEPT = 10000, /* how many of the newest messages are kept, at least */
	STREAM_BATCH = 100   /* how many are read at once */
};

/* sets *is_allowed to whether the client with this address may publish one more message (limit.h)
 */
int stream_count(struct redis *redis, const char *name, const char *address, bool *is_allowed);

/* Adds a message, and writes the id that it got. Older ones give way (memory.h). */
int stream_add(struct redis *redis, const char *name, const char *text, size_t length,
	       char id[MESSAGE_ID_SIZE]);

/*
 * Writes the id after which the last so many messages come, at most STREAM_BATCH. Entries that are
 * not messages of ours do not count, unless there are very many of them.
 */
int stream_find_last(struct redis *redis, const char *name, size_t count, char id[MESSAGE_ID_SIZE]);

/* what ids a stream has; "0-0" stands for none */
struct stream_info {
	char first[MESSAGE_ID_SIZE];   /* the first entry that is kept */
	char last[MESSAGE_ID_SIZE];    /* the last entry that was ever added */
	char deleted[MESSAGE_ID_SIZE]; /* the last entry of those that were deleted one by one */
};

int stream_get_info(struct redis *redis, const char *name, struct stream_info *info);

/* reads up to count entries after id */
int stream_read(struct redis *redis, const char *name, const char *id, size_t count,
		const struct redis_reply **reply);

/* Asks for a batch of entries after id. Redis replies as soon as there is one, or after block_ms
 * that there is none; redis_receive takes the reply. */
int stream_ask(struct redis *redis, const char *name, const char *id, int block_ms);

/* sets *entries to the list of entries in such a reply; to NULL if there are none */
int stream_entries(struct redis *redis, const struct redis_reply *reply,
		   const struct redis_reply **entries);

/*
 * Gives the messages among the entries to function, until that has enough, and writes the id of the
 * last entry that was looked at to id. What another program has put into the stream is passed over.
 * Returns how many messages were given; *is_enough tells whether function had enough.
 */
size_t stream_take(const struct redis_reply *entries, message_function *function, void *context,
		   char id[MESSAGE_ID_SIZE], bool *is_enough);

#endif
