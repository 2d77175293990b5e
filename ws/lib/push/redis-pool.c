#include "redis-pool.h"

#include <errno.h>

enum { MOST_IDLE = 8 };

static struct redis *idle[MOST_IDLE];
static size_t idle_count;

struct redis *redis_pool_take(const char **why)
{
	struct redis *redis = idle_count > 0 ? idle[--idle_count] : NULL;

	return redis_keep(&redis, REDIS_OPERATION_MS, why) == 0 ? redis : NULL;
}

void redis_pool_give(struct redis *redis)
{
	if (idle_count < MOST_IDLE)
		idle[idle_count++] = redis;
	else
		redis_free(redis);
}
