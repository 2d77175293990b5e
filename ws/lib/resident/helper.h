/*
 * The helpers of a resident process: coroutines with large stacks, beside those of
 * its clients, that do what aside.h is for and wait in the loop. Up to eight of them
 * take the calls of views, in the order in which these come; each of the others runs
 * one function of aside_begin.
 */
#ifndef HELPER_H
#define HELPER_H

/* Has helpers do the work of aside.h from now on, if the process is resident. */
void helper_prepare(void);

#endif
