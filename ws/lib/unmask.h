/* the masking of RFC 6455 section 5.3, a copy and a look at the bytes in one go */
#ifndef UNMASK_H
#define UNMASK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* takes the mask off one word, and adds its bits to *seen */
static inline void unmask_word(char *to, const char *from, uint64_t pattern, uint64_t *seen)
{
	uint64_t word;

	memcpy(&word, from, sizeof word);
	word ^= pattern;
	*seen |= word;
	memcpy(to, &word, sizeof word);
}

/* the mask for the bytes that follow so many others */
static inline uint32_t unmask_turn(uint32_t mask, size_t length)
{
	char twice[2 * sizeof mask];

	memcpy(twice, &mask, sizeof mask);
	memcpy(twice + sizeof mask, &mask, sizeof mask);
	memcpy(&mask, twice + length % sizeof mask, sizeof mask);
	return mask;
}

/*
 * Copies length bytes and takes their mask off, whose four bytes lie in *mask as they came. Turns
 * *mask so that the bytes that follow in the same frame can be given to the next call. The two
 * places may overlap if to lies before from. Returns true if all bytes without their mask are
 * ASCII.
 */
static inline bool unmask(char *to, const char *from, size_t length, uint32_t *mask)
{
	uint64_t pattern = *mask *
			   UINT64_C(0x100000001); /* twice the same, whatever the byte order */
	uint64_t seen = 0;
	size_t at = 0;

	for (; length - at >= 4 * sizeof pattern; at += 4 * sizeof pattern) {
		uint64_t words[4];
		memcpy(words, from + at, sizeof words);
		for (size_t i = 0; i < 4; i++) {
			words[i] ^= pattern;
			seen |= words[i];
		}
		memcpy(to + at, words, sizeof words);
	}
	for (; length - at >= sizeof pattern; at += sizeof pattern)
		unmask_word(to + at, from + at, pattern, &seen);
	for (; at < length; at++) {
		uint32_t rest = unmask_turn(*mask, at);
		unsigned char byte;
		memcpy(&byte, &rest, 1);
		byte ^= (unsigned char)from[at];
		seen |= byte;
		to[at] = (char)byte;
	}
	*mask = unmask_turn(*mask, length);
	return !(seen & 0x8080808080808080U);
}

#endif
