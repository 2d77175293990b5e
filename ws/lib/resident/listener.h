/* The listening socket of a resident process, which others may share. */
#ifndef LISTENER_H
#define LISTENER_H

#include "loop.h"

struct worker;

struct listener {
	struct watch watch;
	struct timer timer; /* when accepting is tried again */
	struct worker *worker;
};

/* Begins to accept from standard input: NULL, or why it may not be used. */
const char *listener_open(struct listener *listener, struct worker *worker);

/* leaves the socket to the others */
void listener_close(struct listener *listener);

#endif
