/* the Origin of the page that sends a request (RFC 6454), and what the web server says of it */
#ifndef ORIGIN_H
#define ORIGIN_H

#include "http.h"

#include <stdbool.h>

/* Returns true if a page of this origin is of the host that the request asks for: they are equal,
 * but for case, and a port that is the default of the origin's scheme may be left out in either.
 * False if one of them is NULL. */
bool origin_is_of_host(const char *origin, const char *host);

/* Returns true if the web server has refused a WebSocket, and leaves the answer to us: then
 * DUPLEX_REFUSED is set, to "origin" or "connection". */
bool origin_is_refused(const struct request *request);

/* Answers such a request with 403 or 400, and writes one line to the log, with the client's
 * address, its Origin and the Host that it asked for. Nothing in these can forge a line. */
void origin_refuse(const struct request *request, struct response *response);

#endif
