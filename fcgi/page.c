#include "page.h"

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SCRIPT "text/javascript; charset=utf-8"
#define CACHE "Cache-Control: no-cache\r\n"
#define POLICY \
	"Content-Security-Policy: default-src 'none'; script-src 'self'; style-src 'self'; " \
	"img-src 'self'; " \
	"connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'self'; " \
	"require-trusted-types-for 'script'\r\n"

static const struct {
	const char *name;
	const char *content_type;
	const char *headers;
} files[PAGE_FILES] = {
	{"index.html", "text/html; charset=utf-8", CACHE POLICY},
	{"words.js", SCRIPT, CACHE},
	{"reconnecting-socket.js", SCRIPT, CACHE},
	{"cost.js", SCRIPT, CACHE},
	{"echo.js", SCRIPT, CACHE},
	{"echo.css", "text/css; charset=utf-8", CACHE},
	{"echo.svg", "image/svg+xml", CACHE},
	{"chat.html", "text/html; charset=utf-8", CACHE POLICY},
	{"chat.js", SCRIPT, CACHE},
};

static int path_of(const struct page *page, const char *name, char path[PATH_MAX])
{
	int length = snprintf(path, PATH_MAX, "%s/%s", page->directory, name);

	if (length >= 0 && length < PATH_MAX)
		return 0;
	errno = ENAMETOOLONG;
	return -1;
}

/* FNV-1a, 64 bits */
static uint64_t hash(const char *bytes, size_t length)
{
	uint64_t h = 14695981039346656037U;

	for (size_t i = 0; i < length; i++)
		h = (h ^ (unsigned char)bytes[i]) * 1099511628211U;
	return h;
}

static bool is_same_file(const struct stat *a, const struct stat *b)
{
	return a->st_ino == b->st_ino && a->st_dev == b->st_dev && a->st_size == b->st_size &&
	       a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

/* up to size bytes of the file: how many there were, or -1 */
static ssize_t read_all(int fd, char *body, size_t size)
{
	size_t length = 0;
	ssize_t n = 1;

	while (n > 0 && length < size) {
		n = read(fd, body + length, size - length);
		if (n > 0)
			length += (size_t)n;
		else if (n < 0 && errno == EINTR)
			n = 1;
	}
	return n < 0 ? -1 : (ssize_t)length;
}

static int load(struct page_copy *copy, int fd)
{
	struct stat status;

	if (fstat(fd, &status) < 0)
		return -1;
	if (!S_ISREG(status.st_mode)) {
		errno = S_ISDIR(status.st_mode) ? EISDIR : EINVAL;
		return -1;
	}
	char *body = malloc((size_t)status.st_size + 1);
	if (body == NULL)
		return -1;
	ssize_t length = read_all(fd, body, (size_t)status.st_size);
	if (length < 0) {
		free(body);
		return -1;
	}
	free(copy->body);
	copy->body = body;
	copy->length = (size_t)length;
	copy->status = status;
	snprintf(copy->etag, sizeof copy->etag, "\"%016" PRIx64 "\"", hash(body, copy->length));
	return 0;
}

/* reads the file unless the copy is what is there */
static int refresh(const struct page *page, const char *name, struct page_copy *copy)
{
	char path[PATH_MAX];
	struct stat status;

	if (path_of(page, name, path) < 0 || stat(path, &status) < 0)
		return -1;
	if (copy->body && is_same_file(&status, &copy->status))
		return 0;

	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return -1;
	int result = load(copy, fd);
	int error = errno;
	close(fd);
	errno = error;
	return result;
}

int page_open(struct page *page, const char *directory, const char **name)
{
	*page = (struct page){.directory = directory};
	for (size_t i = 0; i < PAGE_FILES; i++) {
		*name = files[i].name;
		if (refresh(page, files[i].name, &page->copy[i]) < 0)
			return -1;
	}
	return 0;
}

static void refresh_or_warn(const struct page *page, const char *name, struct page_copy *copy)
{
	bool stale = refresh(page, name, copy) < 0;

	if (stale && !copy->stale)
		warn("%s/%s: serving the last copy", page->directory, name);
	copy->stale = stale;
}

/* If-None-Match, RFC 9110 13.1.2: a list of tags, which may be weak, or "*" */
static bool client_has(const struct request *request, const char *etag)
{
	const char *list = request->if_none_match;

	return list && (strcmp(list, "*") == 0 || strstr(list, etag));
}

static int index_of(const char *name)
{
	for (int i = 0; i < PAGE_FILES; i++)
		if (strcmp(files[i].name, name) == 0)
			return i;
	return -1;
}

bool page_has(const char *name)
{
	return index_of(name) >= 0;
}

void page_respond(struct page *page, const char *name, const struct request *request,
		  struct response *response)
{
	int i = index_of(name);

	if (i < 0) {
		http_status(response, 404);
		return;
	}
	struct page_copy *copy = &page->copy[i];
	refresh_or_warn(page, name, copy);
	*response = (struct response){
		.status = client_has(request, copy->etag) ? 304 : 200,
		.content_type = files[i].content_type,
		.headers = files[i].headers,
		.etag = copy->etag,
		.body = copy->body,
		.length = copy->length,
	};
}

void page_close(struct page *page)
{
	for (size_t i = 0; i < PAGE_FILES; i++)
		free(page->copy[i].body);
	*page = (struct page){0};
}
