/* the chat endpoint: what anybody sends is published, and everybody gets it */
#include "push.h"

#include <err.h>
#include <string.h>

/* ?after=ID is the last message that a client that comes back has seen; a newcomer gets the last 20
 */
static const char *last_seen(struct websocket *ws)
{
	const char *query = websocket_variable(ws, "QUERY_STRING");

	return query && strncmp(query, "after=", 6) == 0 && query[6] ? query + 6 : "-20";
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

	if (websocket_subscribe(ws, "chat", last_seen(ws)) < 0)
		return;
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
