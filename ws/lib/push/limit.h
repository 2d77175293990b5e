/* How many messages a client may publish (DUPLEX_MAX_PUBLISH, of which push.h tells). They are
 * counted in Redis by address, an IPv6 network of /64 as one, so that the limit holds over both
 * ways, all workers and all machines. */
#ifndef LIMIT_H
#define LIMIT_H

#include "redis.h"

#include <stdbool.h>

enum { LIMIT_NETWORK_SIZE = 64 /* room for a network and its NUL */ };

/* Returns 0, or -1 with errno EINVAL and *reason a sentence in static memory if the variable is not
 * a number in its range. */
int limit_check_settings(const char **reason);

/* how many messages a second are allowed; 0 if there is no limit */
size_t limit_rate(void);

/* Counts a message of the client with this address, for the channel with this key, and sets
 * *is_allowed. Returns 0, or -1 with errno EIO and redis_why set. */
int limit_count(struct redis *redis, const char *key, const char *address, bool *is_allowed);

/* Writes what is counted as one for an address: the IPv4 address, the IPv6 network of /64, or
 * "unknown". The address may have brackets, or be NULL. */
void limit_write_network(const char *address, char text[LIMIT_NETWORK_SIZE]);

#endif
