#include "loop.h"

#include <errno.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

enum { EVENTS = 128, LONGEST_MS = 60000, BRIEF_US = 50 };

/* a clock of some milliseconds is enough, and costs less */
void loop_read_clock(struct loop *loop)
{
	struct timespec now;

	if (clock_gettime(CLOCK_MONOTONIC_COARSE, &now) == 0)
		loop->now = now.tv_sec * 1000LL + now.tv_nsec / 1000000;
}

int loop_open(struct loop *loop)
{
	*loop = (struct loop){.epoll = epoll_create1(EPOLL_CLOEXEC)};
	loop_read_clock(loop);
	return loop->epoll < 0 ? -1 : 0;
}

int loop_watch(struct loop *loop, struct watch *watch, uint32_t events)
{
	struct epoll_event event = {.events = events, .data.ptr = watch};
	int operation = watch->events == 0 ? EPOLL_CTL_ADD
			: events == 0      ? EPOLL_CTL_DEL
					   : EPOLL_CTL_MOD;

	if (watch->events == events)
		return 0;
	if (epoll_ctl(loop->epoll, operation, watch->fd, &event) < 0)
		return -1;
	watch->events = events;
	return 0;
}

static int time_to_wait(const struct loop *loop, bool is_busy)
{
	const struct timer *first = timers_first(&loop->timers);
	long long left = first ? first->due - loop->now : LONGEST_MS;

	if (is_busy || left <= 0)
		return 0;
	return left < LONGEST_MS ? (int)left : LONGEST_MS;
}

static long long microseconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000LL + now.tv_nsec / 1000;
}

/*
 * Waits for events. A processor without work goes to sleep, and to wake it takes longer, in a
 * virtual machine above all, than a client nearby needs for its next message. So where the last
 * wait was brief, this one looks for that long before it sleeps.
 */
static int wait_for_events(struct loop *loop, struct epoll_event *events, int timeout_ms)
{
	long long begin = microseconds();
	int count = 0;

	if (timeout_ms == 0)
		return epoll_wait(loop->epoll, events, EVENTS, 0);
	while (loop->waits_briefly && count == 0 && microseconds() - begin < BRIEF_US)
		count = epoll_wait(loop->epoll, events, EVENTS, 0);
	if (count == 0)
		count = epoll_wait(loop->epoll, events, EVENTS, timeout_ms);
	loop->waits_briefly = microseconds() - begin < 2 * BRIEF_US;
	return count;
}

int loop_turn(struct loop *loop, bool is_busy)
{
	struct epoll_event events[EVENTS];
	int count = wait_for_events(loop, events, time_to_wait(loop, is_busy));

	loop_read_clock(loop);
	for (int i = 0; i < count; i++) {
		struct watch *watch = events[i].data.ptr;
		if (watch->fd >= 0) /* else one of the events before has ended it */
			watch->notify(watch, events[i].events);
	}
	return count < 0 && errno != EINTR ? -1 : 0;
}

void loop_close(struct loop *loop)
{
	timers_free(&loop->timers);
	if (loop->epoll >= 0)
		close(loop->epoll);
	loop->epoll = -1;
}
