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

/* Something that goes on in the next turn; part of what it belongs to. */
struct turn {
	void (*go_on)(struct turn *turn);
	struct turn *next;
	bool is_due; /* it is in the loop's list */
};

struct loop {
	int epoll;
	struct timers timers;
	struct turn *due;   /* what goes on in the next turn */
	long long now;      /* of this turn, in milliseconds */
	bool waits_briefly; /* the last wait for events was a brief one */
	int brought;        /* events of the last wait */
};

/* sets up the loop: 0, or -1 with errno set */
int loop_open(struct loop *loop);

/* waits for these events of watch->fd from now on; with 0 for none: 0, or -1 with errno set */
int loop_watch(struct loop *loop, struct watch *watch, uint32_t events);

/* lets it go on after the events and timers of this turn, or of the next if these are over */
void loop_go_on_later(struct loop *loop, struct turn *turn);

/* Waits for events, but not if something is to go on, nor for longer than the next timer takes, and
 * notifies the watches that have some, the timers that are due, and what is to go on. 0, or -1 with
 * errno set if waiting failed. */
int loop_turn(struct loop *loop);

void loop_close(struct loop *loop);

#endif
