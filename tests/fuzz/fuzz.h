/* what the fuzz targets share: checks that abort, and a second, plain implementation of UTF-8 */
#ifndef FUZZ_H
#define FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* what libFuzzer and replay.c call for each input */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* a copy of the input that ends where its memory ends */
static inline char *fuzz_copy(const void *bytes, size_t length)
{
	char *copy = malloc(length > 0 ? length : 1);

	if (copy == NULL)
		abort();
	if (length > 0)
		memcpy(copy, bytes, length);
	return copy;
}

static inline void fuzz_check(bool holds, const char *what)
{
	if (holds)
		return;
	fprintf(stderr, "does not hold: %s\n", what);
	abort();
}

static inline void fuzz_same(const char *a, size_t a_length, const char *b, size_t b_length,
			     const char *what)
{
	fuzz_check(a_length == b_length && (a_length == 0 || memcmp(a, b, a_length) == 0), what);
}

/* decodes the code point at s (n > 0 bytes): its length, or 0. Here every sequence is decoded, and
 * judged by the number that it stands for, where utf8.h compares bytes. */
static inline size_t fuzz_code_point(const unsigned char *s, size_t n)
{
	static const unsigned long least[] = {0, 0, 0x80, 0x800, 0x10000};
	size_t length = 0; /* the number of leading ones; 0 if it is ASCII */

	while (length < 8 && s[0] & (0x80 >> length))
		length++;
	if (length == 0)
		return 1;
	if (length == 1 || length > 4 || length > n)
		return 0;

	unsigned long point = s[0] & (0x7FU >> length);
	for (size_t i = 1; i < length; i++) {
		if (s[i] / 64 != 2)
			return 0;
		point = point * 64 + s[i] % 64;
	}
	bool surrogate = point >= 0xD800 && point <= 0xDFFF;
	return point >= least[length] && point <= 0x10FFFF && !surrogate ? length : 0;
}

/* how many bytes come before the first one that is not part of a valid sequence */
static inline size_t fuzz_utf8_prefix(const char *text, size_t length)
{
	size_t at = 0;

	while (at < length) {
		size_t n = fuzz_code_point((const unsigned char *)text + at, length - at);
		if (n == 0)
			break;
		at += n;
	}
	return at;
}

#endif
