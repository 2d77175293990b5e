/* The address of Redis that the environment gives, and what messages say of it. */
#ifndef REDIS_SETTINGS_H
#define REDIS_SETTINGS_H

#include "redis-address.h"

/*
 * Reads the address that the environment gives: the first line of the file that DUPLEX_REDIS_FILE
 * names, or DUPLEX_REDIS, or the default. Returns 0, or -1 with *reason a sentence in static memory
 * and errno EINVAL if the address cannot be used, or that of reading the file, or ENOMEM. In both
 * cases redis_address_free is to be called.
 */
int redis_settings_read(struct redis_address *address, const char **reason);

/* The same for a program that starts: whether the address can be used, without connecting. Returns
 * 0, or -1 with *reason and errno set as above. */
int redis_settings_check(const char **reason);

/* "Redis at ADDRESS: why", without a password, in static memory */
const char *redis_settings_describe(const struct redis_address *address, const char *why);

#endif
