/* a worker: it takes connections from the listening socket and answers the requests on them */
#ifndef WORKER_H
#define WORKER_H

#include "route.h"

/*
 * Serves FastCGI requests from the listening socket on standard input until SIGTERM, SIGINT or
 * SIGUSR1 comes. A request is answered once all of it is there; until then its connection waits
 * beside others (waiting.h), and one that does not come in time is answered 408. After the signal
 * the requests that have begun to come get three seconds more. Returns the exit status: 0 after a
 * signal, 1 after a failure, of which a line on standard error tells. Several processes may share
 * the socket.
 */
int worker_run(struct site *site);

#endif
