/* How this process was started, how it hears of signals, and how the kernel schedules it. */
#ifndef PROCESS_H
#define PROCESS_H

#include <stdbool.h>
#include <stddef.h>

/* true if standard input is a listening socket: the process then serves many clients */
bool process_has_listening_socket(void);

/* Blocks these signals, and opens a non-blocking descriptor to read them from (signalfd(2)): so
 * they interrupt nothing, and none is missed. Returns it, or -1 with errno set. The caller closes
 * it. */
int process_open_signals(const int *numbers, size_t count);

/*
 * Sets SCHED_BATCH, unless somebody has chosen a policy already. A process of this policy that is
 * woken by a message does not interrupt the one that runs: the web server, websocketd or Redis.
 * That one finishes what it has begun, and more messages arrive at a time. The price is paid beside
 * a program that computes without a pause: Linux before 6.6 first gives that one its slice of some
 * milliseconds.
 */
void process_set_batch_policy(void);

#endif
