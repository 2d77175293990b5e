/* UTF-8 validation against the C library's iconv: every sequence of up to 3 bytes, and a dense
 * sample of 4 */
#include "tap.h"
#include "utf8.h"

#include <iconv.h>

static iconv_t converter;

/* Asks iconv. It converts to UTF-16, because surrogates and numbers above U+10FFFF do not exist
 * there. */
static bool iconv_accepts(const unsigned char *bytes, size_t length)
{
	char in[4];
	char out[16];
	char *in_at = in;
	char *out_at = out;
	size_t out_left = sizeof out;

	memcpy(in, bytes, length);
	iconv(converter, NULL, NULL, NULL, NULL);
	return iconv(converter, &in_at, &length, &out_at, &out_left) != (size_t)-1 && length == 0;
}

static bool agrees(const unsigned char *bytes, size_t length)
{
	bool valid = utf8_valid_prefix((const char *)bytes, length) == length;

	if (valid == iconv_accepts(bytes, length))
		return true;
	printf("# %02x %02x %02x %02x, %zu bytes: %d\n", bytes[0], bytes[1], bytes[2], bytes[3],
	       length, valid);
	return false;
}

static void check_all(size_t length)
{
	unsigned char bytes[4] = {0};
	unsigned long wrong = 0;
	unsigned long total = 1UL << (8 * length);

	for (unsigned long i = 0; i < total && wrong < 10; i++) {
		bytes[0] = (unsigned char)(i >> (8 * (length - 1)));
		if (length > 1)
			bytes[1] = (unsigned char)(i >> (8 * (length - 2)));
		if (length > 2)
			bytes[2] = (unsigned char)i;
		wrong += !agrees(bytes, length);
	}
	ok(wrong == 0, "all %lu sequences of %zu bytes", total, length);
}

/* every lead of 4 bytes and every second byte, with third and fourth bytes at and beside each limit
 */
static void check_four(void)
{
	static const unsigned char limits[] = {0x00, 0x41, 0x7F, 0x80, 0x81, 0x8F, 0x90, 0x9F,
					       0xA0, 0xBE, 0xBF, 0xC0, 0xC2, 0xE0, 0xF0, 0xFF};
	unsigned long wrong = 0;
	unsigned long total = 0;

	for (unsigned int lead = 0; lead < 256; lead++)
		for (unsigned int second = 0; second < 256; second++)
			for (size_t i = 0; i < sizeof limits * sizeof limits && wrong < 10;
			     i++, total++)
				wrong += !agrees((unsigned char[]){(unsigned char)lead,
								   (unsigned char)second,
								   limits[i / sizeof limits],
								   limits[i % sizeof limits]},
						 4);
	ok(wrong == 0, "%lu sequences of 4 bytes", total);
}

int main(void)
{
	converter = iconv_open("UTF-16LE", "UTF-8");
	if (!ok(converter != (iconv_t)-1, "iconv converts UTF-8"))
		return done();
	for (size_t length = 1; length <= 3; length++)
		check_all(length);
	check_four();
	iconv_close(converter);
	return done();
}
