/*
 * A coroutine begins by setcontext and is resumed by _longjmp: swapcontext would make a system call
 * for the mask of signals, which is the same everywhere, and save more than functions may rely on.
 * With _FORTIFY_SOURCE glibc would take a jump to another stack for a fault.
 */
#undef _FORTIFY_SOURCE

#include "coroutine.h"

#include <setjmp.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>

#ifdef __has_feature
#if __has_feature(address_sanitizer) && !defined __SANITIZE_ADDRESS__
#define __SANITIZE_ADDRESS__
#endif
#endif
#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/common_interface_defs.h>
#define START_SWITCH __sanitizer_start_switch_fiber
#define FINISH_SWITCH __sanitizer_finish_switch_fiber
#else
#define START_SWITCH(fake, bottom, size) ((void)(fake), (void)(bottom), (void)(size))
#define FINISH_SWITCH START_SWITCH
#endif

/* marks a function that is left by a jump: AddressSanitizer must not expect it to return */
#define LEFT_BY_JUMP __attribute__((no_sanitize_address))

/* lies directly below the room */
struct coroutine {
	jmp_buf place; /* where it suspended itself */
	void (*function)(void *room);
	char *mapping;     /* begins with the guard */
	size_t stack_size; /* with what lies at its top */
	struct coroutine *next_free;
	bool has_begun;
	bool has_returned;
	void *fake_stack; /* of AddressSanitizer, which has to be told of each change of the stack
			   */
};

/* Mapping a stack costs more than anything else of a connection, so some are kept for the next. */
enum { MAX_FREE = 64, ALIGNMENT = 64 };

/* The guard below each stack, which may not be touched. It is more than a page, because a function
 * with a large frame can reach over one. */
enum { GUARD_SIZE = 65536 };

static struct coroutine *free_list;
static size_t free_count;

static struct coroutine *running;
static jmp_buf *outside; /* on its stack */
static const void *outside_bottom;
static size_t outside_size;
static void (*outside_function)(void *argument); /* is to be called there, or NULL */
static void *outside_argument;

static size_t aligned(size_t size)
{
	return (size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

static struct coroutine *of_room(void *room)
{
	return (struct coroutine *)((char *)room - aligned(sizeof(struct coroutine)));
}

static void *room_of(struct coroutine *coroutine)
{
	return (char *)coroutine + aligned(sizeof *coroutine);
}

static char *stack_of(const struct coroutine *coroutine)
{
	return coroutine->mapping + GUARD_SIZE;
}

static size_t stack_size(const struct coroutine *coroutine)
{
	return (size_t)((const char *)coroutine - stack_of(coroutine));
}

LEFT_BY_JUMP static void switch_to_outside(struct coroutine *self, bool is_last)
{
	START_SWITCH(is_last ? NULL : &self->fake_stack, outside_bottom, outside_size);
	if (_setjmp(self->place) == 0)
		_longjmp(*outside, 1);
	FINISH_SWITCH(self->fake_stack, &outside_bottom, &outside_size);
}

/* makecontext passes integers alone, so the coroutine is found by the variable */
LEFT_BY_JUMP static void enter(void)
{
	struct coroutine *self = running;

	FINISH_SWITCH(NULL, &outside_bottom, &outside_size);
	self->function(room_of(self));
	self->has_returned = true;
	switch_to_outside(self, true);
}

/* maps a stack; where its struct lies depends on the size of the room */
static char *map(size_t stack_size)
{
	size_t size = GUARD_SIZE + stack_size;
	char *mapping = mmap(NULL, size, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK | MAP_NORESERVE, -1, 0);

	if (mapping == MAP_FAILED)
		return NULL;
	if (mprotect(mapping, GUARD_SIZE, PROT_NONE) == 0)
		return mapping;
	munmap(mapping, size);
	return NULL;
}

static char *take_stack(size_t stack_size)
{
	struct coroutine *coroutine = free_list;

	if (coroutine == NULL || stack_size != COROUTINE_STACK_SIZE)
		return map(stack_size);
	free_list = coroutine->next_free;
	free_count--;
	return coroutine->mapping;
}

static void *create(size_t whole, size_t size, void (*function)(void *room))
{
	char *mapping = take_stack(whole);

	if (mapping == NULL)
		return NULL;
	void *room = mapping + GUARD_SIZE + whole - aligned(size);
	struct coroutine *coroutine = of_room(room);
	memset(room, 0, size);
	memset(coroutine, 0, sizeof *coroutine);
	coroutine->mapping = mapping;
	coroutine->stack_size = whole;
	coroutine->function = function;
	return room;
}

void *coroutine_create(size_t size, void (*function)(void *room))
{
	return create(COROUTINE_STACK_SIZE, size, function);
}

void *coroutine_create_large(size_t size, void (*function)(void *room))
{
	return create(COROUTINE_LARGE_STACK_SIZE, size, function);
}

LEFT_BY_JUMP static void begin(struct coroutine *coroutine)
{
	ucontext_t context;

	getcontext(&context);
	context.uc_stack.ss_sp = stack_of(coroutine);
	context.uc_stack.ss_size = stack_size(coroutine);
	makecontext(&context, enter, 0);
	coroutine->has_begun = true;
	setcontext(&context);
}

LEFT_BY_JUMP static void go_to(struct coroutine *coroutine)
{
	if (coroutine->has_begun)
		_longjmp(coroutine->place, 1);
	begin(coroutine);
}

LEFT_BY_JUMP static void switch_to(struct coroutine *coroutine)
{
	void *fake_stack = NULL;
	jmp_buf here;

	outside = &here;
	START_SWITCH(&fake_stack, stack_of(coroutine), stack_size(coroutine));
	if (_setjmp(here) == 0)
		go_to(coroutine);
	FINISH_SWITCH(fake_stack, NULL, NULL);
	outside = NULL;
}

bool coroutine_resume(void *room)
{
	struct coroutine *coroutine = of_room(room);

	running = coroutine;
	switch_to(coroutine);
	while (outside_function) {
		void (*function)(void *argument) = outside_function;
		outside_function = NULL;
		function(outside_argument);
		switch_to(coroutine);
	}
	running = NULL;
	return !coroutine->has_returned;
}

void coroutine_call_outside(void (*function)(void *argument), void *argument)
{
	outside_function = function;
	outside_argument = argument;
	switch_to_outside(running, false);
}

void coroutine_suspend(void)
{
	switch_to_outside(running, false);
}

void coroutine_free(void *room)
{
	struct coroutine *coroutine = of_room(room);

	if (free_count == MAX_FREE || coroutine->stack_size != COROUTINE_STACK_SIZE) {
		munmap(coroutine->mapping, GUARD_SIZE + coroutine->stack_size);
		return;
	}
	coroutine->next_free = free_list;
	free_list = coroutine;
	free_count++;
}

bool coroutine_has_run_over(const void *address)
{
	const char *at = address;

	return running && at >= running->mapping && at < stack_of(running);
}
