/* Which addresses count as one client for the limit, and which values the limit takes. */
#include "push/limit.h"
#include "tap.h"

#include <errno.h>
#include <stdlib.h>

static const struct {
	const char *address;
	const char *network;
} table[] = {
	{"192.0.2.1", "192.0.2.1"},
	{"::ffff:192.0.2.1", "192.0.2.1"},
	{"[::ffff:192.0.2.1]", "192.0.2.1"},
	{"2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"},
	{"2001:db8:1:2::", "2001:db8:1:2::"},
	{"[2001:db8:1:2:ffff:ffff:ffff:ffff]", "2001:db8:1:2::"},
	{"2001:db8:1:3::1", "2001:db8:1:3::"},
	{"::1", "::"},
	{NULL, "unknown"},
	{"", "unknown"},
	{"unknown client", "unknown"},
	{"192.0.2.1.", "unknown"},
	{"192.0.2.1, 192.0.2.2", "unknown"},
	{"a:b\r\nXADD", "unknown"},
	{"2001:db8:1:2:3:4:5:6:7:8:9:10:11:12:13:14:15:16:17:18", "unknown"},
};

static const struct {
	const char *value; /* NULL: not set */
	size_t rate;
	bool is_valid;
} settings[] = {
	{NULL, 20, true},
	{"0", 0, true},
	{"1", 1, true},
	{"1000000", 1000000, true},
	{"1000001", 20, false},
	{"-1", 20, false},
	{"", 20, false},
	{"x", 20, false},
	{"5x", 20, false},
	{" 5", 20, false},
	{"99999999999999999999999", 20, false},
};

static void check_settings(size_t i)
{
	const char *reason = NULL;

	unsetenv("DUPLEX_MAX_PUBLISH");
	if (settings[i].value)
		setenv("DUPLEX_MAX_PUBLISH", settings[i].value, 1);
	errno = 0;
	bool is_valid = limit_check_settings(&reason) == 0;
	int error = errno;
	ok(is_valid == settings[i].is_valid && limit_rate() == settings[i].rate,
	   "DUPLEX_MAX_PUBLISH=%s: %s", settings[i].value ? settings[i].value : "(not set)",
	   settings[i].is_valid ? "valid" : "not valid");
	ok(is_valid ? reason == NULL
		    : error == EINVAL &&
			      strcmp(reason, "DUPLEX_MAX_PUBLISH is not a number from 0 to "
					     "1000000") == 0,
	   "setting %zu: its reason", i);
}

int main(void)
{
	for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
		char network[LIMIT_NETWORK_SIZE];
		limit_write_network(table[i].address, network);
		is(network, strlen(network), table[i].network, strlen(table[i].network),
		   "the network of an address");
	}
	for (size_t i = 0; i < sizeof settings / sizeof *settings; i++)
		check_settings(i);
	return done();
}
