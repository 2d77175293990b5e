/*
 * Where Redis is and how to log in, as users write it:
 *
 *   /path                                         a UNIX socket; the path may have any characters
 *   host:port, [IPv6]:port                        over TCP
 *   password@ before one of these                 to log in; the password may have any characters
 *   redis://[[user]:password@]host[:port][/db]    the same as a URL, by default with port 6379
 *   rediss://...                                  the same over TLS
 *   unix://[[user]:password@]/path[?db=db]        a UNIX socket as a URL
 *
 * In a URL the user, the password and the path are percent-encoded; a user
 * information without ":" is a password.
 */
#ifndef REDIS_ADDRESS_H
#define REDIS_ADDRESS_H

#include <stdbool.h>
#include <stddef.h>

/* bytes in the memory of an address, which a NUL follows; NULL if there are none */
struct redis_bytes {
	char *bytes;
	size_t length;
};

struct redis_address {
	char *path; /* of a UNIX socket, or NULL */
	char *host; /* a name or an IP address without brackets, or NULL */
	int port;
	struct redis_bytes user;
	struct redis_bytes password;
	int database;
	bool is_tls;
	char *memory; /* what the pointers point into */
	size_t size;
	size_t used;
};

/* Reads an address. Returns NULL, or why it cannot be used, in static memory and without anything
 * of a password. In both cases redis_address_free is to be called. */
const char *redis_address_parse(struct redis_address *address, const char *text);

/* overwrites the password and frees what the address holds */
void redis_address_free(struct redis_address *address);

#endif
