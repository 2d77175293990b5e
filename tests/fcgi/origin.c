/* Which Origin is of which Host, and the answer to a WebSocket that the web server has refused,
 * with its line in the log. */
#include "fcgi/origin.h"
#include "tap.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static const struct {
	const char *origin;
	const char *host;
	bool same;
} pairs[] = {
	{"http://example.org", "example.org", true},
	{"https://example.org", "example.org", true},
	{"HTTP://Example.org", "eXample.org", true},
	{"http://example.org:80", "example.org", true},
	{"http://example.org", "example.org:80", true},
	{"https://example.org:443", "example.org", true},
	{"https://example.org", "example.org:443", true},
	{"https://example.org:443", "example.org:443", true},
	{"https://[::1]", "[::1]:443", true},
	{"http://example.org:8080", "example.org:8080", true},
	{"https://example.org:80", "example.org:80", true},
	{"http://example.org", "example.org:443", false},
	{"https://example.org", "example.org:80", false},
	{"http://example.org:443", "example.org", false},
	{"http://example.org:8080", "example.org", false},
	{"http://example.org", "example.org:8080", false},
	{"http://example.org:80", "example.org:8080", false},
	{"http://example.org.evil.example", "example.org", false},
	{"http://example.or", "example.org", false},
	{"http://evil@example.org", "example.org", false},
	{"http://", "example.org", false},
	{"file://", "", false},
	{"null", "null", false},
	{"", "", false},
	{"capacitor://example.org", "example.org", false},
	{"example.org", "example.org", false},
	{"http://example.org", NULL, false},
	{NULL, "example.org", false},
};

static void check_pairs(void)
{
	for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++)
		ok(origin_is_of_host(pairs[i].origin, pairs[i].host) == pairs[i].same,
		   "Origin %s and Host %s are %s", pairs[i].origin ? pairs[i].origin : "none",
		   pairs[i].host ? pairs[i].host : "none", pairs[i].same ? "one" : "two");
}

/* what a request with these values is answered, and what is written to standard error for it */
static int refuse(const char *reason, const char *origin, const char *host, char line[2048])
{
	struct request request = {
		.refused = reason, .origin = origin, .host = host, .address = "192.0.2.1"};
	struct response response = {0};
	FILE *file = tmpfile();
	int error = dup(STDERR_FILENO);

	dup2(fileno(file), STDERR_FILENO);
	origin_refuse(&request, &response);
	dup2(error, STDERR_FILENO);
	close(error);
	rewind(file);
	line[fread(line, 1, 2047, file)] = '\0';
	fclose(file);
	return response.status;
}

static void check_line(void)
{
	char line[2048];
	char origin[1001];

	ok(refuse("origin", "http://evil.example", "example.org", line) == 403,
	   "another Origin is answered 403");
	ok(strstr(line, ": 192.0.2.1: WebSocket refused, its Origin is not one of ours: "
			"Origin \"http://evil.example\", Host \"example.org\"\n"),
	   "another Origin has its line");
	ok(refuse("connection", NULL, NULL, line) == 400,
	   "a Connection without Upgrade is answered 400");
	ok(strstr(line, "its Connection does not name Upgrade: Origin none, Host none\n"),
	   "a Connection without Upgrade has its line");
	refuse("origin", "~ a\x1b[2J\r\nb\"\\\x7f\xc3\xa9", "\x9b", line);
	ok(strstr(line,
		  "Origin \"~ a\\x1b[2J\\x0d\\x0ab\\x22\\x5c\\x7f\\xc3\\xa9\", Host \"\\x9b\"\n"),
	   "nothing in them can forge a line");
	memset(origin, '\xff', sizeof origin - 1);
	origin[sizeof origin - 1] = '\0';
	refuse("origin", origin, origin, line);
	ok(strlen(line) < 1800 && strstr(line, "\\xff...\", Host") &&
		   strchr(line, '\n') == line + strlen(line) - 1,
	   "values that are too long are cut: %zu bytes", strlen(line));
}

static void check_refused(void)
{
	struct request request = {0};

	ok(!origin_is_refused(&request), "without a word of the web server nothing is refused");
	request.refused = "";
	ok(!origin_is_refused(&request), "an empty word of the web server refuses nothing");
	request.refused = "origin";
	ok(origin_is_refused(&request), "the word of the web server refuses");
}

int main(void)
{
	check_pairs();
	check_line();
	check_refused();
	return done();
}
