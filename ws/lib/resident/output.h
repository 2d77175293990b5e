/*
 * What goes out to a client. All that a client makes its view send in one turn is
 * gathered in the worker's cork, and written together when the view waits. What
 * the socket does not take then waits in memory of the client's own.
 */
#ifndef OUTPUT_H
#define OUTPUT_H

#include <stddef.h>

struct client;

/* what waits; begins as {0} */
struct output {
	char *bytes;
	size_t sent;   /* how many of them were sent */
	size_t length; /* how many there are, with those that were sent */
	size_t capacity;
	size_t marked;       /* of those that wait: how many did at that time */
	long long marked_at; /* the oldest of them waits since then, or longer */
};

/* Sends length bytes after those that were sent before. Returns 0, or -1 with errno ENOMEM or that
 * of write(2): then the connection cannot be used any more. */
int output_add(struct client *client, const void *bytes, size_t length);

/* Writes what waits and what is in the cork, as far as the socket takes it. Returns as above. */
int output_flush(struct client *client);

/* how many bytes wait, in the cork or in memory */
size_t output_waiting(const struct client *client);

/* drops what waits */
void output_drop(struct client *client);

#endif
