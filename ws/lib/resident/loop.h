/* The event loop of a resident process: descriptors, timers, and what goes on in the next turn. */
#ifndef LOOP_H
#define LOOP_H

#include "timers.h"

#include <stdbool.h>
#include <stdint.h>

/* A descriptor that the loop waits for; part of what it belongs to. */
struct watch {
	int fd;          /* -1 if there is none, or its owner is about to be freed */
	uint32_t events; /* of epoll(7), for which it waits; 0 for none */
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
	int brought;        /* how many events the last wait brought */
};

/* sets up the loop: 0, or -1 with errno set */
int loop_open(struct loop *loop);

/* waits for these events of watch->fd from now on, or for none if that is 0. Returns 0, or -1 with
 * errno set. */
int loop_watch(struct loop *loop, struct watch *watch, uint32_t events);

/* Lets something go on after the events and timers of this turn, or of the next turn if those of
 * this one are over. */
void loop_go_on_later(struct loop *loop, struct turn *turn);

/* Waits for events until the next timer is due, or not at all if something is to go on. Then it
 * calls the watches that have events, the timers that are due, and what is to go on. Returns 0, or
 * -1 with errno set if waiting failed. */
int loop_turn(struct loop *loop);

/* frees what the loop holds */
void loop_close(struct loop *loop);

#endif
