/* the chat endpoint: what anybody sends to a channel is published, and everybody there gets it */
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

/* /chat/NAME is a channel of that name, and /chat the one called chat, as is /chat/ */
static const char *channel_of(struct websocket *ws)
{
	const char *path = websocket_variable(ws, "PATH_INFO");

	return path && path[0] && path[1] ? path + 1 : "chat";
}

/* A text is published; an empty one comes back, so that a client can ask whether we are there. */
static int answer(struct websocket *ws, const char *channel,
		  const struct websocket_message *message)
{
	return message->length > 0
		       ? websocket_publish_from(ws, channel, message->text, message->length)
		       : websocket_send(ws, "", 0);
}

static void chat(struct websocket *ws)
{
	const char *channel = channel_of(ws);
	struct websocket_message message;
	char after[64];

	if (!websocket_is_channel(channel)) {
		websocket_refuse(ws, 404);
		return;
	}
	if (websocket_subscribe(ws, channel, where_to_begin(ws, after, sizeof after)) < 0) {
		if (errno == EINVAL)
			websocket_refuse(ws, 400);
		return;
	}
	while (websocket_wait(ws, &message, WEBSOCKET_FOREVER) == WEBSOCKET_MESSAGE)
		if (answer(ws, channel, &message) < 0)
			return;
}

int main(void)
{
	return websocket_run(chat);
}
