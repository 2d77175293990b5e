/* what a process writes to the log when it crashes */
#ifndef CRASH_H
#define CRASH_H

#include <stdbool.h>
#include <stddef.h>

/*
 * From now on a fatal signal writes one line to standard error before it ends the process:
 *	NAME: ADDRESS: the program was ended by SIGSEGV
 * who, "NAME" or "NAME: ADDRESS", is copied. In a resident process clients points to how many it
 * has, which the line tells too, and has_run_over tells whether an address is behind the end of
 * a coroutine's stack; by websocketd both are NULL.
 */
void crash_watch(const char *who, const size_t *clients, bool (*has_run_over)(const void *));

#endif
