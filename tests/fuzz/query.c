/*
 * A request and its whole response, compared with those of a second, plain
 * implementation.
 *
 * The input is a method, a path and a query as they stand in a request, without
 * the spaces: "G/echo?message=hi", with H for HEAD, P for POST, and any other byte
 * for GET.
 */
#include "query.h"
#include "fcgi/route.h"
#include "fuzz.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <unistd.h>

#define NAME "message"
#define FILE_BODY "a file"

/* a decoded part of a query; value is NULL if there is none */
struct plain {
	char *bytes;
	size_t length;
};

static int plain_digit(char c)
{
	static const char digits[] = "00112233445566778899aAbBcCdDeEfF";
	const char *found = c ? strchr(digits, c) : NULL;

	return found ? (int)(found - digits) / 2 : -1;
}

static struct plain plain_decode(const char *bytes, size_t length)
{
	struct plain out = {malloc(length + 1), 0};

	for (size_t i = 0; i < length; i++) {
		int high = i + 1 < length ? plain_digit(bytes[i + 1]) : -1;
		int low = i + 2 < length ? plain_digit(bytes[i + 2]) : -1;
		char c = bytes[i];
		if (c == '+') {
			c = ' ';
		} else if (c == '%' && high >= 0 && low >= 0) {
			c = (char)(high * 16 + low);
			i += 2;
		}
		out.bytes[out.length++] = c;
	}
	return out;
}

/* the value of the parameter in bytes if that is its name */
static void plain_parameter(const char *bytes, size_t length, struct plain *value)
{
	size_t equals = 0;

	while (equals < length && bytes[equals] != '=')
		equals++;
	struct plain name = plain_decode(bytes, equals);
	if (name.length == strlen(NAME) && memcmp(name.bytes, NAME, name.length) == 0) {
		size_t start = equals < length ? equals + 1 : length;
		free(value->bytes);
		*value = plain_decode(bytes + start, length - start);
	}
	free(name.bytes);
}

static struct plain plain_query(const char *query, size_t length)
{
	struct plain value = {0};
	size_t start = 0;

	for (size_t at = 0; at <= length; at++)
		if (at == length || query[at] == '&') {
			plain_parameter(query + start, at - start, &value);
			start = at + 1;
		}
	return value;
}

static void check_value(const char *bytes, size_t length)
{
	struct plain wanted = plain_query(bytes, length);
	char *query = fuzz_copy(bytes, length);
	char *value = NULL;
	size_t value_length = 0;

	bool found = query_value(query, length, NAME, &value, &value_length);
	fuzz_check(found == (wanted.bytes != NULL), "the parameter is found if it is there");
	if (found)
		fuzz_same(value, value_length, wanted.bytes, wanted.length, "its value");
	else
		fuzz_same(query, length, bytes, length, "the query is as it was");
	free(query);
	free(wanted.bytes);
}

static char directory[] = "/tmp/duplex-fuzz.XXXXXX";

static void in_directory(char path[PATH_MAX], const char *name)
{
	snprintf(path, PATH_MAX, "%s/%s", directory, name);
}

static void remove_directory(void)
{
	char path[PATH_MAX];
	DIR *listing = opendir(directory);
	const struct dirent *entry;

	while (listing && (entry = readdir(listing)) != NULL) {
		in_directory(path, entry->d_name);
		unlink(path);
	}
	if (listing)
		closedir(listing);
	rmdir(directory);
}

static void write_file(const char *name)
{
	char path[PATH_MAX];

	in_directory(path, name);
	FILE *file = fopen(path, "we");
	fuzz_check(file && fputs(FILE_BODY, file) >= 0 && fclose(file) == 0, "a file is written");
}

/* Makes a site whose files are all alike: files_open names a missing file, until none is missing.
 */
static struct site *site(void)
{
	static struct site site;
	const char *name;

	if (site.files.directory)
		return &site;
	fuzz_check(mkdtemp(directory) != NULL && atexit(remove_directory) == 0,
		   "there is a directory");
	while (files_open(&site.files, directory, &name) < 0) {
		fuzz_check(errno == ENOENT, "only a missing file keeps the files from being read");
		files_close(&site.files);
		write_file(name);
	}
	return &site;
}

/* what must come back */
struct wanted {
	int status;
	const char *body;
	size_t length;
	char text[64];
};

static void want(struct wanted *wanted, int status, const char *text)
{
	wanted->status = status;
	wanted->length = (size_t)snprintf(wanted->text, sizeof wanted->text, "%s", text);
	wanted->body = wanted->text;
}

static void want_echo(struct wanted *wanted, const struct plain *message)
{
	size_t valid = fuzz_utf8_prefix(message->bytes, message->length);

	if (valid == message->length) {
		*wanted = (struct wanted){200, message->bytes, message->length, ""};
		return;
	}
	want(wanted, 400, "");
	wanted->length = (size_t)sprintf(wanted->text, "message is not valid UTF-8 at byte %zu\n",
					 valid);
}

enum place { ECHO, FILES, NOTHING };

/* what the path leads to: a view that echoes, another file, or nothing */
static enum place plain_route(const char *path)
{
	static const char *const files[] = {"/",
					    "/echo/echo.js",
					    "/echo/echo.css",
					    "/echo/echo.svg",
					    "/echo/words.js",
					    "/echo/cost.js",
					    "/echo/chat.js",
					    "/echo/chat.css",
					    "/echo/chat-words.js",
					    "/echo/language.js",
					    "/echo/reconnecting-socket.js"};

	if (strcmp(path, "/echo") == 0 || strcmp(path, "/echo/") == 0 ||
	    strcmp(path, "/serialize/echo/") == 0)
		return ECHO;
	for (size_t i = 0; i < sizeof files / sizeof *files; i++)
		if (strcmp(path, files[i]) == 0)
			return FILES;
	return NOTHING;
}

static void want_response(struct wanted *wanted, char method, const char *path,
			  const struct plain *message)
{
	enum place what = plain_route(path);

	if (what == NOTHING)
		want(wanted, 404, "Not Found\n");
	else if (method == 'P')
		want(wanted, 405, "Method Not Allowed\n");
	else if (what == ECHO && message->bytes)
		want_echo(wanted, message);
	else
		want(wanted, 200, FILE_BODY);
}

/* The head is lines of "Name: value", each ended by CR LF, without another control character, then
 * an empty line (RFC 3875 6.2). Its Content-Length, or -1. */
static long check_head(const char *head, size_t length)
{
	long content_length = -1;
	size_t start = 0;

	fuzz_check(length < HTTP_HEAD_SIZE && strlen(head) == length, "the head's length");
	while (start + 2 < length) {
		const char *line = head + start;
		size_t n = strcspn(line, "\r\n");
		fuzz_check(line[n] == '\r' && line[n + 1] == '\n', "each line ends with CR LF");
		for (size_t i = 0; i < n; i++)
			fuzz_check(line[i] >= ' ' && line[i] <= '~', "a head is printable ASCII");
		const char *colon = strstr(line, ": ");
		fuzz_check(colon && colon > line && colon < line + n, "a line is a field");
		if (strncmp(line, "Content-Length: ", 16) == 0) {
			fuzz_check(content_length == -1, "there is one Content-Length");
			content_length = strtol(line + 16, NULL, 10);
		}
		start += n + 2;
	}
	fuzz_same(head + start, length - start, "\r\n", 2, "an empty line ends the head");
	return content_length;
}

static void check_response(char method, char *path, char *query)
{
	char *envp[] = {method == 'H'   ? "REQUEST_METHOD=HEAD"
			: method == 'P' ? "REQUEST_METHOD=POST"
					: "REQUEST_METHOD=GET",
			path, query, NULL};
	struct plain message = plain_query(strchr(query, '=') + 1, strlen(strchr(query, '=') + 1));
	struct wanted wanted;
	struct request request;
	struct response response;
	char head[HTTP_HEAD_SIZE];
	char status[32];

	want_response(&wanted, method, strchr(path, '=') + 1, &message);
	http_request(envp, &request);
	route(site(), &request, &response);
	size_t length = http_head(&response, head);
	fuzz_check(check_head(head, length) == (long)wanted.length, "Content-Length is right");
	snprintf(status, sizeof status, "Status: %d ", wanted.status);
	fuzz_check(strncmp(head, status, strlen(status)) == 0, "the status is right");
	fuzz_same(response.body, response.length, wanted.body, wanted.length, "the body is right");
	fuzz_check(http_has_body(&request, &response) == (method != 'H'), "HEAD has no body");
	free(message.bytes);
}

/* "NAME=" and the bytes up to a NUL */
static char *variable(const char *name, const char *bytes, size_t length)
{
	size_t start = strlen(name);
	char *out = malloc(start + length + 1);

	memcpy(out, name, start);
	memcpy(out + start, bytes, length);
	out[start + length] = '\0';
	return out;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0)
		return 0;
	const char *bytes = (const char *)data + 1;
	const char *mark = memchr(bytes, '?', size - 1);
	size_t path_length = mark ? (size_t)(mark - bytes) : size - 1;
	const char *query = mark ? mark + 1 : bytes + path_length;
	size_t query_length = size - 1 - (size_t)(query - bytes);

	check_value(query, query_length);
	if (path_length >= 5 && memcmp(bytes, "/chat", 5) == 0) /* which asks Redis */
		return 0;
	char *path = variable("SCRIPT_NAME=", bytes, path_length);
	char *string = variable("QUERY_STRING=", query, query_length);
	check_response((char)data[0], path, string);
	free(path);
	free(string);
	return 0;
}
