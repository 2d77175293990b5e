/* coroutine.c: the order in which coroutines run, what they keep, and where their stacks end */
#include "resident/coroutine.h"
#include "tap.h"

#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MANY = 300, ROUNDS = 50 };

struct room {
	int number;
	int turns;
	int kept;
	bool is_outside;
};

static bool lies_in_stack(const void *address, const struct room *room)
{
	uintptr_t at = (uintptr_t)address;
	uintptr_t top = (uintptr_t)room;

	return at < top && at > top - COROUTINE_STACK_SIZE;
}

static void look_outside(void *argument)
{
	struct room *room = argument;
	char here;

	room->is_outside = !lies_in_stack(&here, room);
}

static void count_turns(void *argument)
{
	struct room *room = argument;
	int local = room->number * 7;

	for (int i = 0; i < ROUNDS; i++) {
		room->turns++;
		local++;
		coroutine_suspend();
	}
	room->kept = local;
	coroutine_call_outside(look_outside, room);
}

static void return_at_once(void *argument)
{
	((struct room *)argument)->turns = 1;
}

static void check_one(void)
{
	struct room *room = coroutine_create(sizeof *room, return_at_once);

	ok(room && room->turns == 0 && room->number == 0,
	   "a room begins with zeros, and nothing runs yet");
	ok((uintptr_t)room % 64 == 0, "a room is aligned for everything");
	ok(!coroutine_resume(room) && room->turns == 1, "a coroutine that returns is over");
	room->number = 42;
	coroutine_free(room);
	struct room *next = coroutine_create(sizeof *next, return_at_once);
	ok(next && next->number == 0 && next->turns == 0,
	   "the room of a stack that is used again begins with zeros");
	coroutine_resume(next);
	coroutine_free(next);
}

/* many at once: more than are kept for the next */
static void check_many(void)
{
	static struct room *rooms[MANY];
	bool is_right = true;

	for (int i = 0; i < MANY; i++) {
		rooms[i] = coroutine_create(sizeof **rooms, count_turns);
		rooms[i]->number = i;
	}
	for (int round = 0; round < ROUNDS; round++)
		for (int i = 0; i < MANY; i++)
			is_right &= coroutine_resume(rooms[i]) && rooms[i]->turns == round + 1;
	ok(is_right, "%d coroutines go on where they were, %d times", MANY, ROUNDS);
	for (int i = 0; i < MANY; i++) {
		is_right &= !coroutine_resume(rooms[i]);
		is_right &= rooms[i]->kept == i * 7 + ROUNDS && rooms[i]->is_outside;
	}
	ok(is_right, "coroutines keep their variables, and call a function on the stack outside");
	for (int i = 0; i < MANY; i++)
		coroutine_free(rooms[i]);
}

static void look_at_addresses(void *argument)
{
	struct room *room = argument;
	char *bottom = (char *)room - COROUTINE_STACK_SIZE;

	room->kept = !coroutine_has_run_over(room) && !coroutine_has_run_over(&bottom) &&
		     coroutine_has_run_over(bottom - 8192) && !coroutine_has_run_over(NULL);
}

static void run_over(void *argument)
{
	volatile char *room = argument;

	for (size_t i = 0; i < 2 * COROUTINE_STACK_SIZE; i += 64)
		*(room - i) = 1; /* down to the guard */
}

static void check_end(void)
{
	struct room *room = coroutine_create(sizeof *room, look_at_addresses);

	ok(!coroutine_has_run_over(room), "outside, no stack runs over");
	coroutine_resume(room);
	ok(room->kept, "an address below the stack is known, others are not");
	coroutine_free(room);

	pid_t child = fork();
	int status = 0;
	if (child == 0) {
		signal(SIGSEGV, SIG_DFL);
		coroutine_resume(coroutine_create(sizeof *room, run_over));
		_exit(0);
	}
	waitpid(child, &status, 0);
	ok(child > 0 && WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV,
	   "a stack that runs over ends the process");
}

int main(void)
{
	check_one();
	check_many();
	check_end();
	return done();
}
