/* The event loop of a resident process: descriptors, timers, and what is to go on in the next turn.
 */
#ifndef LOOP_H
#define LOOP_H

#include "timers.h"

#include <stdbool.h>
#include <stdint.h>

/* A descriptor that the loop waits for; part of what it belongs to. */
struct watch {
	int fd;          /* -1 if there is none, also once its owner is to be freed */
	uint32_t events; /* of epoll(7), that it waits for; 0 if it does not */
	void (*notify)(struct watch *watch, uint32_t events);
};

struct loop {
	int epoll;
	struct timers timers;
	long long now;      /* of this turn, in milliseconds */
	bool waits_briefly; /* the last wait for events was a brief one */
};

/* sets up the loop: 0, or -1 with errno set */
int loop_open(struct loop *loop);

/* waits for these events of watch->fd from now on; with 0 for none: 0, or -1 with errno set */
int loop_watch(struct loop *loop, struct watch *watch, uint32_t events);

/* Waits for events, but not if is_busy, nor for longer than the next timer takes, and notifies the
 * watches that have some. 0, or -1 with errno set if waiting failed. Timers are the caller's. */
int loop_turn(struct loop *loop, bool is_busy);

/* reads the clock */
void loop_read_clock(struct loop *loop);

void loop_close(struct loop *loop);

#endif
