/*
 * The helpers of a resident process: coroutines beside those of its clients, with
 * large stacks, which wait in the loop for what aside.h is for. A few of them take
 * the calls of views, in the order in which these come; others run what was begun.
 */
#ifndef HELPER_H
#define HELPER_H

/* Lets work be done aside by helpers from now on, if the process is resident. */
void helper_prepare(void);

#endif
