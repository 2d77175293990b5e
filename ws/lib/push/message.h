/*
 * The messages of a channel: their ids, and the line of JSON that stands for
 * one. Nothing here talks to Redis.
 *
 * All lengths are in bytes.
 */
#ifndef MESSAGE_H
#define MESSAGE_H

#include <stdbool.h>
#include <stddef.h>

enum {
	MESSAGE_MAX = 16384,                     /* the longest text */
	MESSAGE_ID_SIZE = 48,                    /* room for an id and its NUL */
	MESSAGE_LINE_SIZE = 6 * MESSAGE_MAX + 80 /* room for a message as JSON and its NUL */
};

/*
 * Is called for each message that is read. Where messages after an id may be missing, it is called
 * with that id and text NULL before the next message. id and text are valid during the call. It
 * returns false if that was enough for now: the next message then comes in another read.
 */
typedef bool message_function(void *context, const char *id, const char *text, size_t length);

/* true if text is an id of a message: two numbers of at most 64 bits with a "-" between, shorter
 * than MESSAGE_ID_SIZE */
bool message_is_id(const char *text);

/* copies an id */
void message_copy_id(char id[MESSAGE_ID_SIZE], const char *from);

/* true if the message with id a came after that with id b */
bool message_is_after(const char *a, const char *b);

/*
 * Writes a message of at most MESSAGE_MAX bytes as {"id":"...","text":"..."} to line, or
 * {"gap":"..."} if text is NULL, without a newline but with a final NUL. Returns the length without
 * the NUL.
 */
size_t message_json(const char *id, const char *text, size_t length, char line[MESSAGE_LINE_SIZE]);

#endif
