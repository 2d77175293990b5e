#include "files.h"
#include "fill.h"
#include "query.h"

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

/* where the source of this program is, to which the pages link; if it is empty, they do not */
#ifndef DUPLEX_SOURCE
#define DUPLEX_SOURCE ""
#endif

#define HTML "text/html; charset=utf-8"
#define FOR_A_YEAR "public, max-age=31536000, immutable"
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
	{"echo.html", HTML, POLICY},
	{"chat.html", HTML, POLICY},
	{"echo.css", "text/css; charset=utf-8", ""},
	{"echo.svg", "image/svg+xml", ""},
	{"language.js", SCRIPT, ""},
	{"reconnecting-socket.js", SCRIPT, ""},
	{"words.js", SCRIPT, ""},
	{"cost.js", SCRIPT, ""},
	{"echo.js", SCRIPT, ""},
	{"chat.css", "text/css; charset=utf-8", ""},
	{"chat-words.js", SCRIPT, ""},
	{"chat.js", SCRIPT, ""},
};
enum { COUNT = sizeof table / sizeof *table };

struct file_copy {
	char *body;
	size_t length;
	char hash[17];      /* of the content, so that all workers agree on it */
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
static void print_hash(char hash[17], const char *bytes, size_t length)
{
	uint64_t h = 14695981039346656037U;

	for (size_t i = 0; i < length; i++)
		h = (h ^ (unsigned char)bytes[i]) * 1099511628211U;
	snprintf(hash, 17, "%016" PRIx64, h);
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
	print_hash(copy->hash, body, (size_t)length);
	free(copy->body);
	copy->body = body;
	copy->length = (size_t)length;
	copy->status = status;
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
	*files = (struct files){.directory = directory,
				.copies = calloc(COUNT, sizeof *files->copies)};
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

static bool is_page(int index)
{
	return strcmp(table[index].content_type, HTML) == 0;
}

struct filling {
	struct files *files;
	const char *way;
};

/* {root}: the way back to the root of our paths; {NAME} of a file: its hash; {source}: a link */
static const char *value_of(void *context, const char *name, size_t length)
{
	struct filling *filling = context;

	if (length == 4 && memcmp(name, "root", 4) == 0)
		return filling->way;
	if (length == 6 && memcmp(name, "source", 6) == 0)
		return DUPLEX_SOURCE[0] ? "<a href=\"" DUPLEX_SOURCE
					  "\" data-word=\"source\">Source</a>"
					: "";
	for (int i = 0; i < COUNT; i++)
		if (!is_page(i) && strlen(table[i].name) == length &&
		    memcmp(table[i].name, name, length) == 0) {
			refresh_or_warn(filling->files, table[i].name, &filling->files->copies[i]);
			return filling->files->copies[i].hash;
		}
	return NULL;
}

/* Fills the page in the response for the path of the request. Returns 0, or -1 if memory is short.
 */
static int fill_page(struct files *files, const struct request *request, struct response *response)
{
	char way[FILL_WAY_SIZE];
	struct filling filling = {files, way};

	fill_way(request->path, way);
	free(files->page);
	files->page = fill(response->body, response->length, value_of, &filling, &response->length);
	if (files->page == NULL)
		return -1;
	response->body = files->page;
	return 0;
}

/* ?v=HASH names one content for ever. */
static bool names_content(const struct request *request, const struct file_copy *copy)
{
	char *version;
	size_t length;

	return query_value(request->query, strlen(request->query), "v", &version, &length) &&
	       length == strlen(copy->hash) && memcmp(version, copy->hash, length) == 0;
}

/* If-None-Match, RFC 9110 13.1.2: a list of tags, which may be weak, or "*" */
static bool client_has(const struct request *request, const char *etag)
{
	const char *list = request->if_none_match;

	return list && (strcmp(list, "*") == 0 || strstr(list, etag));
}

static void set_etag(struct files *files, const struct request *request, struct response *response)
{
	char hash[17];

	print_hash(hash, response->body, response->length);
	snprintf(files->etag, sizeof files->etag, "\"%s\"", hash);
	response->etag = files->etag;
	if (client_has(request, files->etag))
		response->status = 304;
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
		.status = 200,
		.content_type = table[i].content_type,
		.cache = !is_page(i) && names_content(request, copy) ? FOR_A_YEAR : "no-cache",
		.headers = table[i].headers,
		.body = copy->body,
		.length = copy->length,
	};
	if (!is_page(i) || fill_page(files, request, response) == 0) {
		set_etag(files, request, response);
		return;
	}
	warn("%s", name);
	http_status(response, 503);
}

void files_close(struct files *files)
{
	for (size_t i = 0; files->copies && i < COUNT; i++)
		free(files->copies[i].body);
	free(files->copies);
	free(files->page);
	*files = (struct files){0};
}
