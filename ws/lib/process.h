/* How this process was started, and how the kernel schedules it. */
#ifndef PROCESS_H
#define PROCESS_H

#include <stdbool.h>

/* true if standard input is a listening socket: the process then serves many clients */
bool process_has_listening_socket(void);

/*
 * Sets SCHED_BATCH, unless somebody has chosen a policy already. A process of this policy that is
 * woken by a message does not interrupt the one that runs: the web server, websocketd or Redis.
 * That one finishes what it has begun, and more messages arrive at a time. The price is paid beside
 * a program that computes without a pause: Linux before 6.6 first gives that one its slice of some
 * milliseconds.
 */
void process_set_batch_policy(void);

#endif
