/* The parts of channels that need no Redis: names, ids, and the line of JSON. */
#include "push/channel.h"
#include "edge.h"
#include "tap.h"

#include <stdlib.h>

#define SIXTEEN "0123456789abcDEF"

static const struct {
	const char *text;
	bool name;
	bool id;
} names[] = {
	{"", false, false},
	{"a", true, false},
	{"Z", true, false},
	{"-", true, false},
	{"_", true, false},
	{"0", true, false},
	{"a-b_C9", true, false},
	{SIXTEEN SIXTEEN SIXTEEN SIXTEEN, true, false},
	{SIXTEEN SIXTEEN SIXTEEN SIXTEEN "0", false, false},
	{"a b", false, false},
	{" a", false, false},
	{"a ", false, false},
	{"a:b", false, false},
	{"a/b", false, false},
	{"a.b", false, false},
	{"a*", false, false},
	{"a\n", false, false},
	{"a\r\nXADD", false, false},
	{"%s", false, false},
	{"\xC3\xA9", false, false},
	/* ids, most of which are names as well */
	{"0-0", true, true},
	{"1700000000000-0", true, true},
	{"1700000000000-12", true, true},
	{"9999999999999999999-9999999999999999999", true, true},
	{"18446744073709551615-18446744073709551615", true, true},
	{"18446744073709551616-0", true, false},
	{"0-18446744073709551616", true, false},
	{"99999999999999999999-0", true, false},
	{"0000000000000000000000000000000000000000000-0", true, true},
	{"00000000000000000000000000000000000000000000000-0", true, false},
	{"0", true, false},
	{"0-", true, false},
	{"-0", true, false},
	{"--0", true, false},
	{"0--0", true, false},
	{"0-0-0", true, false},
	{"0-0 ", false, false},
	{" 0-0", false, false},
	{"+0-0", false, false},
	{"0x0-0", true, false},
	{"a-0", true, false},
	{"0-a", true, false},
	{"0-0a", true, false},
	{"0-*", false, false},
	{"$", false, false},
	{"*", false, false},
};

static void check_names(void)
{
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		size_t size = strlen(names[i].text) + 1;
		char *copy = edge_copy(names[i].text, size);
		ok(channel_is_name(copy) == names[i].name, "entry %zu is %sa name", i,
		   names[i].name ? "" : "not ");
		ok(message_is_id(copy) == names[i].id, "entry %zu is %san id", i,
		   names[i].id ? "" : "not ");
		edge_free(copy, size);
	}
}

static const struct {
	const char *text;
	size_t length;
	const char *json; /* what stands for it */
} texts[] = {
/* clang-format off */
#define T(text, json) {text, sizeof(text) - 1, json}
	/* clang-format on */
	T("", ""),
	T("hello", "hello"),
	T("\"", "\\\""),
	T("\\", "\\\\"),
	T("\\\"\\", "\\\\\\\"\\\\"),
	T("\\u0041", "\\\\u0041"),
	T("/", "/"),
	T("a\0b", "a\\u0000b"),
	T("\t\r\n", "\\u0009\\u000d\\u000a"),
	T("\x7F", "\x7F"),
	T("\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80", "\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80"),
	T("\xE2\x80\xA8", "\xE2\x80\xA8"),
	T("</script>", "</script>"),
	T("%s%n", "%s%n"),
#undef T
};

/* the line of a text is this, in a room that ends where memory ends */
static void check_line(const char *id, const char *text, size_t length, const char *json,
		       const char *name)
{
	static const char room[MESSAGE_LINE_SIZE];
	char *copy = edge_copy(text, length);
	char *line = edge_copy(room, sizeof room);
	size_t size = strlen(json) + 80;
	char *wanted = malloc(size);

	int wanted_length = snprintf(wanted, size, "{\"id\":\"%s\",\"text\":\"%s\"}", id, json);
	size_t line_length = message_json(id, copy, length, line);
	is(line, line_length, wanted, (size_t)wanted_length, name);
	free(wanted);
	edge_free(line, sizeof room);
	edge_free(copy, length);
}

static void check_json(const char *text, size_t length, const char *json, const char *name)
{
	check_line("12-3", text, length, json, name);
}

static void check_every_byte(void)
{
	for (unsigned int byte = 0; byte < 0x80; byte++) {
		char text = (char)byte;
		char json[8] = {text};
		char name[32];
		if (byte < 0x20)
			snprintf(json, sizeof json, "\\u%04x", byte);
		else if (text == '"' || text == '\\')
			snprintf(json, sizeof json, "\\%c", text);
		snprintf(name, sizeof name, "byte %u", byte);
		check_json(&text, 1, json, name);
	}
}

/* the most that a line can take: every byte is escaped */
static void check_longest(void)
{
	char *text = calloc(MESSAGE_MAX, 1);
	char *json = malloc(6 * MESSAGE_MAX + 1);

	for (size_t i = 0; i < MESSAGE_MAX; i++)
		memcpy(json + 6 * i, "\\u0000", 7);
	check_line("18446744073709551615-18446744073709551615", text, MESSAGE_MAX, json,
		   "16384 bytes that are escaped, and the longest id");
	free(text);
	free(json);
}

/* each is newer than the one before */
static void check_order(void)
{
	static const char *const ids[] = {"0-0",
					  "0-1",
					  "0-10",
					  "1-0",
					  "9-9",
					  "10-0",
					  "1700000000000-0",
					  "18446744073709551615-0",
					  "18446744073709551615-18446744073709551615"};

	for (size_t a = 0; a < sizeof ids / sizeof *ids; a++)
		for (size_t b = 0; b < sizeof ids / sizeof *ids; b++)
			ok(message_is_after(ids[a], ids[b]) == (a > b), "%s is %safter %s", ids[a],
			   a > b ? "" : "not ", ids[b]);
	ok(!message_is_after("01-02", "1-2") && !message_is_after("1-2", "01-02"),
	   "leading zeros do not matter");
}

static void check_gap(void)
{
	char line[MESSAGE_LINE_SIZE];
	size_t length = message_json("12-3", NULL, 0, line);

	is(line, length, "{\"gap\":\"12-3\"}", 14, "the line of a gap");
}

int main(void)
{
	check_order();
	check_gap();
	check_names();
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
		check_json(texts[i].text, texts[i].length, texts[i].json, "a table of texts");
	check_every_byte();
	check_longest();
	return done();
}
