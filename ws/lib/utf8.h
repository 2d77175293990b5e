/*
 * UTF-8 validation, RFC 3629 section 4. It is a header, so that the compiler can
 * inline it wherever text is read.
 */
#ifndef UTF8_H
#define UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Text that comes in pieces: what is still missing of the sequence that the last piece ended in.
 * All zero at the beginning of a text. */
struct utf8_pieces {
	unsigned char missing; /* bytes; 0 between two sequences: the text may end here */
	unsigned char low;     /* the next byte is at least this, */
	unsigned char high;    /* and at most this */
};

/* begins a sequence: false if no sequence of several bytes begins with this one */
static inline bool utf8_begin_sequence(struct utf8_pieces *text, unsigned char lead)
{
	if (lead < 0xC2 || lead > 0xF4)
		return false;
	/* the second byte excludes overlong forms, surrogates and what is above U+10FFFF */
	text->missing = lead < 0xE0 ? 1 : lead < 0xF0 ? 2 : 3;
	text->low = lead == 0xE0 ? 0xA0 : lead == 0xF0 ? 0x90 : 0x80;
	text->high = lead == 0xED ? 0x9F : lead == 0xF4 ? 0x8F : 0xBF;
	return true;
}

/* takes the next byte of a sequence: false if it does not belong there */
static inline bool utf8_continue_sequence(struct utf8_pieces *text, unsigned char byte)
{
	if (byte < text->low || byte > text->high)
		return false;
	text->missing--;
	text->low = 0x80;
	text->high = 0xBF;
	return true;
}

/* length in bytes of the sequence that starts at s (n > 0 bytes), 0 if it is ill-formed or cut */
static inline size_t utf8_sequence(const unsigned char *s, size_t n)
{
	struct utf8_pieces text = {0};

	if (s[0] < 0x80)
		return 1;
	if (!utf8_begin_sequence(&text, s[0]) || text.missing >= n)
		return 0;
	if (s[1] < text.low || s[1] > text.high)
		return 0;
	for (size_t i = 2; i <= text.missing; i++)
		if ((s[i] & 0xC0) != 0x80)
			return 0;
	return 1 + (size_t)text.missing;
}

/* length in bytes of the longest valid prefix of text: length itself if all of it is valid,
 * else the offset of the first byte that is not part of a valid sequence */
static inline size_t utf8_valid_prefix(const char *text, size_t length)
{
	const unsigned char *s = (const unsigned char *)text;
	size_t at = 0;

	while (at < length) {
		uint64_t eight; /* most text is ASCII: eight bytes at a time */
		if (length - at >= sizeof eight &&
		    (memcpy(&eight, s + at, sizeof eight), !(eight & 0x8080808080808080U))) {
			at += sizeof eight;
			continue;
		}
		size_t sequence = utf8_sequence(s + at, length - at);
		if (sequence == 0)
			break;
		at += sequence;
	}
	return at;
}

/* Takes the next piece of a text. Returns false at the first byte after which the text cannot
 * become valid any more, even inside a sequence that is not yet whole. */
static inline bool utf8_take_piece(struct utf8_pieces *text, const char *piece, size_t length)
{
	const unsigned char *s = (const unsigned char *)piece;
	size_t at = 0;

	while (text->missing > 0 && at < length)
		if (!utf8_continue_sequence(text, s[at++]))
			return false;
	at += utf8_valid_prefix(piece + at, length - at);
	if (at < length && !utf8_begin_sequence(text, s[at++]))
		return false;
	while (at < length)
		if (!utf8_continue_sequence(text, s[at++]))
			return false;
	return true;
}

#endif
