#include "route.h"
#include "../ws/utf8.h"
#include "query.h"

#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PAGE_PREFIX "/echo/"
#define INDEX "index.html"

static void index_page(struct site *site, struct request *request, struct response *response)
{
	page_respond(&site->page, INDEX, request, response);
}

/* ?message= comes back byte for byte; without it, the page */
static void echo(struct site *site, struct request *request, struct response *response)
{
	char *message;
	size_t length;

	if (!query_value(request->query, strlen(request->query), "message", &message, &length)) {
		index_page(site, request, response);
		return;
	}
	size_t valid = utf8_valid_prefix(message, length);
	if (valid < length) {
		http_status(response, 400);
		response->length = (size_t)snprintf(response->text, sizeof response->text,
						    "message is not valid UTF-8 at byte %zu\n",
						    valid);
		return;
	}
	http_text(response, 200, message, length);
}

static void page_file(struct site *site, struct request *request, struct response *response)
{
	page_respond(&site->page, request->path + strlen(PAGE_PREFIX), request, response);
}

static void chat(struct site *site, struct request *request, struct response *response)
{
	char *after;
	size_t length;

	if (!query_value(request->query, strlen(request->query), "after", &after, &length)) {
		page_respond(&site->page, "chat.html", request, response);
		return;
	}
	after[length] = '\0';
	chat_read(&site->chat, strlen(after) == length ? after : "", response);
}

static void post_to_chat(struct site *site, struct request *request, struct response *response)
{
	chat_post(&site->chat, request, response);
}

typedef void view_function(struct site *, struct request *, struct response *);

/* a further view is one more entry */
static const struct view {
	const char *path;
	view_function *get;
	view_function *post; /* or NULL */
} views[] = {
	{"/", index_page, NULL},
	{"/echo", echo, NULL},
	{"/serialize/echo/", echo, NULL},
	{"/chat", chat, post_to_chat},
};

static const struct view page_files = {NULL, page_file, NULL};

static bool is_under_page(const char *path)
{
	return strncmp(path, PAGE_PREFIX, strlen(PAGE_PREFIX)) == 0;
}

/* a page is served at its endpoint alone: its script talks to the URL that it came from */
static bool is_page_file(const char *path)
{
	if (!is_under_page(path))
		return false;
	const char *name = path + strlen(PAGE_PREFIX);
	return strstr(name, ".html") == NULL && page_has(name);
}

static const struct view *find_view(const char *path)
{
	for (size_t i = 0; i < sizeof views / sizeof *views; i++)
		if (strcmp(views[i].path, path) == 0)
			return &views[i];
	return is_page_file(path) ? &page_files : NULL;
}

/* a path that could lead out of the directory, or to a hidden file, is no endpoint's */
static bool is_plain(const char *path)
{
	return path[0] == '/' && path[1] != '\0' && strstr(path, "/.") == NULL &&
	       strstr(path, "//") == NULL;
}

/* the rule of websocketd --dir: the first part of the path that is a file is the program, the rest
 * is PATH_INFO */
static bool is_endpoint(const char *directory, const char *path)
{
	char file[PATH_MAX];
	struct stat status;

	if (directory == NULL || is_under_page(path) || !is_plain(path))
		return false;
	for (const char *end = path; *end;) {
		end += 1 + strcspn(end + 1, "/");
		int length = snprintf(file, sizeof file, "%s%.*s", directory, (int)(end - path),
				      path);
		if (length < 0 || (size_t)length >= sizeof file || stat(file, &status) < 0)
			return false;
		if (!S_ISDIR(status.st_mode))
			return S_ISREG(status.st_mode) && access(file, X_OK) == 0;
	}
	return false;
}

static void refuse_method(const struct view *view, struct response *response)
{
	http_status(response, 405);
	response->headers = view->post ? "Allow: GET, HEAD, POST\r\nCache-Control: no-store\r\n"
				       : "Allow: GET, HEAD\r\nCache-Control: no-store\r\n";
}

void route(struct site *site, struct request *request, struct response *response)
{
	bool reads = strcmp(request->method, "GET") == 0 || strcmp(request->method, "HEAD") == 0;
	bool posts = strcmp(request->method, "POST") == 0;
	const struct view *view = find_view(request->path);

	if (view && reads) {
		view->get(site, request, response);
	} else if (view && view->post && posts) {
		view->post(site, request, response);
	} else if (view) {
		refuse_method(view, response);
	} else if (is_endpoint(site->endpoints, request->path)) {
		http_status(response, 426);
		response->headers =
			"Upgrade: websocket\r\nConnection: Upgrade\r\nCache-Control: no-store\r\n";
	} else {
		http_status(response, 404);
	}
}
