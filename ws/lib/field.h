/* the syntax of a request's head: spans of bytes, tokens and lists (RFC 9110 5.6, RFC 9112) */
#ifndef FIELD_H
#define FIELD_H

#include <stdbool.h>
#include <stddef.h>

/* some bytes of the head, not ended by NUL */
struct span {
	const char *bytes;
	size_t length;
};

/* the bytes of a string */
struct span span_of(const char *text);

/* true if two spans have the same bytes, where the case of ASCII letters does not matter */
bool span_is_same(struct span a, struct span b);

/* the same for a span and a string */
bool span_is(struct span span, const char *text);

/* true if it is a token (RFC 9110 5.6.2): not empty, and no delimiter or other byte in it */
bool span_is_token(struct span span);

/* the span without blanks and tabs around it */
struct span span_trim(struct span span);

/* Takes what comes before the first such byte off *rest, and that byte too. Without one it takes
 * all, and *rest is empty. False if *rest was empty before. */
bool span_cut(struct span *rest, char byte, struct span *part);

/* takes the next element that is not empty off a list of elements between commas (RFC 9110 5.6.1):
 * false at its end */
bool span_next_element(struct span *list, struct span *element);

/* takes the next line off a head whose lines end with CR LF: false if it is empty, which ends the
 * head */
bool span_next_line(struct span *head, struct span *line);

/* splits a line into a name and the value without the blanks around it: false if it has no colon */
bool span_split_field(struct span line, struct span *name, struct span *value);

/* true if it is one of the characters of a string */
bool is_one_of(char c, const char *set);

/* true if a percent-encoded byte (RFC 3986 2.1) begins at s, before end; it is then stored in *byte
 */
bool is_escape(const char *s, const char *end, char *byte);

/* A request target (RFC 9112 3.2.1, 3.2.2); no escape in it is decoded. */
struct target {
	struct span host;        /* of the authority; empty if there is none */
	struct span port;        /* likewise */
	struct span path;        /* is not empty */
	struct span query;       /* without the question mark */
	struct span origin_form; /* all but scheme and authority; it may lack the first slash */
};

/* Splits a target in origin-form or absolute-form. False if it is another, or something in it is
 * not allowed: an escape in the path that is cut or stands for NUL, a fragment, a wrong authority.
 */
bool target_split(struct span bytes, struct target *target);

/* splits the value of a Host field into host and port (RFC 9110 7.2): false if it is not one */
bool host_split(struct span value, struct span *host, struct span *port);

#endif
