/* the chat endpoint: what anybody sends is published, and everybody gets it */
#include "push.h"

#include <errno.h>
#include <string.h>

/* ?after= names the last message that a client that comes back has seen; others get the last 20 */
static const char *where_to_begin(struct websocket *ws, char *after, size_t size)
{
	ptrdiff_t length = websocket_parameter(ws, "after", after, size);

	if (length < 0)
		return "-20";
	return strlen(after) == (size_t)length ? after : ""; /* "" where a NUL or the size cut it */
}

static void chat(struct websocket *ws)
{
	struct websocket_message message;
	char after[64];

	if (websocket_subscribe(ws, "chat", where_to_begin(ws, after, sizeof after)) < 0) {
		if (errno == EINVAL)
			websocket_refuse(ws, 400);
		return;
	}
	while (websocket_wait(ws, &message, WEBSOCKET_FOREVER) == WEBSOCKET_MESSAGE)
		if (websocket_publish_from(ws, "chat", message.text, message.length) < 0)
			return;
}

int main(void)
{
	return websocket_run(chat);
}
