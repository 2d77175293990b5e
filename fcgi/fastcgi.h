/* the only part that knows libfcgi */
#ifndef FASTCGI_H
#define FASTCGI_H

#include "route.h"

/*
 * Serves FastCGI requests from the listening socket on standard input, one
 * after another, until SIGTERM, SIGINT or SIGUSR1 comes; the request in hand is
 * finished first, and one more if it waits already. None lasts longer than four
 * seconds: its connection is then ended. Returns the exit status: 0 after a
 * signal, 1 after a failure, of which a line on standard error tells. Several
 * processes may share the socket.
 */
int fastcgi_serve(struct site *site);

#endif
