/*
 * How far a FastCGI request has come (FastCGI Specification 1.0, 3.3 to 5.3). This does no I/O: it
 * is given the bytes of a connection in any pieces. It reads the headers of records and the lengths
 * of names and values, to find the end and what libfcgi must not be given. All else is for libfcgi.
 */
#ifndef RECORDS_H
#define RECORDS_H

#include <stdbool.h>
#include <stddef.h>

enum {
	RECORDS_SIZE_MAX = 327680, /* bytes of a request, with the headers of its records */
};

enum records_state {
	RECORDS_MORE,      /* more must come before the request can be answered */
	RECORDS_WHOLE,     /* the request has come to its end */
	RECORDS_ENOUGH,    /* HTTP_BODY_MAX bytes of the body have come: a view reads no more */
	RECORDS_TOO_LARGE, /* it is longer than RECORDS_SIZE_MAX */
	RECORDS_REFUSED, /* not a request, an aborted one, or one that libfcgi would not survive */
};

/* the pairs of a name and a value that a stream of records carries */
struct records_pairs {
	unsigned char lengths[8]; /* of the name and of the value, as they came */
	size_t gathered;          /* bytes of them */
	size_t left;              /* bytes of name and value still to come */
};

/* all zero before the first byte */
struct records {
	enum records_state state;
	unsigned int id;     /* of the request; 0 until it has begun */
	unsigned int role;   /* of the program, as the request wants it */
	bool has_params;     /* FCGI_PARAMS has come to its end */
	size_t size;         /* bytes taken */
	size_t body;         /* bytes of FCGI_STDIN */
	unsigned int others; /* FCGI_GET_VALUES, and begins of other requests */
	struct records_pairs params;
	struct records_pairs values; /* of an FCGI_GET_VALUES record */

	/* the record at hand */
	unsigned char header[8];
	size_t header_length;
	size_t content; /* bytes still to come */
	size_t padding;
	enum { RECORDS_SKIPPED, RECORDS_BEGIN, RECORDS_PARAMS, RECORDS_STDIN, RECORDS_VALUES } kind;
};

/* Takes the next bytes of the connection and returns the state of the request. A state other than
 * RECORDS_MORE is final. Bytes after the end of the request are ignored. */
enum records_state records_take(struct records *records, const void *bytes, size_t length);

#endif
