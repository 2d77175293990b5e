/* a client of a channel, with the test in the place of websocketd and of Redis */
#ifndef SUBSCRIBER_H
#define SUBSCRIBER_H

#include "fake_redis.h"
#include "push.h"
#include "tap.h"

#include <errno.h>
#include <fcntl.h>

#define FIRST(after) "XREAD COUNT 100 BLOCK 10000 STREAMS duplex:room " after
#define LAST_ID "XREVRANGE duplex:room + - COUNT 1"
#define ASK_INFO "XINFO STREAM duplex:room"
/* the ids of the first entry, of the last and of the last that was deleted by itself */
#define INFO_REPLY(first, last, deleted) \
	LIST(8, BULK(6, "length") ":1\r\n" BULK(17, "last-generated-id") last BULK( \
			20, "max-deleted-entry-id") deleted BULK(11, "first-entry") first)
#define FIRST_ENTRY(id) LIST(2, id LIST(2, BULK(4, "text") BULK(1, "x")))
/* a channel whose last message has the id 99-0 */
#define INFO \
	ROW(ASK_INFO, INFO_REPLY(FIRST_ENTRY(BULK(3, "0-1")), BULK(4, "99-0"), BULK(3, "0-0")), \
	    AT_ONCE)
#define EMPTY "*0\r\n"
#define HELLO ENTRY(BULK(3, "1-0"), BULK(5, "hello"))
#define HELLO_LINE "{\"id\":\"1-0\",\"text\":\"hello\"}\n"

struct peer {
	struct websocket *ws;
	int far; /* the client's end */
};

static inline struct peer connect_peer(void)
{
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) < 0 ||
	    fcntl(pair[1], F_SETFL, O_NONBLOCK) < 0)
		exit(1);
	return (struct peer){websocket_open(pair[0], pair[0], 1000), pair[1]};
}

static inline void disconnect(struct peer *peer)
{
	websocket_free(peer->ws);
	close(peer->far);
}

/* waits until the script is through, or something else than the time is to be told */
static inline enum websocket_event wait_through(struct peer *peer,
						struct websocket_message *message)
{
	enum websocket_event event = WEBSOCKET_NONE;

	for (int i = 0; i < 10000 && event == WEBSOCKET_NONE && !redis_is_through(); i++)
		event = websocket_wait(peer->ws, message, 1);
	return event;
}

/* the client has been sent this, and no more */
static inline void has_got(struct peer *peer, const char *lines, const char *name)
{
	static char got[400000];
	ssize_t n;
	size_t length = 0;

	while ((n = read(peer->far, got + length, sizeof got - length)) > 0)
		length += (size_t)n;
	is(got, length, lines, strlen(lines), name);
}

static inline void is_played(const char *name)
{
	const char *wrong = redis_played();

	ok(wrong == NULL, "%s: Redis is asked for that and no more%s%s", name, wrong ? ": " : "",
	   wrong ? wrong : "");
}

/* the connection has ended with this error and reason, for good */
static inline void has_failed(struct peer *peer, int error, const char *reason, const char *name)
{
	struct websocket_message message;
	const char *got = websocket_reason(peer->ws);
	char reason_name[160];

	snprintf(reason_name, sizeof reason_name, "%s: websocket_reason", name);
	errno = 0;
	ok(websocket_wait(peer->ws, &message, WEBSOCKET_FOREVER) == WEBSOCKET_ERROR &&
		   errno == error,
	   "%s: %s", name, strerror(error));
	is(got ? got : "", got ? strlen(got) : 0, reason, strlen(reason), reason_name);
	errno = 0;
	ok(websocket_send(peer->ws, "a", 1) == -1 && errno == EPIPE, "%s: nothing can be sent",
	   name);
}

#endif
