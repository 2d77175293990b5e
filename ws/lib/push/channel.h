/*
 * Channels: what many processes publish to and read from, on one machine or
 * several. The newest messages of a channel are kept, so that a reader that was
 * away can go on where it stopped. Both the HTTP program and the WebSocket
 * endpoints use it; reader.h waits for what is still to come.
 *
 * All lengths are in bytes.
 */
#ifndef CHANNEL_H
#define CHANNEL_H

#include "message.h"
#include "redis.h"

enum { CHANNEL_NAME_MAX = 64 /* the longest name */ };

/* true if name is 1 to 64 letters, digits, "-" and "_", so that no name leads to another key */
bool channel_is_name(const char *name);

/* true if after tells where a reader may begin: an id, or "-" and a number */
bool channel_is_start(const char *after);

/* what is published */
struct publication {
	const char *channel;
	const char *text;
	size_t length;
	const char
		*address; /* of the client that it comes from; NULL if the limit does not apply */
};

/*
 * Publishes a text and writes the id that it got. Returns 0, or -1 with errno set:
 *   EINVAL    channel is not a valid name
 *   EMSGSIZE  the text is longer than MESSAGE_MAX
 *   EILSEQ    the text is not valid UTF-8, or contains a newline
 *   EDQUOT    the client has published too many (limit.h)
 *   EIO       Redis did not confirm that it took the message; redis_why tells the reason
 */
int channel_publish(struct redis *redis, const struct publication *publication,
		    char id[MESSAGE_ID_SIZE]);

/*
 * Finds where a reader begins, and writes the id after which its messages come:
 *   after  an id: what was published after that message;
 *          "-20": the last 20, and so on, to 100; NULL: only what is still to come
 * An id that is newer than all of the channel was given by a Redis that has since lost it, as after
 * a failover: *is_gap is then true, and all that is kept comes. Returns 0, or -1 with errno EIO.
 */
int channel_find_start(struct redis *redis, const char *name, const char *after,
		       char id[MESSAGE_ID_SIZE], bool *is_gap);

/* Gives the messages that are there to function, from a start as above, up to 100 of them, and
 * first the gap if there is one. Returns 0, or -1 with errno EIO. */
int channel_read(struct redis *redis, const char *name, const char *after,
		 message_function *function, void *context);

#endif
