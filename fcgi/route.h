/* from a request to its response: the routes, and what stands at each */
#ifndef ROUTE_H
#define ROUTE_H

#include "http.h"
#include "page.h"

/* what is served */
struct site {
	struct page page;
	const char *endpoints; /* the directory of the WebSocket programs, or NULL */
};

/*
 * Answers a request. Every path goes through here:
 *   200, 304  a view or a file of the page
 *   400       a view did not understand the query
 *   404       nothing is there
 *   405       not GET or HEAD
 *   426       a WebSocket program is there, and no view
 * The response may point into the request and the site.
 */
void route(struct site *site, struct request *request, struct response *response);

#endif
