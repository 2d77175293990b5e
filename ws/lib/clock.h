/* Time in milliseconds, of a clock that nobody sets: only differences mean something. */
#ifndef CLOCK_H
#define CLOCK_H

/* The time now, or -1 if the clock fails. */
long long clock_now_ms(void);

/* How much time is left until the deadline, at most INT_MAX; 0 if it has passed or the clock fails,
 * so that nobody waits without an end. */
int clock_left_ms(long long deadline);

/* Stores the time now in *now, exact to some milliseconds, for what asks often: this costs less. If
 * the clock fails, *now stays as it is. */
void clock_read_coarse_ms(long long *now);

#endif
