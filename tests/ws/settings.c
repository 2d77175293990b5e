/* settings.c: what each variable is when it is not set, and which values are in its range */
#include "settings.h"
#include "tap.h"

#include <stdlib.h>

static const struct {
	const char *name;
	size_t offset;
	size_t usual;
	size_t least;
	size_t most;
} table[] = {
	{"WEBSOCKET_MAX_MESSAGE", offsetof(struct limits, max_message), 1 << 20, 1, 1 << 30},
	{"WEBSOCKET_MAX_CLIENTS", offsetof(struct limits, max_clients), 10000, 0, 1000000},
	{"WEBSOCKET_MAX_MEMORY", offsetof(struct limits, max_memory), 256 << 20, 0,
	 (size_t)1 << (sizeof(size_t) > 4 ? 40 : 31)},
	{"WEBSOCKET_MAX_PER_ADDRESS", offsetof(struct limits, max_per_address), 200, 0, 1000000},
	{"WEBSOCKET_HANDSHAKE_SECONDS", offsetof(struct limits, handshake_seconds), 10, 0, 86400},
	{"WEBSOCKET_PING_SECONDS", offsetof(struct limits, ping_seconds), 25, 0, 86400},
};
enum { VARIABLES = sizeof table / sizeof *table };

/* what becomes of the limit with that value in the environment; -1 if it is refused by its name and
 * range */
static long long read_as(size_t i, const char *value)
{
	struct limits limits;
	size_t least;
	size_t most;

	setenv(table[i].name, value, 1);
	const char *wrong = settings_read(&limits, &least, &most);
	unsetenv(table[i].name);
	if (wrong == NULL)
		return (long long)*(size_t *)((char *)&limits + table[i].offset);
	return strcmp(wrong, table[i].name) == 0 && least == table[i].least && most == table[i].most
		       ? -1
		       : -2;
}

static long long read_number(size_t i, size_t number)
{
	char text[32];

	snprintf(text, sizeof text, "%zu", number);
	return read_as(i, text);
}

static void check_variable(size_t i)
{
	static const char *const wrong[] = {"",
					    " ",
					    "x",
					    "-1",
					    "+1",
					    " 1",
					    "1 ",
					    "1k",
					    "0x1",
					    "1.0",
					    "1,000",
					    "99999999999999999999",
					    "18446744073709551616"};

	for (size_t j = 0; j < sizeof wrong / sizeof *wrong; j++)
		ok(read_as(i, wrong[j]) == -1, "%s='%s' is refused", table[i].name, wrong[j]);
	ok(read_number(i, table[i].least) == (long long)table[i].least &&
		   read_number(i, table[i].most) == (long long)table[i].most,
	   "%s may be from %zu to %zu", table[i].name, table[i].least, table[i].most);
	ok(read_number(i, table[i].most + 1) == -1 &&
		   (table[i].least == 0 || read_number(i, table[i].least - 1) == -1),
	   "%s may not be beyond", table[i].name);
}

int main(void)
{
	struct limits limits;
	size_t least;
	size_t most;

	for (size_t i = 0; i < VARIABLES; i++)
		unsetenv(table[i].name);
	ok(settings_read(&limits, &least, &most) == NULL, "without variables all is well");
	for (size_t i = 0; i < VARIABLES; i++)
		ok(*(size_t *)((char *)&limits + table[i].offset) == table[i].usual,
		   "%s is %zu without its variable", table[i].name, table[i].usual);
	for (size_t i = 0; i < VARIABLES; i++)
		check_variable(i);
	return done();
}
