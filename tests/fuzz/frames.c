/*
 * The frames of a client: the same bytes whole, byte by byte and cut at random places, which must
 * give the same messages and the same verdict; and those of libwslay, an implementation by others.
 *
 * The two rightly differ in this (libwslay 1.1.1):
 *   - For a frame whose head is wrong by itself (a long or fragmented control frame, a length that
 *     is not in its shortest form) libwslay closes without a code: ours is 1002 (RFC 6455 7.4.1).
 *   - A close frame of one byte is one without a code to libwslay; to us it is 1002 (5.5.1).
 *   - libwslay does not know the close codes 1012 to 1014, which IANA has registered since.
 *   - Of a close frame whose code and reason are both wrong libwslay judges the reason first. It
 *     judges the reason as it comes, ours when the frame is whole.
 *   - libwslay judges a frame when its first byte of payload has come, ours when its head has, and
 *     parts of that sooner. So libwslay is given some bytes more.
 *   - libwslay limits control frames by the largest message too, so that is 125 or more here.
 *   - libwslay looks at a close reason wrongly if it comes in pieces, so it gets each frame by
 * itself or all at once.
 *
 * The input is a head of three bytes (the kind, the largest message, and a seed for the cuts), and
 * then either the bytes of a client, or if the kind is odd, frames: their first byte, their
 * length, which stands for a large one if it is above 239, and their payload, without a mask.
 */
#include "../lib/client_frames.h"
#include "fuzz.h"

#include <wslay/wslay.h>

enum { HEAD = 3, LARGEST = 262144, AT_ONCE = 4096, PADDING = 16, OPCODE_CLOSE = 8 };

struct stream {
	struct client_bytes sent;
	size_t ends[1024]; /* where frames end, if that is known */
	size_t end_count;
	size_t max_message;
	uint32_t seed;
};

static uint32_t next_random(uint32_t *seed)
{
	*seed = *seed * 1664525U + 1013904223U;
	return *seed >> 8;
}

/* the frame that the next bytes stand for; how many of them were used */
static size_t add_frame(struct stream *stream, const uint8_t *data, size_t size)
{
	static const size_t large[16] = {126,  127,  128,   255,   256,   1000,  4095,  4096,
					 4097, 9999, 16384, 65535, 65536, 65537, 70000, 100000};
	uint32_t random = next_random(&stream->seed);
	char mask[4];
	size_t room = size - 2;
	size_t length = data[1] < 240 ? data[1] : large[data[1] - 240];
	size_t used = data[1] < 240 ? (length < room ? length : room) : (room > 0);

	memcpy(mask, &random, sizeof mask);
	if (data[1] < 240) {
		client_frame(&stream->sent, data[0], (const char *)data + 2, used, mask);
	} else {
		char *payload = malloc(length);
		if (payload == NULL)
			abort();
		memset(payload, room > 0 ? data[2] : 'x', length);
		client_frame(&stream->sent, data[0], payload, length, mask);
		free(payload);
	}
	stream->ends[stream->end_count++] = stream->sent.length;
	return 2 + used;
}

static struct stream read_stream(const uint8_t *data, size_t size)
{
	struct stream stream = {.max_message = 125 + (size_t)data[1] * data[1] * 2,
				.seed = data[2] * 2654435761U};

	if (data[0] % 2 == 0) {
		size_t length = size - HEAD < AT_ONCE - PADDING ? size - HEAD : AT_ONCE - PADDING;
		client_put(&stream.sent, data + HEAD, length);
		return stream;
	}
	for (size_t at = HEAD;
	     size - at >= 2 && stream.end_count < 1024 && stream.sent.length < LARGEST;)
		at += add_frame(&stream, data + at, size - at);
	return stream;
}

static void check_memory(const struct frames *frames, size_t fed)
{
	fuzz_check(frames_memory(frames) <= 2 * fed + 1024, "memory grows with what came");
	fuzz_check(frames_announced(frames) <= frames->max_message, "a message is not too long");
	fuzz_check(frames->message != 0 || frames->is_inside || frames_memory(frames) == 0,
		   "an idle connection holds no memory");
}

/* what our decoder makes of the stream in pieces of largest bytes at most; all at once if that is 0
 */
static struct transcript decode(struct stream stream, size_t largest)
{
	struct transcript seen = {0};
	struct frames frames;
	bool goes_on = true;

	frames_init(&frames, stream.max_message);
	for (size_t at = 0, n; goes_on && at < stream.sent.length; at += n) {
		size_t left = stream.sent.length - at;
		n = largest ? 1 + next_random(&stream.seed) % largest : left;
		n = n < left ? n : left;
		char *piece = fuzz_copy(stream.sent.bytes + at, n);
		goes_on = transcript_feed(&seen, &frames, piece, n);
		free(piece);
		check_memory(&frames, at + n);
	}
	frames_free(&frames);
	fuzz_check(!seen.is_wrong, "a NUL follows what is given out");
	transcript_put(&seen, "", 0);
	return seen;
}

/* libwslay's side of a run */
struct other {
	const struct stream *stream;
	size_t at;
	size_t frame;        /* the next end of a frame */
	size_t padding;      /* bytes that are given behind the stream */
	uint8_t last_opcode; /* of the frame that it has begun last */
	uint64_t last_length;
	struct transcript seen;
};

/* the next bytes for libwslay: the rest of a frame, or all if it is not known where frames end */
static ssize_t give_bytes(wslay_event_context_ptr context, uint8_t *bytes, size_t size, int flags,
			  void *data)
{
	struct other *other = data;
	const struct stream *stream = other->stream;
	size_t length = stream->sent.length;

	(void)flags;
	while (other->frame < stream->end_count && stream->ends[other->frame] <= other->at)
		other->frame++;
	if (other->frame < stream->end_count)
		length = stream->ends[other->frame];
	size_t n = length - other->at < size ? length - other->at : size;
	if (n > 0) {
		memcpy(bytes, stream->sent.bytes + other->at, n);
		other->at += n;
		return (ssize_t)n;
	}
	n = other->padding < size ? other->padding : size;
	memset(bytes, 0, n);
	other->padding -= n;
	if (n == 0)
		wslay_event_set_error(context, WSLAY_ERR_WOULDBLOCK);
	return n > 0 ? (ssize_t)n : -1;
}

static ssize_t take_answer(wslay_event_context_ptr context, const uint8_t *bytes, size_t size,
			   int flags, void *data)
{
	(void)context;
	(void)bytes;
	(void)flags;
	(void)data;
	return (ssize_t)size;
}

static void note_frame(wslay_event_context_ptr context,
		       const struct wslay_event_on_frame_recv_start_arg *frame, void *data)
{
	struct other *other = data;

	(void)context;
	other->last_opcode = frame->opcode;
	other->last_length = frame->payload_length;
}

static void note_message(wslay_event_context_ptr context,
			 const struct wslay_event_on_msg_recv_arg *message, void *data)
{
	struct other *other = data;
	char *copy = malloc(message->msg_length + 1);
	struct frames_item item = {.bytes = copy, .length = message->msg_length};
	enum frames_event event = message->opcode == 9    ? FRAMES_PING
				  : message->opcode == 10 ? FRAMES_PONG
							  : FRAMES_MESSAGE;

	(void)context;
	if (copy == NULL)
		abort();
	if (item.length > 0)
		memcpy(copy, message->msg, item.length);
	copy[item.length] = '\0';
	item.is_binary = message->opcode == FRAMES_OPCODE_BINARY;
	if (message->opcode == OPCODE_CLOSE) {
		size_t skipped = item.length < 2 ? item.length : 2;
		event = FRAMES_CLOSE;
		item.bytes += skipped;
		item.length -= skipped;
		item.code = message->status_code ? message->status_code : FRAMES_CODE_NONE;
	}
	transcript_add(&other->seen, event, &item);
	free(copy);
}

/* the verdict of libwslay is the code that it closes with of its own accord */
static void note_verdict(struct other *other, wslay_event_context_ptr context)
{
	struct frames_item item = {0};

	while (wslay_event_want_write(context))
		if (wslay_event_send(context) != 0)
			break;
	if (wslay_event_get_close_received(context) || !wslay_event_get_close_sent(context))
		return;
	item.code = wslay_event_get_status_code_sent(context);
	if (item.code == FRAMES_CODE_NONE)
		item.code = FRAMES_CODE_PROTOCOL_ERROR;
	transcript_add(&other->seen, FRAMES_ERROR, &item);
}

static struct other decode_by_wslay(const struct stream *stream, size_t padding)
{
	struct wslay_event_callbacks callbacks = {.recv_callback = give_bytes,
						  .send_callback = take_answer,
						  .on_frame_recv_start_callback = note_frame,
						  .on_msg_recv_callback = note_message};
	struct other other = {.stream = stream, .padding = padding};
	wslay_event_context_ptr context;

	if (wslay_event_context_server_init(&context, &callbacks, &other) != 0)
		abort();
	wslay_event_config_set_max_recv_msg_length(context, stream->max_message);
	while (wslay_event_want_read(context) &&
	       (other.at < stream->sent.length || other.padding > 0))
		if (wslay_event_recv(context) != 0)
			break;
	note_verdict(&other, context);
	wslay_event_context_free(context);
	transcript_put(&other.seen, "", 0);
	return other;
}

/* true if the two differ as told above, in the last thing that libwslay has seen: a close frame */
static bool may_differ(const struct transcript *ours, const struct other *other)
{
	size_t before = other->seen.last;
	const char *our = ours->text + before;
	const char *their = other->seen.text + before;

	if (other->last_opcode != OPCODE_CLOSE || ours->length < before ||
	    memcmp(ours->text, other->seen.text, before) != 0)
		return false;
	our += *our == ' ';
	their += *their == ' ';
	if (strcmp(their, "error 1007") == 0)
		return *our == '\0' || (strcmp(our, "error 1002") == 0 && other->last_length > 2);
	if (strcmp(their, "close 1005[]") == 0)
		return strcmp(our, "error 1002") == 0 && other->last_length == 1;
	return strcmp(their, "error 1002") == 0 &&
	       (strncmp(our, "close 1012[", 11) == 0 || strncmp(our, "close 1013[", 11) == 0 ||
		strncmp(our, "close 1014[", 11) == 0);
}

static bool is_same(const struct transcript *a, const struct transcript *b)
{
	return a->length == b->length && memcmp(a->text, b->text, a->length) == 0;
}

static void check_other(const struct stream *stream, const struct transcript *ours)
{
	size_t start = ours->length < 10 ? 0 : ours->length - 10;
	bool has_failed = strncmp(ours->text + start, "error ", 6) == 0;
	struct other other = decode_by_wslay(stream, has_failed ? PADDING : 0);

	if (!is_same(ours, &other.seen) && !may_differ(ours, &other)) {
		fprintf(stderr, "ours:   %s\ntheirs: %s\n", ours->text, other.seen.text);
		fuzz_check(false, "libwslay sees the same");
	}
	free(other.seen.text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size <= HEAD)
		return 0;
	struct stream stream = read_stream(data, size);
	struct transcript whole = decode(stream, 0);
	size_t largest[] = {1, 8, 1 + stream.sent.length / 3};

	for (size_t i = stream.sent.length > 20000; i < 3; i++) {
		struct transcript cut = decode(stream, largest[i]);
		fuzz_check(is_same(&whole, &cut), "where the bytes are cut does not matter");
		free(cut.text);
	}
	check_other(&stream, &whole);
	free(whole.text);
	free(stream.sent.bytes);
	return 0;
}
