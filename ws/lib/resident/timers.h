/* Timers in a heap, the next one first. A timer is part of what it belongs to, which owns it. */
#ifndef TIMERS_H
#define TIMERS_H

#include <stddef.h>

struct timer {
	long long due;                       /* in milliseconds, of the caller's clock */
	void (*expire)(struct timer *timer); /* whoever finds the timer due calls it */
	size_t place;                        /* in the heap, from 1; 0 if it is not set. Private. */
};

/* begins as {0} */
struct timers {
	struct timer **heap;
	size_t count;
	size_t capacity;
};

/* Makes room for so many timers in all. Returns 0, or -1 with errno ENOMEM. With that room
 * timers_set cannot fail. */
int timers_reserve(struct timers *timers, size_t count);

/* sets the timer, or moves it if it is set */
void timers_set(struct timers *timers, struct timer *timer, long long due);

/* takes the timer out, if it is set */
void timers_clear(struct timers *timers, struct timer *timer);

/* the timer that is due first; NULL if none is set */
struct timer *timers_first(const struct timers *timers);

/* frees the heap, but no timer */
void timers_free(struct timers *timers);

#endif
