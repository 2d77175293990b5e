/* /chat and /chat/NAME over HTTP: the page, the messages after one, and publishing */
#ifndef CHAT_H
#define CHAT_H

#include "trouble.h"

#include <stdbool.h>

/* what a worker keeps from one request to the next */
struct chat {
	struct redis *redis;    /* NULL while there is no connection */
	int lookup_ms;          /* how long a request may wait for the name of Redis's host */
	struct trouble reach;   /* Redis cannot be reached */
	struct trouble publish; /* Redis refuses to publish */
	struct trouble read;    /* Redis refuses to be read */
};

/*
 * /chat is the channel called chat, and /chat/NAME the channel of that name: 404
 * if it is not a name.
 *
 * GET /chat answers with the page. With ?after= it answers with the messages
 * after an id, or with the last N for "-N", as a line of JSON each:
 *   200  at most 100 lines, or 128 KiB, at once; there may be none
 *   400  after is neither an id nor such a number
 *   503  Redis cannot be reached, or refuses
 *
 * POST /chat publishes the message parameter of a form:
 *   202  with the id of the message
 *   400  no message, one that is not valid UTF-8 or has a newline, or not all of the body
 *   403  the page that sends it is of another site (its Origin is not the Host)
 *   413  it is too long
 *   415  it is not a form
 *   429  the client has published too many (limit.h)
 *   503  Redis cannot be reached, refuses, or did not answer; it may then have taken the message
 */

/* Prepares chat. In a worker, which has other requests to serve, no request waits long until the
 * name of Redis's host is looked up: /chat is answered 503 until then. */
void chat_open(struct chat *chat, bool is_worker);

/* closes the connection to Redis */
void chat_close(struct chat *chat);

#endif
