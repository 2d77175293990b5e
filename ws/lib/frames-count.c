#include "frames.h"

/* the whole frame at the beginning of size bytes: its length with the head, or 0 if it is not all
 * there (RFC 6455 5.2) */
static size_t whole_frame(const unsigned char *head, size_t size)
{
	enum { HEAD = 2, MASK = 4 };
	size_t extended = 0;
	uint64_t length;

	if (size < HEAD)
		return 0;
	length = head[1] & 0x7F;
	if (length >= 126)
		extended = length == 126 ? 2 : 8;
	if (size < HEAD + extended + MASK)
		return 0;
	if (extended > 0)
		length = 0;
	for (size_t i = 0; i < extended; i++)
		length = length << 8 | head[HEAD + i];
	size_t room = size - HEAD - extended - MASK;
	return length <= room ? size - room + (size_t)length : 0;
}

size_t frames_count(const char *bytes, size_t size)
{
	size_t count = 0;
	size_t length;

	while ((length = whole_frame((const unsigned char *)bytes, size)) > 0) {
		bool is_control = bytes[0] & 0x08;
		bool is_final = bytes[0] & 0x80;
		if ((bytes[0] & 0x0F) == FRAMES_OPCODE_CLOSE)
			break; /* nothing counts after it */
		count += is_final && !is_control;
		bytes += length;
		size -= length;
	}
	return count;
}
