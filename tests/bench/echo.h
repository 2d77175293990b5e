/* a client that sends numbered messages and checks that each comes back as it was, in its turn */
#ifndef ECHO_H
#define ECHO_H

#include "client.h"

/* the number of the client and that of the message, in hexadecimal */
enum { ECHO_LEAST_SIZE = 12 };

struct echo;

/* what all of them share */
struct echo_use {
	struct client_use client;
	char *message; /* size bytes, in which the numbers are written */
	size_t size;
	unsigned int in_flight; /* at most, for each client */
	void (*echoed)(struct echo *echo, uint64_t nanoseconds);
};

struct echo {
	struct client client;
	uint64_t sent;     /* messages */
	uint64_t received; /* echoes, each right */
	uint64_t goal;     /* how many to send */
	uint64_t *times;   /* when each message in flight was sent */
};

/* sets opened and received of the use, and makes its message */
void echo_prepare(struct echo_use *use);

/* Begins to connect. echoed is called when the first message is back: only then is the client
 * really open, since some servers answer the handshake before they have started what serves it. */
void echo_connect(struct echo *echo, struct echo_use *use, unsigned int number);

/* sends as many messages as the goal and those in flight allow */
void echo_send(struct echo *echo);

void echo_close(struct echo *echo);

#endif
