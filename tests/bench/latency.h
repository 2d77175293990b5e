/* how long round trips took: a histogram of nanoseconds, exact to one part in 64 */
#ifndef LATENCY_H
#define LATENCY_H

#include <stdint.h>

enum { LATENCY_SLOTS = 3776 };

struct latency {
	uint64_t count;
	uint64_t max;
	uint32_t slot[LATENCY_SLOTS];
};

void latency_add(struct latency *latency, uint64_t nanoseconds);

/* the least time that this fraction of all took at most; 0 if there were none */
uint64_t latency_at(const struct latency *latency, double fraction);

/* nanoseconds of a clock that only goes forward */
uint64_t latency_now(void);

#endif
