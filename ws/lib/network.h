/* The address of a client as text: how the log names it, and which clients count as one where
 * something is limited for each address. These are those of one IPv4 address, and those of one IPv6
 * network of /64. */
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

/* Returns the text for the log: itself if it looks like an address, which may have brackets and a
 * port, else "unknown client", so that nothing in it can forge a line. NULL is allowed. */
const char *network_for_log(const char *address);

#endif
