/* a resident process: one that serves all its clients itself */
#ifndef SERVE_H
#define SERVE_H

#include "settings.h"

struct websocket;
struct worker;

/*
 * Accepts clients from the listening socket on standard input, and calls view for each, until
 * SIGTERM, SIGINT or SIGUSR1: then it tells its clients within three seconds, and returns within
 * five. SIGUSR2 writes a line of figures to the log. Several processes may share the socket: each
 * takes its part of the clients. name is the program's. Returns the exit status: 0, or 1 if the
 * socket may not be used or something else failed, which a line on standard error tells.
 */
int serve(const char *name, const struct limits *limits, void (*view)(struct websocket *ws));

/* the worker, while serve runs; NULL otherwise */
struct worker *serve_worker(void);

#endif
