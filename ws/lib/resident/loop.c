#include "loop.h"
#include "clock.h"

#include <errno.h>
#include <sched.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

enum {
	EVENTS = 512,
	LONGEST_MS = 60000,
	LOOK_US = 50,
	BRIEF_US = 100,
	FEW_EVENTS = 4,
	MANY_EVENTS = 32
};

int loop_open(struct loop *loop)
{
	*loop = (struct loop){.epoll = epoll_create1(EPOLL_CLOEXEC)};
	clock_read_coarse_ms(&loop->now);
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
	int result = epoll_ctl(loop->epoll, operation, watch->fd, &event);
	if (result < 0 && errno == EEXIST) /* it could not be taken out before */
		result = epoll_ctl(loop->epoll, EPOLL_CTL_MOD, watch->fd, &event);
	if (result == 0 || events == 0)
		watch->events = events;
	return result;
}

static int time_to_wait(const struct loop *loop)
{
	const struct timer *first = timers_first(&loop->timers);
	long long left = first ? first->due - loop->now : LONGEST_MS;

	if (loop->due || left <= 0)
		return 0;
	return left < LONGEST_MS ? (int)left : LONGEST_MS;
}

void loop_go_on_later(struct loop *loop, struct turn *turn)
{
	if (turn->is_due)
		return;
	turn->next = loop->due;
	loop->due = turn;
	turn->is_due = true;
}

static void expire_timers(struct loop *loop)
{
	struct timer *first;

	while ((first = timers_first(&loop->timers)) != NULL && first->due <= loop->now)
		first->expire(first);
}

/* What goes on may ask to go on again: that is for the next turn. */
static void go_on(struct loop *loop)
{
	struct turn *due = loop->due;

	loop->due = NULL;
	while (due) {
		struct turn *turn = due;
		due = turn->next;
		turn->is_due = false;
		turn->go_on(turn);
	}
}

static long long microseconds(void)
{
	struct timespec now = {0};

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000LL + now.tv_nsec / 1000;
}

/*
 * Looks for events for a moment. A processor without work goes to sleep, and it takes longer to
 * wake up, above all in a virtual machine, than a client nearby takes for its next message. Other
 * processes that wait for the processor come first.
 */
static int look_for_events(struct loop *loop, struct epoll_event *events, long long begin)
{
	int count = 0;

	while (count == 0 && microseconds() - begin < LOOK_US) {
		sched_yield();
		count = epoll_wait(loop->epoll, events, EVENTS, 0);
	}
	return count;
}

/*
 * Waits for events. After a brief wait that brought few, it looks for them first. After many, more
 * will follow, so a worker that shares its processor leaves it to the other one in time: the kernel
 * would take it away only after some milliseconds, and the other's clients would wait as long.
 */
static int wait_for_events(struct loop *loop, struct epoll_event *events, int timeout_ms)
{
	long long begin = microseconds();
	int count = 0;

	if (loop->brought > MANY_EVENTS)
		sched_yield();
	else if (loop->brought <= FEW_EVENTS && loop->waits_briefly && timeout_ms != 0)
		count = look_for_events(loop, events, begin);
	if (count == 0)
		count = epoll_wait(loop->epoll, events, EVENTS, timeout_ms);
	if (timeout_ms != 0)
		loop->waits_briefly = microseconds() - begin < BRIEF_US;
	loop->brought = count;
	return count;
}

int loop_turn(struct loop *loop)
{
	struct epoll_event events[EVENTS];
	int count = wait_for_events(loop, events, time_to_wait(loop));

	clock_read_coarse_ms(&loop->now);
	for (int i = 0; i < count; i++) {
		struct watch *watch = events[i].data.ptr;
		if (watch->fd >= 0) /* else one of the events before has ended it */
			watch->notify(watch, events[i].events);
	}
	if (count < 0 && errno != EINTR)
		return -1;
	expire_timers(loop);
	go_on(loop);
	return 0;
}

void loop_close(struct loop *loop)
{
	timers_free(&loop->timers);
	if (loop->epoll >= 0)
		close(loop->epoll);
	loop->epoll = -1;
}
