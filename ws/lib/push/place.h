/* A place in a channel: how far a reader has come. Reading on from there takes a connection to
 * Redis, which is not part of the place. */
#ifndef PLACE_H
#define PLACE_H

#include "channel.h"

struct place {
	char channel[CHANNEL_NAME_MAX + 1];
	char last[MESSAGE_ID_SIZE]; /* the id of the last message that was read */
	bool was_read;              /* and that by a function here, not named by the caller */
};

/* Sets the place to where after says that a reader begins, and *is_gap as channel_find_start does.
 * channel and after must be valid. Returns 0, or -1 with errno EIO and redis_why set. */
int place_find(struct place *place, struct redis *redis, const char *channel, const char *after,
	       bool *is_gap);

/*
 * Gives the messages of a batch, the reply to stream_ask or stream_read, to function until that has
 * enough, and moves the place. If the end of what is kept has overtaken the place, function is
 * first told that messages may be missing. Returns 0, or -1 as above. *is_end tells whether that
 * was all.
 */
int place_take(struct place *place, struct redis *redis, const struct redis_reply *reply,
	       message_function *function, void *context, bool *is_end);

/* Reads the next batch of what is there: the same with the reply to a question of its own. */
int place_read(struct place *place, struct redis *redis, message_function *function, void *context,
	       bool *is_end);

#endif
