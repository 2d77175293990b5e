/* The addresses of Redis as users write them: what is understood of each, and what is said of one
 * that cannot be used. */
#include "push/redis-address.h"
#include "edge.h"
#include "push/redis-settings.h"
#include "tap.h"

#include <errno.h>
#include <unistd.h>

#define FORM "it is neither a path nor host:port, nor a URL of redis:// or unix://"
#define HOST "the host is neither a name nor an IP address"
#define PORT "the port is not a number from 1 to 65535"
#define ESCAPE "a \"%\" in a URL must be followed by two hexadecimal digits"
#define DATABASE "the database is not a number"
#define TEN "0123456789"
#define HUNDRED TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN

static const struct {
	const char *text;
	const char *path;
	const char *host;
	int port;
	const char *user; /* NULL: none */
	const char *password;
	int database;
	bool is_tls;
} good[] = {
	{"/run/redis.sock", .path = "/run/redis.sock"},
	{"/", .path = "/"},
	{"/r@dir/a:b", .path = "/r@dir/a:b"},
	{"/ a%20b?c", .path = "/ a%20b?c"},
	{"localhost:6379", .host = "localhost", .port = 6379},
	{"redis_1.internal-x:1", .host = "redis_1.internal-x", .port = 1},
	{"10.0.0.2:65535", .host = "10.0.0.2", .port = 65535},
	{"[::1]:17379", .host = "::1", .port = 17379},
	{"[fe80::1%eth0]:1", .host = "fe80::1%eth0", .port = 1},
	{"::1:17379", .host = "::1", .port = 17379},
	{"secret@localhost:1", .host = "localhost", .port = 1, .password = "secret"},
	{"a@b:c /d%s@127.0.0.1:2", .host = "127.0.0.1", .port = 2, .password = "a@b:c /d%s"},
	{"@127.0.0.1:2", .host = "127.0.0.1", .port = 2},
	{"x@/r@dir/redis.sock", .path = "/r@dir/redis.sock", .password = "x"},
	{"p@ss@/run/redis.sock", .path = "/run/redis.sock", .password = "p@ss"},
	{"\xC3\xA9\xFF@[::1]:3", .host = "::1", .port = 3, .password = "\xC3\xA9\xFF"},
	{HUNDRED HUNDRED HUNDRED "@h:4", .host = "h", .port = 4,
	 .password = HUNDRED HUNDRED HUNDRED},
	{"redis://localhost", .host = "localhost", .port = 6379},
	{"redis://localhost/", .host = "localhost", .port = 6379},
	{"redis://localhost:7/3", .host = "localhost", .port = 7, .database = 3},
	{"redis://[::1]", .host = "::1", .port = 6379},
	{"redis://[::1]:8/0", .host = "::1", .port = 8},
	{"redis://[fe80::1%25eth0]:8", .host = "fe80::1%eth0", .port = 8},
	{"redis://[fe80::1%eth0]", .host = "fe80::1%eth0", .port = 6379},
	{"redis://[fe80::1%25]", .host = "fe80::1%25", .port = 6379},
	{"[fe80::1%25eth0]:8", .host = "fe80::1%25eth0", .port = 8},
	{"REDIS://me:secret@h:9", .host = "h", .port = 9, .user = "me", .password = "secret"},
	{"Rediss://h", .host = "h", .port = 6379, .is_tls = true},
	{"UNIX:///run/redis.sock", .path = "/run/redis.sock"},
	{"redis://secret@h", .host = "h", .port = 6379, .password = "secret"},
	{"redis://:secret@h:9", .host = "h", .port = 9, .password = "secret"},
	{"redis://me:secret@h:9", .host = "h", .port = 9, .user = "me", .password = "secret"},
	{"redis://me:@h:9", .host = "h", .port = 9, .user = "me", .password = ""},
	{"redis://:@h:9", .host = "h", .port = 9},
	{"redis://@h:9", .host = "h", .port = 9},
	{"redis://a%40b%3a:c:%2Fd%25@h", .host = "h", .port = 6379,
	 .user = "a@b:", .password = "c:/d%"},
	{"redis://me:p@ss@h:9", .host = "h", .port = 9, .user = "me", .password = "p@ss"},
	{"redis://a+b:c+d@h", .host = "h", .port = 6379, .user = "a+b", .password = "c+d"},
	{"rediss://me:x@h:9/1", .host = "h", .port = 9, .user = "me", .password = "x",
	 .database = 1, .is_tls = true},
	{"unix:///run/redis.sock", .path = "/run/redis.sock"},
	{"unix:/run/redis.sock", .path = "/run/redis.sock"},
	{"unix:///r@dir/a%20%25", .path = "/r@dir/a %"},
	{"unix:///x?db=2", .path = "/x", .database = 2},
	{"unix://me:secret@/run/redis.sock", .path = "/run/redis.sock", .user = "me",
	 .password = "secret"},
	{"unix://:a%2fb@/r@dir/x", .path = "/r@dir/x", .password = "a/b"},
};

static const struct {
	const char *text;
	const char *why;
} bad[] = {
	{"", FORM},
	{"nonsense", FORM},
	{"127.0.0.1", FORM},
	{"password@", FORM},
	{"@", FORM},
	{"@@@", FORM},
	{"run/redis.sock", FORM},
	{"secret@run/redis.sock", FORM},
	{"localhost:", PORT},
	{"localhost:0", PORT},
	{"localhost:65536", PORT},
	{"localhost:99999999999999999999", PORT},
	{"localhost:1x", PORT},
	{"localhost:-1", PORT},
	{"localhost:+1", PORT},
	{"127.0.0.1:6379 ", PORT},
	{" 127.0.0.1:6379", HOST},
	{":6379", HOST},
	{"a b:6379", HOST},
	{"a/b:6379", HOST},
	{"http://host:80", HOST},
	{"[::1]", FORM},
	{"[::1]6379", FORM},
	{"[::1:6379", HOST},
	{"[localhost]:1", HOST},
	{"[127.0.0.1]:1", HOST},
	{"[]:1", HOST},
	{"::1", HOST},
	{"1:2:3", HOST},
	{HUNDRED HUNDRED HUNDRED ":1", HOST},
	{"redis://", HOST},
	{"redis://:6379", HOST},
	{"redis://h:0", PORT},
	{"redis://h:", PORT},
	{"redis://h/x", DATABASE},
	{"redis://h/-1", DATABASE},
	{"redis://h/1/", DATABASE},
	{"redis://h/99999999999", DATABASE},
	{"redis://h?db=1", DATABASE},
	{"redis://h#1", DATABASE},
	{"redis://a%zz@h", ESCAPE},
	{"redis://a%2@h", ESCAPE},
	{"redis://a%:b@h", ESCAPE},
	{"redis://a/b@h", DATABASE},
	{"unix:", FORM},
	{"unix://", FORM},
	{"unix:run", FORM},
	{"unix://host/path", FORM},
	{"unix://?db=1/x", FORM},
	{"unix:///x?a=1", FORM},
	{"unix:///x?db=", DATABASE},
	{"unix:///%0", ESCAPE},
	{"unix:///a%00b", ESCAPE},
	{"unix://a%zz@/x", ESCAPE},
	{"/" HUNDRED TEN, "the path is too long for a UNIX socket"},
	{"x@/" HUNDRED TEN, "the path is too long for a UNIX socket"},
	{"unix:///" HUNDRED TEN, "the path is too long for a UNIX socket"},
};

static bool same(const char *got, const char *wanted)
{
	return got && wanted ? strcmp(got, wanted) == 0 : got == wanted;
}

static bool same_bytes(const struct redis_bytes *got, const char *wanted)
{
	return same(got->bytes, wanted) && (wanted == NULL || got->length == strlen(wanted));
}

static void check_good(size_t i)
{
	size_t size = strlen(good[i].text) + 1;
	char *text = edge_copy(good[i].text, size);
	struct redis_address got;
	const char *why = redis_address_parse(&got, text);

	edge_free(text, size);
	ok(why == NULL && same(got.path, good[i].path) && same(got.host, good[i].host) &&
		   got.port == good[i].port && same_bytes(&got.user, good[i].user) &&
		   same_bytes(&got.password, good[i].password) &&
		   got.database == good[i].database && got.is_tls == good[i].is_tls,
	   "address %zu of those that are valid%s%s", i, why ? ": " : "", why ? why : "");
	redis_address_free(&got);
}

static void check_bad(size_t i)
{
	size_t size = strlen(bad[i].text) + 1;
	char *text = edge_copy(bad[i].text, size);
	struct redis_address got;
	const char *why = redis_address_parse(&got, text);

	edge_free(text, size);
	if (!ok(same(why, bad[i].why), "address %zu of those that are not valid: %s", i,
		bad[i].why))
		printf("# got %s\n", why ? why : "an address");
	redis_address_free(&got);
}

/* a user and a password with every byte that there is */
static void check_every_byte(void)
{
	char text[16 + 2 * 3 * 256 + 16];
	char *out = stpcpy(text, "redis://");
	struct redis_address got;
	bool is_right = true;

	for (int i = 0; i < 512; i++)
		out += sprintf(out, "%s%%%02x", i == 256 ? ":" : "", (unsigned int)i & 255);
	strcpy(out, "@h");
	const char *why = redis_address_parse(&got, text);
	for (size_t i = 0; why == NULL && i < 256; i++)
		is_right &= (unsigned char)got.user.bytes[i] == i &&
			    (unsigned char)got.password.bytes[i] == i;
	ok(why == NULL && is_right && got.user.length == 256 && got.password.length == 256,
	   "a user and a password with every byte");
	redis_address_free(&got);
}

static void check_settings(int error, const char *wanted, const char *name)
{
	const char *reason = "";

	errno = 0;
	int result = redis_settings_check(&reason);
	ok(result == (error ? -1 : 0) && errno == error, "%s: %s", name, strerror(error));
	is(reason, strlen(reason), wanted, strlen(wanted), name);
}

static void write_file(const char *name, const char *text)
{
	FILE *file = fopen(name, "w");

	if (file == NULL || fputs(text, file) < 0 || fclose(file) != 0)
		perror(name);
}

/* where the address is read: the file first, then the variable, then the default */
static void check_environment(void)
{
	char name[] = "/tmp/duplex-address.XXXXXX";
	char reason[128];
	struct redis_address got;
	const char *why;

	close(mkstemp(name));
	unsetenv("DUPLEX_REDIS");
	unsetenv("DUPLEX_REDIS_FILE");
	ok(redis_settings_read(&got, &why) == 0 && same(got.path, "/run/duplex-redis/redis.sock"),
	   "without a variable: the default");
	redis_address_free(&got);
	setenv("DUPLEX_REDIS", "secret@h:0", 1);
	check_settings(EINVAL, "DUPLEX_REDIS is not a valid address: " PORT,
		       "a variable that is not valid");
	setenv("DUPLEX_REDIS", "h:1", 1);
	setenv("DUPLEX_REDIS_FILE", name, 1);
	write_file(name, "redis://me:s%40@x:2\r\nmore\n");
	ok(redis_settings_read(&got, &why) == 0 && same(got.host, "x") && got.port == 2 &&
		   same_bytes(&got.password, "s@"),
	   "the first line of a file counts more than the variable");
	redis_address_free(&got);
	write_file(name, "secret@h:0\n");
	check_settings(EINVAL, "DUPLEX_REDIS_FILE is not a valid address: " PORT,
		       "a file that is not valid");
	write_file(name, "");
	snprintf(reason, sizeof reason, "DUPLEX_REDIS_FILE: %s: No data available", name);
	check_settings(ENODATA, reason, "a file that is empty");
	unlink(name);
	snprintf(reason, sizeof reason, "DUPLEX_REDIS_FILE: %s: No such file or directory", name);
	check_settings(ENOENT, reason, "a file that does not exist");
	setenv("DUPLEX_REDIS_FILE", "", 1);
	check_settings(0, "", "an empty DUPLEX_REDIS_FILE counts as not set");
}

int main(void)
{
	for (size_t i = 0; i < sizeof good / sizeof *good; i++)
		check_good(i);
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		check_bad(i);
	check_every_byte();
	check_environment();
	return done();
}
