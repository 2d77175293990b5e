/* the echo endpoint: every message comes back as it is */
#include "websocket.h"

static void echo(struct websocket *ws)
{
	struct websocket_message message;

	while (websocket_wait(ws, &message, WEBSOCKET_FOREVER) == WEBSOCKET_MESSAGE)
		websocket_send(ws, message.text, message.length);
}

int main(void)
{
	return websocket_run(echo);
}
