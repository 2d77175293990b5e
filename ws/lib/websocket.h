/*
 * A WebSocket endpoint in C: one process a client, run by websocketd.
 *
 *	#include "websocket.h"
 *
 *	static void greet(struct websocket *ws)
 *	{
 *		websocket_send(ws, "hello", 5);
 *	}
 *
 *	int main(void)
 *	{
 *		return websocket_run(greet);
 *	}
 *
 * All lengths are in bytes. A message is one text message of RFC 6455 (section
 * 5.6): valid UTF-8 of any content but a newline, which websocketd takes for
 * the end of the message. It may be empty and may contain NUL.
 *
 * No function here blocks but websocket_wait and websocket_send, and neither
 * blocks the client's own sending: while they wait, they take in what it sends,
 * up to a limit. (A program that only writes while websocketd writes to it
 * hangs, and with it the connection, for ever.)
 *
 * A struct websocket belongs to one thread. There is no other state: no
 * function sets a global variable or the locale, and none writes to standard
 * output or standard error, but for websocket_run.
 */
#ifndef WEBSOCKET_H
#define WEBSOCKET_H

#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/* one client's connection; opaque */
struct websocket;

/* A message that came in. The text belongs to the library: it stays until the
 * next websocket_wait, websocket_read or websocket_close of its connection. A
 * NUL follows it that length does not count. */
struct websocket_message {
	const char *text;
	size_t length;
};

/* what websocket_wait and websocket_read found */
enum websocket_event {
	/* The connection ended for a reason that an operator should know:
	 * websocket_reason tells it, and errno is set:
	 *   EILSEQ    the client sent text that is not valid UTF-8
	 *   EBADMSG   the client sent a binary message
	 *   EMSGSIZE  the client sent a message over the limit
	 *   ENOBUFS   the client sent more, while a send waited, than the queue takes
	 *   ENOMEM    memory is short
	 *   another   a system call failed with it
	 * Every later call returns the same. */
	WEBSOCKET_ERROR = -1,
	/* nothing yet: the time is up, or nothing was there to read */
	WEBSOCKET_NONE = 0,
	/* a message came in */
	WEBSOCKET_MESSAGE = 1,
	/* The connection is over: the client left, the server is being stopped
	 * (SIGTERM, SIGINT), or this program closed it. What was taken in before
	 * that is delivered first; websocketd sends SIGINT 100 ms after the client
	 * left. Every later call returns the same. */
	WEBSOCKET_CLOSED = 2,
};

/* the timeout of websocket_wait that never runs out */
#define WEBSOCKET_FOREVER (-1)

/* the largest message that is taken in, unless WEBSOCKET_MAX_MESSAGE is set in the environment */
#define WEBSOCKET_MAX_MESSAGE_DEFAULT 1048576

/* how many messages of the largest size may wait unread while a send waits for the client */
#define WEBSOCKET_MAX_QUEUE 16

/*
 * True if this program was started for a WebSocket, that is by websocketd:
 * GATEWAY_INTERFACE (RFC 3875 4.1.4) begins with "websocketd-CGI/".
 */
bool is_websocket(void);

/*
 * The whole main of an endpoint: calls view once, with the connection on
 * standard input and output, and returns the exit status for main:
 *   0  the connection ended in an ordinary way, or the program was started by
 *      hand with --version as its argument, and printed that of the library
 *   1  it ended with an error, of which one line on standard error tells
 *   2  the program was not started by websocketd, or WEBSOCKET_MAX_MESSAGE is
 *      no number of bytes from 1 to 1073741824; a line on standard error says so
 * While view runs, SIGPIPE is ignored, and SIGTERM and SIGINT are blocked: they
 * end the connection instead. The scheduling policy, if it was SCHED_OTHER, is
 * SCHED_BATCH (sched(7)): it costs less, but may wait some milliseconds beside a
 * program that computes; view may set it back. A process that it starts inherits
 * all of this. When view returns, standard input, output and error are closed:
 * nothing can be done after it but to end.
 */
int websocket_run(void (*view)(struct websocket *ws));

/*
 * A variable of the handshake, as CGI names them (RFC 3875 4.1): REMOTE_ADDR,
 * QUERY_STRING, PATH_INFO, and HTTP_USER_AGENT and so on for each header but
 * Host. NULL if there is none. The string belongs to the environment. Behind
 * a proxy REMOTE_ADDR is the proxy's; of HTTP_X_FORWARDED_FOR only the last
 * address can be trusted, since the client may have sent the others itself.
 */
const char *websocket_variable(struct websocket *ws, const char *name);

/*
 * Waits for the next message, for at most timeout_ms milliseconds (0 does not
 * wait, WEBSOCKET_FOREVER has no limit). *message is set if and only if
 * WEBSOCKET_MESSAGE is returned.
 */
enum websocket_event websocket_wait(struct websocket *ws, struct websocket_message *message,
				    int timeout_ms);

/* the next message if one is there; never blocks */
enum websocket_event websocket_read(struct websocket *ws, struct websocket_message *message);

/* how many messages are there to be read; never blocks */
size_t websocket_count_messages(struct websocket *ws);

/* true if at least one message is there to be read; never blocks */
bool websocket_has_messages(struct websocket *ws);

/*
 * Sends one message of length bytes at text, which remain the caller's. It is
 * written before the function returns, and the function waits if the client is
 * slow to read. Returns 0, or -1 with errno set:
 *   EINVAL  the text contains a newline, and would arrive as two messages
 *   EILSEQ  the text is not valid UTF-8 (RFC 6455 8.1)
 *   EPIPE   the connection is over, websocket_wait will tell why
 * After EINVAL and EILSEQ nothing was sent, and the connection is as before.
 */
int websocket_send(struct websocket *ws, const char *text, size_t length);

/* true if nothing can be sent any more; messages that came before may still be there to be read */
bool websocket_is_closed(struct websocket *ws);

/*
 * Closes the connection and drops what was not read. The client sees the end
 * of the TCP connection without a close frame (code 1006): websocketd sends
 * none. Closing twice does nothing. ws stays valid.
 */
void websocket_close(struct websocket *ws);

/* after WEBSOCKET_ERROR, its cause in English, in memory of the library; otherwise NULL */
const char *websocket_reason(struct websocket *ws);

/*
 * A descriptor to poll beside others of your own. It is readable when there may
 * be something to read, or the connection is over: then call websocket_read.
 * Do not read from it. It belongs to ws. -1 with errno set if it cannot be made.
 */
int websocket_fd(struct websocket *ws);

/*
 * The two below serve programs that do without websocket_run, such as tests: a
 * connection over any pair of descriptors, whose bytes are lines as websocketd
 * has them: if in is a pipe, a line that is not written at once is taken for a
 * binary message. Both descriptors, which may be the same, belong to ws from then on,
 * and are set to O_NONBLOCK. SIGPIPE must be ignored, and no signal is caught.
 * max_message is the limit in bytes, at least 1. Returns NULL with errno set if
 * that fails; the descriptors are then still the caller's.
 */
struct websocket *websocket_open(int in, int out, size_t max_message);

/* closes the connection and frees it; NULL is allowed */
void websocket_free(struct websocket *ws);

#ifdef __cplusplus
}
#endif

#endif
