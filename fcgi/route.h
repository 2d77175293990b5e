/* from a request to the view that answers it */
#ifndef ROUTE_H
#define ROUTE_H

#include "view.h"

/*
 * Answers a request. Every path goes through here:
 *   200, 304  a view, or a file that the pages use
 *   400       a view did not understand the query
 *   400, 403  the web server has refused a WebSocket (origin.h)
 *   404       nothing is there
 *   405       the view has no such method
 *   426       a WebSocket program is there, and no view
 * Further statuses are those of the views. The response may point into the
 * request and the site.
 */
void route(struct site *site, struct request *request, struct response *response);

#endif
