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
	ok(websocket_subscribe(peer.ws, "room", NULL) == 0, "subscribe");
	ok(wait_through(&peer, &message) == WEBSOCKET_NONE, "the client sends nothing");
	is_played("messages");
	has_got(&peer,
		HELLO_LINE "{\"id\":\"2-0\",\"text\":\"\"}\n"
			   "{\"id\":\"2-1\",\"text\":\"\\\"\\u0009\\\"\"}\n",
		"each message, once, in order");
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
	{"", LAST_ID, LIST(1, HELLO), FIRST("1-0")},
	{"nonsense", LAST_ID, LIST(1, HELLO), FIRST("1-0")},
	{"-", LAST_ID, LIST(1, HELLO), FIRST("1-0")},
	{"-0", LAST_ID, LIST(1, HELLO), FIRST("1-0")},
	{"-2x", LAST_ID, LIST(1, HELLO), FIRST("1-0")},
	{"-0", LAST_ID, EMPTY, FIRST("0-0")},
	{"-2", "XREVRANGE duplex:room + - COUNT 3", THREE, FIRST("0-8")},
	{"-3", "XREVRANGE duplex:room + - COUNT 4", THREE, FIRST("0-0")},
	{"-100", "XREVRANGE duplex:room + - COUNT 101", THREE, FIRST("0-0")},
	{"-101", "XREVRANGE duplex:room + - COUNT 101", THREE, FIRST("0-0")},
	{"-99999999999999999999", "XREVRANGE duplex:room + - COUNT 101", THREE, FIRST("0-0")},
	{"-0", LAST_ID, LIST(1, ":1\r\n"), FIRST("0-0")},
	{"12-3", NULL, NULL, FIRST("12-3")},
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
	ok(websocket_subscribe(peer.ws, "room", starts[i].after) == 0, "after %s",
	   starts[i].after ? starts[i].after : "NULL");
	is_played("where it begins");
	disconnect(&peer);
}

/* a full batch of messages with the ids FROM-0 to FROM-99, and the lines of it */
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
 * Full batches, as a client gets them that is behind. One that was away for longer than what is
 * kept has all that is kept: what it asked for need not be there. From then on what it has seen
 * must be, or something in between was lost.
 */
static void check_behind(const char *has, int error, const char *reason)
{
	char *first = batch(1, "x", false);
	char *second = batch(2, "x", false);
	const struct step script[] = {
		PING,
		{FIRST("0-1"), first, AT_ONCE},
		{FIRST("1-99"), second, AT_ONCE},
		{"XRANGE duplex:room 1-99 1-99", has, AT_ONCE},
		{error ? NULL : FIRST("2-99"), SILENCE, AT_ONCE},
		{0},
	};
	struct peer peer = connect_peer();
	struct websocket_message message;
	char *lines = batch(1, "x", true);
	char *more = error ? strdup("") : batch(2, "x", true);
	char *wanted = malloc(strlen(lines) + strlen(more) + 1);

	redis_play(script);
	ok(websocket_subscribe(peer.ws, "room", "0-1") == 0, "a client that was away");
	wait_through(&peer, &message);
	is_played("full batches");
	if (error)
		has_failed(&peer, error, reason, "full batches");
	else
		ok(websocket_read(peer.ws, &message) == WEBSOCKET_NONE, "it goes on");
	strcat(strcpy(wanted, lines), more);
	has_got(&peer, wanted, "what was kept, and nothing after a gap");
	disconnect(&peer);
	free(first);
	free(second);
	free(lines);
	free(more);
	free(wanted);
}

/* a client that takes nothing, whose patience is cut short here */
static void check_patience(void)
{
	char text[4001];
	memset(text, 'x', sizeof text - 1);
	text[sizeof text - 1] = '\0';
	char *reply = batch(1, text, false);
	const struct step script[] = {
		PING, {FIRST("0-1"), reply, AT_ONCE}, {FIRST("1-99"), SILENCE, AT_ONCE}, {0}};
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
	   "one that takes nothing for so long is cut off");
	has_failed(&peer, ETIMEDOUT, "the client takes nothing", "its connection");
	is_played("a client that takes nothing");
	disconnect(&peer);
	free(reply);
}

static void check_twice(void)
{
	static const struct step script[] = {PING,
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
		   "no name %zu", i);
	}
	ok(websocket_subscribe(peer.ws, "room", "0-1") == 0, "a name");
	errno = 0;
	ok(websocket_subscribe(peer.ws, "other", NULL) == -1 && errno == EALREADY,
	   "a second time is refused");
	ok(wait_through(&peer, &message) == WEBSOCKET_NONE, "the first is as before");
	is_played("twice");
	has_got(&peer, HELLO_LINE, "with its message");
	disconnect(&peer);
}

static bool readable(int fd, int timeout_ms)
{
	struct pollfd set = {.fd = fd, .events = POLLIN};

	return poll(&set, 1, timeout_ms) == 1;
}

/* the descriptor to poll tells of Redis as well, whether it was there before or not */
static void check_fd(bool is_before)
{
	static const struct step script[] = {PING,
					     {FIRST("0-1"), STREAM(1, HELLO), AT_ONCE},
					     {FIRST("1-0"), SILENCE, AT_ONCE},
					     {0}};
	struct peer peer = connect_peer();
	struct websocket_message message;

	redis_play(script);
	int fd = is_before ? websocket_fd(peer.ws) : -1;
	ok(websocket_subscribe(peer.ws, "room", "0-1") == 0, "subscribe");
	fd = is_before ? fd : websocket_fd(peer.ws);
	ok(readable(fd, 10000), "readable when Redis has a message");
	ok(websocket_read(peer.ws, &message) == WEBSOCKET_NONE, "which is for the client");
	is_played("a descriptor");
	has_got(&peer, HELLO_LINE, "and is sent to it");
	ok(!readable(fd, 0), "then there is nothing");
	disconnect(&peer);
}

/* the descriptor to poll cannot be told of Redis */
static void check_no_fd(void)
{
	static const struct step script[] = {PING, {FIRST("0-1"), SILENCE, AT_ONCE}, {0}};
	struct peer peer = connect_peer();

	redis_play(script);
	dup2(peer.far, websocket_fd(peer.ws)); /* which is none of epoll's then */
	errno = 0;
	ok(websocket_subscribe(peer.ws, "room", "0-1") == -1 && errno == EINVAL,
	   "a descriptor that takes no other");
	has_failed(&peer, EINVAL, "epoll_ctl for Redis: Invalid argument", "subscribe");
	is_played("a descriptor that takes no other");
	disconnect(&peer);
}

/* what the client itself sends comes to the program, and that it leaves is no error */
static void check_client(void)
{
	static const struct step script[] = {PING,
					     {FIRST("0-1"), STREAM(1, HELLO), AT_ONCE},
					     {FIRST("1-0"), SILENCE, AT_ONCE},
					     {0}};
	struct peer peer = connect_peer();
	struct websocket_message message = {.text = ""};

	redis_play(script);
	ok(websocket_subscribe(peer.ws, "room", "0-1") == 0, "a client that speaks");
	ok(write(peer.far, "hi\n", 3) == 3 &&
		   websocket_wait(peer.ws, &message, WEBSOCKET_FOREVER) == WEBSOCKET_MESSAGE,
	   "is heard");
	is(message.text, message.length, "hi", 2, "its message");
	ok(wait_through(&peer, &message) == WEBSOCKET_NONE, "and it hears");
	is_played("a client that speaks");
	has_got(&peer, HELLO_LINE, "the message of another");
	close(peer.far);
	peer.far = -1;
	ok(websocket_wait(peer.ws, &message, WEBSOCKET_FOREVER) == WEBSOCKET_CLOSED &&
		   websocket_reason(peer.ws) == NULL,
	   "then it leaves");
	disconnect(&peer);
}

/* a client that has left gets nothing more, and no more is asked for */
static void check_left(void)
{
	static const struct step script[] = {PING, {FIRST("0-1"), STREAM(1, HELLO), AT_ONCE}, {0}};
	struct peer peer = connect_peer();
	struct websocket_message message;

	redis_play(script);
	ok(websocket_subscribe(peer.ws, "room", "0-1") == 0, "a client that leaves");
	ok(redis_played() == NULL, "while a message comes");
	shutdown(peer.far, SHUT_WR);
	ok(websocket_wait(peer.ws, &message, WEBSOCKET_FOREVER) == WEBSOCKET_CLOSED, "has left");
	is_played("a client that has left");
	has_got(&peer, "", "it gets nothing");
	disconnect(&peer);
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
	check_behind(LIST(1, HELLO), 0, NULL);
	check_behind(EMPTY, ENOBUFS, "the client is behind by more than is kept");
	check_behind("-NOPERM no\r\n", EIO, "Redis: NOPERM no");
	check_behind(BULK(1, "x"), EIO, "Redis: an answer that is none");
	check_patience();
	check_twice();
	check_fd(true);
	check_fd(false);
	check_no_fd();
	check_client();
	check_left();
	redis_close();
	return done();
}
