/*
 * Work that waits for something else than the client, such as a server that an
 * endpoint asks. A process that serves one client simply waits. In a resident
 * process, which serves many, the work must hold up no other client, and it must not
 * grow the small stack of its own one: it is done aside, on a coroutine with a large
 * stack that waits in the process's loop.
 *
 * Such work calls aside_wait wherever it waits.
 */
#ifndef ASIDE_H
#define ASIDE_H

#include <stdbool.h>

/* How a process does it, by a function for each of those below. resident/helper.c has the way of a
 * resident process. */
struct aside {
	int (*wait)(int fd, short events, int timeout_ms);
	int (*call)(void (*function)(void *argument), void *argument);
	int (*begin)(void (*function)(void *argument), void *argument);
	int (*waited_ms)(void);
	bool (*is_ending)(void);
};

/* Lets the process do it in this way from now on, in place of simply waiting. */
void aside_use(const struct aside *way);

/* Waits for these events of poll(2) on a descriptor, but for no more than timeout_ms. Returns 1, or
 * 0 if the time is up, or -1 with errno set: ECANCELED if the process ends. */
int aside_wait(int fd, short events, int timeout_ms);

/*
 * Calls function for the view that runs, which waits until it has returned. Returns 0, or -1 with
 * errno set and nothing called: EBUSY if it waited for a second behind other calls, EPIPE if the
 * client was lost by then, or ENOMEM.
 */
int aside_call(void (*function)(void *argument), void *argument);

/* Lets function run beside the views, once they all wait. Returns 0, or -1 with errno set: ENOMEM,
 * or ENOTSUP where the process serves one client. */
int aside_begin(void (*function)(void *argument), void *argument);

/* How long the call that runs has waited for its turn, in milliseconds. This counts as a part of
 * the time that it has. */
int aside_waited_ms(void);

/* true if the process ends: what works aside then stops, and logs nothing */
bool aside_is_ending(void);

#endif
