/* what a process writes to the log when it crashes */
#ifndef CRASH_H
#define CRASH_H

#include <stdbool.h>
#include <stddef.h>

/* Who is told of. The strings stay the caller's, and must stay. */
struct crash {
	const char *name;                  /* of the program */
	const char *address;               /* of its only client; or NULL */
	const char *(*find_address)(void); /* of the client whose view runs, if any; or NULL */
	const size_t *clients;             /* how many clients it has; or NULL */
	bool (*has_run_over)(const void *where); /* true if a stack ran over to there; or NULL */
};

/*
 * From now on a fatal signal writes one line to standard error before it ends the process, unless
 * it is ignored or has a handler, and so does exit(3), which a view has no reason to call:
 *	NAME: ADDRESS: the program was ended by SIGSEGV
 *	NAME: ADDRESS: the program called exit, with status 3
 */
void crash_watch(const struct crash *crash);

/* Tells that no view runs any more: the process may call exit(3), and nothing is written about it.
 */
void crash_view_is_over(void);

/* Waits briefly until websocketd has read our standard error: it discards the rest when we exit. */
void crash_wait_for_log(void);

#endif
