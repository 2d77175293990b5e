/*
 * A view is the function that answers the requests to a path. It stands in a
 * file with the name of its endpoint, and its path in routes.h.
 */
#ifndef VIEW_H
#define VIEW_H

#include "chat.h"
#include "files.h"
#include "http.h"

/* what is served; a worker keeps it from one request to the next */
struct site {
	struct files files;
	struct chat chat;
	const char *endpoints; /* the directory of the WebSocket programs, or NULL */
};

/* Answers the request. The response may point into the request and the site. */
typedef void view_function(struct site *site, struct request *request, struct response *response);

/* declares each view of the route table */
#define GET(path, view) view_function view;
#define POST(path, view) view_function view;
#include "routes.h"
#undef GET
#undef POST

#endif
