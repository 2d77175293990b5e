/* Redis replies with something that it should not, or not at all: what came before has arrived
 * once, and the connection ends with the reason. */
#include "push.h"
#include "push/redis.h"
#include "subscriber.h"
#include "tap.h"

#include <signal.h>

#define FIFTY "01234567890123456789012345678901234567890123456789"
#define NOT_OURS(values) LIST(2, BULK(3, "0-1") values)

/* Entries of another program are passed over, and the message after them arrives. */
static void check_not_ours(void)
{
	static char long_text[20000];
	static char reply[32768];
	char x[16386];
	const struct step script[] = {
		PING,
		INFO,
		{FIRST("0-1"), reply, AT_ONCE},
		{FIRST("1-0"), LIST(1, LIST(2, BULK(11, "duplex:room") EMPTY)), AT_ONCE},
		{FIRST("1-0"), SILENCE, AT_ONCE},
		{0},
	};
	struct peer peer = connect_peer();
	struct websocket_message message;

	memset(x, 'x', sizeof x - 1);
	x[sizeof x - 1] = '\0';
	snprintf(long_text, sizeof long_text, ENTRY(BULK(3, "0-2"), "$16385\r\n%s\r\n"), x);
	snprintf(reply, sizeof reply, "%s%s%s",
		 "*1\r\n*2\r\n" BULK(11, "duplex:room") "*14\r\n" NOT_OURS(
			 LIST(2, BULK(3, "foo") BULK(3, "bar"))) NOT_OURS("*-1\r\n") NOT_OURS(EMPTY)
			 NOT_OURS(BULK(1, "x")) NOT_OURS(LIST(1, BULK(1, "x"))) NOT_OURS(
				 LIST(4, BULK(1, "a") BULK(1, "b") BULK(1, "c") BULK(1, "d"))),
		 NOT_OURS(LIST(2, BULK(4, "text") ":1\r\n"))
			 ENTRY(BULK(3, "0-1"), BULK(2, "\xC3\x28"))
				 ENTRY(BULK(50, FIFTY), BULK(1, "x"))
					 ENTRY(":1\r\n", BULK(1, "x")) ":1\r\n" EMPTY,
		 long_text);
	strcat(reply, HELLO);
	redis_play(script);
	ok(websocket_subscribe(peer.ws, "room", "0-1") == 0,
	   "a client subscribes to a channel that another program writes to");
	ok(wait_through(&peer, &message) == WEBSOCKET_NONE,
	   "entries of another program are not an error");
	is_played("entries of another program");
	has_got(&peer, HELLO_LINE, "only the message of ours arrives");
	disconnect(&peer);
}

/* unexpected replies to XREAD, the reason that is told for each, and how the reply comes */
static const struct {
	const char *reply;
	const char *reason;
	enum manner manner;
} wrong[] = {
	{"-WRONGTYPE another kind of value\r\n", "Redis: WRONGTYPE another kind of value", AT_ONCE},
	{"+OK\r\n", "Redis: unexpected reply", AT_ONCE},
	{":1\r\n", "Redis: unexpected reply", AT_ONCE},
	{BULK(2, "hi"), "Redis: unexpected reply", AT_ONCE},
	{EMPTY, "Redis: unexpected reply", AT_ONCE},
	{LIST(2, EMPTY EMPTY), "Redis: unexpected reply", AT_ONCE},
	{LIST(1, ":1\r\n"), "Redis: unexpected reply", BYTE_BY_BYTE},
	{LIST(1, LIST(1, EMPTY)), "Redis: unexpected reply", AT_ONCE},
	{LIST(1, LIST(2, BULK(1, "x") ":1\r\n")), "Redis: unexpected reply", AT_ONCE},
	{SILENCE, "Redis: Server closed the connection", THEN_CLOSED},
	{STREAM(1, LIST(2, "$3\r\n1-")), "Redis: Server closed the connection", THEN_CLOSED},
	{STREAM(2, HELLO), "Redis: Server closed the connection", THEN_CLOSED},
	{"?what\r\n", "Redis: Protocol error, got \"?\" as reply type byte", AT_ONCE},
};

static void check_wrong(size_t i)
{
	const struct step script[] = {PING,
				      INFO,
				      {FIRST("0-1"), STREAM(1, HELLO), AT_ONCE},
				      {FIRST("1-0"), wrong[i].reply, wrong[i].manner},
				      {0}};
	struct peer peer = connect_peer();
	struct websocket_message message;

	redis_play(script);
	ok(websocket_subscribe(peer.ws, "room", "0-1") == 0,
	   "unexpected reply %zu: the client subscribes", i);
	ok(websocket_wait(peer.ws, &message, WEBSOCKET_FOREVER) == WEBSOCKET_ERROR,
	   "unexpected reply %zu ends the connection", i);
	has_failed(&peer, EIO, wrong[i].reason, "unexpected reply");
	is_played("unexpected reply");
	has_got(&peer, HELLO_LINE, "what came before the unexpected reply has arrived, once");
	disconnect(&peer);
}

static void check_refused(const struct step *script, const char *reason)
{
	struct peer peer = connect_peer();

	redis_rest("", 0); /* else what failed before would */
	redis_play(script);
	errno = 0;
	ok(websocket_subscribe(peer.ws, "room", "-0") == -1 && errno == EIO,
	   "Redis does not let a client subscribe");
	has_failed(&peer, EIO, reason, "subscribe");
	is_played("subscribe");
	has_got(&peer, "", "a client that cannot subscribe gets nothing");
	disconnect(&peer);
}

static void check_all_refusals(void)
{
	static const struct step closed[] = {{"PING", SILENCE, THEN_CLOSED}, {0}};
	static const struct step silent[] = {{"PING", SILENCE, AT_ONCE}, {0}};
	static const struct step no_password[] = {{"PING", "-NOAUTH first\r\n", AT_ONCE}, {0}};
	static const struct step password[] = {{"AUTH p@ss", "-WRONGPASS no\r\n", AT_ONCE}, {0}};
	static const struct step no_list[] = {PING, {LAST_ID, "-NOPERM no\r\n", AT_ONCE}, {0}};
	static const struct step no_answer[] = {PING, {LAST_ID, ":1\r\n", AT_ONCE}, {0}};
	static const struct step cut[] = {PING, {LAST_ID, "*1\r\n*2\r\n", THEN_CLOSED}, {0}};
	char address[128];
	char reason[256];

	snprintf(reason, sizeof reason, "Redis at %s: Server closed the connection", redis.path);
	check_refused(closed, reason);
	snprintf(reason, sizeof reason, "Redis at %s: no reply within a second", redis.path);
	check_refused(silent, reason);
	snprintf(reason, sizeof reason, "Redis at %s: NOAUTH first", redis.path);
	check_refused(no_password, reason);
	snprintf(address, sizeof address, "p@ss@%s", redis.path);
	setenv("DUPLEX_REDIS", address, 1);
	snprintf(reason, sizeof reason, "Redis at %s: WRONGPASS no", redis.path);
	check_refused(password, reason);
	setenv("DUPLEX_REDIS", redis.path, 1);
	check_refused(no_list, "Redis: NOPERM no");
	check_refused(no_answer, "Redis: unexpected reply");
	check_refused(cut, "Redis: Server closed the connection");
}

static void check_publish(const struct step *script, int error, const char *name)
{
	redis_rest("", 0);
	redis_play(script);
	errno = 0;
	int result = websocket_publish("room", "hello", 5);
	ok(error ? result == -1 && errno == error : result == 0, "publish: %s", name);
	is_played(name);
}

#define PUBLISH "XADD duplex:room MAXLEN ~ 10000 * text hello"

/* A message is never published twice: after a failure it is not tried again, because Redis may have
 * taken it. The next message goes out over a new connection. */
static void check_all_publishing(void)
{
	static const struct step taken[] = {PING, {PUBLISH, BULK(3, "1-0"), AT_ONCE}, {0}};
	static const struct step parts[] = {PING, {PUBLISH, BULK(3, "1-0"), BYTE_BY_BYTE}, {0}};
	static const struct step full[] = {PING, {PUBLISH, "-READONLY no\r\n", AT_ONCE}, {0}};
	static const struct step nothing[] = {PING, {PUBLISH, "$-1\r\n", AT_ONCE}, {0}};
	static const struct step closed[] = {PING, {PUBLISH, SILENCE, THEN_CLOSED}, {0}};
	static const struct step cut[] = {PING, {PUBLISH, "$3\r\n1", THEN_CLOSED}, {0}};
	static const struct step silent[] = {PING, {PUBLISH, SILENCE, AT_ONCE}, {0}};
	static const struct step refused[] = {{"PING", "-LOADING\r\n", AT_ONCE}, {0}};

	check_publish(taken, 0, "Redis takes it");
	check_publish(parts, 0, "the reply comes byte by byte, over a new connection");
	check_publish(full, EIO, "Redis refuses it");
	check_publish(nothing, EIO, "the reply is nil");
	check_publish(closed, EIO, "Redis closes the connection");
	check_publish(cut, EIO, "Redis closes the connection in the middle of the reply");
	check_publish(silent, EIO, "Redis does not reply");
	check_publish(refused, EIO, "Redis refuses the connection");
	check_publish(taken, 0, "Redis takes the next one");
}

/* Several messages go over one connection; what cannot be published is not sent to Redis. */
static void check_one_connection(void)
{
	static char text[16385];
	static const struct step script[] = {
		PING,
		{PUBLISH, BULK(3, "1-0"), AT_ONCE},
		{PUBLISH, "-ERR no\r\n", AT_ONCE},
		{PUBLISH, BULK(3, "1-1"), AT_ONCE},
		{"XADD duplex:room MAXLEN ~ 10000 * text ", BULK(3, "1-2"), AT_ONCE},
		{0},
	};
	static const struct {
		const char *name;
		const char *text;
		size_t length;
		int error;
	} refused[] = {
		{"", "hello", 5, EINVAL},        {"a b", "hello", 5, EINVAL},
		{"room", text, 16385, EMSGSIZE}, {"room", "a\nb", 3, EILSEQ},
		{"room", "\n", 1, EILSEQ},       {"room", "a\xC3", 2, EILSEQ},
	};

	redis_play(script);
	ok(websocket_publish("room", "hello", 5) == 0, "publish: a message is taken");
	for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
		errno = 0;
		ok(websocket_publish(refused[i].name, refused[i].text, refused[i].length) == -1 &&
			   errno == refused[i].error,
		   "publish: refused with %s", strerror(refused[i].error));
	}
	ok(websocket_publish("room", "hello", 5) == -1 && errno == EIO,
	   "publish: Redis refuses one message");
	ok(websocket_publish("room", "hello", 5) == 0, "publish: Redis takes the next message");
	ok(websocket_publish("room", NULL, 0) == 0, "publish: a message of no bytes");
	is_played("one connection");
}

/* addresses that are not valid, or where Redis is not */
static void check_addresses(void)
{
	static const struct {
		const char *address;
		const char *reason;
	} table[] = {
		{"nonsense", "DUPLEX_REDIS is not a valid address: it is neither a path nor "
			     "host:port, nor a URL of redis:// or unix://"},
		{"secret@localhost:0", "DUPLEX_REDIS is not a valid address: the port is not a "
				       "number from 1 to 65535"},
		{"/nowhere/redis", "Redis at /nowhere/redis: No such file or directory"},
		{"127.0.0.1:1", "Redis at 127.0.0.1:1: Connection refused"},
	};
	static const struct step nothing[] = {{0}};

	for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
		setenv("DUPLEX_REDIS", table[i].address, 1);
		check_refused(nothing, table[i].reason);
		ok(websocket_publish("room", "hello", 5) == -1 && errno == EIO,
		   "nothing can be published at %s", table[i].address);
	}
	setenv("DUPLEX_REDIS", redis.path, 1);
}

/* Who comes right after one whom Redis kept waiting need not wait. */
static void check_rest(void)
{
	static const struct step nothing[] = {{0}};
	static const struct step taken[] = {PING, {PUBLISH, BULK(3, "1-0"), AT_ONCE}, {0}};
	struct peer peer = connect_peer();

	redis_play(nothing);
	redis_rest("it hangs", 60000);
	ok(websocket_subscribe(peer.ws, "room", "-0") == -1 && errno == EIO,
	   "a Redis that rests lets no client subscribe");
	has_failed(&peer, EIO, "it hangs", "a Redis that rests");
	ok(websocket_publish("room", "hello", 5) == -1 && errno == EIO,
	   "a Redis that rests takes no message");
	is_played("a Redis that rests");
	disconnect(&peer);
	check_publish(taken, 0, "Redis no longer rests");
}

int main(void)
{
	signal(SIGPIPE, SIG_IGN);
	if (!ok(redis_open(), "a Redis of the test's own"))
		return done();
	check_not_ours();
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
		check_wrong(i);
	check_all_refusals();
	check_all_publishing();
	check_one_connection();
	check_addresses();
	check_rest();
	redis_close();
	return done();
}
