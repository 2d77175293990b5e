/* what a client gets of a channel, with the test in the place of websocketd and of Redis */
#include "push.h"
#include "lines.h"
#include "subscriber.h"
#include "tap.h"

#include <signal.h>

static void check_deliver(enum manner manner)
{
	const struct step script[] = {
		PING,
		{LAST_ID, EMPTY, manner},
		{FIRST("0-0"), STREAM(2, HELLO ENTRY(BULK(3, "2-0"), BULK(0, ""))), manner},
		{FIRST("2-0"), "*-1\r\n", manner},
		{FIRST("2-0"), STREAM(1, ENTRY(BULK(3, "2-1"), BULK(3, "\"\t\""))), manner},
		{FIRST("2-1"), SILENCE, AT_ONCE},
		{0},
	};
	struct peer peer = connect_peer();
	struct websocket_message message;

	redis_play(script);
	ok(websocket_subscribe(peer.ws, "room", NULL) == 0, "a client subscribes");
	ok(wait_through(&peer, &message) == WEBSOCKET_NONE,
	   "a wait returns nothing while messages come");
	is_played("messages");
	has_got(&peer,
		HELLO_LINE "{\"id\":\"2-0\",\"text\":\"\"}\n"
			   "{\"id\":\"2-1\",\"text\":\"\\\"\\u0009\\\"\"}\n",
		"the client gets each message once, in order");
	disconnect(&peer);
}

/* entries of a list, of which the first is the newest */
#define THREE LIST(3, HELLO ENTRY(BULK(3, "0-9"), BULK(1, "b")) ENTRY(BULK(3, "0-8"), BULK(1, "a")))

static const struct {
	const char *after;
	const char *question; /* NULL if Redis is not asked */
	const char *reply;
	const char *first;
} starts[] = {
	{NULL, LAST_ID, LIST(1, HELLO), FIRST("1-0")},
	{"-0", LAST_ID, LIST(1, HELLO), FIRST("1-0")},
	{"-0", LAST_ID, EMPTY, FIRST("0-0")},
	{"-2", "XREVRANGE duplex:room + - COUNT 3", THREE, FIRST("0-8")},
	{"-3", "XREVRANGE duplex:room + - COUNT 4", THREE, FIRST("0-0")},
	{"-100", "XREVRANGE duplex:room + - COUNT 101", THREE, FIRST("0-0")},
	{"-101", "XREVRANGE duplex:room + - COUNT 101", THREE, FIRST("0-0")},
	{"-99999999999999999999", "XREVRANGE duplex:room + - COUNT 101", THREE, FIRST("0-0")},
	{"-0", LAST_ID, LIST(1, ":1\r\n"), FIRST("0-0")},
	{"12-3", ASK_INFO, INFO_REPLY("*-1\r\n", BULK(4, "12-3"), BULK(3, "0-0")), FIRST("12-3")},
	{"00012-03", ASK_INFO, INFO_REPLY("*-1\r\n", BULK(4, "12-3"), BULK(3, "0-0")),
	 FIRST("00012-03")},
	{"0-0", ASK_INFO, "-ERR no such key\r\n", FIRST("0-0")},
};

static void check_start(size_t i)
{
	const struct step asked[] = {PING,
				     {starts[i].question, starts[i].reply, AT_ONCE},
				     {starts[i].first, SILENCE, AT_ONCE},
				     {0}};
	const struct step unasked[] = {PING, {starts[i].first, SILENCE, AT_ONCE}, {0}};
	struct peer peer = connect_peer();

	redis_play(starts[i].question ? asked : unasked);
	ok(websocket_subscribe(peer.ws, "room", starts[i].after) == 0, "subscribe after %s",
	   starts[i].after ? starts[i].after : "NULL");
	is_played("where a reader begins");
	disconnect(&peer);
}

/* a full batch of messages with the ids FROM-0 to FROM-99, as a reply or as the lines of a client
 */
static char *batch(int from, const char *text, bool is_json)
{
	char *out = NULL;
	size_t length;
	FILE *file = open_memstream(&out, &length);
	char id[32];

	if (!is_json)
		fprintf(file, LIST(1, LIST(2, BULK(11, "duplex:room") "*100\r\n")));
	for (int i = 0; i < 100; i++) {
		int size = snprintf(id, sizeof id, "%d-%d", from, i);
		if (is_json)
			fprintf(file, "{\"id\":\"%s\",\"text\":\"%s\"}\n", id, text);
		else
			fprintf(file,
				LIST(2, "$%d\r\n%s\r\n" LIST(2, BULK(4, "text") "$%zu\r\n%s\r\n")),
				size, id, strlen(text), text);
	}
	fclose(file);
	return out;
}

/*
 * A client that is behind gets full batches. The message that it names at first need not be kept: a
 * client that was away for long gets all that is kept. From then on something at or before the last
 * message that it got must still be kept, unless that message was deleted by itself; otherwise it
 * is told that messages may be missing.
 */
static void check_behind(const char *info, bool is_gap, const char *reason)
{
	char *first = batch(1, "x", false);
	char *second = batch(2, "x", false);
	const struct step script[] = {
		PING,
		INFO,
		{FIRST("0-1"), first, AT_ONCE},
		{FIRST("1-99"), second, AT_ONCE},
		{ASK_INFO, info, AT_ONCE},
		{reason ? NULL : FIRST("2-99"), SILENCE, AT_ONCE},
		{0},
	};
	struct peer peer = connect_peer();
	struct websocket_message message;
	char *lines = batch(1, "x", true);
	char *more = reason ? strdup("") : batch(2, "x", true);
	char *wanted = malloc(strlen(lines) + strlen(more) + 32);

	redis_play(script);
	ok(websocket_subscribe(peer.ws, "room", "0-1") == 0, "a client that was away subscribes");
	wait_through(&peer, &message);
	is_played("full batches");
	if (reason)
		has_failed(&peer, EIO, reason, "full batches");
	else
		ok(websocket_read(peer.ws, &message) == WEBSOCKET_NONE,
		   "after full batches the client goes on");
	strcat(strcat(strcpy(wanted, lines), is_gap ? "{\"gap\":\"1-99\"}\n" : ""), more);
	has_got(&peer, wanted, "the client gets what was kept, and is told of a gap");
	disconnect(&peer);
	free(first);
	free(second);
	free(lines);
	free(more);
	free(wanted);
}

/* A client that has seen a message newer than all of the channel is told so, and gets what is kept.
 */
static void check_newer(const char *info, const char *after)
{
	const struct step script[] = {PING,
				      {ASK_INFO, info, AT_ONCE},
				      {FIRST("0-0"), STREAM(1, HELLO), AT_ONCE},
				      {FIRST("1-0"), SILENCE, AT_ONCE},
				      {0}};
	struct peer peer = connect_peer();
	struct websocket_message message;
	char wanted[256];

	redis_play(script);
	ok(websocket_subscribe(peer.ws, "room", after) == 0, "a client that has seen %s subscribes",
	   after);
	ok(wait_through(&peer, &message) == WEBSOCKET_NONE, "a wait returns nothing after a gap");
	is_played("a message that is newer than the channel");
	snprintf(wanted, sizeof wanted, "{\"gap\":\"%s\"}\n" HELLO_LINE, after);
	has_got(&peer, wanted, "the client is told of the gap, and gets what is kept");
	disconnect(&peer);
}

/* a client that takes nothing, with a shorter time than 30 seconds here */
static void check_patience(void)
{
	char text[4001];
	memset(text, 'x', sizeof text - 1);
	text[sizeof text - 1] = '\0';
	char *reply = batch(1, text, false);
	const struct step script[] = {
		PING, INFO, {FIRST("0-1"), reply, AT_ONCE}, {FIRST("1-99"), SILENCE, AT_ONCE}, {0}};
	struct peer peer = connect_peer();
	struct websocket_message message;
	int size = 8192;

	setsockopt(peer.far, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
	setsockopt(((struct lines *)peer.ws)->out, SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
	redis_play(script);
	ok(websocket_subscribe(peer.ws, "room", "0-1") == 0 && peer.ws->send_timeout_ms == 30000,
	   "a client has 30 seconds");
	peer.ws->send_timeout_ms = 50;
	ok(websocket_wait(peer.ws, &message, WEBSOCKET_FOREVER) == WEBSOCKET_ERROR,
	   "a client that takes nothing for that time is cut off");
	has_failed(&peer, ETIMEDOUT, "the client takes nothing", "a client that takes nothing");
	is_played("a client that takes nothing");
	disconnect(&peer);
	free(reply);
}

/* Entries of other programs do not count among the last, and are searched through. */
static void check_start_before_foreign(void)
{
#define FOREIGN(id) LIST(2, id LIST(2, BULK(3, "foo") BULK(3, "bar")))
	static const struct step script[] = {
		PING,
		{"XREVRANGE duplex:room + - COUNT 2",
		 LIST(2, FOREIGN(BULK(3, "9-9")) FOREIGN(BULK(3, "9-8"))), AT_ONCE},
		{"XREVRANGE duplex:room (9-8 - COUNT 100", LIST(2, HELLO FOREIGN(BULK(3, "0-9"))),
		 AT_ONCE},
		{FIRST("0-9"), SILENCE, AT_ONCE},
		{0},
	};
	struct peer peer = connect_peer();

	redis_play(script);
	ok(websocket_subscribe(peer.ws, "room", "-1") == 0,
	   "subscribe after -1 where others have written last");
	is_played("where a reader begins among entries of others");
	disconnect(&peer);
}

/* where a reader cannot begin: Redis is not asked, and the connection stays open */
static void check_wrong_start(void)
{
	static const struct step nothing[] = {{0}};
	static const char *const wrong_starts[] = {
		"",      "nonsense", "-",    "-2x",  " -2",  "0",
		"1-2-3", "$",        "1-2 ", "-2\n", "+1-0", "18446744073709551616-0"};
	struct peer peer = connect_peer();

	redis_play(nothing);
	for (size_t i = 0; i < sizeof wrong_starts / sizeof *wrong_starts; i++) {
		errno = 0;
		ok(websocket_subscribe(peer.ws, "room", wrong_starts[i]) == -1 && errno == EINVAL &&
			   !websocket_is_closed(peer.ws),
		   "start %zu that is not valid is refused", i);
	}
	is_played("a start that is not valid");
	disconnect(&peer);
}

static void check_closed(void)
{
	static const struct step nothing[] = {{0}};
	struct peer peer = connect_peer();

	redis_play(nothing);
	websocket_close(peer.ws);
	errno = 0;
	ok(websocket_subscribe(peer.ws, "room", NULL) == -1 && errno == EPIPE,
	   "a connection that was closed cannot subscribe");
	is_played("a connection that was closed");
	disconnect(&peer);
}

static void check_twice(void)
{
	static const struct step script[] = {PING,
					     INFO,
					     {FIRST("0-1"), STREAM(1, HELLO), AT_ONCE},
					     {FIRST("1-0"), SILENCE, AT_ONCE},
					     {0}};
	static const char *const names[] = {"", "a b", "room\n", "*"};
	struct peer peer = connect_peer();
	struct websocket_message message;

	redis_play(script);
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		errno = 0;
		ok(websocket_subscribe(peer.ws, names[i], NULL) == -1 && errno == EINVAL &&
			   !websocket_is_closed(peer.ws),
		   "invalid name %zu is refused, and the connection stays open", i);
	}
	ok(websocket_subscribe(peer.ws, "room", "0-1") == 0, "a valid name is accepted");
	errno = 0;
	ok(websocket_subscribe(peer.ws, "other", NULL) == -1 && errno == EALREADY,
	   "a second subscription is refused");
	ok(wait_through(&peer, &message) == WEBSOCKET_NONE, "the first subscription goes on");
	is_played("two subscriptions");
	has_got(&peer, HELLO_LINE, "the message of the first subscription arrives");
	disconnect(&peer);
}

static bool readable(int fd, int timeout_ms)
{
	struct pollfd set = {.fd = fd, .events = POLLIN};

	return poll(&set, 1, timeout_ms) == 1;
}

/* websocket_fd is readable for Redis as well, whether it was made before the subscription or after
 */
static void check_fd(bool is_before)
{
	static const struct step script[] = {PING,
					     INFO,
					     {FIRST("0-1"), STREAM(1, HELLO), AT_ONCE},
					     {FIRST("1-0"), SILENCE, AT_ONCE},
					     {0}};
	struct peer peer = connect_peer();
	struct websocket_message message;

	redis_play(script);
	int fd = is_before ? websocket_fd(peer.ws) : -1;
	ok(websocket_subscribe(peer.ws, "room", "0-1") == 0, "a client that polls subscribes");
	fd = is_before ? fd : websocket_fd(peer.ws);
	ok(readable(fd, 10000), "websocket_fd is readable when Redis has a message");
	ok(websocket_read(peer.ws, &message) == WEBSOCKET_NONE,
	   "websocket_read gives that message to the client alone");
	is_played("a client that polls");
	has_got(&peer, HELLO_LINE, "the client has got the message");
	ok(!readable(fd, 0), "websocket_fd is not readable after the message was taken");
	disconnect(&peer);
}

/* Redis cannot be added to the descriptor of websocket_fd. */
static void check_no_fd(void)
{
	static const struct step script[] = {PING, INFO, {FIRST("0-1"), SILENCE, AT_ONCE}, {0}};
	struct peer peer = connect_peer();

	redis_play(script);
	dup2(peer.far, websocket_fd(peer.ws)); /* which is then not an epoll descriptor */
	errno = 0;
	ok(websocket_subscribe(peer.ws, "room", "0-1") == -1 && errno == EINVAL,
	   "subscribe fails if epoll_ctl does");
	has_failed(&peer, EINVAL, "epoll_ctl for Redis: Invalid argument", "subscribe");
	is_played("epoll_ctl fails");
	disconnect(&peer);
}

/* What the client sends reaches the program, and the client may leave without an error. */
static void check_client(void)
{
	static const struct step script[] = {PING,
					     INFO,
					     {FIRST("0-1"), STREAM(1, HELLO), AT_ONCE},
					     {FIRST("1-0"), SILENCE, AT_ONCE},
					     {0}};
	struct peer peer = connect_peer();
	struct websocket_message message = {.text = ""};

	redis_play(script);
	ok(websocket_subscribe(peer.ws, "room", "0-1") == 0, "a client that sends subscribes");
	ok(write(peer.far, "hi\n", 3) == 3 &&
		   websocket_wait(peer.ws, &message, WEBSOCKET_FOREVER) == WEBSOCKET_MESSAGE,
	   "the message of a client that sends is returned");
	is(message.text, message.length, "hi", 2, "that message has its text");
	ok(wait_through(&peer, &message) == WEBSOCKET_NONE, "a wait returns nothing more");
	is_played("a client that sends");
	has_got(&peer, HELLO_LINE, "a client that sends gets the message of another");
	close(peer.far);
	peer.far = -1;
	ok(websocket_wait(peer.ws, &message, WEBSOCKET_FOREVER) == WEBSOCKET_CLOSED &&
		   websocket_reason(peer.ws) == NULL,
	   "when the client leaves, that is not an error");
	disconnect(&peer);
}

/* A client that has left gets nothing more, and Redis is not asked again. */
static void check_left(void)
{
	static const struct step script[] = {
		PING, INFO, {FIRST("0-1"), STREAM(1, HELLO), AT_ONCE}, {0}};
	struct peer peer = connect_peer();
	struct websocket_message message;

	redis_play(script);
	ok(websocket_subscribe(peer.ws, "room", "0-1") == 0, "a client that will leave subscribes");
	ok(redis_played() == NULL, "a message comes while it leaves");
	shutdown(peer.far, SHUT_WR);
	ok(websocket_wait(peer.ws, &message, WEBSOCKET_FOREVER) == WEBSOCKET_CLOSED,
	   "the client has left");
	is_played("a client that has left");
	has_got(&peer, "", "a client that has left gets nothing");
	disconnect(&peer);
}

#define KEPT_FROM(first, deleted) \
	INFO_REPLY(FIRST_ENTRY(BULK(4, first)), BULK(4, "2-99"), BULK(4, deleted))

static void check_all_behind(void)
{
	check_behind(KEPT_FROM("1-01", "0-00"), false, NULL);
	check_behind(KEPT_FROM("1-99", "0-00"), false, NULL);
	check_behind(KEPT_FROM("2-00", "0-00"), true, NULL);
	check_behind(KEPT_FROM("2-00", "1-98"), true, NULL);
	check_behind(KEPT_FROM("2-00", "1-99"), false, NULL);
	check_behind("-NOPERM no\r\n", false, "Redis: NOPERM no");
	check_behind(BULK(1, "x"), false, "Redis: unexpected reply");
	check_newer(INFO_REPLY("*-1\r\n", BULK(3, "1-0"), BULK(3, "0-0")), "1-1");
	check_newer(INFO_REPLY("*-1\r\n", BULK(3, "9-9"), BULK(3, "0-0")), "10-0");
	check_newer("-ERR no such key\r\n", "0-1");
	check_newer(INFO_REPLY("*-1\r\n", "$-1\r\n", "$-1\r\n"),
		    "18446744073709551615-18446744073709551615");
}

int main(void)
{
	signal(SIGPIPE, SIG_IGN);
	if (!ok(redis_open(), "a Redis of the test's own"))
		return done();
	check_deliver(AT_ONCE);
	check_deliver(BYTE_BY_BYTE);
	for (size_t i = 0; i < sizeof starts / sizeof *starts; i++)
		check_start(i);
	check_wrong_start();
	check_start_before_foreign();
	check_all_behind();
	check_patience();
	check_closed();
	check_twice();
	check_fd(true);
	check_fd(false);
	check_no_fd();
	check_client();
	check_left();
	redis_close();
	return done();
}
