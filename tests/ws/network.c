/* How the log names a client: its address if that looks like one, and never a text of its own. */
#include "network.h"
#include "tap.h"

#include <string.h>

#define DIGITS_64 "1234567890123456789012345678901234567890123456789012345678901234"
#define UNKNOWN "unknown client"

static const struct {
	const char *address;
	const char *wanted;
	const char *name;
} table[] = {
	{"192.0.2.1", "192.0.2.1", "an address of IPv4"},
	{"2001:db8::1", "2001:db8::1", "an address of IPv6"},
	{"[2001:DB8::1]:4000", "[2001:DB8::1]:4000", "an address in brackets with a port"},
	{DIGITS_64, DIGITS_64, "64 characters"},
	{DIGITS_64 "5", UNKNOWN, "65 characters"},
	{"", UNKNOWN, "an empty text"},
	{NULL, UNKNOWN, "no address"},
	{"192.0.2.1\necho: forged", UNKNOWN, "an address with a line behind it"},
	{"192.0.2.1 ", UNKNOWN, "an address with a blank behind it"},
	{"\x1b[31m", UNKNOWN, "a command for a terminal"},
	{"example.org", UNKNOWN, "a name"},
};

int main(void)
{
	for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
		const char *got = network_for_log(table[i].address);
		ok(strcmp(got, table[i].wanted) == 0, "%s is %s in the log", table[i].name,
		   strcmp(table[i].wanted, UNKNOWN) == 0 ? UNKNOWN : "itself");
	}
	return done();
}
