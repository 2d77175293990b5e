#include "route.h"
#include "endpoints.h"
#include "origin.h"

#include <stdbool.h>
#include <string.h>

#define FILES_PREFIX "/echo/"

struct route {
	const char *path;
	const char *method;
	view_function *view;
};

static const struct route routes[] = {
#define GET(path, view) {path, "GET", view},
#define POST(path, view) {path, "POST", view},
#include "routes.h"
#undef GET
#undef POST
};

static bool is_file_path(const char *path)
{
	return strncmp(path, FILES_PREFIX, strlen(FILES_PREFIX)) == 0;
}

/* A page is served only at its endpoint's path: its script talks to the URL that it came from. */
static bool is_file(const char *path)
{
	return is_file_path(path) && strstr(path, ".html") == NULL &&
	       files_has(path + strlen(FILES_PREFIX));
}

static void file(struct site *site, struct request *request, struct response *response)
{
	files_respond(&site->files, request->path + strlen(FILES_PREFIX), request, response);
}

/* true if a path of the table is this one, or stands for it */
static bool matches(const char *route, const char *path)
{
	size_t length = strlen(route);

	return route[length - 1] == '*' ? strncmp(route, path, length - 1) == 0
					: strcmp(route, path) == 0;
}

/* Finds the view of a path for a method, or for any method if that is NULL. NULL if there is none.
 */
static view_function *find(const char *path, const char *method)
{
	for (size_t i = 0; i < sizeof routes / sizeof *routes; i++)
		if (matches(routes[i].path, path) &&
		    (method == NULL || strcmp(routes[i].method, method) == 0))
			return routes[i].view;
	bool reads = method == NULL || strcmp(method, "GET") == 0;
	return reads && is_file(path) ? file : NULL;
}

static void refuse_method(const char *path, struct response *response)
{
	http_status(response, 405);
	response->headers = find(path, "POST") ? "Allow: GET, HEAD, POST\r\n"
					       : "Allow: GET, HEAD\r\n";
}

static void ask_for_upgrade(struct response *response)
{
	http_status(response, 426);
	response->headers = "Upgrade: websocket\r\nConnection: Upgrade\r\n";
}

void route(struct site *site, struct request *request, struct response *response)
{
	const char *method = strcmp(request->method, "HEAD") == 0 ? "GET" : request->method;
	view_function *view = find(request->path, method);

	if (origin_is_refused(request))
		origin_refuse(request, response);
	else if (view)
		view(site, request, response);
	else if (find(request->path, NULL))
		refuse_method(request->path, response);
	else if (!is_file_path(request->path) && endpoints_has(site->endpoints, request->path))
		ask_for_upgrade(response);
	else
		http_status(response, 404);
}
