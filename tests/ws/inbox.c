/*
 * Message framing: each input is fed whole, byte by byte and in every two
 * pieces, and the messages and the state at the end must be the same.
 */
#include "inbox.h"
#include "edge.h"
#include "tap.h"
#include "utf8.h"

enum { MAX_MESSAGE = 8, MAX_QUEUE = 40 };

static const struct {
	const char *input;
	size_t length;
	const char *messages; /* each in brackets */
	size_t messages_length;
	enum inbox_state state;
	int line;
} table[] = {
/* clang-format off */
#define T(input, messages, state) \
	{input, sizeof(input) - 1, messages, sizeof(messages) - 1, state, __LINE__}
	/* clang-format on */
	T("", "", INBOX_OPEN),
	T("a", "", INBOX_OPEN),
	T("a\n", "[a]", INBOX_OPEN),
	T("\n", "[]", INBOX_OPEN),
	T("\n\n\n", "[][][]", INBOX_OPEN),
	T("a\nb\n", "[a][b]", INBOX_OPEN),
	T("a\nb", "[a]", INBOX_OPEN),
	T("a\r\n", "[a\r]", INBOX_OPEN),
	T("a\0b\n\0\n", "[a\0b][\0]", INBOX_OPEN),
	T("12345678\n", "[12345678]", INBOX_OPEN),
	T("123456789\n", "", INBOX_TOO_LONG),
	T("a\n123456789", "[a]", INBOX_TOO_LONG),
	T("a\n123456789\nb\n", "[a]", INBOX_TOO_LONG),
	T("\xF0\x9F\x98\x80\n", "[\xF0\x9F\x98\x80]", INBOX_OPEN),
	T("\xFF\n", "", INBOX_NOT_UTF8),
	T("a\n\xC3\nb\n", "[a]", INBOX_NOT_UTF8),
	T("a\n\xC3\xA9\nb\n\xED\xA0\x80\nc\n", "[a][\xC3\xA9][b]", INBOX_NOT_UTF8),
	T("1\n2\n3\n4\n5\n6\n7\n8\n9\n0\n", "[1][2][3][4][5][6][7][8][9][0]", INBOX_OPEN),
	T("1234567\n1234567\n1234567\n1234567\n1234567\n",
	  "[1234567][1234567][1234567][1234567][1234567]", INBOX_OPEN),
	T("1234567\n1234567\n1234567\n1234567\n1234567\n1",
	  "[1234567][1234567][1234567][1234567][1234567]", INBOX_FULL),
	T("1234567\n1234567\n1234567\n1234567\n12345678\n1\n",
	  "[1234567][1234567][1234567][1234567]", INBOX_FULL),
#undef T
};

static void feed(struct inbox *inbox, const char *bytes, size_t length)
{
	while (length > 0) {
		size_t size;
		char *space = inbox_space(inbox, &size);
		size_t n = size < length ? size : length;
		memcpy(space, bytes, n);
		inbox_commit(inbox, n);
		bytes += n;
		length -= n;
	}
}

/* what is in the inbox, in brackets */
static size_t drain(struct inbox *inbox, char *out)
{
	const char *text;
	size_t length;
	size_t at = 0;

	while (inbox_take(inbox, &text, &length)) {
		out[at++] = '[';
		memcpy(out + at, text, length + 1);
		at += length;
		out[at++] = ']';
	}
	return at;
}

static bool is_as_expected(size_t i, const char *input, size_t cut, bool bytewise)
{
	struct inbox inbox;
	char out[256];

	inbox_init(&inbox, MAX_MESSAGE, MAX_QUEUE);
	feed(&inbox, input, cut);
	for (size_t at = cut; at < table[i].length; at += bytewise ? 1 : table[i].length - cut)
		feed(&inbox, input + at, bytewise ? 1 : table[i].length - cut);
	size_t length = drain(&inbox, out);
	bool same = inbox.state == table[i].state && inbox.count == 0 &&
		    length == table[i].messages_length &&
		    memcmp(out, table[i].messages, length) == 0;
	inbox_free(&inbox);
	return same;
}

static void check_table(void)
{
	for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
		char *input = edge_copy(table[i].input, table[i].length);
		ok(is_as_expected(i, input, table[i].length, false), "line %d: whole",
		   table[i].line);
		ok(is_as_expected(i, input, 0, true), "line %d: byte by byte", table[i].line);
		for (size_t cut = 1; cut < table[i].length; cut++)
			ok(is_as_expected(i, input, cut, false), "line %d: cut at %zu",
			   table[i].line, cut);
		edge_free(input, table[i].length);
	}
}

/* the message that was taken out stays where it is, whatever comes in until the next one is taken
 */
static void check_lent(void)
{
	enum { BIG = 100000, MESSAGES = 30 };
	struct inbox inbox;
	const char *text;
	size_t length;
	char *big = malloc(BIG);

	inbox_init(&inbox, BIG, MESSAGES * (BIG + 1));
	memset(big, 'x', BIG);
	feed(&inbox, "first\n", 6);
	ok(inbox_take(&inbox, &text, &length) && length == 5,
	   "the first of several messages is taken out");
	for (int i = 0; i < MESSAGES; i++) {
		big[0] = (char)('A' + i);
		feed(&inbox, big, BIG);
		feed(&inbox, "\n", 1);
	}
	is(text, length + 1, "first", 6,
	   "the first message stays where it is while 3 MB come in, and a NUL follows it");
	for (int i = 0; i < MESSAGES; i++) {
		ok(inbox_take(&inbox, &text, &length) && length == BIG && text[0] == 'A' + i &&
			   text[BIG - 1] == 'x',
		   "large message %d", i);
		feed(&inbox, "s\n", inbox.state == INBOX_OPEN ? 2 : 0);
	}
	ok(inbox.count == MESSAGES && inbox.state == INBOX_OPEN,
	   "the small ones behind them are there");
	while (inbox_take(&inbox, &text, &length))
		continue;
	ok(inbox_waiting(&inbox) == 0, "nothing waits once all messages have been taken out");
	feed(&inbox, "again\n", 6);
	ok(inbox_take(&inbox, &text, &length) && length == 5,
	   "a message can be taken out of an inbox that was emptied before");
	feed(&inbox, big, BIG);
	feed(&inbox, "\n", 1);
	ok(inbox_take(&inbox, &text, &length) && length == BIG &&
		   !inbox_take(&inbox, &text, &length),
	   "one more large message");
	ok(inbox.first == NULL, "whose memory is given back when it is done with");
	inbox_free(&inbox);
	free(big);
}

/* messages of all sizes come in pieces of all sizes and are taken out now and then, unchanged */
static void check_random(unsigned int seed)
{
	enum { LARGEST = 200000, MESSAGES = 2000 };
	struct inbox inbox;
	char *bytes = malloc(LARGEST + 1);
	int sent = 0;
	int wrong = 0;
	int taken = 0;

	srandom(seed);
	inbox_init(&inbox, LARGEST, 64 * (LARGEST + 1));
	while (taken < MESSAGES) {
		const char *text;
		size_t length;
		if (sent < MESSAGES && inbox_waiting(&inbox) + LARGEST < inbox.max_queue &&
		    random() % 3) {
			length = (size_t)random() % (random() % 20 ? 300 : LARGEST);
			memset(bytes, 'a' + sent % 26, length);
			bytes[length] = '\n';
			for (size_t at = 0, piece; at <= length; at += piece) {
				piece = 1 + (size_t)random() % (length + 1 - at);
				feed(&inbox, bytes + at, piece);
			}
			sent++;
		} else if (inbox_take(&inbox, &text, &length)) {
			for (size_t i = 0; i < length; i++)
				wrong += text[i] != 'a' + taken % 26;
			wrong += text[length] != '\0';
			taken++;
		}
	}
	ok(wrong == 0 && inbox.count == 0 && inbox_waiting(&inbox) == 0,
	   "2,000 messages in random pieces, seed %u", seed);
	inbox_free(&inbox);
	free(bytes);
}

int main(void)
{
	check_table();
	check_lent();
	for (unsigned int seed = 1; seed <= 10; seed++)
		check_random(seed);
	return done();
}
