#include "origin.h"
#include "network.h"

#include <err.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

static const struct {
	const char *scheme;
	const char *port; /* that it has by default */
} schemes[] = {{"http://", ":80"}, {"https://", ":443"}};

/* the length of a host without a port that is this one */
static size_t length_without(const char *host, const char *port)
{
	size_t length = strlen(host);
	size_t end = strlen(port);

	return length > end && strcmp(host + length - end, port) == 0 ? length - end : length;
}

bool origin_is_of_host(const char *origin, const char *host)
{
	for (size_t i = 0; origin && host && i < sizeof schemes / sizeof *schemes; i++) {
		size_t prefix = strlen(schemes[i].scheme);
		if (strncasecmp(origin, schemes[i].scheme, prefix) != 0)
			continue;
		size_t length = length_without(origin + prefix, schemes[i].port);
		return length == length_without(host, schemes[i].port) &&
		       strncasecmp(origin + prefix, host, length) == 0;
	}
	return false;
}

bool origin_is_refused(const struct request *request)
{
	return request->refused && *request->refused;
}

enum { SHOWN = 200 }; /* bytes of a value; the rest is left out */

/* A value for the log, in quotes: printable ASCII, and everything else as \xHH. */
static const char *quote(const char *value, char text[4 * SHOWN + 6])
{
	char *end = text;

	if (value == NULL)
		return "none";
	*end++ = '"';
	for (size_t i = 0; i < SHOWN && value[i]; i++) {
		unsigned char c = (unsigned char)value[i];
		if (c < ' ' || c > '~' || c == '"' || c == '\\')
			end += snprintf(end, 5, "\\x%02x", c);
		else
			*end++ = (char)c;
	}
	stpcpy(end, strlen(value) > SHOWN ? "...\"" : "\"");
	return text;
}

void origin_refuse(const struct request *request, struct response *response)
{
	bool by_origin = strcmp(request->refused, "connection") != 0;
	char origin[4 * SHOWN + 6];
	char host[4 * SHOWN + 6];

	warnx("%s: WebSocket refused, %s: Origin %s, Host %s", network_for_log(request->address),
	      by_origin ? "its Origin is not one of ours" : "its Connection does not name Upgrade",
	      quote(request->origin, origin), quote(request->host, host));
	http_status(response, by_origin ? 403 : 400);
}
