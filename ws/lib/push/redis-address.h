/* Where Redis is and how to log in: the address in the forms that push.h lists. In those of a URL a
 * user information without ":" is a password. */
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
