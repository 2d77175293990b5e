/* the echo endpoint: every message comes back as it is */
#include "websocket.h"

static void echo(struct websocket *ws)
{
	struct websocket_message message;

	while (websocket_wait(ws, &message, WEBSOCKET_FOREVER) == WEBSOCKET_MESSAGE) {
		int sent = message.is_binary
				   ? websocket_send_binary(ws, message.text, message.length)
				   : websocket_send(ws, message.text, message.length);
		if (sent < 0)
			return;
	}
}

int main(void)
{
	return websocket_run(echo);
}
