/*
 * The frames of RFC 6455, sections 5 to 8: each row is sent with three masks; whole, byte by byte,
 * and in every two pieces; and what comes out must be the same. The numbers in the comments are
 * those of the Autobahn test suite's cases on the same subject.
 */
#include "frames.h"
#include "client_frames.h"
#include "edge.h"
#include "tap.h"

enum { MAX_MESSAGE = 300, CUTS = 600 };

static const char *const masks[] = {"\0\0\0\0", "\x37\xFA\x21\x3D", "\xFF\xFF\xFF\xFF"};

/* the first bytes of frames: FIN and an opcode */
enum {
	MORE_TEXT = 0x01,
	MORE_BINARY = 0x02,
	MORE = 0x00,
	LAST = 0x80,
	TEXT = 0x81,
	BINARY = 0x82,
	CLOSE = 0x88,
	PING = 0x89,
	PONG = 0x8A,
};

#define X5 "xxxxx"
#define X25 X5 X5 X5 X5 X5
#define X125 X25 X25 X25 X25 X25
#define REASON_123 X25 X25 X25 X25 X5 X5 X5 X5 "xxx"

struct sent {
	unsigned first;
	const char *payload;
	size_t length;
};

static const struct {
	int line;
	const char *about;
	const char *events;
	struct sent frames[10];
} table[] = {
#define T(about, events, ...) \
	{ \
		__LINE__, about, events, \
		{ \
			__VA_ARGS__ \
		} \
	}
#define F(first, payload) ROW(first, payload, sizeof(payload) - 1)
	/* 1: lengths; 125 and 126 are told in different forms */
	T("an empty text", "text[]", F(TEXT, "")),
	T("a text", "text[Hello]", F(TEXT, "Hello")),
	T("a text of 125 bytes", "text[" X125 "]", F(TEXT, X125)),
	T("a text of 126 bytes", "text[" X125 "y]", F(TEXT, X125 "y")),
	T("a text of 127 bytes", "text[" X125 "yz]", F(TEXT, X125 "yz")),
	T("a text of 128 bytes", "text[" X125 "xyz]", F(TEXT, X125 "xyz")),
	T("an empty binary message", "binary[]", F(BINARY, "")),
	T("a binary message", "binary[\xFE\xED]", F(BINARY, "\xFE\xED")),
	T("a binary message of 126 bytes", "binary[" X125 "\xFF]", F(BINARY, X125 "\xFF")),
	T("a text with a newline", "text[a\nb\n]", F(TEXT, "a\nb\n")),
	T("messages one after another", "text[a] text[] binary[bc] text[def]", F(TEXT, "a"),
	  F(TEXT, ""), F(BINARY, "bc"), F(TEXT, "def")),
	T("a message of the largest length", "text[" X125 X125 X25 X25 "]",
	  F(TEXT, X125 X125 X25 X25)),
	T("a message above the largest length", "text[a] error 1009", F(TEXT, "a"),
	  F(TEXT, X125 X125 X25 X25 "y")),
	T("fragments of the largest length", "binary[" X125 X125 X25 X25 "]", F(MORE_BINARY, X125),
	  F(MORE, X125), F(MORE, X25), F(LAST, X25)),
	T("fragments above the largest length", "error 1009", F(MORE_TEXT, X125), F(MORE, X125),
	  F(MORE, X25), F(MORE, X25), F(LAST, "y")),
	T("an empty fragment at the largest length", "text[" X125 X125 X25 X25 "]",
	  F(MORE_TEXT, X125 X125 X25 X25), F(MORE, ""), F(LAST, "")),

	/* 2: pings and pongs */
	T("a ping without payload", "ping[]", F(PING, "")),
	T("a ping", "ping[Hello]", F(PING, "Hello")),
	T("a ping of bytes that are not text", "ping[\xFF\xFE]", F(PING, "\xFF\xFE")),
	T("a ping of 125 bytes", "ping[" X125 "]", F(PING, X125)),
	T("a ping of 126 bytes", "error 1002", F(PING, X125 "y")),
	T("a pong that nobody asked for", "pong[] text[a]", F(PONG, ""), F(TEXT, "a")),
	T("a pong with payload", "pong[x] ping[y]", F(PONG, "x"), F(PING, "y")),
	T("pings", "ping[1] ping[2] ping[3]", F(PING, "1"), F(PING, "2"), F(PING, "3")),

	/* 3: reserved bits */
	T("reserved bit 3", "error 1002", F(TEXT | 0x10, "Hello")),
	T("reserved bit 2", "error 1002", F(TEXT | 0x20, "Hello")),
	T("reserved bit 1", "text[a] error 1002", F(TEXT, "a"), F(TEXT | 0x40, "Hello")),
	T("reserved bits 1 to 3", "error 1002", F(BINARY | 0x70, "Hello")),
	T("a reserved bit in a ping", "error 1002", F(PING | 0x50, "Hello")),
	T("a reserved bit in a close frame", "error 1002", F(CLOSE | 0x60, "")),
	T("a reserved bit in a continuation", "error 1002", F(MORE_TEXT, "a"), F(LAST | 0x40, "b")),

	/* 4: reserved opcodes */
	T("opcode 3", "error 1002", F(0x83, "")),
	T("opcode 4", "error 1002", F(0x84, "x")),
	T("opcode 5", "text[a] error 1002", F(TEXT, "a"), F(0x85, "x"), F(PING, "")),
	T("opcode 6", "error 1002", F(0x86, "x")),
	T("opcode 7", "error 1002", F(0x87, "x")),
	T("opcode 11", "error 1002", F(0x8B, "")),
	T("opcode 12", "error 1002", F(0x8C, "x")),
	T("opcode 13", "error 1002", F(0x8D, "x")),
	T("opcode 14", "error 1002", F(0x8E, "x")),
	T("opcode 15", "error 1002", F(0x8F, "x")),

	/* 5: fragments */
	T("the first part of a ping", "error 1002", F(0x09, "a")),
	T("the first part of a pong", "error 1002", F(0x0A, "")),
	T("the first part of a close frame", "error 1002", F(0x08, "\x03\xE8")),
	T("a ping in fragments", "error 1002", F(0x09, "a"), F(LAST, "b")),
	T("a pong in fragments", "error 1002", F(0x0A, "a"), F(LAST, "b")),
	T("a close frame in fragments", "error 1002", F(0x08, "\x03\xE8"), F(LAST, "")),
	T("a text in two fragments", "text[ab]", F(MORE_TEXT, "a"), F(LAST, "b")),
	T("a text in fragments of which all but one are empty", "text[a]", F(MORE_TEXT, ""),
	  F(MORE, ""), F(MORE, "a"), F(MORE, ""), F(LAST, "")),
	T("a text in the last of its fragments", "text[a]", F(MORE_TEXT, ""), F(MORE, ""),
	  F(LAST, "a")),
	T("an empty text in fragments", "text[] text[b]", F(MORE_TEXT, ""), F(MORE, ""),
	  F(LAST, ""), F(TEXT, "b")),
	T("a ping between fragments", "ping[p] text[ab]", F(MORE_TEXT, "a"), F(PING, "p"),
	  F(LAST, "b")),
	T("control frames between fragments come out in their order",
	  "ping[1] pong[2] ping[3] binary[abcd]", F(MORE_BINARY, "a"), F(PING, "1"), F(MORE, "b"),
	  F(PONG, "2"), F(MORE, "c"), F(PING, "3"), F(LAST, "d")),
	T("a long ping between fragments", "ping[" X125 "] ping[" X125 "] text[ab]",
	  F(MORE_TEXT, "a"), F(PING, X125), F(PING, X125), F(LAST, "b")),
	T("a close frame between fragments", "close 1000[]", F(MORE_TEXT, "a"),
	  F(CLOSE, "\x03\xE8"), F(LAST, "b")),
	T("a continuation of nothing", "error 1002", F(LAST, "a"), F(TEXT, "b")),
	T("a continuation of nothing that is not the last", "error 1002", F(MORE, "a"),
	  F(LAST, "b")),
	T("a continuation behind a whole message", "text[a] error 1002", F(TEXT, "a"),
	  F(LAST, "b")),
	T("a continuation behind the last fragment", "text[ab] error 1002", F(MORE_TEXT, "a"),
	  F(LAST, "b"), F(LAST, "c")),
	T("a text inside another", "error 1002", F(MORE_TEXT, "a"), F(TEXT, "b"), F(LAST, "c")),
	T("a binary message inside a text", "error 1002", F(MORE_TEXT, "a"), F(BINARY, "b")),
	T("a text inside a binary message of which nothing came", "error 1002", F(MORE_BINARY, ""),
	  F(MORE_TEXT, "")),

	/* 6: UTF-8; further cases are in check_utf8 */
	T("text of several bytes a character", "text[\xC2\xB5\xE2\x82\xAC\xF0\x9F\x98\x80]",
	  F(TEXT, "\xC2\xB5\xE2\x82\xAC\xF0\x9F\x98\x80")),
	T("a character over fragments and a ping", "ping[\xFF] text[\xF0\x9F\x98\x80]",
	  F(MORE_TEXT, "\xF0"), F(MORE, "\x9F"), F(PING, "\xFF"), F(MORE, ""), F(MORE, "\x98"),
	  F(LAST, "\x80")),
	T("text that ends inside a character", "error 1007", F(TEXT, "abc\xF0\x9F\x98")),
	T("text that ends inside a character in its last fragment", "error 1007",
	  F(MORE_TEXT, "abc\xF0"), F(LAST, "\x9F")),
	T("text that ends inside a character, and an empty fragment", "error 1007",
	  F(MORE_TEXT, "\xC3"), F(LAST, "")),
	T("text that is not UTF-8", "text[a] error 1007", F(TEXT, "a"), F(TEXT, "\xFF"),
	  F(PING, "")),
	T("text that is not UTF-8 in its second fragment", "ping[] error 1007", F(MORE_TEXT, "a"),
	  F(PING, ""), F(MORE, "\x80"), F(LAST, "")),
	T("binary that is not UTF-8, in fragments", "binary[\xFF\xC3]", F(MORE_BINARY, "\xFF"),
	  F(LAST, "\xC3")),

	/* 7: closing */
	T("a close frame without a code", "close 1005[]", F(CLOSE, "")),
	T("a close frame with half a code", "error 1002", F(CLOSE, "\x0C")),
	T("a close frame with a code", "close 1000[]", F(CLOSE, "\x03\xE8")),
	T("a close frame with a reason", "close 1001[bye \xC3\xA9]",
	  F(CLOSE, "\x03\xE9"
		   "bye \xC3\xA9")),
	T("the longest reason", "close 3000[" REASON_123 "]", F(CLOSE, "\x0B\xB8" REASON_123)),
	T("a reason that is too long", "error 1002", F(CLOSE, "\x03\xE8" REASON_123 "y")),
	T("a reason that is not UTF-8", "error 1007",
	  F(CLOSE, "\x03\xE8"
		   "\xCE\xBA\xED\xA0\x80")),
	T("a reason that ends inside a character", "error 1007", F(CLOSE, "\x03\xE8\xC3")),
	T("what follows a close frame is ignored", "text[a] close 1000[]", F(TEXT, "a"),
	  F(CLOSE, "\x03\xE8"), F(TEXT, "b"), F(PING, ""), F(0xFF, "x")),
	T("a wrong code goes before a wrong reason", "error 1002", F(CLOSE, "\x03\xE7\xFF")),
#undef F
#undef T
};

/* the same for bytes that no client should send */
static const struct {
	int line;
	const char *about;
	const char *bytes;
	size_t length;
	const char *events;
} raw_table[] = {
#define T(about, bytes, events) ROW(__LINE__, about, bytes, sizeof(bytes) - 1, events)
	/* the examples of RFC 6455 5.7, and the one in the head that a client masks */
	T("5.7: a masked text", "\x81\x85\x37\xFA\x21\x3D\x7F\x9F\x4D\x51\x58", "text[Hello]"),
	T("5.7: a masked pong", "\x8A\x85\x37\xFA\x21\x3D\x7F\x9F\x4D\x51\x58", "pong[Hello]"),
	T("5.7: an unmasked text",
	  "\x81\x05"
	  "Hello",
	  "error 1002"),
	T("5.7: an unmasked text in fragments",
	  "\x01\x03"
	  "Hel\x80\x02"
	  "lo",
	  "error 1002"),
	T("5.7: an unmasked ping",
	  "\x89\x05"
	  "Hello",
	  "error 1002"),
	T("an unmasked close frame", "\x88\x00", "error 1002"),
	T("two bytes are enough to refuse a frame without a mask", "\x82\x7F", "error 1002"),
	T("two bytes are enough to refuse a long ping", "\x89\xFE", "error 1002"),
	T("a ping whose length is told in 64 bits", "\x89\xFF", "error 1002"),
	/* 5.2: the shortest form of a length */
	T("5 in 16 bits", "\x81\xFE\x00\x05\0\0\0\0Hello", "error 1002"),
	T("125 in 16 bits", "\x82\xFE\x00\x7D\0\0\0\0", "error 1002"),
	T("0 in 16 bits", "\x81\xFE\x00\x00\0\0\0\0", "error 1002"),
	T("126 in 16 bits", "\x82\xFE\x00\x7E\0\0\0\0", ""),
	T("5 in 64 bits", "\x81\xFF\0\0\0\0\0\0\0\x05\0\0\0\0Hello", "error 1002"),
	T("65535 in 64 bits", "\x82\xFF\0\0\0\0\0\0\xFF\xFF\0\0\0\0", "error 1002"),
	T("65536 in 64 bits, above the limit", "\x82\xFF\0\0\0\0\0\1\0\0\0\0\0\0", "error 1009"),
	T("a length with its highest bit", "\x82\xFF\x80\0\0\0\0\0\0\0\0\0\0\0", "error 1002"),
	T("a length of all bits", "\x82\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\0\0\0\0", "error 1002"),
	T("the longest length", "\x82\xFF\x7F\xFF\xFF\xFF\xFF\xFF\xFF\xFF\0\0\0\0", "error 1009"),
	T("the longest length behind a fragment",
	  "\x02\x81\0\0\0\0x\x00\xFF\x7F\xFF\xFF\xFF\xFF\xFF\xFF\xFF\0\0\0\0", "error 1009"),
	T("nothing", "", ""),
	T("half a head", "\x81", ""),
#undef T
};

/* A piece of what the client sends, where memory ends behind it, and the byte before it is not the
 * decoder's. False after an error. */
static bool feed_piece(struct transcript *seen, struct frames *frames, const char *bytes,
		       size_t length)
{
	char *piece = edge_copy(bytes, length); /* there is memory before it, too */

	piece[-1] = '#';
	bool goes_on = transcript_feed(seen, frames, piece, length);
	seen->is_wrong |= piece[-1] != '#';
	edge_free(piece, length);
	return goes_on;
}

/* true if the bytes give those events in pieces of step bytes behind a first one */
static bool gives(const struct client_bytes *sent, const char *events, size_t length, size_t first,
		  size_t step)
{
	struct transcript seen = {0};
	struct frames frames;
	bool goes_on = true;

	frames_init(&frames, MAX_MESSAGE);
	for (size_t at = 0, n = first; goes_on && at < sent->length; at += n, n = step)
		goes_on = feed_piece(&seen, &frames, sent->bytes + at,
				     n < sent->length - at ? n : sent->length - at);
	if (!goes_on) { /* an error stays one */
		struct transcript again = {0};
		transcript_feed(&again, &frames, NULL, 0);
		goes_on = again.length > 10 || strstr(seen.text, again.text) == NULL;
		seen.is_wrong |= goes_on;
		free(again.text);
	}
	bool is_idle = frames.message != 0 || frames.is_inside || frames_memory(&frames) == 0;
	bool same = seen.length == length &&
		    memcmp(seen.length ? seen.text : "", events, length) == 0;
	if (!same)
		printf("# cut at %zu, then by %zu: %.*s\n", first, step, (int)seen.length,
		       seen.text);
	frames_free(&frames);
	free(seen.text);
	return same && is_idle && !seen.is_wrong;
}

/* whole, byte by byte, and in every two pieces */
static bool gives_always(const struct client_bytes *sent, const char *events, size_t length)
{
	size_t size = sent->length > 0 ? sent->length : 1;

	if (!gives(sent, events, length, size, size) || !gives(sent, events, length, 1, 1))
		return false;
	for (size_t cut = 1; cut < sent->length && cut < CUTS; cut++)
		if (!gives(sent, events, length, cut, sent->length))
			return false;
	return true;
}

static void check_table(void)
{
	for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
		bool right = true;
		for (size_t m = 0; m < sizeof masks / sizeof *masks; m++) {
			struct client_bytes sent = {0};
			for (const struct sent *frame = table[i].frames; frame->payload; frame++)
				client_frame(&sent, frame->first, frame->payload, frame->length,
					     masks[m]);
			right &= gives_always(&sent, table[i].events, strlen(table[i].events));
			free(sent.bytes);
		}
		ok(right, "line %d: %s", table[i].line, table[i].about);
	}
	for (size_t i = 0; i < sizeof raw_table / sizeof *raw_table; i++) {
		struct client_bytes sent = {0};
		client_put(&sent, raw_table[i].bytes, raw_table[i].length);
		ok(gives_always(&sent, raw_table[i].events, strlen(raw_table[i].events)),
		   "line %d: %s", raw_table[i].line, raw_table[i].about);
		free(sent.bytes);
	}
}

/* 7.9, 7.13 and IANA's registry: every code up to 5000, and some of those above */
static void check_codes(void)
{
	int wrong = 0;

	for (int code = 0; code <= 65535; code += code < 5001 || code > 65500 ? 1 : 127) {
		bool allowed = (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) ||
			       (code >= 3000 && code <= 4999);
		char payload[3] = {(char)(code >> 8), (char)code};
		char events[32];
		struct client_bytes sent = {0};
		client_frame(&sent, CLOSE, payload, 2, masks[1]);
		snprintf(events, sizeof events, allowed ? "close %d[]" : "error 1002", code);
		wrong += !gives(&sent, events, strlen(events), sent.length, 1);
		wrong += frames_is_close_code(code) != allowed;
		free(sent.bytes);
	}
	ok(wrong == 0 && !frames_is_close_code(-1) && !frames_is_close_code(66536),
	   "of the close codes 1000 to 1003, 1007 to 1014 and 3000 to 4999 are allowed");
}

/* 6: a text, and how many of its bytes can come before it is known that it is not UTF-8; all of
 * them if it is, and one more if its end is what is wrong */
static const struct {
	int line;
	const char *text;
	size_t length;
	size_t good;
} utf8_table[] = {
#define T(text, good) ROW(__LINE__, text, sizeof(text) - 1, good)
#define VALID(text) T(text, sizeof(text) - 1)
#define CUT(text) T(text, sizeof(text))
	VALID("Hello-\xC2\xB5@\xC3\x9F\xC3\xB6\xC3\xA4\xC3\xBC\xC3\xA0\xC3\xA1-UTF-8!!"),
	VALID("\xCE\xBA\xE1\xBD\xB9\xCF\x83\xCE\xBC\xCE\xB5"),
	/* 6.3, 6.4: a surrogate, and a point that is too large: told by their second byte */
	T("\xCE\xBA\xE1\xBD\xB9\xCF\x83\xCE\xBC\xCE\xB5\xED\xA0\x80"
	  "edited",
	  12),
	T("\xCE\xBA\xE1\xBD\xB9\xCF\x83\xCE\xBC\xCE\xB5\xF4\x90\x80\x80"
	  "edited",
	  12),
	/* 6.5: the first and last of each length, and cut ones */
	VALID("\x7F"),
	VALID("\xC2\x80"),
	VALID("\xDF\xBF"),
	VALID("\xE0\xA0\x80"),
	VALID("\xEF\xBF\xBF"),
	VALID("\xF0\x90\x80\x80"),
	VALID("\xF4\x8F\xBF\xBF"),
	VALID("\xED\x9F\xBF"),
	VALID("\xEE\x80\x80"),
	VALID("\xEF\xBF\xBD"),
	CUT("\xC2"),
	CUT("\xE0\xA0"),
	CUT("\xF0\x90\x80"),
	CUT("\xCE\xBA\xE1\xBD\xB9\xCF"),
	/* 6.6 to 6.11: lone continuations, lone leads, five and six bytes, bytes that never occur
	 */
	T("\x80", 0),
	T("\xBF", 0),
	T("\x80\xBF\x80\xBF", 0),
	T("a\x80", 1),
	T("\xC3 ", 1),
	T("\xC3 and more", 1),
	T("\xC3"
	  "a\xA9",
	  1),
	T("\xE2\x82 ", 2),
	T("\xF0\x9F\x98 ", 3),
	T("\xF8\x88\x80\x80\x80", 0),
	T("\xFC\x84\x80\x80\x80\x80", 0),
	T("\xFE", 0),
	T("\xFF", 0),
	T("\xC3\xC3\xA4", 1),
	/* 6.12 to 6.14: longer than needed */
	T("\xC0\xAF", 0),
	T("\xC1\xBF", 0),
	T("\xE0\x80\xAF", 1),
	T("\xE0\x9F\xBF", 1),
	T("\xF0\x80\x80\xAF", 1),
	T("\xF0\x8F\xBF\xBF", 1),
	/* 6.15 to 6.21: surrogates, alone and in pairs */
	T("\xED\xA0\x80", 1),
	T("\xED\xAF\xBF", 1),
	T("\xED\xB0\x80\xED\xB0\x80", 1),
	T("\xED\xBF\xBF", 1),
	T("\xF5\x80\x80\x80", 0),
	/* behind eight bytes of ASCII, which are looked at together */
	T("12345678\xFF", 8),
	T("123456781234567\xFF", 15),
	CUT("1234567\xE2\x82"),
	T("12345678901234567890123456789012345678901234567890\x80", 50),
#undef CUT
#undef VALID
#undef T
};

/* what such a text gives */
static size_t utf8_events(size_t i, char events[128])
{
	size_t length = utf8_table[i].length;

	if (utf8_table[i].good != length)
		return (size_t)sprintf(events, "error 1007");
	memcpy(events, "text[", 5);
	memcpy(events + 5, utf8_table[i].text, length);
	events[5 + length] = ']';
	return length + 6;
}

/* in two frames that are cut at each place */
static bool is_judged_in_fragments(size_t i)
{
	char events[128];
	size_t length = utf8_events(i, events);
	bool right = true;

	for (size_t cut = 0; cut <= utf8_table[i].length; cut++) {
		struct client_bytes sent = {0};
		client_frame(&sent, MORE_TEXT, utf8_table[i].text, cut, masks[1]);
		client_frame(&sent, LAST, utf8_table[i].text + cut, utf8_table[i].length - cut,
			     masks[2]);
		right &= gives(&sent, events, length, sent.length, 1);
		right &= gives(&sent, events, length, 1, 1);
		free(sent.bytes);
	}
	return right;
}

/* how many bytes of a text came in one by one before the error; all of them if there was none */
static size_t bytes_before_error(const char *text, size_t length)
{
	struct client_bytes sent = {0};
	struct frames frames;
	struct frames_item item;
	size_t used;
	size_t at = 0;

	frames_init(&frames, MAX_MESSAGE);
	client_frame(&sent, TEXT, text, length, masks[1]);
	while (at < sent.length &&
	       frames_next(&frames, sent.bytes + at, 1, &used, &item) != FRAMES_ERROR)
		at++;
	frames_free(&frames);
	free(sent.bytes);
	return at - 6;
}

static void check_utf8(void)
{
	for (size_t i = 0; i < sizeof utf8_table / sizeof *utf8_table; i++) {
		char events[128];
		size_t length = utf8_events(i, events);
		size_t good = utf8_table[i].good;
		struct client_bytes sent = {0};
		client_frame(&sent, TEXT, utf8_table[i].text, utf8_table[i].length, masks[1]);
		ok(gives_always(&sent, events, length), "line %d: a text in one frame",
		   utf8_table[i].line);
		ok(is_judged_in_fragments(i), "line %d: in two fragments", utf8_table[i].line);
		if (good > utf8_table[i].length) /* its end is known with its last byte */
			good = utf8_table[i].length - 1;
		ok(bytes_before_error(utf8_table[i].text, utf8_table[i].length) == good,
		   "line %d: byte by byte, %zu bytes are taken before it is known",
		   utf8_table[i].line, good);
		free(sent.bytes);
	}
}

/* bytes of all kinds that are easily known again */
static void fill(char *bytes, size_t length)
{
	for (size_t i = 0; i < length; i++)
		bytes[i] = (char)('a' + i % 23 + i / 997 % 3);
}

/* one message of that length in frames of so many bytes, which come in pieces of so many */
static bool passes(unsigned opcode, size_t length, size_t frame, size_t piece)
{
	char *payload = malloc(length + 1);
	struct client_bytes sent = {0};
	struct transcript seen = {0};
	struct frames frames;
	const char *name = opcode == 1 ? "text[" : "binary[";
	size_t at = 0;

	fill(payload, length);
	do {
		size_t n = frame < length - at ? frame : length - at;
		unsigned first = (at > 0 ? 0 : opcode) | (at + n == length ? LAST : MORE);
		client_frame(&sent, first, payload + at, n, masks[1]);
		at += n;
	} while (at < length);
	frames_init(&frames, length);
	for (size_t i = 0; i < sent.length; i += piece)
		feed_piece(&seen, &frames, sent.bytes + i,
			   piece < sent.length - i ? piece : sent.length - i);
	bool same = seen.length == strlen(name) + length + 1 &&
		    memcmp(seen.text, name, strlen(name)) == 0 &&
		    memcmp(seen.text + strlen(name), payload, length) == 0 && !seen.is_wrong;
	same &= frames_memory(&frames) == 0;
	frames_free(&frames);
	free(seen.text);
	free(sent.bytes);
	free(payload);
	return same;
}

/* 1 and 9: lengths on both sides of where their form changes, large messages, and both in pieces */
static void check_lengths(void)
{
	static const size_t lengths[] = {0,   1,    7,     8,     9,     31,    32,     33,
					 125, 126,  127,   128,   65534, 65535, 65536,  65537,
					 997, 4096, 16384, 65550, 70000, 99999, 262144, 1048576};
	static const size_t pieces[] = {64, 1000, 65536, 4 << 20};

	for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++)
		for (size_t j = 0; j < sizeof pieces / sizeof *pieces; j++) {
			size_t length = lengths[i];
			ok(passes(1, length, length, pieces[j]) &&
				   passes(2, length, length, pieces[j]),
			   "%zu bytes in pieces of %zu", length, pieces[j]);
		}
	for (size_t frame = 64; frame <= 262144; frame *= 4)
		ok(passes(1, 1 << 20, frame, 65536) && passes(2, 1 << 20, frame, 4 << 20) &&
			   passes(2, 1 << 20, frame, 997),
		   "1 MiB in frames of %zu bytes", frame);
	ok(passes(1, 4 << 20, 4 << 20, 65536), "a message of 4 MiB in one frame comes whole");
}

/* what a head announces costs nothing before it comes, and what was given out is freed */
static void check_memory(void)
{
	enum { LENGTH = 1 << 20 };
	char *payload = calloc(1, LENGTH);
	struct client_bytes sent = {0};
	struct frames frames;
	struct frames_item item;
	size_t used;

	frames_init(&frames, LENGTH);
	client_frame(&sent, BINARY, payload, LENGTH, masks[1]);
	ok(frames_announced(&frames) == 0 && frames_memory(&frames) == 0 && sizeof frames <= 128,
	   "a connection begins with no memory but its %zu bytes", sizeof frames);
	ok(frames_next(&frames, sent.bytes, 14, &used, &item) == FRAMES_MORE && used == 14 &&
		   frames_announced(&frames) == LENGTH && frames_memory(&frames) == 0,
	   "a head that announces 1 MiB is known and costs nothing");
	size_t most = 0;
	bool bounded = true;
	for (size_t at = 14; at < sent.length / 2; at += 1000) {
		frames_next(&frames, sent.bytes + at, 1000, &used, &item);
		most = frames_memory(&frames);
		bounded &= most <= 2 * (at + 1000) + 1;
	}
	ok(bounded && most > LENGTH / 3, "at most twice of what came is held: %zu bytes at last",
	   most);
	frames_free(&frames);
	frames_free(&frames);
	ok(frames_memory(&frames) == 0, "the memory is freed with the connection, even twice");

	frames_init(&frames, LENGTH);
	client_frame(&sent, PING, "p", 1, masks[1]);
	bool is_begun = frames_next(&frames, sent.bytes, 1000, &used, &item) == FRAMES_MORE;
	ok(is_begun &&
		   frames_next(&frames, sent.bytes + 1000, sent.length - 1000, &used, &item) ==
			   FRAMES_MESSAGE &&
		   item.length == LENGTH && frames_memory(&frames) == LENGTH + 1 &&
		   frames_announced(&frames) == 0,
	   "a message that is given out takes its length and a byte");
	ok(frames_next(&frames, sent.bytes + 1000 + used, sent.length - 1000 - used, &used,
		       &item) == FRAMES_PING &&
		   frames_memory(&frames) == 0,
	   "a message that was given out is freed by the next call");
	frames_free(&frames);
	free(sent.bytes);
	free(payload);
}

/* a message in tiny fragments is not moved for each of them */
static void check_growth(void)
{
	enum { COUNT = 5000 };
	struct client_bytes sent = {0};
	struct frames frames;
	struct frames_item item;
	size_t used;
	size_t memory = 0;
	int moves = 0;

	frames_init(&frames, COUNT);
	for (int i = 0; i < COUNT; i++)
		client_frame(&sent, i > 0 ? MORE : MORE_TEXT, "x", 1, masks[1]);
	for (size_t at = 0; at < sent.length; at += 7) {
		frames_next(&frames, sent.bytes + at, 7, &used, &item);
		moves += frames_memory(&frames) != memory;
		memory = frames_memory(&frames);
	}
	ok(memory == COUNT + 1 && moves < 10,
	   "5,000 fragments are gathered in memory that grew %d times", moves);
	frames_free(&frames);
	free(sent.bytes);
}

/* a whole message stays in the caller's bytes, and does not touch the frame behind it */
static void check_in_place(void)
{
	struct client_bytes sent = {0};
	struct frames frames;
	struct frames_item item;
	size_t used;

	frames_init(&frames, MAX_MESSAGE);
	client_frame(&sent, TEXT, "first", 5, masks[1]);
	client_frame(&sent, TEXT, "second", 6, masks[1]);
	char *behind = sent.bytes + 11;
	char before[12];
	memcpy(before, behind, sizeof before);
	ok(frames_next(&frames, sent.bytes, sent.length, &used, &item) == FRAMES_MESSAGE &&
		   used == 11 && item.bytes > sent.bytes && item.bytes + item.length < behind &&
		   frames_memory(&frames) == 0,
	   "a whole message lies in the bytes that the caller has read");
	ok(memcmp(before, behind, sizeof before) == 0, "the frame behind a message is untouched");
	is(item.bytes, item.length + 1, "first", 6, "a NUL follows it");
	ok(frames_next(&frames, sent.bytes + used, sent.length - used, &used, &item) ==
		   FRAMES_MESSAGE,
	   "the next one follows");
	is(item.bytes, item.length + 1, "second", 7, "with its NUL");
	free(sent.bytes);
}

static void check_head(void)
{
	static const struct {
		enum frames_opcode opcode;
		size_t length;
		const char *head;
		size_t head_length;
	} heads[] = {
		{FRAMES_OPCODE_TEXT, 5, "\x81\x05", 2},
		{FRAMES_OPCODE_BINARY, 0, "\x82\x00", 2},
		{FRAMES_OPCODE_PONG, 125, "\x8A\x7D", 2},
		{FRAMES_OPCODE_PING, 0, "\x89\x00", 2},
		{FRAMES_OPCODE_TEXT, 126, "\x81\x7E\x00\x7E", 4},
		{FRAMES_OPCODE_BINARY, 256, "\x82\x7E\x01\x00", 4}, /* RFC 6455 5.7 */
		{FRAMES_OPCODE_TEXT, 65535, "\x81\x7E\xFF\xFF", 4},
		{FRAMES_OPCODE_BINARY, 65536, "\x82\x7F\0\0\0\0\0\x01\0\0", 10}, /* likewise */
		{FRAMES_OPCODE_TEXT, 0x12345678, "\x81\x7F\0\0\0\0\x12\x34\x56\x78", 10},
	};
	char head[FRAMES_HEAD_SIZE];

	for (size_t i = 0; i < sizeof heads / sizeof *heads; i++) {
		size_t length = frames_head(head, heads[i].opcode, heads[i].length);
		is(head, length, heads[i].head, heads[i].head_length,
		   "the head of a frame to send");
	}
}

static void check_close(void)
{
	char frame[FRAMES_CLOSE_SIZE];
	size_t length = frames_close(frame, FRAMES_CODE_GOING_AWAY, "bye", 3);

	is(frame, length,
	   "\x88\x05\x03\xE9"
	   "bye",
	   7, "a close frame to send");
	length = frames_close(frame, FRAMES_CODE_NORMAL, NULL, 0);
	is(frame, length, "\x88\x02\x03\xE8", 4, "one without a reason");
	length = frames_close(frame, FRAMES_CODE_NONE, "x", 1);
	is(frame, length, "\x88\x00", 2, "one without a code");
	length = frames_close(frame, 4999, REASON_123, 123);
	is(frame, length, "\x88\x7D\x13\x87" REASON_123, 127, "one with the longest reason");
	length = frames_close(frame, 4999, X125 "y", 126);
	is(frame, length, "\x88\x7D\x13\x87" REASON_123, 127, "a longer reason is cut");
	length = frames_close(frame, 4999, X25 X25 X25 X25 X5 X5 X5 X5 "x\xF0\x9F\x98\x80", 125);
	is(frame, length, "\x88\x7B\x13\x87" X25 X25 X25 X25 X5 X5 X5 X5 "x", 125,
	   "between two characters");
}

int main(void)
{
	check_table();
	check_codes();
	check_utf8();
	check_lengths();
	check_memory();
	check_growth();
	check_in_place();
	check_head();
	check_close();
	return done();
}
