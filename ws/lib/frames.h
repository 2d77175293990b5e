/*
 * The frames of RFC 6455, sections 5 to 8, at the server's end: bytes in; messages, answers and
 * verdicts out. It does no I/O, reads no clock and has no global state.
 *
 * A struct frames is what one client's connection needs: small, and without a buffer while nothing
 * is half received. The caller reads bytes into a buffer of its own, which may serve all its
 * connections, and asks for one event after another until FRAMES_MORE:
 *
 *	ssize_t n = read(fd, buffer, sizeof buffer);
 *	for (size_t at = 0, used; ; at += used) {
 *		event = frames_next(&frames, buffer + at, n - at, &used, &item);
 *		if (event == FRAMES_MORE)
 *			break;
 *		...
 *	}
 *
 * The events do not depend on where the bytes were cut. All lengths are in bytes.
 */
#ifndef FRAMES_H
#define FRAMES_H

#include "utf8.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* the kinds of frames (5.2); a server needs no continuation */
enum frames_opcode {
	FRAMES_OPCODE_TEXT = 1,
	FRAMES_OPCODE_BINARY = 2,
	FRAMES_OPCODE_CLOSE = 8,
	FRAMES_OPCODE_PING = 9,
	FRAMES_OPCODE_PONG = 10,
};

/* the close codes (7.4.1) that a server sends, or that stand for a close frame without one */
enum frames_code {
	FRAMES_CODE_NORMAL = 1000,
	FRAMES_CODE_GOING_AWAY = 1001,
	FRAMES_CODE_PROTOCOL_ERROR = 1002,
	FRAMES_CODE_NONE = 1005, /* is never sent */
	FRAMES_CODE_LOST = 1006, /* is never sent */
	FRAMES_CODE_NOT_UTF8 = 1007,
	FRAMES_CODE_POLICY = 1008, /* a policy is violated */
	FRAMES_CODE_TOO_LONG = 1009,
	FRAMES_CODE_INTERNAL_ERROR = 1011,
	FRAMES_CODE_TRY_AGAIN = 1013,
};

enum {
	FRAMES_MAX_CONTROL = 125, /* the longest payload of a control frame (5.5) */
	FRAMES_MAX_REASON = FRAMES_MAX_CONTROL - 2,
	FRAMES_HEAD_SIZE = 10, /* the longest head of a frame that a server sends */
	FRAMES_CLOSE_SIZE = 2 + FRAMES_MAX_CONTROL,
};

/* what frames_next found */
enum frames_event {
	/* Nothing is complete. All bytes were taken in: read more. */
	FRAMES_MORE,
	/* a whole message: bytes, length, is_binary. Text is valid UTF-8. */
	FRAMES_MESSAGE,
	/* A ping came: answer it with a pong of the same bytes and length (5.5.2). */
	FRAMES_PING,
	/* a pong came: bytes and length */
	FRAMES_PONG,
	/* The client closes: code, or FRAMES_CODE_NONE if it gave none, and its reason in bytes and
	 * length. Answer with a close frame unless one was sent (5.5.1). Whatever comes after
	 * it is ignored: frames_next returns FRAMES_MORE from then on. */
	FRAMES_CLOSE,
	/* The client broke a rule, or memory is short: send a close frame with code, and end the
	 * connection (7.1.7). The code is FRAMES_CODE_PROTOCOL_ERROR, _NOT_UTF8, _TOO_LONG, or
	 * _INTERNAL_ERROR if memory is short; reason says why. Every later call returns the same.
	 */
	FRAMES_ERROR,
};

/* One event. What bytes points to may be changed. It stays until the next call of frames_next or
 * frames_free; a NUL follows it that length does not count. */
struct frames_item {
	char *bytes;
	size_t length;
	bool is_binary;
	int code;
	const char *reason; /* in English and at most FRAMES_MAX_REASON long; static */
};

/* The state of a connection. Its fields are private. */
struct frames {
	size_t max_message;
	uint64_t announced; /* bytes of the message that is begun, its current frame included */
	uint64_t left;      /* bytes of the current frame that have not come yet */
	char *memory;       /* what was gathered, or NULL */
	size_t capacity;
	size_t held;        /* bytes gathered of the message */
	size_t control;     /* bytes gathered behind these of a control frame */
	const char *reason; /* why no more is taken in, or NULL */
	uint32_t mask;      /* turned so that the next byte of payload begins with its first byte */
	struct utf8_pieces text;
	unsigned char message;  /* the opcode of the message that is begun, or 0 */
	unsigned char opcode;   /* of the current frame */
	unsigned char head[14]; /* of a frame whose head has not wholly come */
	unsigned char head_length;
	uint16_t code;
	bool is_final;  /* the current frame is the last of its message */
	bool is_inside; /* the head of the current frame has come, and its payload not yet */
	bool is_closed; /* a close frame came */
	bool is_given;  /* what is in memory was given out, and goes with the next call */
};

/* Begins a connection. No message may be longer than max_message, which is at least 1 and at most
 * SIZE_MAX / 4. */
void frames_init(struct frames *frames, size_t max_message);

/* Takes in bytes that the client sent, up to the next event or to the end of them, and sets *used
 * to how many. *item is set as the event says. The bytes of an event may lie in the buffer, which
 * is changed: every byte that was used is the decoder's to overwrite until the next call. */
enum frames_event frames_next(struct frames *frames, char *bytes, size_t size, size_t *used,
			      struct frames_item *item);

/* The length of the message that is not yet whole, as far as the heads of its frames have told it;
 * 0 if none is begun. It can be much more than came. */
uint64_t frames_announced(const struct frames *frames);

/* How many whole messages begin and end in size bytes that were not yet given to frames_next, where
 * one begins at their start. It does not judge them, and changes nothing. */
size_t frames_count(const char *bytes, size_t size);

/* how many bytes of memory the connection holds beside its struct; 0 if nothing is half received */
size_t frames_memory(const struct frames *frames);

/* frees what the connection holds; it may be done twice */
void frames_free(struct frames *frames);

/* Writes the head of a frame that carries length bytes, and is the whole of its message, to head.
 * Returns how many bytes that are; the payload follows them unchanged, as a server masks nothing.
 */
size_t frames_head(char head[FRAMES_HEAD_SIZE], enum frames_opcode opcode, size_t length);

/* Writes a whole close frame and returns its length. The reason, in UTF-8, is cut between two
 * characters if it is longer than FRAMES_MAX_REASON. With FRAMES_CODE_NONE the frame is empty. */
size_t frames_close(char frame[FRAMES_CLOSE_SIZE], int code, const char *reason, size_t length);

/* true if the code may stand in a close frame (7.4, and IANA's registry of close codes) */
bool frames_is_close_code(int code);

#endif
