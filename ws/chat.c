/* the chat endpoint: what anybody sends is published, and everybody gets it */
#include "push.h"

#include <err.h>
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

/* Publishes a message, but for an empty one: it asks whether its connection lives, and comes back.
 */
static int take(struct websocket *ws, const struct websocket_message *message)
{
	if (message->length == 0)
		return websocket_send(ws, "", 0);
	return websocket_publish("chat", message->text, message->length);
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
		if (take(ws, &message) < 0) {
			warn("a message is not published");
			return;
		}
}

int main(void)
{
	return websocket_run(chat);
}
