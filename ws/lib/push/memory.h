/*
 * What channels take of Redis's memory. A channel is kept by count and by
 * bytes, so that none fills Redis; and where all of them together have filled
 * it, the oldest messages of the largest give way, and publishing goes on.
 *
 * The functions return 0, or -1 with errno EIO and redis_why set.
 */
#ifndef MEMORY_H
#define MEMORY_H

#include "redis.h"

enum {
	MEMORY_KEPT = 32 * 1024 * 1024, /* bytes that a channel may take in Redis */
	MEMORY_SMALL = 1024 /* messages of up to so many bytes are bounded by their number alone */
};

/* Asks as redis_ask does for a command that writes to a channel or on its behalf. If Redis refuses
 * it for want of memory, messages give way, and it is asked again. */
int memory_ask(struct redis *redis, const char *key, const struct redis_word *words, size_t count,
	       const struct redis_reply **reply);

/* removes the oldest messages of a channel that takes more than MEMORY_KEPT */
int memory_trim(struct redis *redis, const char *key);

#endif
