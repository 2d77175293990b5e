/* from a request to its response: the routes, and what stands at each */
#ifndef ROUTE_H
#define ROUTE_H

#include "chat.h"
#include "http.h"
#include "page.h"

/* what is served */
struct site {
	struct page page;
	struct chat chat;
	const char *endpoints; /* the directory of the WebSocket programs, or NULL */
};

/*
 * Answers a request. Every path goes through here:
 *   200, 304  a view or a file of the page
 *   400       a view did not understand the query
 *   404       nothing is there
 *   405       no method of the view, which has GET and HEAD, and may have POST
 *   426       a WebSocket program is there, and no view
 * The response may point into the request and the site.
 */
void route(struct site *site, struct request *request, struct response *response);

#endif
