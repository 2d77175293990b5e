/*
 * The protocol core of the WebSocket library: the same bytes whole, cut at
 * random places, and cut with messages taken out in between, compared with a plain splitting of the
 * input.
 *
 * The input is a head of four bytes (the largest message, the largest queue, a
 * scale, and a seed for the cuts) and the bytes that come from websocketd. Every ASCII byte of
 * these but the newline is repeated as often as the scale says, and the limits are multiplied by
 * it, so that a short input fills the large blocks of memory too.
 */
#include "fuzz.h"
#include "inbox.h"

enum { HEAD = 4, LARGEST = 131072 };

struct stream {
	size_t max_message;
	size_t max_queue;
	uint32_t seed;
	char *bytes;
	size_t length;
};

static struct stream read_stream(const uint8_t *data, size_t size)
{
	static const size_t scales[] = {16, 256, 4096, 16384};
	size_t scale = data[2] < 252 ? 1 : scales[data[2] - 252];
	struct stream stream = {
		.max_message = (1U + data[0] % 32) * scale,
		.max_queue = (1U + data[1]) * scale,
		.seed = data[3] * 2654435761U,
		.bytes = malloc(LARGEST),
	};

	for (size_t i = HEAD; i < size; i++) {
		size_t n = data[i] == '\n' || data[i] >= 0x80 ? 1 : scale;
		if (n > LARGEST - stream.length)
			break;
		memset(stream.bytes + stream.length, data[i], n);
		stream.length += n;
	}
	return stream;
}

static size_t random_below(struct stream *stream, size_t limit)
{
	stream->seed = stream->seed * 1664525U + 1013904223U;
	return (stream->seed >> 8) % limit;
}

/* A plain splitting of a stream that lies in memory in one piece. A message that waits is a place
 * in it. */
struct plain {
	size_t seen;    /* how much of the stream came in */
	size_t line;    /* where the message starts that is not yet whole */
	size_t next;    /* where the next message to take out starts */
	size_t waiting; /* how many whole ones wait */
	bool over;      /* nothing more is taken in */
	bool not_utf8;
};

static void plain_judge(struct plain *plain, const struct stream *stream, size_t length, bool whole)
{
	const char *text = stream->bytes + plain->line;
	size_t queue = plain->line - plain->next + length + whole;

	if (length > stream->max_message || queue > stream->max_queue)
		plain->over = true;
	else if (whole && fuzz_utf8_prefix(text, length) < length)
		plain->over = plain->not_utf8 = true;
}

static void plain_feed(struct plain *plain, const struct stream *stream, size_t end)
{
	for (; plain->seen < end && !plain->over; plain->seen++)
		if (stream->bytes[plain->seen] == '\n') {
			plain_judge(plain, stream, plain->seen - plain->line, true);
			plain->waiting += !plain->over;
			plain->line = plain->over ? plain->line : plain->seen + 1;
		}
	if (!plain->over)
		plain_judge(plain, stream, end - plain->line, false);
}

/* the next message, NULL if none waits */
static const char *plain_take(struct plain *plain, const struct stream *stream, size_t *length)
{
	const char *text = stream->bytes + plain->next;

	if (plain->waiting == 0)
		return NULL;
	*length = 0;
	while (text[*length] != '\n')
		++*length;
	plain->next += *length + 1;
	plain->waiting--;
	return text;
}

/* one stream on its way through an inbox */
struct run {
	struct stream stream;
	struct inbox inbox;
	struct plain plain;
	const char *text; /* the message in hand, or NULL */
	const char *wanted;
	size_t length;
};

static void check_state(const struct run *run)
{
	enum inbox_state state = run->inbox.state;

	fuzz_check((state != INBOX_OPEN) == run->plain.over, "the inbox is open or not");
	fuzz_check((state == INBOX_NOT_UTF8) == run->plain.not_utf8,
		   "text that is not UTF-8 is reported");
	fuzz_check(run->inbox.count == run->plain.waiting, "how many messages wait");
	fuzz_check(run->plain.over ||
			   inbox_waiting(&run->inbox) == run->plain.seen - run->plain.next,
		   "how many bytes wait");
}

static void check_held(const struct run *run)
{
	if (run->text == NULL)
		return;
	fuzz_same(run->text, run->length, run->wanted, run->length, "a message is what was sent");
	fuzz_check(run->text[run->length] == '\0', "a NUL follows it");
}

/* Takes one message out, or returns false if none waits. The message before it must be unchanged.
 */
static bool take(struct run *run)
{
	size_t length = 0;

	check_held(run);
	run->wanted = plain_take(&run->plain, &run->stream, &length);
	bool taken = inbox_take(&run->inbox, &run->text, &run->length);
	fuzz_check(taken == (run->wanted != NULL), "a message is there or not");
	if (!taken) {
		run->text = NULL;
		return false;
	}
	fuzz_check(run->length == length, "its length");
	check_held(run);
	fuzz_check(length <= run->stream.max_message && memchr(run->text, '\n', length) == NULL &&
			   fuzz_utf8_prefix(run->text, length) == length,
		   "it is short enough, one line, and valid UTF-8");
	return true;
}

/* feeds the bytes in as many pieces as there is room for */
static void feed(struct inbox *inbox, const char *bytes, size_t length)
{
	while (length > 0) {
		size_t size = 0;
		char *space = inbox_space(inbox, &size);
		fuzz_check(space != NULL && size > 0, "there is room");
		size_t n = size < length ? size : length;
		memcpy(space, bytes, n);
		inbox_commit(inbox, n);
		bytes += n;
		length -= n;
	}
}

/* Feeds the stream in pieces of at most largest bytes, or in one piece if that is 0, and takes
 * messages out after each piece or only at the end. What is fed after the end must be ignored. */
static void check_stream(const struct stream *stream, size_t largest, bool takes)
{
	struct run run = {.stream = *stream};
	size_t length = stream->length;

	inbox_init(&run.inbox, stream->max_message, stream->max_queue);
	for (size_t at = 0, end; at < length; at = end) {
		size_t piece = largest ? 1 + random_below(&run.stream, largest) : length;
		end = piece < length - at ? at + piece : length;
		feed(&run.inbox, stream->bytes + at, end - at);
		plain_feed(&run.plain, stream, end);
		check_state(&run);
		for (size_t n = takes ? random_below(&run.stream, 3) : 0; n > 0; n--)
			take(&run);
	}
	while (take(&run))
		continue;
	check_state(&run);
	inbox_free(&run.inbox);
	fuzz_check(inbox_waiting(&run.inbox) == 0, "a freed inbox is empty");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size <= HEAD)
		return 0;
	struct stream stream = read_stream(data, size);
	size_t largest = 1 + stream.length / (1 + data[3] % 64);

	check_stream(&stream, 0, false);
	check_stream(&stream, largest, false);
	check_stream(&stream, largest, true);
	free(stream.bytes);
	return 0;
}
