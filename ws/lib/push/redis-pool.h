/* The connections to Redis over which the process asks what its views want. One call uses a
 * connection at a time. There are as many as were ever in use at once, which aside.h bounds. */
#ifndef REDIS_POOL_H
#define REDIS_POOL_H

#include "redis.h"

/* Takes a live connection, making one if need be. Returns NULL with errno EIO and *why a sentence
 * in static memory if that fails. */
struct redis *redis_pool_take(const char **why);

/* gives a connection back */
void redis_pool_give(struct redis *redis);

#endif
