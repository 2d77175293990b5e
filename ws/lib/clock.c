#include "clock.h"

#include <limits.h>
#include <time.h>

static long long milliseconds(const struct timespec *time)
{
	return time->tv_sec * 1000LL + time->tv_nsec / 1000000;
}

long long clock_now_ms(void)
{
	struct timespec now;

	return clock_gettime(CLOCK_MONOTONIC, &now) < 0 ? -1 : milliseconds(&now);
}

int clock_left_ms(long long deadline)
{
	long long now = clock_now_ms();

	if (now < 0 || now >= deadline)
		return 0;
	return deadline - now < INT_MAX ? (int)(deadline - now) : INT_MAX;
}

void clock_read_coarse_ms(long long *now)
{
	struct timespec coarse;

	if (clock_gettime(CLOCK_MONOTONIC_COARSE, &coarse) == 0)
		*now = milliseconds(&coarse);
}
