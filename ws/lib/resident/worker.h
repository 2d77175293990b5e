/* a worker, which is one resident process: what its clients share */
#ifndef WORKER_H
#define WORKER_H

#include "log.h"
#include "loop.h"
#include "settings.h"

#include <stdbool.h>
#include <stddef.h>

struct client;
struct websocket;

/* why a connection ended */
enum ending {
	ENDED_ORDINARILY,
	ENDED_PROTOCOL,
	ENDED_TOO_LONG,
	ENDED_MEMORY,
	ENDED_SILENT,
	ENDED_OTHERWISE,
	ENDINGS,
};

enum {
	WORKER_READ_SIZE = 16384, /* of what one client sends, in one turn */
	WORKER_CORK_SIZE = 65536,
	WORKER_ADDRESSES = 1024, /* lists of clients by their address */
	WORKER_TIMERS =
		3, /* beside the clients' and helpers': the listener's, the log's, the stop's */
};

struct worker {
	struct loop loop;
	struct limits limits;
	struct log log;
	const char *name; /* of the program */
	void (*view)(struct websocket *ws);
	bool is_tcp; /* the client's address is the peer's */
	bool is_stopping;

	struct client *clients; /* all that are connected */
	struct client *over;    /* those that are to be freed after this turn */
	struct client *running; /* the one whose coroutine runs, or NULL */
	struct client *by_address[WORKER_ADDRESSES];
	size_t connected; /* how many are connected */
	size_t open;      /* how many of them have their handshake accepted */
	size_t memory;    /* bytes of their output, unread messages and long handshakes */
	size_t helpers;   /* coroutines beside the clients' (helper.h) */
	void (*end_helpers)(struct worker *worker); /* NULL if there never was one */

	char *input; /* WORKER_READ_SIZE bytes to read into; NULL while a client keeps them */
	char cork[WORKER_CORK_SIZE]; /* what the client that runs has sent in this turn */
	size_t corked;

	size_t refused[REFUSALS];
	size_t ended[ENDINGS];
};

/* true if what waits has reached its limit */
static inline bool worker_is_short_of_memory(const struct worker *worker)
{
	size_t limit = worker->limits.max_memory;

	return limit > 0 && worker->memory >= limit;
}

#endif
