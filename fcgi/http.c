#include "http.h"
#include "status.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

static char *variable(char **envp, const char *name)
{
	size_t length = strlen(name);

	for (; *envp; envp++)
		if (**envp == *name && strncmp(*envp, name, length) == 0 && (*envp)[length] == '=')
			return *envp + length + 1;
	return NULL;
}

/*
 * True if a control character is escaped in the path of a URI. A NUL would cut SCRIPT_NAME short,
 * and of the others lighttpd makes an underscore: we would answer another path than the one that
 * was asked for, and that its access rules were asked about.
 */
static bool has_control_character(const char *uri)
{
	size_t length = uri ? strcspn(uri, "?") : 0;

	for (size_t i = 0; i + 2 < length; i++)
		if (uri[i] == '%' && (uri[i + 1] == '0' || uri[i + 1] == '1' ||
				      strncasecmp(uri + i + 1, "7f", 2) == 0))
			return true;
	return false;
}

void http_request(char **envp, struct request *request)
{
	const char *method = variable(envp, "REQUEST_METHOD");
	const char *script = variable(envp, "SCRIPT_NAME");
	const char *info = variable(envp, "PATH_INFO");
	char *query = variable(envp, "QUERY_STRING");
	static char no_query[1];

	request->method = method ? method : "";
	request->query = query ? query : no_query;
	request->if_none_match = variable(envp, "HTTP_IF_NONE_MATCH");
	request->address = variable(envp, "REMOTE_ADDR");
	request->user = variable(envp, "REMOTE_USER");
	if (request->user && *request->user == '\0')
		request->user = NULL;
	request->host = variable(envp, "HTTP_HOST");
	request->origin = variable(envp, "HTTP_ORIGIN");
	request->refused = variable(envp, "DUPLEX_REFUSED");
	request->content_type = variable(envp, "CONTENT_TYPE");
	request->content_length = variable(envp, "CONTENT_LENGTH");

	int length = snprintf(request->path, sizeof request->path, "%s%s", script ? script : "",
			      info ? info : "");
	if (length < 0 || (size_t)length >= sizeof request->path ||
	    has_control_character(variable(envp, "REQUEST_URI")))
		request->path[0] = '\0';
}

int http_content_length(const char *text, size_t most, size_t *length)
{
	*length = most + 1;
	if (text == NULL || strcmp(text, "") == 0 || strcmp(text, "-1") == 0)
		return 0;
	if (text[strspn(text, "0123456789")] != '\0')
		return 400;
	*length = 0;
	for (; *text; text++) {
		*length = *length * 10 + (size_t)(*text - '0');
		if (*length > most)
			return 413;
	}
	return 0;
}

void http_text(struct response *response, int status, const char *body, size_t length)
{
	*response = (struct response){
		.status = status,
		.content_type = "text/plain; charset=utf-8",
		.cache = "no-store",
		.headers = "",
		.body = body,
		.length = length,
	};
}

void http_print(struct response *response, int status, const char *format, ...)
{
	va_list arguments;

	http_text(response, status, response->text, 0);
	va_start(arguments, format);
	/* clang-tidy 14 does not see va_start */
	/* NOLINTNEXTLINE(clang-analyzer-valist.Uninitialized) */
	int length = vsnprintf(response->text, sizeof response->text, format, arguments);
	response->length = (size_t)length;
	va_end(arguments);
}

void http_status(struct response *response, int status)
{
	http_print(response, status, "%s\n", status_phrase(status));
}

size_t http_head(const struct response *response, char head[HTTP_HEAD_SIZE])
{
	const char *etag = response->etag;
	int length = snprintf(head, HTTP_HEAD_SIZE,
			      "Status: %d %s\r\nCache-Control: %s\r\n%s%s%s%s"
			      "X-Content-Type-Options: nosniff\r\n",
			      response->status, status_phrase(response->status), response->cache,
			      response->headers, etag ? "ETag: " : "", etag ? etag : "",
			      etag ? "\r\nVary: Accept-Encoding\r\n" : "");

	if (response->status == 304)
		length += snprintf(head + length, HTTP_HEAD_SIZE - (size_t)length, "\r\n");
	else
		length += snprintf(head + length, HTTP_HEAD_SIZE - (size_t)length,
				   "Content-Type: %s\r\nContent-Length: %zu\r\n\r\n",
				   response->content_type, response->length);
	return (size_t)length;
}

bool http_has_body(const struct request *request, const struct response *response)
{
	return strcmp(request->method, "HEAD") != 0 && response->status != 304;
}
