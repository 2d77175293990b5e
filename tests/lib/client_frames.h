/* frames as a client sends them, and what a decoder made of them, written down as text */
#ifndef CLIENT_FRAMES_H
#define CLIENT_FRAMES_H

#include "frames.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* makes room for so many bytes in memory that grows by doubling */
static inline char *client_room(char *memory, size_t *capacity, size_t needed)
{
	if (needed <= *capacity)
		return memory;
	*capacity = 2 * needed;
	memory = realloc(memory, *capacity);
	if (memory == NULL)
		abort();
	return memory;
}

/* the bytes of some frames; all zero at first */
struct client_bytes {
	char *bytes;
	size_t length;
	size_t capacity;
};

static inline void client_put(struct client_bytes *to, const void *bytes, size_t length)
{
	to->bytes = client_room(to->bytes, &to->capacity, to->length + length + 1);
	if (length > 0)
		memcpy(to->bytes + to->length, bytes, length);
	to->length += length;
}

/* a frame with that first byte, its length in the shortest form, and its payload masked */
static inline void client_frame(struct client_bytes *to, unsigned first, const char *payload,
				size_t length, const char mask[4])
{
	unsigned char head[10] = {(unsigned char)first, 0};
	size_t more = length < 126 ? 0 : length < 65536 ? 2 : 8;

	head[1] = (unsigned char)(0x80 | (more == 0 ? length : more == 2 ? 126 : 127));
	for (size_t i = 0; i < more; i++)
		head[2 + i] = (unsigned char)((uint64_t)length >> 8 * (more - 1 - i));
	client_put(to, head, 2 + more);
	client_put(to, mask, 4);
	client_put(to, payload, length);
	for (size_t i = 0; i < length; i++)
		to->bytes[to->length - length + i] ^= mask[i % 4];
}

/* what came out of a decoder: "text[Hello] ping[] close 1000[bye]", then "error 1002" */
struct transcript {
	char *text;
	size_t length;
	size_t capacity;
	size_t last;   /* where the last event begins */
	bool is_wrong; /* no NUL followed what was given out */
};

static inline void transcript_put(struct transcript *to, const char *bytes, size_t length)
{
	to->text = client_room(to->text, &to->capacity, to->length + length + 1);
	if (length > 0)
		memcpy(to->text + to->length, bytes, length);
	to->length += length;
	to->text[to->length] = '\0';
}

static inline void transcript_add(struct transcript *to, enum frames_event event,
				  const struct frames_item *item)
{
	static const char *const names[] = {[FRAMES_PING] = "ping",
					    [FRAMES_PONG] = "pong",
					    [FRAMES_CLOSE] = "close",
					    [FRAMES_ERROR] = "error"};
	char start[32];
	const char *name = event != FRAMES_MESSAGE ? names[event]
			   : item->is_binary       ? "binary"
						   : "text";

	to->last = to->length;
	int length = snprintf(start, sizeof start, "%s%s", to->length > 0 ? " " : "", name);

	if (item->code)
		length = snprintf(start, sizeof start, "%s%s %d", to->length > 0 ? " " : "", name,
				  item->code);
	transcript_put(to, start, (size_t)length);
	if (event == FRAMES_ERROR)
		return;
	transcript_put(to, "[", 1);
	transcript_put(to, item->bytes, item->length);
	transcript_put(to, "]", 1);
	to->is_wrong |= item->bytes[item->length] != '\0';
}

/* gives a decoder some bytes, which it changes, and adds what comes of them: false after an error
 */
static inline bool transcript_feed(struct transcript *to, struct frames *frames, char *bytes,
				   size_t size)
{
	for (size_t at = 0, used = 0;; at += used) {
		struct frames_item item;
		enum frames_event event = frames_next(frames, bytes + at, size - at, &used, &item);
		if (event == FRAMES_MORE)
			return true;
		transcript_add(to, event, &item);
		if (event == FRAMES_ERROR)
			return false;
	}
}

#endif
