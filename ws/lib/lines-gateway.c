/* what websocketd has done and told before the program began: the handshake and its variables */
#include "field.h"
#include "lines.h"
#include "network.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool lines_is_started_by_websocketd(void)
{
	static const char gateway[] = "websocketd-CGI/";
	const char *interface = getenv("GATEWAY_INTERFACE");

	return interface && strncmp(interface, gateway, sizeof gateway - 1) == 0;
}

/* decodes the escapes of a path in place; websocketd has refused a path with a malformed one */
static void decode(char *path)
{
	const char *end = path + strlen(path);
	char *to = path;

	for (const char *from = path; from < end; to++) {
		char byte = *from;
		from += is_escape(from, end, &byte) ? 3 : 1;
		*to = byte;
	}
	*to = '\0';
}

/*
 * websocketd trims a variable, and makes a space of a CR or an LF in it: to the program the path
 * /chat/a%20 would be /chat/a, which an access rule of the web server may not let pass. REQUEST_URI
 * is escaped, and still has it all.
 */
int lines_restore_path(void)
{
	const char *script = getenv("SCRIPT_NAME");
	const char *uri = getenv("REQUEST_URI");
	const char *info = getenv("PATH_INFO");
	int result = 0;

	if (script == NULL || uri == NULL)
		return 0;
	char *path = strndup(uri, strcspn(uri, "?"));
	if (path == NULL)
		return -1;
	decode(path);
	size_t length = strlen(script);
	if (strncmp(path, script, length) == 0 &&
	    (info == NULL || strcmp(info, path + length) != 0))
		result = setenv("PATH_INFO", path + length, 1); /* it copies the environment */
	free(path);
	return result;
}

/* websocketd has answered the handshake before the program began */
int lines_accept(struct websocket *ws, const char *protocol)
{
	(void)ws;
	if (protocol == NULL)
		return 0;
	errno = ENOTSUP;
	return -1;
}

int lines_refuse(struct websocket *ws, int status)
{
	char text[80];

	snprintf(text, sizeof text, "refused with status %d, after websocketd had accepted",
		 status);
	connection_log(ws, text);
	return 0;
}

static struct span environment(const char *name)
{
	const char *value = getenv(name);

	return span_of(value ? value : "");
}

/* websocketd makes variables of headers alone: the user is in one that the web server has set */
const char *lines_variable(struct websocket *ws, const char *name)
{
	struct lines *lines = (struct lines *)ws;

	if (strcmp(name, "REMOTE_USER") != 0)
		return getenv(name);
	return user_name(environment("HTTP_X_REMOTE_USER"), environment("HTTP_FORWARDED"),
			 lines->user)
		       ? lines->user
		       : NULL;
}

/* the address that the nearest proxy saw, or the one that websocketd saw, if it looks like one */
const char *lines_address(struct websocket *ws)
{
	const char *forwarded = lines_variable(ws, "HTTP_X_FORWARDED_FOR");
	const char *last = forwarded ? strrchr(forwarded, ',') : NULL;
	const char *address = last ? last + 1 : forwarded;

	if (address == NULL)
		address = lines_variable(ws, "REMOTE_ADDR");
	return network_for_log(address ? address + strspn(address, " ") : NULL);
}
