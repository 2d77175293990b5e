/* /echo over HTTP: ?message= comes back byte for byte; without it, the page */
#include "query.h"
#include "utf8.h"
#include "view.h"

#include <string.h>

void echo_page(struct site *site, struct request *request, struct response *response)
{
	files_respond(&site->files, "echo.html", request, response);
}

void echo_get(struct site *site, struct request *request, struct response *response)
{
	char *message;
	size_t length;

	if (!query_value(request->query, strlen(request->query), "message", &message, &length)) {
		echo_page(site, request, response);
		return;
	}
	size_t valid = utf8_valid_prefix(message, length);
	if (valid < length)
		http_print(response, 400, "message is not valid UTF-8 at byte %zu\n", valid);
	else
		http_text(response, 200, message, length);
}
