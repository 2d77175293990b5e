/*
 * A reader of a channel: it gives each message once, in order, and waits for
 * those that are still to come. It has a connection to Redis of its own, and
 * knows nothing of who gets the messages. Its owner polls reader_fd:
 *
 *	reader_open, reader_begins_with_gap, reader_ask
 *	when reader_fd is readable: reader_take, and after READER_TOOK reader_ask again
 *	reader_close
 *
 * No function but reader_open waits for Redis. Where nothing is readable for a second longer than
 * reader_ask said, Redis hangs: reader_give_up.
 */
#ifndef READER_H
#define READER_H

#include "message.h"

/* opaque */
struct reader;

enum reader_result {
	READER_FAILED = -1, /* the connection broke or Redis refused; reader_why tells the reason */
	READER_WAITS = 0,   /* only a part of the reply has come */
	READER_TOOK = 1     /* the messages were given, each once, and gaps between them */
};

/*
 * Makes a reader of the channel, which begins where after says (channel_find_start). Returns NULL
 * with errno set and *why a sentence in static memory: EINVAL (not a valid name or start),
 * EIO or ENOMEM.
 */
struct reader *reader_open(const char *name, const char *after, const char **why);

/* true if the reader begins with a gap: messages after the id that it was opened with may be
 * missing */
bool reader_begins_with_gap(const struct reader *reader);

/* the descriptor that is readable when reader_take has something to take */
int reader_fd(const struct reader *reader);

/* Asks Redis for the messages after the last one. Redis replies when there are some, or after
 * block_ms without any. Returns 0, or -1 with errno EIO. */
int reader_ask(struct reader *reader, int block_ms);

/* Takes what has come and gives each message to function, until that has enough. If the end of what
 * is kept has overtaken the reader, function is first told that messages may be missing. */
enum reader_result reader_take(struct reader *reader, message_function *function, void *context);

/* the id of the last message that was given, or after which the first one comes */
const char *reader_last(const struct reader *reader);

/* Sets the reason of reader_why: the reply is overdue, because Redis hangs. */
void reader_give_up(struct reader *reader);

/* why the last call failed, in English; valid until the next one */
const char *reader_why(const struct reader *reader);

/* closes the connection and frees the reader; NULL is allowed */
void reader_close(struct reader *reader);

#endif
