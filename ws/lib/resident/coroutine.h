/*
 * Coroutines: functions that can suspend themselves and be resumed where they
 * were, each on a stack of its own. At most one of them runs at a time.
 *
 * The caller's data of a coroutine, its room, lies at the top of its stack, and the
 * coroutine's own state and first frames lie below it. So a coroutine that suspends
 * itself near its beginning costs one page of memory.
 */
#ifndef COROUTINE_H
#define COROUTINE_H

#include <stdbool.h>
#include <stddef.h>

enum {
	COROUTINE_STACK_SIZE = 65536,
	COROUTINE_LARGE_STACK_SIZE = 262144, /* for what calls large libraries, such as TLS */
};

/* Makes a coroutine that will call function with its room: size bytes, at most a page, that are
 * zero. Nothing of it runs yet. Returns the room, by which it is known, or NULL with errno ENOMEM.
 */
void *coroutine_create(size_t size, void (*function)(void *room));

/* the same with a stack of COROUTINE_LARGE_STACK_SIZE */
void *coroutine_create_large(size_t size, void (*function)(void *room));

/* Runs a coroutine until it suspends itself or returns. True if it can be resumed again. A
 * coroutine must not call this. */
bool coroutine_resume(void *room);

/* goes back to whoever resumed the coroutine that runs */
void coroutine_suspend(void);

/* Calls a function that needs much stack on the stack outside of the coroutine: otherwise it would
 * leave pages of the coroutine's stack in use for as long as that lives. The function must not
 * suspend. */
void coroutine_call_outside(void (*function)(void *argument), void *argument);

/* frees a coroutine that has returned, with its room */
void coroutine_free(void *room);

/* true if a coroutine runs, and the address lies where only an overrun of its stack leads */
bool coroutine_has_run_over(const void *address);

#endif
