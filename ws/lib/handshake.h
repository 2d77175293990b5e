/*
 * The opening handshake of RFC 6455, section 4.2, at the server's end: the head of a request in, a
 * verdict, CGI variables and the answer out. It does no I/O, reads no clock and has no global
 * state. A head is judged strictly by RFC 9112: what two programs in a row could understand
 * differently is refused.
 *
 *	while ((status = handshake_parse(&handshake, head, length)) == HANDSHAKE_MORE)
 *		length += read(fd, head + length, sizeof head - length);
 *	if (status == HANDSHAKE_COMPLETE)
 *		variables = handshake_variables(&handshake, head, "echo", NULL);
 *
 * The variables are all that is needed from then on: the bytes of the head can be forgotten, but
 * for those behind handshake.length, which are the client's first frames.
 */
#ifndef HANDSHAKE_H
#define HANDSHAKE_H

#include <stdbool.h>
#include <stddef.h>

enum {
	HANDSHAKE_MAX_LINE = 8192,  /* the request line, without its CR LF */
	HANDSHAKE_MAX_HEAD = 16384, /* all of the head */
	HANDSHAKE_MAX_FIELDS = 100,
	HANDSHAKE_MAX_PROTOCOL = 255, /* the longest subprotocol that can be selected */
	HANDSHAKE_MAX_REASON = 200,   /* longer ones are cut */
	HANDSHAKE_ANSWER_SIZE = 512,  /* fits every answer */
};

/* what handshake_parse returns beside the status of a refusal */
enum {
	HANDSHAKE_MORE = 0,
	HANDSHAKE_COMPLETE = 101,
};

/* A head that is being read: begins as {0}. The caller reads status, reason, length and is_head;
 * the other fields are private. */
struct handshake {
	int status;         /* HANDSHAKE_MORE, HANDSHAKE_COMPLETE or that of a refusal */
	const char *reason; /* of a refusal, in English, static, without anything of the request */
	size_t length;      /* of the whole head, once it is complete */
	bool is_head;       /* the method is HEAD, whose answer has no body (RFC 9110 9.3.2) */
	size_t line;        /* where the line begins that has not wholly come */
	size_t searched;    /* how far its end was searched for */
	int fields;
	bool has_request_line;
	bool has_host;
	bool has_upgrade;
	bool has_connection;
	bool has_key;
	bool has_version;
};

/*
 * Judges the head of a request, of which length bytes have come, that begin with those of the calls
 * before. Each byte is looked at once, however many calls there are. Returns HANDSHAKE_MORE,
 * HANDSHAKE_COMPLETE with handshake->length set, or the status of a refusal with
 * handshake->reason set, as soon as a line deserves it:
 *   400  it is not a request of RFC 9112, or HTTP/1.0; Host, Connection or Sec-WebSocket-Key is
 *        missing, doubled or wrong; a body is announced
 *   405  the method is not GET
 *   426  Upgrade does not ask for a WebSocket, or the version is not 13
 *   431  it is larger than the limits above
 * Every later call returns the same.
 */
int handshake_parse(struct handshake *handshake, const char *head, size_t length);

/*
 * The CGI variables (RFC 3875 4.1) of a head that is complete, in one block from malloc that the
 * caller frees; NULL with errno ENOMEM if memory is short.
 *
 * SCRIPT_NAME ends with the first segment of the decoded path that is program; PATH_INFO is the
 * rest, and all of the path if there is no such segment. REMOTE_ADDR is address, or if that
 * is NULL, as over a UNIX socket, the last of X-Forwarded-For, which the web server has added; it
 * is missing if that is not an IP address. REMOTE_USER is there over a UNIX socket, if the web
 * server has told it (user.h). Fields of one name are joined. A field whose name has an
 * underscore is left out, as it would pass for another, and so is Proxy, as programs take
 * HTTP_PROXY for their own setting.
 */
char *handshake_variables(const struct handshake *handshake, const char *head, const char *program,
			  const char *address);

/* the value of a variable in such a block, or NULL */
const char *handshake_variable(const char *variables, const char *name);

/* true if the client offered the subprotocol (4.2.2, Sec-WebSocket-Protocol) */
bool handshake_is_offered(const char *variables, const char *protocol);

/* Writes the answer that opens the WebSocket, and returns its length. It selects a subprotocol,
 * unless protocol is NULL. Returns 0 if the client did not offer that, or it is longer than
 * HANDSHAKE_MAX_PROTOCOL. */
size_t handshake_accept(char answer[HANDSHAKE_ANSWER_SIZE], const char *variables,
			const char *protocol);

/* Writes the answer that refuses the handshake, after which the connection is to be closed, and
 * returns its length. The body is a line of text: reason, or the status' own phrase if that is
 * NULL; the answer to HEAD has none. Returns 0 if the status does not refuse anything: it must be
 * between 400 and 599. */
size_t handshake_refuse(char answer[HANDSHAKE_ANSWER_SIZE], int status, const char *reason,
			bool is_head);

#endif
