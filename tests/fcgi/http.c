/* What becomes of CGI variables that are missing, odd or doubled, and the parts of a response. */
#include "fcgi/http.h"
#include "tap.h"

#include <stdio.h>
#include <stdlib.h>

static void check_request(void)
{
	char *nothing[] = {NULL};
	char *variables[] = {"REQUEST_METHODS=PUT", "REQUEST",         "REQUEST_METHOD=GET",
			     "SCRIPT_NAME=/echo",   "PATH_INFO=/more", "REMOTE_USER=",
			     "HTTP_HOST=a",         "HTTP_HOST=b",     NULL};
	char *user[] = {"REMOTE_USER=alice", "QUERY_STRING=a=b", NULL};
	struct request request;

	http_request(nothing, &request);
	ok(strcmp(request.method, "") == 0 && strcmp(request.query, "") == 0 &&
		   strcmp(request.path, "") == 0 && request.host == NULL && request.user == NULL,
	   "without variables method, query and path are empty");
	http_request(variables, &request);
	ok(strcmp(request.method, "GET") == 0, "a name that begins like another is not that one");
	ok(strcmp(request.path, "/echo/more") == 0, "SCRIPT_NAME and PATH_INFO are the path");
	ok(strcmp(request.host, "a") == 0, "of two variables of one name the first counts");
	ok(request.user == NULL, "with an empty REMOTE_USER nobody has logged in");
	http_request(user, &request);
	ok(strcmp(request.user, "alice") == 0, "REMOTE_USER is who has logged in");
	ok(strcmp(request.query, "a=b") == 0, "QUERY_STRING is the query");
}

static const struct {
	const char *uri;
	bool is_usable;
} uris[] = {
	{"/echo", true},      {"/echo/%20", true},    {"/echo/%2f%7e", true},
	{"/echo/%", true},    {"/echo/%0", true},     {"/echo?%00", true},
	{"", true},           {"/echo/%00", false},   {"/echo/%0a", false},
	{"/echo%0Ax", false}, {"/echo/%1f/x", false}, {"/echo/%7f", false},
	{"/%7F/echo", false},
};

static void check_paths(void)
{
	char uri[64];
	char path[700];
	char *variables[] = {"SCRIPT_NAME=/echo", uri, NULL};
	char *deep[] = {path, NULL};
	struct request request;

	for (size_t i = 0; i < sizeof uris / sizeof *uris; i++) {
		snprintf(uri, sizeof uri, "REQUEST_URI=%s", uris[i].uri);
		http_request(variables, &request);
		ok((request.path[0] != '\0') == uris[i].is_usable, "the path of \"%s\" is %s",
		   uris[i].uri, uris[i].is_usable ? "usable" : "not usable");
	}
	memset(path, 'x', sizeof path);
	memcpy(path, "SCRIPT_NAME=/", 13);
	path[sizeof path - 1] = '\0';
	http_request(deep, &request);
	ok(request.path[0] == '\0', "a path of 688 bytes is not usable");
}

static const struct {
	const char *text;
	int status;
	size_t length;
} lengths[] = {
	{NULL, 0, 101},    {"", 0, 101},
	{"-1", 0, 101},    {"0", 0, 0},
	{"100", 0, 100},   {"0100", 0, 100},
	{"101", 413, 101}, {"99999999999999999999999", 413, 999},
	{"x", 400, 101},   {"1x", 400, 101},
	{" 1", 400, 101},  {"+1", 400, 101},
	{"-2", 400, 101},  {"1,1", 400, 101},
};

static void check_lengths(void)
{
	for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
		size_t length = 0;
		int status = http_content_length(lengths[i].text, 100, &length);
		ok(status == lengths[i].status && length == lengths[i].length,
		   "CONTENT_LENGTH=%s: %d, %zu", lengths[i].text ? lengths[i].text : "(not set)",
		   status, length);
	}
}

static void check_response(void)
{
	struct request get = {.method = "GET"};
	struct request head = {.method = "HEAD"};
	struct response response;
	char text[HTTP_HEAD_SIZE];

	http_status(&response, 404);
	is(response.body, response.length, "Not Found\n", 10, "the body of a status is its phrase");
	size_t length = http_head(&response, text);
	ok(length == strlen(text) && strncmp(text, "Status: 404 Not Found\r\n", 23) == 0 &&
		   strcmp(text + length - 4, "\r\n\r\n") == 0,
	   "the head begins with the status and ends with an empty line");
	ok(http_has_body(&get, &response) && !http_has_body(&head, &response),
	   "GET has a body, and HEAD has none");
	http_status(&response, 299);
	is(response.body, response.length, "\n", 1, "a status without a phrase has an empty line");
	http_text(&response, 304, "", 0);
	length = http_head(&response, text);
	ok(strstr(text, "\r\nContent-") == NULL && !http_has_body(&get, &response),
	   "304 has neither a body nor the type and length of one");
}

int main(void)
{
	check_request();
	check_paths();
	check_lengths();
	check_response();
	return done();
}
