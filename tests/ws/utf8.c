/* UTF-8 validation: a table, each entry also with text before and behind it, at the edge of memory
 */
#include "utf8.h"
#include "edge.h"
#include "tap.h"

static const struct {
	const char *text;
	size_t length;
	size_t valid;
	int line;
} table[] = {
/* clang-format off */
#define T(text, valid) {text, sizeof(text) - 1, valid, __LINE__}
	/* clang-format on */
	T("", 0),
	T("a", 1),
	T("\0", 1),
	T("\x7F", 1),
	T("Hello, World! 0123456789", 24),
	T("\xC2\x80", 2),
	T("\xDF\xBF", 2),
	T("\xE0\xA0\x80", 3),
	T("\xED\x9F\xBF", 3),
	T("\xEE\x80\x80", 3),
	T("\xEF\xBF\xBF", 3),
	T("\xF0\x90\x80\x80", 4),
	T("\xF4\x8F\xBF\xBF", 4),
	T("12345678\xE2\x82\xAC"
	  "1234567\xF0\x9F\x98\x80"
	  "12345678",
	  30),
	/* a lone continuation, a lone lead, cut sequences */
	T("\x80", 0),
	T("\xBF", 0),
	T("a\x80", 1),
	T("\xC2", 0),
	T("\xE2\x82", 0),
	T("\xF0\x9F\x98", 0),
	T("ab\xE2\x82", 2),
	T("\xE2\x82"
	  "a",
	  0),
	T("\xF0\x9F\x98"
	  "a",
	  0),
	T("\xC2\xC2\x80", 0),
	/* overlong */
	T("\xC0\x80", 0),
	T("\xC1\xBF", 0),
	T("\xE0\x80\x80", 0),
	T("\xE0\x9F\xBF", 0),
	T("\xF0\x80\x80\x80", 0),
	T("\xF0\x8F\xBF\xBF", 0),
	/* surrogates */
	T("\xED\xA0\x80", 0),
	T("\xED\xBF\xBF", 0),
	/* above U+10FFFF, and bytes that never occur */
	T("\xF4\x90\x80\x80", 0),
	T("\xF5\x80\x80\x80", 0),
	T("\xF8\x88\x80\x80\x80", 0),
	T("\xFE", 0),
	T("\xFF", 0),
	/* a bad byte at each place of the eight that are looked at together */
	T("1234567\xFF"
	  "12345678",
	  7),
	T("12345678\xFF"
	  "1234567",
	  8),
	T("123456781234567\xC3", 15),
#undef T
};

static void check(const char *prefix, size_t i)
{
	size_t before = strlen(prefix);
	size_t length = before + table[i].length;
	char text[128];

	memcpy(text, prefix, before);
	memcpy(text + before, table[i].text, table[i].length);
	char *copy = edge_copy(text, length);
	ok(utf8_valid_prefix(copy, length) == before + table[i].valid, "line %d behind \"%s\"",
	   table[i].line, prefix);
	edge_free(copy, length);
}

/* the same text byte by byte: it is valid if no byte is refused and nothing is missing at its end
 */
static void check_pieces(size_t i)
{
	struct utf8_pieces text = {0};
	size_t at = 0;

	while (at < table[i].length && utf8_take_piece(&text, table[i].text + at, 1))
		at++;
	bool is_valid = at == table[i].length && text.missing == 0;
	ok(is_valid == (table[i].valid == table[i].length) && at >= table[i].valid,
	   "line %d byte by byte", table[i].line);
}

int main(void)
{
	for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
		check_pieces(i);
		check("", i);
		check("abc", i);
		check("12345678", i);
		check("\xF0\x9F\x98\x80 text", i);
	}
	return done();
}
