/*
 * A WebSocket endpoint in C.
 *
 *	#include "websocket.h"
 *
 *	static void greet(struct websocket *ws)
 *	{
 *		if (websocket_send(ws, "hello", 5) < 0)
 *			websocket_close(ws);
 *	}
 *
 *	int main(void)
 *	{
 *		return websocket_run(greet);
 *	}
 *
 * The same program runs in two ways, and finds out by itself which one it is to be:
 *   by websocketd  one process for each client, as CGI has it
 *   resident       one process for all its clients, as FastCGI has it, if standard input is a
 *                  listening socket; there the view of each client runs as a coroutine
 *
 * A view is a function that has the connection of one client and returns when it
 * is done with it. In a resident process a view lets the others go on while it
 * is in websocket_wait, websocket_send, websocket_poll or a function of push.h,
 * and only then. So it must not block elsewhere (sleep, a query of a database):
 * that would stop every client of its worker. It must not end the process, nor
 * keep much on its stack, which is 64 KiB: a view that overruns it ends its worker.
 * And getenv has no variable of the client: websocket_variable has them.
 *
 * All lengths are in bytes. A message is one message of RFC 6455 (section 5.6).
 * Text is valid UTF-8, may be empty and may contain NUL. By websocketd it cannot
 * contain a newline, which websocketd takes for the end of the message, and
 * binary messages can be neither received nor sent.
 *
 * Only websocket_wait, websocket_send, websocket_send_binary and websocket_poll
 * block, and none of them keeps the client from sending: while they wait, they
 * take in what it sends, up to a limit. (A program that only writes while
 * websocketd writes to it hangs, and with it the connection, for ever.)
 *
 * A struct websocket belongs to one thread, in a resident process to its view.
 * There is no other state: no function sets a global variable or the locale, and
 * none writes to standard output or, but under websocket_run, to standard error.
 */
#ifndef WEBSOCKET_H
#define WEBSOCKET_H

#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The compiler warns where the result of such a function is dropped. */
#ifdef __GNUC__
#define WEBSOCKET_CHECKED __attribute__((warn_unused_result))
#else
#define WEBSOCKET_CHECKED
#endif

/* one client's connection; opaque */
struct websocket;

struct pollfd; /* of <poll.h> */

/* A message that came in. The text belongs to the library: it stays until the
 * next websocket_wait, websocket_read, websocket_poll, websocket_count_messages,
 * websocket_has_messages or websocket_close of its connection. A NUL follows it
 * that length does not count. */
struct websocket_message {
	const char *text;
	size_t length;
	bool is_binary; /* never by websocketd */
};

/* what websocket_wait and websocket_read found */
enum websocket_event {
	/* The connection ended for a reason that an operator should know:
	 * websocket_reason tells it, and errno is set:
	 *   EILSEQ     the client sent text that is not valid UTF-8
	 *   EBADMSG    the client sent a binary message (by websocketd)
	 *   EMSGSIZE   the client sent a message over the limit
	 *   ENOBUFS    the client sent more, while a send waited, than the queue takes, or
	 *              memory for all clients is short
	 *   EPROTO     the client broke a rule of RFC 6455 (resident)
	 *   ETIMEDOUT  the client took nothing for too long, or did not answer a ping (resident)
	 *   ENOMEM     memory is short
	 *   another    a system call failed with it
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

/* True in a view, in either way. Outside of a view it is true by websocketd, and in a resident
 * process while websocket_run serves. */
bool is_websocket(void);

/*
 * The whole main of an endpoint. It looks at what the program was given, in this
 * order:
 *   GATEWAY_INTERFACE (RFC 3875 4.1.4) is websocketd's: calls view once, with the connection on
 *     standard input and output
 *   standard input is a listening socket: calls view for each client, until SIGTERM, SIGINT or
 *     SIGUSR1; other processes may share the socket; at SIGUSR2 it writes a line of figures.
 *     A TCP socket must be on loopback, and a handshake there may have no other Origin than
 *     https://duplex.invalid, which a web server sets once it has checked the client's
 *   the program's first argument is --help or --version: prints what that asks for
 * It returns the exit status for main:
 *   0  the connection ended in an ordinary way, the resident process was stopped, or the argument
 *      was answered
 *   1  the connection or the socket ended with an error, or could not be set up; one line on
 *      standard error tells which and why
 *   2  the program was given none of these, or a listening socket where the library has no resident
 *      way (musl), or a variable of the environment that sets a limit is not a number in its range;
 *      a line on standard error says so
 * While view runs, SIGPIPE is ignored, and SIGTERM and SIGINT are blocked: they
 * end the connection instead. The scheduling policy, if it was SCHED_OTHER, is
 * SCHED_BATCH (sched(7)): it costs less, but may wait some milliseconds beside a
 * program that computes; view may set it back. A process that it starts inherits
 * all of this. It returns only when the program has to end: by websocketd, standard
 * input, output and error are closed then.
 */
int websocket_run(void (*view)(struct websocket *ws));

/*
 * A variable of the handshake, as CGI names them (RFC 3875 4.1): REMOTE_ADDR,
 * QUERY_STRING, PATH_INFO, REMOTE_USER, and HTTP_USER_AGENT and so on for each header.
 * NULL if there is none. The string belongs to the library, and stays as long as ws does.
 * Without a connection, ws is NULL: then it is the variable of the environment.
 * REMOTE_USER is who has logged in at the web server, of at most 255 bytes. It comes from
 * X-Remote-User or, from lighttpd, from Forwarded, which the configurations in conf/ take
 * from no client: one of your own must not either.
 *   resident       REMOTE_ADDR is the client's address as the web server saw it. A header whose
 *                  name has an underscore, and Proxy, are left out. There is no REMOTE_USER
 *                  over TCP, where other programs can pretend to be the web server.
 *   by websocketd  REMOTE_ADDR is the web server's, and the last address of
 *                  HTTP_X_FORWARDED_FOR the client's; there is no HTTP_HOST.
 *                  HTTP_ORIGIN is the web server's own, which websocketd asks for:
 *                  the client's is HTTP_X_ORIGIN, if it sent one (not by lighttpd,
 *                  which cannot tell it).
 *                  PATH_INFO is made of REQUEST_URI, as websocketd's own lacks white space
 *                  at its end.
 */
const char *websocket_variable(struct websocket *ws, const char *name);

/*
 * The value of a parameter of the handshake's query (?name=value), decoded as
 * application/x-www-form-urlencoded; of several with that name the last counts.
 * At most size - 1 bytes of it and a NUL are written to value; size is at least 1.
 * Returns the length of the whole value, of which the rest is missing if it is size
 * or more, and which may have NULs in it; -1 if there is no such parameter.
 */
ptrdiff_t websocket_parameter(struct websocket *ws, const char *name, char *value, size_t size);

/*
 * Answers the handshake now, and selects a subprotocol (RFC 6455 1.9), or none if
 * protocol is NULL. Without it the first wait, read, count, send or poll does, and
 * selects none. Returns 0, or -1 with errno set:
 *   EINVAL   the client did not offer the protocol, or its name is longer than 255 bytes
 *   EALREADY the handshake was answered before
 *   ENOTSUP  by websocketd, which has answered the handshake: only NULL can be asked for
 *   EPIPE    the connection is over
 */
int websocket_accept(struct websocket *ws, const char *protocol) WEBSOCKET_CHECKED;

/*
 * Answers the handshake with an HTTP status of 400 to 599 instead, such as 401, 403
 * or 404, and closes: a view decides by a cookie, the path or the query. By
 * websocketd, which has answered the handshake, it closes, and a line in the log
 * says with which status it would have. Returns 0, or -1 with errno set:
 *   EINVAL   the status is not one of these; the connection is as before
 *   EALREADY the handshake was answered before; the connection is closed
 *   EPIPE    the connection is over
 */
int websocket_refuse(struct websocket *ws, int status);

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
 * Waits for descriptors of the view's own beside the client, as poll(2) does for a set of count.
 * Meanwhile the client stays served and, in a resident process, the others go on. Returns
 *   > 0  so many of the set have revents
 *   0    the time is up, or websocket_read has something to return: a message came, or the
 *        connection is over
 *   -1   with errno set by a system call, or to ENOMEM
 */
int websocket_poll(struct websocket *ws, struct pollfd *set, size_t count, int timeout_ms);

/*
 * Sends one message of length bytes at text, which remain the caller's. The
 * function waits if the client is slow to read, in a resident process for 30
 * seconds at most without the client taking anything.
 * By websocketd it is written before the function returns. In a resident process
 * it is sent at the latest when the view waits again: what a burst of messages
 * makes the view send goes out together.
 * Returns 0, or -1 with errno set:
 *   EINVAL  by websocketd, the text contains a newline, and would arrive as two messages
 *   EILSEQ  the text is not valid UTF-8 (RFC 6455 8.1)
 *   EPIPE   the connection is over, websocket_wait will tell why
 * After EINVAL and EILSEQ nothing was sent, and the connection is as before; the
 * first of them leaves a line in the log.
 */
int websocket_send(struct websocket *ws, const char *text, size_t length) WEBSOCKET_CHECKED;

/* The same with a binary message. By websocketd -1 with errno ENOTSUP. */
int websocket_send_binary(struct websocket *ws, const void *bytes, size_t length) WEBSOCKET_CHECKED;

/* true if nothing can be sent any more; messages that came before may still be there to be read */
bool websocket_is_closed(struct websocket *ws);

/*
 * Closes the connection with code 1000 and drops what was not read. By websocketd,
 * which sends no close frame, the client sees code 1006 instead. Closing twice
 * does nothing. ws stays valid. A view that returns closes as well.
 */
void websocket_close(struct websocket *ws);

/*
 * The same with a code and a reason (RFC 6455 7.4), a string of UTF-8 of at most 123
 * bytes, or NULL. Returns 0, or -1 with errno EINVAL if the reason is neither or the
 * code is not one that may be sent: 1000 to 1003, 1007 to 1014, and 3000 to 4999.
 */
int websocket_close_with(struct websocket *ws, int code, const char *reason);

/* The code that the client closed with: 1005 if it gave none; 1006 if the connection was lost or
 * this side closed it, and always by websocketd; 0 while it is open. */
int websocket_close_code(struct websocket *ws);

/* after WEBSOCKET_ERROR, its cause in English, in memory of the library; otherwise NULL */
const char *websocket_reason(struct websocket *ws);

/*
 * A descriptor to poll beside others of your own, where websocket_poll does not suit.
 * It is readable when there may be something to read, or the connection is over:
 * then call websocket_read. Do not read from it. It belongs to ws. -1 with errno set
 * if it cannot be made, and ENOTSUP in a resident process.
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
