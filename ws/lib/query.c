#include "query.h"
#include "field.h"

#include <string.h>

/* Decodes the byte at *at, which is before end, and moves *at behind it. */
static char decode_byte(const char **at, const char *end)
{
	const char *s = *at;
	char byte = *s == '+' ? ' ' : *s;

	*at += *s == '%' && is_escape(s, end, &byte) ? 3 : 1;
	return byte;
}

static bool is_name(const char *s, const char *end, const char *name)
{
	while (s < end && *name)
		if (decode_byte(&s, end) != *name++)
			return false;
	return s == end && *name == '\0';
}

size_t query_decode(const char *value, size_t length, char *out, size_t size)
{
	const char *end = value + length;
	size_t decoded = 0;

	for (; value < end; decoded++) {
		char byte = decode_byte(&value, end);
		if (decoded < size)
			out[decoded] = byte;
	}
	return decoded;
}

static const char *find(const char *s, char c, const char *end)
{
	const char *found = memchr(s, c, (size_t)(end - s));

	return found ? found : end;
}

bool query_find(const char *query, size_t length, const char *name, const char **value,
		size_t *value_length)
{
	const char *end = query + length;
	bool is_found = false;

	for (const char *s = query, *next; s < end; s = next + 1) {
		next = find(s, '&', end);
		const char *equals = find(s, '=', next);
		if (next > s && is_name(s, equals, name)) {
			*value = equals < next ? equals + 1 : next;
			*value_length = (size_t)(next - *value);
			is_found = true;
		}
	}
	return is_found;
}

bool query_value(char *query, size_t length, const char *name, char **value, size_t *value_length)
{
	const char *encoded;

	if (!query_find(query, length, name, &encoded, value_length))
		return false;
	*value = query + (encoded - query);
	*value_length = query_decode(encoded, *value_length, *value, *value_length);
	return true;
}
