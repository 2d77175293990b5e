/*
 * An endpoint for hostile.py: tells each client, and the file that JOURNAL names, what the
 * handshake said: a line of NAME=VALUE with \1 between them.
 */
#include "websocket.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SIZE = 65536 };

static const char *const names[] = {
	"GATEWAY_INTERFACE",
	"REQUEST_METHOD",
	"REQUEST_URI",
	"SCRIPT_NAME",
	"PATH_INFO",
	"QUERY_STRING",
	"REMOTE_ADDR",
	"REMOTE_USER",
	"SERVER_NAME",
	"SERVER_PORT",
	"HTTP_FORWARDED",
	"HTTP_ORIGIN",
	"HTTP_PROXY",
	"HTTP_REMOTE_USER",
	"HTTP_X_FORWARDED_FOR",
	"HTTP_X_FORWARDED_HOST",
	"HTTP_X_FORWARDED_PROTO",
	"HTTP_X_HOST",
	"HTTP_X_ORIGIN",
	"HTTP_X_REAL_IP",
	"HTTP_X_REMOTE_USER",
};

/* the length of the line, which is cut where it is longer than the room for it */
static size_t write_line(struct websocket *ws, char *line)
{
	size_t length = 0;

	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		const char *value = websocket_variable(ws, names[i]);
		if (!value)
			continue;
		int added = snprintf(line + length, SIZE - length, "%s=%s\1", names[i], value);
		if (added < 0 || (size_t)added >= SIZE - length)
			break;
		length += (size_t)added;
	}
	line[length] = '\n';
	return length;
}

static void tell(struct websocket *ws)
{
	static char line[SIZE + 1]; /* used up before anything waits */
	struct websocket_message message;
	size_t length = write_line(ws, line);
	int journal = open(getenv("JOURNAL"), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0666);

	if (journal < 0 || write(journal, line, length + 1) < 0)
		perror("journal");
	if (journal >= 0)
		close(journal);
	if (websocket_send(ws, line, length) < 0)
		return;
	while (websocket_wait(ws, &message, WEBSOCKET_FOREVER) == WEBSOCKET_MESSAGE)
		;
}

int main(void)
{
	return websocket_run(tell);
}
