#include "frames.h"
#include "unmask.h"

#include <stdlib.h>
#include <string.h>

enum {
	CONTINUATION = 0,
	IS_CONTROL = 0x8, /* a bit of the opcode (5.5) */
	FIN = 0x80,
	RESERVED = 0x70,
	MASKED = 0x80,
	LENGTH_16 = 126, /* the length follows in so many bits (5.2) */
	LENGTH_64 = 127,
	FIRST_ALLOCATION = 512,
};

/* what the functions below return beside an event: go on with the bytes that are left */
enum { GO_ON = -1 };

/* the caller's bytes; what lies before at is used, and may be overwritten */
struct window {
	const char *start;
	char *at;
	char *end;
};

void frames_init(struct frames *frames, size_t max_message)
{
	*frames = (struct frames){.max_message = max_message};
}

uint64_t frames_announced(const struct frames *frames)
{
	return frames->announced;
}

size_t frames_memory(const struct frames *frames)
{
	return frames->capacity;
}

void frames_free(struct frames *frames)
{
	free(frames->memory);
	frames->memory = NULL;
	frames->capacity = frames->held = frames->control = 0;
	frames->is_given = false;
}

static int fail(struct frames *frames, enum frames_code code, const char *reason)
{
	frames_free(frames);
	frames->code = (uint16_t)code;
	frames->reason = reason;
	return FRAMES_ERROR;
}

static size_t smaller(size_t a, size_t b)
{
	return a < b ? a : b;
}

static int fail_utf8(struct frames *frames)
{
	return fail(frames, FRAMES_CODE_NOT_UTF8, "a text is not valid UTF-8");
}

/* what is wrong with the first two bytes of a head (5.1, 5.2, 5.4, 5.5), or NULL */
static const char *wrong_start(const struct frames *frames, unsigned first, unsigned second)
{
	unsigned opcode = first & 0xF;

	if (first & RESERVED)
		return "a reserved bit is set";
	if (opcode > FRAMES_OPCODE_PONG || (opcode > FRAMES_OPCODE_BINARY && opcode < IS_CONTROL))
		return "an opcode is reserved";
	if (!(second & MASKED))
		return "a frame is not masked";
	if ((opcode & IS_CONTROL) && !(first & FIN))
		return "a control frame is fragmented";
	if ((opcode & IS_CONTROL) && second - MASKED > FRAMES_MAX_CONTROL)
		return "a control frame is longer than 125 bytes";
	if (opcode == CONTINUATION && frames->message == 0)
		return "a continuation follows no message";
	if (opcode != CONTINUATION && !(opcode & IS_CONTROL) && frames->message != 0)
		return "a message begins inside another";
	return NULL;
}

/* what is wrong with a length that is written in that many bits (5.2), or NULL */
static const char *wrong_length(unsigned bits, uint64_t length)
{
	if ((bits == 16 && length < LENGTH_16) || (bits == 64 && length <= UINT16_MAX))
		return "a length is not in its shortest form";
	return length >> 63 ? "a length has its highest bit set" : NULL;
}

static int begin_frame(struct frames *frames, unsigned first, uint64_t length)
{
	frames->opcode = first & 0xF;
	frames->is_final = first & FIN;
	frames->is_inside = true;
	frames->left = length;
	if (frames->opcode & IS_CONTROL)
		return GO_ON;
	if (length > frames->max_message - frames->announced)
		return fail(frames, FRAMES_CODE_TOO_LONG, "a message is longer than the limit");
	frames->announced += length;
	if (frames->opcode != CONTINUATION)
		frames->message = frames->opcode;
	return GO_ON;
}

/* Reads the head of a frame, of which length bytes are there, and judges each part when it has
 * come. FRAMES_MORE if the head is not whole, else *size is its size. */
static int read_head(struct frames *frames, const unsigned char *head, size_t length, size_t *size)
{
	if (length < 2)
		return FRAMES_MORE;
	const char *wrong = wrong_start(frames, head[0], head[1]);
	if (wrong)
		return fail(frames, FRAMES_CODE_PROTOCOL_ERROR, wrong);

	uint64_t payload = head[1] - MASKED;
	unsigned bits = payload == LENGTH_16 ? 16 : payload == LENGTH_64 ? 64 : 0;
	size_t mask = 2 + bits / 8;
	*size = mask + sizeof frames->mask;
	if (length < mask)
		return FRAMES_MORE;
	if (bits > 0)
		payload = 0;
	for (size_t i = 2; i < mask; i++)
		payload = payload << 8 | head[i];
	wrong = wrong_length(bits, payload);
	if (wrong)
		return fail(frames, FRAMES_CODE_PROTOCOL_ERROR, wrong);
	if (length < *size)
		return FRAMES_MORE;
	memcpy(&frames->mask, head + mask, sizeof frames->mask);
	return begin_frame(frames, head[0], payload);
}

/* takes in a head: from the window in one piece, or in several pieces gathered in frames->head */
static int take_head(struct frames *frames, struct window *window)
{
	const unsigned char *head = (const unsigned char *)window->at;
	size_t before = frames->head_length;
	size_t length = (size_t)(window->end - window->at);
	size_t size = 0;

	if (length == 0)
		return FRAMES_MORE;
	if (before > 0) {
		length = smaller(length, sizeof frames->head - before);
		memcpy(frames->head + before, head, length);
		head = frames->head;
		length += before;
	}
	int event = read_head(frames, head, length, &size);
	if (event == FRAMES_MORE) {
		if (before == 0)
			memcpy(frames->head, head, length);
		frames->head_length = (unsigned char)length;
		window->at = window->end;
	} else if (event == GO_ON) {
		frames->head_length = 0;
		window->at += size - before;
	}
	return event;
}

static bool is_control(const struct frames *frames)
{
	return frames->opcode & IS_CONTROL;
}

/* A place in memory for more bytes of the current frame and a NUL, or NULL if memory is short.
 * Memory grows by doubling with what has come, whatever the head announced, and is no larger than
 * the message if this is its last frame. */
static char *reserve(struct frames *frames, size_t more)
{
	size_t used = frames->held + frames->control;
	size_t needed = used + more + 1;

	if (frames->memory && needed <= frames->capacity)
		return frames->memory + used;
	bool is_last = frames->is_final || is_control(frames);
	size_t limit = is_last ? used + (size_t)frames->left + 1 : frames->max_message + 1;
	size_t capacity = 2 * frames->capacity;
	if (capacity < FIRST_ALLOCATION)
		capacity = FIRST_ALLOCATION;
	if (capacity < needed)
		capacity = needed;
	capacity = smaller(capacity, limit);
	char *memory = realloc(frames->memory, capacity);
	if (memory == NULL)
		return NULL;
	frames->memory = memory;
	frames->capacity = capacity;
	return memory + used;
}

/* gives back the memory of what the last call gave out */
static void forget_given(struct frames *frames)
{
	if (!frames->is_given)
		return;
	frames->is_given = false;
	if (frames->control > 0)
		frames->control = 0;
	else
		frames->held = 0;
	if (frames->held == 0)
		frames_free(frames);
}

/* what a close frame says (5.5.1, 7.4) */
static int read_close(struct frames *frames, struct frames_item *item)
{
	const unsigned char *code = (const unsigned char *)item->bytes;

	frames->is_closed = true;
	item->code = FRAMES_CODE_NONE;
	if (item->length == 0)
		return FRAMES_CLOSE;
	if (item->length == 1)
		return fail(frames, FRAMES_CODE_PROTOCOL_ERROR, "a close frame has half a code");
	item->code = code[0] << 8 | code[1];
	item->bytes += 2;
	item->length -= 2;
	if (!frames_is_close_code(item->code))
		return fail(frames, FRAMES_CODE_PROTOCOL_ERROR, "a close code is not allowed");
	if (utf8_valid_prefix(item->bytes, item->length) < item->length)
		return fail(frames, FRAMES_CODE_NOT_UTF8, "a close reason is not valid UTF-8");
	return FRAMES_CLOSE;
}

/* ends a frame that has wholly come, with what it or its message carries in item */
static int end_frame(struct frames *frames, struct frames_item *item)
{
	frames->is_inside = false;
	item->bytes[item->length] = '\0';
	if (frames->opcode == FRAMES_OPCODE_CLOSE)
		return read_close(frames, item);
	if (is_control(frames))
		return frames->opcode == FRAMES_OPCODE_PING ? FRAMES_PING : FRAMES_PONG;
	if (frames->text.missing > 0)
		return fail_utf8(frames);
	item->is_binary = frames->message == FRAMES_OPCODE_BINARY;
	frames->message = 0;
	frames->announced = 0;
	return FRAMES_MESSAGE;
}

/* takes the mask off the next bytes of a frame and puts them to a place: false if it is text and
 * they cannot belong to valid UTF-8 (8.1) */
static bool take_bytes(struct frames *frames, struct window *window, size_t length, char *to)
{
	bool is_ascii = unmask(to, window->at, length, &frames->mask);

	window->at += length;
	frames->left -= length;
	if (is_control(frames) || frames->message != FRAMES_OPCODE_TEXT)
		return true;
	return (is_ascii && frames->text.missing == 0) ||
	       utf8_take_piece(&frames->text, to, length);
}

/* Takes in a message or control frame that the window has whole. It is moved by a byte, into the
 * room of its head, so that the NUL behind it overwrites nothing that is not used. */
static int take_in_place(struct frames *frames, struct window *window, struct frames_item *item)
{
	item->length = (size_t)frames->left;
	item->bytes = window->at - 1;
	if (!take_bytes(frames, window, item->length, item->bytes))
		return fail_utf8(frames);
	return end_frame(frames, item);
}

/* takes the next bytes of a frame to memory, and ends the frame if they are its last */
static int gather(struct frames *frames, struct window *window, struct frames_item *item)
{
	size_t length = (size_t)(window->end - window->at);
	size_t *filled = is_control(frames) ? &frames->control : &frames->held;

	if (frames->left < length)
		length = (size_t)frames->left;
	bool is_whole = frames->left == length;
	if (length == 0 && !(is_whole && frames->is_final)) {
		frames->is_inside = !is_whole;
		return is_whole ? GO_ON : FRAMES_MORE;
	}
	char *to = reserve(frames, length);
	if (to == NULL)
		return fail(frames, FRAMES_CODE_INTERNAL_ERROR, "memory is short");
	if (!take_bytes(frames, window, length, to))
		return fail_utf8(frames);
	*filled += length;
	frames->is_inside = !is_whole;
	if (!is_whole || !frames->is_final)
		return is_whole ? GO_ON : FRAMES_MORE;
	item->bytes = to + length - *filled;
	item->length = *filled;
	frames->is_given = true;
	return end_frame(frames, item);
}

static int take_payload(struct frames *frames, struct window *window, struct frames_item *item)
{
	size_t length = (size_t)(window->end - window->at);
	size_t gathered = is_control(frames) ? frames->control : frames->held;

	if (gathered == 0 && frames->is_final && frames->left <= length &&
	    window->at > window->start)
		return take_in_place(frames, window, item);
	return gather(frames, window, item);
}

enum frames_event frames_next(struct frames *frames, char *bytes, size_t size, size_t *used,
			      struct frames_item *item)
{
	struct window window = {bytes, bytes, bytes + size};
	int event = frames->is_closed ? FRAMES_MORE : GO_ON;

	forget_given(frames);
	*item = (struct frames_item){0};
	while (event == GO_ON && frames->reason == NULL)
		event = frames->is_inside ? take_payload(frames, &window, item)
					  : take_head(frames, &window);
	*used = (size_t)(window.at - bytes);
	if (frames->reason) {
		*item = (struct frames_item){.code = frames->code, .reason = frames->reason};
		event = FRAMES_ERROR;
	}
	if (event == FRAMES_MORE || event == FRAMES_ERROR)
		*used = size;
	return (enum frames_event)event;
}
