#include "message.h"

#include <stdlib.h>
#include <string.h>

/* true if the digits are a number of at most 64 bits, as the parts of an id are */
static bool is_number(const char *digits, size_t length)
{
	static const char most[] = "18446744073709551615";

	while (length > sizeof most - 1 && *digits == '0') {
		digits++;
		length--;
	}
	return length > 0 && (length < sizeof most - 1 ||
			      (length == sizeof most - 1 && memcmp(digits, most, length) <= 0));
}

bool message_is_id(const char *text)
{
	size_t time = strspn(text, "0123456789");
	size_t sequence = text[time] == '-' ? strspn(text + time + 1, "0123456789") : 0;

	return is_number(text, time) && is_number(text + time + 1, sequence) &&
	       time + 1 + sequence < MESSAGE_ID_SIZE && text[time + 1 + sequence] == '\0';
}

void message_copy_id(char id[MESSAGE_ID_SIZE], const char *from)
{
	size_t length = strlen(from);

	if (length >= MESSAGE_ID_SIZE)
		length = MESSAGE_ID_SIZE - 1;
	memcpy(id, from, length);
	id[length] = '\0';
}

bool message_is_after(const char *a, const char *b)
{
	char *a_rest;
	char *b_rest;
	unsigned long long a_time = strtoull(a, &a_rest, 10);
	unsigned long long b_time = strtoull(b, &b_rest, 10);

	if (a_time != b_time)
		return a_time > b_time;
	return strtoull(a_rest + 1, NULL, 10) > strtoull(b_rest + 1, NULL, 10);
}

/* Writes a byte to out as it stands in a JSON string (RFC 8259 7). Returns the end of what it
 * wrote. */
static char *escape(char *out, unsigned char byte)
{
	static const char hex[] = "0123456789abcdef";

	if (byte < 0x20) {
		out = stpcpy(out, "\\u00");
		*out++ = hex[byte >> 4];
		*out++ = hex[byte & 15];
		return out;
	}
	if (byte == '"' || byte == '\\')
		*out++ = '\\';
	*out++ = (char)byte;
	return out;
}

size_t message_json(const char *id, const char *text, size_t length, char line[MESSAGE_LINE_SIZE])
{
	char *out = stpcpy(stpcpy(line, text ? "{\"id\":\"" : "{\"gap\":\""), id);

	if (text)
		out = stpcpy(out, "\",\"text\":\"");
	for (size_t i = 0; text && i < length; i++)
		out = escape(out, (unsigned char)text[i]);
	return (size_t)(stpcpy(out, "\"}") - line);
}
