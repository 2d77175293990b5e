/* What the functions of websocket.h do before, without and after a connection. */
#include "peer.h"
#include "tap.h"
#include "websocket.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>

/* the length of a string that is one byte longer than a reason may be */
enum { TOO_LONG = 124 };

static void check_codes(struct peer *peer)
{
	static const int wrong[] = {-1, 0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000};
	char reason[TOO_LONG + 1];

	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
		errno = 0;
		ok(websocket_close_with(peer->ws, wrong[i], NULL) == -1 && errno == EINVAL,
		   "the code %d cannot be sent", wrong[i]);
	}
	memset(reason, 'x', TOO_LONG);
	reason[TOO_LONG] = '\0';
	errno = 0;
	ok(websocket_close_with(peer->ws, 1000, reason) == -1 && errno == EINVAL,
	   "a reason of 124 bytes is too long");
	errno = 0;
	ok(websocket_close_with(peer->ws, 1000, "\xFF") == -1 && errno == EINVAL,
	   "a reason that is not UTF-8 cannot be sent");
	ok(websocket_close_code(peer->ws) == 0 && !websocket_is_closed(peer->ws),
	   "after what was refused the connection is open");
	reason[TOO_LONG - 1] = '\0';
	ok(websocket_close_with(peer->ws, 4999, reason) == 0, "a reason of 123 bytes is taken");
}

static void check_after(struct peer *peer)
{
	struct websocket_message message;

	ok(websocket_is_closed(peer->ws) && websocket_close_code(peer->ws) == 1006,
	   "a connection that this side closed has the code 1006");
	ok(websocket_wait(peer->ws, &message, WEBSOCKET_FOREVER) == WEBSOCKET_CLOSED &&
		   websocket_reason(peer->ws) == NULL,
	   "a connection that this side closed is over without a reason");
	errno = 0;
	ok(websocket_send(peer->ws, "x", 1) == -1 && errno == EPIPE,
	   "after the end nothing can be sent");
	ok(websocket_close_with(peer->ws, 1000, NULL) == 0, "to close twice is allowed");
	websocket_close(peer->ws);
	ok(websocket_close_code(peer->ws) == 1006, "to close twice changes nothing");
}

int main(void)
{
	struct peer peer = connect_peer(100);

	signal(SIGPIPE, SIG_IGN);
	setenv("QUERY_STRING", "a=b", 1);
	ok(strcmp(websocket_variable(NULL, "QUERY_STRING"), "a=b") == 0 &&
		   websocket_variable(NULL, "NO_SUCH_VARIABLE") == NULL,
	   "without a connection a variable is that of the environment");
	websocket_free(NULL);
	check_codes(&peer);
	check_after(&peer);
	disconnect(&peer);
	return done();
}
