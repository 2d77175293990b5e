/* What a program takes from the environment that websocketd starts it with: whether it was started
 * so, and the path, of which websocketd itself has cut something off. */
#include "lines.h"
#include "tap.h"

#include <stdlib.h>

static const struct {
	const char *interface; /* NULL: not set */
	bool wanted;
} interfaces[] = {
	{"websocketd-CGI/0.1", true},
	{"websocketd-CGI/", true},
	{"websocketd-CGI", false},
	{"CGI/1.1", false},
	{"", false},
	{NULL, false},
};

static const struct {
	const char *uri;    /* REQUEST_URI; NULL: not set */
	const char *script; /* SCRIPT_NAME; NULL: not set */
	const char *info;   /* PATH_INFO as websocketd has it */
	const char *wanted;
} paths[] = {
	{"/chat/a", "/chat", "/a", "/a"},
	{"/chat/a%20", "/chat", "/a", "/a "},
	{"/chat/a%0Db", "/chat", "/a b", "/a\rb"},
	{"/chat/%e2%82%AC?x=%20", "/chat", "/€", "/€"},
	{"/chat", "/chat", "", ""},
	{"/chat/100%", "/chat", "/as it was", "/100%"},
	{"/chat/%4", "/chat", "/as it was", "/%4"},
	{"/chat/%zz%4g", "/chat", "/as it was", "/%zz%4g"},
	{"/other/a", "/chat", "/as it was", "/as it was"},
	{NULL, "/chat", "/as it was", "/as it was"},
	{"/chat/a", NULL, "/as it was", "/as it was"},
};

static void set(const char *name, const char *value)
{
	if (value)
		setenv(name, value, 1);
	else
		unsetenv(name);
}

int main(void)
{
	for (size_t i = 0; i < sizeof interfaces / sizeof *interfaces; i++) {
		const char *interface = interfaces[i].interface;
		set("GATEWAY_INTERFACE", interface);
		ok(lines_is_started_by_websocketd() == interfaces[i].wanted,
		   "GATEWAY_INTERFACE=%s is %s", interface ? interface : "(not set)",
		   interfaces[i].wanted ? "websocketd's" : "not websocketd's");
	}
	for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
		char name[128];
		set("REQUEST_URI", paths[i].uri);
		set("SCRIPT_NAME", paths[i].script);
		set("PATH_INFO", paths[i].info);
		snprintf(name, sizeof name, "PATH_INFO of %s at %s",
			 paths[i].uri ? paths[i].uri : "no URI",
			 paths[i].script ? paths[i].script : "no script");
		bool is_done = lines_restore_path() == 0;
		const char *got = getenv("PATH_INFO");
		is(got, is_done ? strlen(got) : 0, paths[i].wanted, strlen(paths[i].wanted), name);
	}
	return done();
}
