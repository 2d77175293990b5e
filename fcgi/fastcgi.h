/* FastCGI by libfcgi, which fastcgi.c alone knows */
#ifndef FASTCGI_H
#define FASTCGI_H

#include "route.h"

#include <stdbool.h>
#include <stddef.h>

/* Sets up libfcgi and the deadline of fastcgi_answer. Returns 0, or -1 with errno set. */
int fastcgi_open(void);

/*
 * Accepts a connection from the listening socket on standard input. On a TCP socket those that
 * FCGI_WEB_SERVER_ADDRS does not name are closed. Returns its descriptor, or -1 with errno set.
 */
int fastcgi_accept(void);

/*
 * Answers a request of which nothing more has to come: RECORDS_WHOLE or RECORDS_ENOUGH. Its bytes
 * are those given, or with NULL those that wait to be read from the connection. What libfcgi does
 * not read stays there. This waits for the web server only if the answer does not fit into the
 * connection's buffer, and for four seconds at most. Returns true, and the connection is the
 * caller's to close, or false if an error has closed it.
 */
bool fastcgi_answer(struct site *site, int connection, const char *bytes, size_t length);

/* Answers a request with this id, of which not all has come, with a status alone. Returns as
 * fastcgi_answer does. */
bool fastcgi_refuse(int connection, unsigned int id, int status);

/* frees what libfcgi holds */
void fastcgi_close(void);

#endif
