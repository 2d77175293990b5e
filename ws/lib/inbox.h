/*
 * The protocol core: bytes in, messages out, no I/O.
 *
 * websocketd hands over each text message as its bytes and a newline. An inbox
 * takes those bytes in whatever pieces they come, and gives back whole messages,
 * each valid UTF-8 and without a newline, in order. The messages do not depend on
 * where the pieces were cut. Only if the same bytes break two limits, the cuts
 * decide which one is reported.
 *
 * All lengths are in bytes. The inbox owns its memory, and must not be copied.
 */
#ifndef INBOX_H
#define INBOX_H

#include <stdbool.h>
#include <stddef.h>

/* why an inbox takes in nothing more; the messages before that can still be taken out */
enum inbox_state {
	INBOX_OPEN,
	INBOX_NOT_UTF8, /* a message is not valid UTF-8 (RFC 6455 8.1) */
	INBOX_TOO_LONG, /* a message is longer than max_message */
	INBOX_FULL,     /* what waits to be taken out is more than max_queue */
	INBOX_BINARY,   /* something came that is not a text message */
};

struct inbox {
	size_t max_message;
	size_t max_queue; /* of the bytes that wait; their memory may be twice as much */
	enum inbox_state state;
	size_t count; /* whole messages that wait */

	/* The rest is private. Each message lies in one block, and no block with a whole message in
	 * it is ever moved, so that the message in hand stays where it is while more comes in. */
	struct inbox_block *first; /* is read from */
	struct inbox_block **last; /* is written to; the pointer to it */
	size_t line;  /* where in the last block the message starts that is not yet whole */
	size_t whole; /* bytes of the whole messages that wait, with their newlines */
};

/* an empty inbox; nothing is allocated yet */
void inbox_init(struct inbox *inbox, size_t max_message, size_t max_queue);

/* Returns a place for at least one more byte, and in *size how many fit there. NULL if memory is
 * short. */
char *inbox_space(struct inbox *inbox, size_t *size);

/* Takes in the first size bytes of that place. Returns the state after it; every state but
 * INBOX_OPEN is final. */
enum inbox_state inbox_commit(struct inbox *inbox, size_t size);

/* true if a message is begun and not yet whole */
bool inbox_is_partial(const struct inbox *inbox);

/* Tells the inbox that nothing more of a message that is not yet whole will come: then it was not a
 * text message. Returns the state after it. */
enum inbox_state inbox_pause(struct inbox *inbox);

/* how many bytes wait, of whole messages and of the one that is not yet whole */
size_t inbox_waiting(const struct inbox *inbox);

/* Takes the next message out, or returns false if none is whole. The text is followed by a NUL that
 * length does not count. It stays where it is until the next inbox_take, whatever that returns, or
 * inbox_free. */
bool inbox_take(struct inbox *inbox, const char **text, size_t *length);

/* frees all that the inbox owns and leaves it empty */
void inbox_free(struct inbox *inbox);

#endif
