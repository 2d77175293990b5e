/* /chat over HTTP: its page, what came since a message, and a message of one's own */
#ifndef CHAT_H
#define CHAT_H

#include <stdbool.h>
#include <time.h>

/* what a worker keeps from one request to the next */
struct chat {
	struct redisContext *redis; /* NULL while there is no connection */
	time_t lost;                /* when it was last lost, or could not be made */
	bool told;                  /* and the log has said so */
	bool refused; /* it refuses to publish or to be read, and the log has said so */
};

/*
 * GET /chat is its page. With ?after= it is what came after a message, or of
 * the last N for "-N", as a line of JSON each:
 *   200  the lines, which may be none; at most 100, or 128 KiB, at once
 *   400  after is neither an id nor such a number
 *   503  Redis cannot be reached, or refuses
 *
 * POST /chat publishes the message parameter of a form:
 *   202  with the id of the message
 *   400  no message, one that is not valid UTF-8 or has a newline, or not all of the body
 *   403  the page that sends it is of another site (its Origin is not the Host)
 *   413  it is too long
 *   415  it is not a form
 *   503  Redis cannot be reached, refuses, or did not answer: then it may have taken the message
 */

/* closes the connection to Redis */
void chat_close(struct chat *chat);

#endif
