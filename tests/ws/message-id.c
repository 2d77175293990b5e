/* The ids of messages: which texts are one, which comes after which, and copies of them. */
#include "push/message.h"
#include "tap.h"

#include <stdlib.h>

#define FORTY "0000000000000000000000000000000000000000"

static const struct {
	const char *text;
	bool wanted;
} ids[] = {
	{"1-0", true},
	{"0-0", true},
	{"1700000000000-12", true},
	{"18446744073709551615-18446744073709551615", true},
	{"00000000000000000000001-00000000000000000002", true},
	{"18446744073709551616-0", false},
	{"0-18446744073709551616", false},
	{"99999999999999999999-0", false},
	{"1-" FORTY "00001", true},
	{"1-" FORTY "000001", false}, /* as long as MESSAGE_ID_SIZE */
	{"", false},
	{"-", false},
	{"1", false},
	{"1-", false},
	{"-1", false},
	{"1-0-", false},
	{"1-0 ", false},
	{" 1-0", false},
	{"1--0", false},
	{"a-0", false},
	{"1-a", false},
	{"+1-0", false},
};

static const struct {
	const char *later;
	const char *earlier;
} orders[] = {
	{"1-1", "1-0"},
	{"2-0", "1-9"},
	{"10-0", "9-0"},
	{"1-10", "1-9"},
	{"18446744073709551615-1", "18446744073709551615-0"},
	{"18446744073709551615-0", "9223372036854775807-0"},
};

static void check_copies(void)
{
	char id[MESSAGE_ID_SIZE];
	char text[2 * MESSAGE_ID_SIZE];

	message_copy_id(id, "12-3");
	is(id, strlen(id), "12-3", 4, "an id is copied");
	memset(text, '1', sizeof text);
	text[sizeof text - 1] = '\0';
	message_copy_id(id, text);
	is(id, strlen(id), text, sizeof id - 1, "a text that is too long for an id is cut");
}

int main(void)
{
	for (size_t i = 0; i < sizeof ids / sizeof *ids; i++)
		ok(message_is_id(ids[i].text) == ids[i].wanted, "\"%s\" is %s", ids[i].text,
		   ids[i].wanted ? "an id" : "not an id");
	for (size_t i = 0; i < sizeof orders / sizeof *orders; i++)
		ok(message_is_after(orders[i].later, orders[i].earlier) &&
			   !message_is_after(orders[i].earlier, orders[i].later) &&
			   !message_is_after(orders[i].later, orders[i].later),
		   "%s comes after %s, and not before it", orders[i].later, orders[i].earlier);
	check_copies();
	return done();
}
