#include "files.h"

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SCRIPT "text/javascript; charset=utf-8"
#define POLICY \
	"Content-Security-Policy: default-src 'none'; script-src 'self'; style-src 'self'; " \
	"img-src 'self'; " \
	"connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'self'; " \
	"require-trusted-types-for 'script'\r\n"

static const struct {
	const char *name;
	const char *content_type;
	const char *headers;
} table[] = {
	{"echo.html", "text/html; charset=utf-8", POLICY},
	{"words.js", SCRIPT, ""},
	{"reconnecting-socket.js", SCRIPT, ""},
	{"cost.js", SCRIPT, ""},
	{"echo.js", SCRIPT, ""},
	{"echo.css", "text/css; charset=utf-8", ""},
	{"echo.svg", "image/svg+xml", ""},
	{"chat.html", "text/html; charset=utf-8", POLICY},
	{"chat.js", SCRIPT, ""},
};
enum { COUNT = sizeof table / sizeof *table };

struct file_copy {
	char *body;
	size_t length;
	char etag[20];      /* of the content, so that all workers agree on it */
	struct stat status; /* of the file when it was read */
	bool stale;         /* it could not be read again, and the log has said so */
};

static int path_of(const struct files *files, const char *name, char path[PATH_MAX])
{
	int length = snprintf(path, PATH_MAX, "%s/%s", files->directory, name);

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

static int load(struct file_copy *copy, int fd)
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

/* reads the file unless the copy is up to date */
static int refresh(const struct files *files, const char *name, struct file_copy *copy)
{
	char path[PATH_MAX];
	struct stat status;

	if (path_of(files, name, path) < 0 || stat(path, &status) < 0)
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

int files_open(struct files *files, const char *directory, const char **name)
{
	*name = "malloc";
	*files = (struct files){directory, calloc(COUNT, sizeof *files->copies)};
	if (files->copies == NULL)
		return -1;
	for (size_t i = 0; i < COUNT; i++) {
		*name = table[i].name;
		if (refresh(files, table[i].name, &files->copies[i]) < 0)
			return -1;
	}
	return 0;
}

static void refresh_or_warn(const struct files *files, const char *name, struct file_copy *copy)
{
	bool stale = refresh(files, name, copy) < 0;

	if (stale && !copy->stale)
		warn("%s/%s: serving the last copy", files->directory, name);
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
	for (int i = 0; i < COUNT; i++)
		if (strcmp(table[i].name, name) == 0)
			return i;
	return -1;
}

bool files_has(const char *name)
{
	return index_of(name) >= 0;
}

void files_respond(struct files *files, const char *name, const struct request *request,
		   struct response *response)
{
	int i = index_of(name);

	if (i < 0) {
		http_status(response, 404);
		return;
	}
	struct file_copy *copy = &files->copies[i];
	refresh_or_warn(files, name, copy);
	*response = (struct response){
		.status = client_has(request, copy->etag) ? 304 : 200,
		.content_type = table[i].content_type,
		.cache = "no-cache",
		.headers = table[i].headers,
		.etag = copy->etag,
		.body = copy->body,
		.length = copy->length,
	};
}

void files_close(struct files *files)
{
	for (size_t i = 0; files->copies && i < COUNT; i++)
		free(files->copies[i].body);
	free(files->copies);
	*files = (struct files){0};
}
