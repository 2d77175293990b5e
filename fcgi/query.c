#include "query.h"

#include <string.h>

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return -1;
}

/* decodes the byte at *at, before end, and moves *at behind it */
static char decode_byte(const char **at, const char *end)
{
	const char *s = *at;

	if (*s == '%' && end - s > 2 && hex_digit(s[1]) >= 0 && hex_digit(s[2]) >= 0) {
		*at += 3;
		return (char)(hex_digit(s[1]) * 16 + hex_digit(s[2]));
	}
	*at += 1;
	return *s == '+' ? ' ' : *s;
}

static bool is_name(const char *s, const char *end, const char *name)
{
	while (s < end && *name)
		if (decode_byte(&s, end) != *name++)
			return false;
	return s == end && *name == '\0';
}

static size_t decode_in_place(char *s, const char *end)
{
	char *out = s;

	for (const char *in = s; in < end;)
		*out++ = decode_byte(&in, end);
	return (size_t)(out - s);
}

static char *find(char *s, char c, char *end)
{
	char *found = memchr(s, c, (size_t)(end - s));

	return found ? found : end;
}

bool query_value(char *query, size_t length, const char *name, char **value, size_t *value_length)
{
	char *end = query + length;
	char *last = NULL;
	char *last_end = NULL;

	for (char *s = query, *next; s < end; s = next + 1) {
		next = find(s, '&', end);
		char *equals = find(s, '=', next);
		if (next > s && is_name(s, equals, name)) {
			last = equals < next ? equals + 1 : next;
			last_end = next;
		}
	}
	if (last == NULL)
		return false;
	*value = last;
	*value_length = decode_in_place(last, last_end);
	return true;
}
