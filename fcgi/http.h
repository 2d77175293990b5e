/* what a request and a response are to this program, by the CGI names of RFC 3875 */
#ifndef HTTP_H
#define HTTP_H

#include <stdbool.h>
#include <stddef.h>

/* a view reads no more than this of a body, so that nobody waits for more of it */
enum { HTTP_BODY_MAX = 65536 };

struct request {
	const char *method; /* REQUEST_METHOD */
	char path[512]; /* SCRIPT_NAME and PATH_INFO joined; empty if that is not a usable path */
	char *query;    /* QUERY_STRING, "" if there is none; whoever decodes it may change it */
	const char *if_none_match;
	const char *address; /* of the client as the web server saw it, or NULL */
	const char *user;    /* who has logged in at the web server (REMOTE_USER), or NULL */
	const char *host;
	const char *origin;  /* of the page that sends it (RFC 6454), or NULL */
	const char *refused; /* why the web server has refused it, or NULL: see origin.h */
	const char *content_type;
	const char *content_length; /* of the body, or NULL */
	/* reads up to size bytes of the body, and HTTP_BODY_MAX at most: returns how many there
	 * were */
	size_t (*read_body)(void *body, char *room, size_t size);
	void *body; /* for read_body */
};

struct response {
	int status;
	const char *content_type;
	const char *cache;   /* Cache-Control */
	const char *headers; /* further header lines, each ended by CR LF; "" if none */
	const char *etag;    /* with its quotes, or NULL */
	const char *body;    /* not owned, valid until the next request */
	size_t length;       /* of the body in bytes */
	char text[96];       /* the body, if http_print has written it */
};

/* the longest head that http_head can write, with its final NUL */
enum { HTTP_HEAD_SIZE = 1024 };

/* Fills in the request from the CGI variables in envp, to which it then points. The caller adds how
 * its body is read. */
void http_request(char **envp, struct request *request);

/* Reads CONTENT_LENGTH (RFC 3875 4.1.2), for a body of at most this many bytes. Returns 0, or the
 * status to answer: 400 if it is not a number, 413 if it is more. If the text is NULL or empty, or
 * -1 as Caddy has it for a body that comes in chunks, the length is not known: *length is then most
 * + 1, so that all of the body is read. */
int http_content_length(const char *text, size_t most, size_t *length);

/* Makes a plain text response that no cache keeps. The body stays the caller's. */
void http_text(struct response *response, int status, const char *body, size_t length);

/* the same, with a body of at most 95 bytes that is printed into the response itself */
void http_print(struct response *response, int status, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* the same, with the standard reason phrase of the status as the body */
void http_status(struct response *response, int status);

/* Writes the CGI header block (RFC 3875 6.2) of the response to head. Returns its length in bytes.
 */
size_t http_head(const struct response *response, char head[HTTP_HEAD_SIZE]);

/* true if the response to this request has a body: HEAD and 304 have none (RFC 9110 9.3.2, 15.4.5)
 */
bool http_has_body(const struct request *request, const struct response *response);

#endif
