#include "latency.h"

#include <time.h>

/* below 64 a slot is a nanosecond; above, each power of two has 64 slots */
static unsigned int slot_of(uint64_t nanoseconds)
{
	if (nanoseconds < 64)
		return (unsigned int)nanoseconds;
	unsigned int power = 63U - (unsigned int)__builtin_clzll(nanoseconds);
	return (power - 5) * 64 + ((nanoseconds >> (power - 6)) & 63);
}

static uint64_t least_of(unsigned int slot)
{
	return slot < 64 ? slot : (64ULL + slot % 64) << (slot / 64 - 1);
}

void latency_add(struct latency *latency, uint64_t nanoseconds)
{
	latency->count++;
	latency->slot[slot_of(nanoseconds)]++;
	if (nanoseconds > latency->max)
		latency->max = nanoseconds;
}

uint64_t latency_at(const struct latency *latency, double fraction)
{
	double wanted = fraction * (double)latency->count;
	uint64_t seen = 0;

	for (unsigned int i = 0; i < LATENCY_SLOTS; i++) {
		seen += latency->slot[i];
		if (seen > 0 && (double)seen >= wanted)
			return least_of(i);
	}
	return 0;
}

uint64_t latency_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000U + (uint64_t)now.tv_nsec;
}
