#include "cgi.h"

#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static size_t read_body(void *body, char *room, size_t size)
{
	return fread(room, 1, size, body);
}

int cgi_serve(struct site *site)
{
	struct request request;
	struct response response;
	char head[HTTP_HEAD_SIZE];

	http_request(environ, &request);
	request.read_body = read_body;
	request.body = stdin;
	route(site, &request, &response);
	size_t length = http_head(&response, head);
	fwrite(head, 1, length, stdout);
	if (http_has_body(&request, &response))
		fwrite(response.body, 1, response.length, stdout);
	if (fflush(stdout) != 0 || ferror(stdout)) {
		warn("standard output");
		return EXIT_FAILURE;
	}
	return EXIT_SUCCESS;
}
