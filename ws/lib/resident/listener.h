/* The listening socket of a resident process, which other processes may share. */
#ifndef LISTENER_H
#define LISTENER_H

#include "loop.h"

struct worker;

struct listener {
	struct watch watch;
	struct timer timer; /* when accepting is tried again */
	struct worker *worker;
};

/* Begins to accept from standard input. Returns NULL, or why that fails. */
const char *listener_open(struct listener *listener, struct worker *worker);

/* stops accepting; the socket stays open for the other processes */
void listener_close(struct listener *listener);

#endif
