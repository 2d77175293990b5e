#include "helper.h"
#include "aside.h"
#include "client.h"
#include "coroutine.h"
#include "serve.h"
#include "worker.h"

#include <errno.h>
#include <poll.h>
#include <stddef.h>

enum {
	MOST_CALLS = 8,  /* that are done at a time */
	QUEUE_MS = 1000, /* how long a call may wait for its turn */
};

/* a call of a view; it lies on the view's stack */
struct call {
	void (*function)(void *argument);
	void *argument;
	struct client *client;
	struct call *next; /* in the queue */
	long long since;
	bool is_taken;
	bool is_done;
};

/* lies at the top of its coroutine's stack */
struct helper {
	struct helper *next; /* of all */
	struct helper *previous;
	struct helper *next_idle; /* of those that take calls */
	struct turn turn;
	struct watch watch; /* what it waits for, in aside_wait */
	struct timer timer;
	bool is_ready;                    /* the descriptor has what it waits for */
	int waited_ms;                    /* how long the call that it does waited in the queue */
	void (*function)(void *argument); /* NULL if it takes calls */
	void *argument;
};

static struct {
	struct worker *worker;
	struct helper *all;
	struct helper *idle; /* of those that take calls */
	struct helper *running;
	size_t callers;     /* helpers that take calls */
	struct call *first; /* the queue */
	struct call **end;
	bool is_ending;
} helpers = {.end = &helpers.first};

static void free_helper(struct turn *turn)
{
	coroutine_free((char *)turn - offsetof(struct helper, turn));
}

/* takes a helper out of all lists; its memory stays until this turn's events are over */
static void release(struct helper *helper)
{
	*(helper->previous ? &helper->previous->next : &helpers.all) = helper->next;
	if (helper->next)
		helper->next->previous = helper->previous;
	helpers.worker->helpers--;
	helper->turn.go_on = free_helper;
	loop_go_on_later(&helpers.worker->loop, &helper->turn);
}

static void resume(struct helper *helper)
{
	helpers.running = helper;
	bool goes_on = coroutine_resume(helper);
	helpers.running = NULL;
	if (!goes_on)
		release(helper);
}

static void take_turn(struct turn *turn)
{
	resume((struct helper *)((char *)turn - offsetof(struct helper, turn)));
}

static void notify(struct watch *watch, uint32_t events)
{
	struct helper *helper = (struct helper *)((char *)watch - offsetof(struct helper, watch));

	(void)events;
	helper->is_ready = true;
	resume(helper);
}

static void expire(struct timer *timer)
{
	timers_clear(&helpers.worker->loop.timers, timer);
	resume((struct helper *)((char *)timer - offsetof(struct helper, timer)));
}

static int wait_in_loop(int fd, short events, int timeout_ms)
{
	struct helper *self = helpers.running;
	struct loop *loop = &helpers.worker->loop;

	if (helpers.is_ending) {
		errno = ECANCELED;
		return -1;
	}
	if (self == NULL)
		return poll(&(struct pollfd){.fd = fd, .events = events}, 1, timeout_ms);
	self->is_ready = false;
	self->watch.fd = fd;
	if (loop_watch(loop, &self->watch, (uint32_t)events) < 0)
		return -1;
	timers_set(&loop->timers, &self->timer, loop->now + timeout_ms);
	coroutine_suspend();
	timers_clear(&loop->timers, &self->timer);
	loop_watch(loop, &self->watch, 0);
	self->watch.fd = -1;
	if (self->is_ready)
		return 1;
	if (!helpers.is_ending) /* it may be ready unseen: epoll_wait(2) can end early */
		return poll(&(struct pollfd){.fd = fd, .events = events}, 1, 0);
	errno = ECANCELED;
	return -1;
}

static struct call *take_call(void)
{
	struct call *call = helpers.first;

	if (call == NULL)
		return NULL;
	helpers.first = call->next;
	if (helpers.first == NULL)
		helpers.end = &helpers.first;
	call->is_taken = true;
	call->client->is_held = true;
	return call;
}

static void drop_call(const struct call *call)
{
	struct call **place = &helpers.first;

	while (*place != call)
		place = &(*place)->next;
	*place = call->next;
	if (call->next == NULL)
		helpers.end = place;
}

static void do_call(struct helper *self, struct call *call)
{
	self->waited_ms = (int)(helpers.worker->loop.now - call->since);
	call->function(call->argument);
	self->waited_ms = 0;
	call->is_done = true;
	client_resume_later(call->client);
}

/* the coroutine */
static void help(void *room)
{
	struct helper *self = room;

	if (self->function) {
		self->function(self->argument);
		return;
	}
	while (!helpers.is_ending) {
		for (struct call *call = take_call(); call; call = take_call())
			do_call(self, call);
		self->next_idle = helpers.idle;
		helpers.idle = self;
		coroutine_suspend();
	}
}

/* makes a helper that goes on in the next turn */
static struct helper *start(void (*function)(void *argument), void *argument)
{
	struct worker *worker = helpers.worker;
	struct helper *helper = NULL;

	if (timers_reserve(&worker->loop.timers,
			   worker->connected + worker->helpers + 1 + WORKER_TIMERS) == 0)
		helper = coroutine_create_large(sizeof *helper, help);
	if (helper == NULL)
		return NULL;
	worker->helpers++;
	helper->function = function;
	helper->argument = argument;
	helper->turn.go_on = take_turn;
	helper->watch = (struct watch){.fd = -1, .notify = notify};
	helper->timer.expire = expire;
	helper->next = helpers.all;
	if (helper->next)
		helper->next->previous = helper;
	helpers.all = helper;
	loop_go_on_later(&worker->loop, &helper->turn);
	return helper;
}

static int begin(void (*function)(void *argument), void *argument)
{
	return start(function, argument) ? 0 : -1;
}

/* wakes an idle helper for the queue, or starts one if there may be another; false if there is none
 */
static bool alert(void)
{
	struct helper *helper = helpers.idle;

	if (helper) {
		helpers.idle = helper->next_idle;
		loop_go_on_later(&helpers.worker->loop, &helper->turn);
	} else if (helpers.callers < MOST_CALLS && start(NULL, NULL)) {
		helpers.callers++;
	}
	return helpers.callers > 0;
}

static int call_helper(void (*function)(void *argument), void *argument)
{
	struct client *client = helpers.worker->running;
	struct call call = {function, argument, client, NULL, helpers.worker->loop.now,
			    false,    false};

	if (client == NULL) { /* the caller is not a view, so no client is held up */
		function(argument);
		return 0;
	}
	if (!alert())
		return -1;
	*helpers.end = &call;
	helpers.end = &call.next;
	client_suspend(client, 0, QUEUE_MS);
	while (call.is_taken && !call.is_done)
		client_suspend(client, 0, -1);
	if (call.is_done)
		return 0;
	drop_call(&call);
	errno = client->is_lost ? EPIPE : EBUSY;
	return -1;
}

static int waited_ms(void)
{
	return helpers.running ? helpers.running->waited_ms : 0;
}

static bool is_ending(void)
{
	return helpers.is_ending;
}

/* resumes each helper until it returns: wait_in_loop fails from now on */
static void end_all(struct worker *worker)
{
	helpers.is_ending = true;
	while (helpers.all)
		resume(helpers.all);
	for (struct turn *turn = worker->loop.due, *next; turn; turn = next) {
		next = turn->next;
		if (turn->go_on == free_helper)
			free_helper(turn);
	}
	worker->loop.due = NULL;
}

void helper_prepare(void)
{
	static const struct aside way = {wait_in_loop, call_helper, begin, waited_ms, is_ending};

	if (helpers.worker || !serve_worker())
		return;
	helpers.worker = serve_worker();
	helpers.worker->end_helpers = end_all;
	aside_use(&way);
}
