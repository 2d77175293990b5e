/*
 * Query decoding: a table, at the edge of memory. With the argument "decode" it
 * reads queries, one a line, and prints the value of "message" in hex or "-":
 * for query.t, which compares it with Python's urllib.
 */
#include "query.h"
#include "edge.h"
#include "tap.h"

#include <stdlib.h>

static const struct {
	const char *query;
	const char *value; /* NULL: no such parameter */
	size_t length;
	int line;
} table[] = {
/* clang-format off */
#define T(query, value) {query, value, sizeof(value) - 1, __LINE__}
#define NONE(query) {query, NULL, 0, __LINE__}
	/* clang-format on */
	NONE(""),
	NONE("&"),
	NONE("&&&"),
	NONE("="),
	NONE("=message"),
	NONE("messag=1"),
	NONE("messages=1"),
	NONE("Message=1"),
	NONE("a=message"),
	NONE("a=b&c=d"),
	NONE("message%00=1"),
	NONE("message%3D1"),
	NONE("a=b;message=1"),
	T("message", ""),
	T("message=", ""),
	T("message&a=1", ""),
	T("a=1&message", ""),
	T("message=hi", "hi"),
	T("a=1&message=hi&b=2", "hi"),
	T("message=1&message=2", "2"),
	T("message=1&message", ""),
	T("message&message=1", "1"),
	T("message=a=b", "a=b"),
	T("message==", "="),
	T("message=a;b", "a;b"),
	T("message=Hello%2C+World%21", "Hello, World!"),
	T("message=a+b%20c%2Bd", "a b c+d"),
	T("message=%0A%0D%0a%0d", "\n\r\n\r"),
	T("message=%00", "\0"),
	T("message=a%00b", "a\0b"),
	T("message=%C3%A9%f0%9f%98%80", "\xC3\xA9\xF0\x9F\x98\x80"),
	T("message=\xC3\xA9", "\xC3\xA9"),
	T("message=%FF", "\xFF"),
	T("message=%22%27%3Cb%3E", "\"'<b>"),
	/* what is not an escape stays as it is */
	T("message=%", "%"),
	T("message=%4", "%4"),
	T("message=%zz", "%zz"),
	T("message=%4g", "%4g"),
	T("message=%g4", "%g4"),
	T("message=%%41", "%A"),
	T("message=%4%41", "%4A"),
	T("message=100%", "100%"),
	T("message=%&a=1", "%"),
	T("message=%4&1=1", "%4"),
	T("message=%u0041", "%u0041"),
	T("message=%25%34%31", "%41"),
	/* names are decoded too */
	T("%6Dessage=1", "1"),
	T("%6d%65%73%73%61%67%65=1", "1"),
	T("m%65ssage=1&message=2", "2"),
	T("&&message=1&&", "1"),
#undef T
#undef NONE
};

static void check_table(void)
{
	for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
		size_t length = strlen(table[i].query);
		char *query = edge_copy(table[i].query, length);
		char *value = NULL;
		size_t value_length = 0;
		bool found = query_value(query, length, "message", &value, &value_length);

		if (table[i].value == NULL)
			ok(!found && memcmp(query, table[i].query, length) == 0, "line %d: none",
			   table[i].line);
		else if (ok(found, "line %d: found", table[i].line))
			is(value, value_length, table[i].value, table[i].length, table[i].query);
		edge_free(query, length);
	}
}

static void check_thousand(void)
{
	enum { COUNT = 1000, SIZE = COUNT * 16 };
	char *query = malloc(SIZE);
	size_t length = 0;
	char *value;
	size_t value_length;

	for (int i = 0; i < COUNT; i++)
		length += (size_t)snprintf(query + length, SIZE - length, "%smessage=%d",
					   i ? "&" : "", i);
	ok(query_value(query, length, "message", &value, &value_length),
	   "message is found among a thousand parameters of that name");
	is(value, value_length, "999", 3, "the last of a thousand parameters is the value");
	free(query);
}

static int decode_lines(void)
{
	char *line = NULL;
	size_t size = 0;
	ssize_t length;

	while ((length = getline(&line, &size, stdin)) > 0) {
		char *value;
		size_t value_length;
		if (query_value(line, (size_t)length - 1, "message", &value, &value_length)) {
			for (size_t i = 0; i < value_length; i++)
				printf("%02x", (unsigned char)value[i]);
			putchar('\n');
		} else {
			puts("-");
		}
	}
	free(line);
	return 0;
}

int main(int argc, char **argv)
{
	if (argc > 1 && strcmp(argv[1], "decode") == 0)
		return decode_lines();
	check_table();
	check_thousand();
	return done();
}
