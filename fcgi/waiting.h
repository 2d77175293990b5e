/*
 * The connections that a worker cannot finish at once: those whose request is still coming, and
 * those that were answered while the web server still sends. Their number, their memory and their
 * time are bounded, so that no client can use up the worker with them.
 */
#ifndef WAITING_H
#define WAITING_H

#include "records.h"

#include <stdint.h>
#include <sys/queue.h>

enum {
	WAITING_COUNT_MAX = 512, /* connections, and half of the process's descriptors at most */
	WAITING_MEMORY_MAX = 16777216, /* bytes of all their requests */
	WAITING_COMING_MS = 10000,     /* for a request to come */
	WAITING_LEAVING_MS = 2000,     /* for a web server to take note of an answer */
};

struct connection {
	TAILQ_ENTRY(connection) neighbours;
	int fd;
	bool is_leaving; /* answered: what still comes of its request is thrown away */
	int64_t until;   /* when its time is up, by waiting_now */
	struct records records;
	char *bytes; /* of the request, as they came */
	size_t length;
	size_t room;
};

/* in each list the oldest is the first, and the first whose time is up */
TAILQ_HEAD(connection_list, connection);
struct waiting {
	struct connection_list coming;
	struct connection_list leaving;
	size_t count;
	size_t count_max;
	size_t memory;
};

/* begins without a connection */
void waiting_init(struct waiting *waiting);

/* Adds a connection whose request is coming. Its descriptor belongs to the set from now on. Returns
 * NULL if memory is short or too many are waiting: then the descriptor stays the caller's. */
struct connection *waiting_add(struct waiting *waiting, int fd);

/* Keeps further bytes of a connection's request. Returns false if memory is short, or
 * WAITING_MEMORY_MAX would be exceeded: then nothing has changed. */
bool waiting_keep(struct waiting *waiting, struct connection *connection, const void *bytes,
		  size_t length);

/* Notes that a connection was answered: its bytes are freed, and its time begins anew. */
void waiting_leave(struct waiting *waiting, struct connection *connection);

/* Closes a connection, unless its descriptor is -1, and frees it. */
void waiting_end(struct waiting *waiting, struct connection *connection);

/* The connection to give up when another needs room: one that was answered before one that was not,
 * and among these the one that has waited longest. An honest request comes within milliseconds, so
 * the longest is the likeliest to be held back on purpose. NULL if there is none. */
struct connection *waiting_longest(const struct waiting *waiting);

/* A connection whose time is up, or NULL. Those whose request is coming have time until limit at
 * most. */
struct connection *waiting_expired(const struct waiting *waiting, int64_t limit);

/* The milliseconds until the time of a connection is up, or -1 if none is waiting, as epoll_wait(2)
 * takes them. */
int waiting_timeout(const struct waiting *waiting, int64_t limit);

/* the time now, in milliseconds of a clock that nobody sets */
int64_t waiting_now(void);

#endif
