/* What becomes of a command that Redis has no memory for, and of a channel that takes too much of
 * it, with the test in the place of Redis. */
#include "push/memory.h"
#include "fake_redis.h"
#include "tap.h"

#include <errno.h>
#include <signal.h>

#define ADD "XADD duplex:room", FULL, AT_ONCE
#define FULL "-OOM command not allowed\r\n"
#define FULL_TEXT "OOM command not allowed"
#define MAKE_ROOM "EVAL local own = KEYS[1]..."
#define USAGE "MEMORY USAGE duplex:room SAMPLES 100"
#define LENGTH "XLEN duplex:room"
#define BYTES "67108864" /* twice what a channel may take */

enum { TRIES = 9 }; /* once, and again each time that messages gave way */

static struct redis *client;

/* begins a script that the test's connection is to see */
static void play(const struct step *script)
{
	const char *reason = NULL;

	redis_play(script);
	redis_free(client);
	client = NULL;
	if (redis_keep(&client, REDIS_OPERATION_MS, &reason) < 0) {
		printf("Bail out! %s\n", reason);
		exit(1);
	}
}

static void is_through(const char *name, int result, const char *why)
{
	const char *wrong = redis_played();
	const char *said = result < 0 ? redis_why(client) : "";

	ok(wrong == NULL, "%s: Redis was asked what it should be%s%s", name, wrong ? ": " : "",
	   wrong ? wrong : "");
	ok(result == (why ? -1 : 0) && (why == NULL || errno == EIO), "%s: %s", name,
	   why ? "it fails" : "it succeeds");
	is(said, strlen(said), why ? why : "", why ? strlen(why) : 0, name);
}

static void check_ask(const char *name, const struct step *script, const char *why)
{
	const struct redis_word words[] = {redis_string("XADD"), redis_string("duplex:room")};
	const struct redis_reply *reply = NULL;

	play(script);
	errno = 0;
	int result = memory_ask(client, "duplex:room", words, 2, &reply);
	is_through(name, result, why);
}

static void check_room(void)
{
	static const struct step done_at_once[] = {
		PING, {"XADD duplex:room", ":1\r\n", AT_ONCE}, {0}};
	static const struct step again[] = {PING,
					    {ADD},
					    {MAKE_ROOM, ":1\r\n", AT_ONCE},
					    {"XADD duplex:room", ":1\r\n", AT_ONCE},
					    {0}};
	static const struct step nothing[] = {PING, {ADD}, {MAKE_ROOM, ":0\r\n", AT_ONCE}, {0}};
	static const struct step refused[] = {
		PING, {ADD}, {MAKE_ROOM, "-ERR no\r\n", AT_ONCE}, {0}};
	static const struct step odd[] = {PING, {ADD}, {MAKE_ROOM, "+OK\r\n", AT_ONCE}, {0}};
	static const struct step lost[] = {PING, {ADD}, {MAKE_ROOM, SILENCE, THEN_CLOSED}, {0}};
	static const struct step other[] = {
		PING, {"XADD duplex:room", "-ERR no\r\n", AT_ONCE}, {0}};
	struct step full[2 * TRIES + 1] = {PING, {ADD}};

	for (int i = 2; i < 2 * TRIES; i++)
		full[i] = i % 2 ? (struct step){ADD} : (struct step){MAKE_ROOM, ":1\r\n", AT_ONCE};
	check_ask("a command that Redis has memory for", done_at_once, NULL);
	check_ask("a command for which messages give way", again, NULL);
	check_ask("a command for which nothing can give way", nothing, FULL_TEXT);
	check_ask("a command for which making room is refused", refused, FULL_TEXT);
	check_ask("a command for which making room has an odd reply", odd, FULL_TEXT);
	check_ask("a command for which Redis is lost", lost, FULL_TEXT);
	check_ask("a command that Redis refuses for another reason", other, "ERR no");
	check_ask("a command that never fits", full, FULL_TEXT);
}

static void check_trim(const char *name, const struct step *script, const char *why)
{
	play(script);
	errno = 0;
	int result = memory_trim(client, "duplex:room");
	is_through(name, result, why);
}

static void check_trimming(void)
{
	static const struct step none[] = {PING, {USAGE, "$-1\r\n", AT_ONCE}, {0}};
	static const struct step little[] = {PING, {USAGE, ":33554432\r\n", AT_ONCE}, {0}};
	static const struct step much[] = {PING,
					   {USAGE, ":" BYTES "\r\n", AT_ONCE},
					   {LENGTH, ":4000\r\n", AT_ONCE},
					   {"XTRIM duplex:room MAXLEN 1750", ":2250\r\n", AT_ONCE},
					   {0}};
	static const struct step no_usage[] = {PING, {USAGE, "-NOPERM no\r\n", AT_ONCE}, {0}};
	static const struct step odd_usage[] = {PING, {USAGE, "+OK\r\n", AT_ONCE}, {0}};
	static const struct step no_length[] = {
		PING, {USAGE, ":" BYTES "\r\n", AT_ONCE}, {LENGTH, "-NOPERM no\r\n", AT_ONCE}, {0}};
	static const struct step no_trim[] = {
		PING,
		{USAGE, ":" BYTES "\r\n", AT_ONCE},
		{LENGTH, ":4000\r\n", AT_ONCE},
		{"XTRIM duplex:room MAXLEN 1750", "-NOPERM no\r\n", AT_ONCE},
		{0}};

	check_trim("a channel that is not there", none, NULL);
	check_trim("a channel that takes what it may", little, NULL);
	check_trim("a channel that takes twice as much", much, NULL);
	check_trim("a channel whose memory is not told", no_usage, "NOPERM no");
	check_trim("a channel whose memory is not a number", odd_usage, "unexpected reply");
	check_trim("a channel whose length is not told", no_length, "NOPERM no");
	check_trim("a channel that cannot be trimmed", no_trim, "NOPERM no");
}

int main(void)
{
	signal(SIGPIPE, SIG_IGN);
	if (!ok(redis_open(), "a Redis of the test's own"))
		return done();
	check_room();
	check_trimming();
	redis_free(client);
	redis_close();
	return done();
}
