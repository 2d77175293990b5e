/* Which clients count as one where something is limited for each address: those of one IPv4
 * address, and those of one IPv6 network of /64. */
#ifndef NETWORK_H
#define NETWORK_H

#include <stdbool.h>

struct network {
	int family; /* AF_INET or AF_INET6 */
	unsigned char
		bytes[8]; /* the IPv4 address and zeros, or the first half of the IPv6 address */
};

/* Finds the network of an address in text. An IPv4 address in the form of IPv6 (RFC 4291 2.5.5.2)
 * is one of IPv4. Returns false if the text is not an address, or NULL. */
bool network_find(const char *address, struct network *network);

#endif
