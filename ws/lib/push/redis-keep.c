/* a connection that is kept, and logged in: what needs no hiredis */
#include "clock.h"
#include "lookup.h"
#include "redis-settings.h"
#include "redis.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static int select_database(struct redis *redis, int database)
{
	char number[16];
	const struct redis_reply *reply;

	snprintf(number, sizeof number, "%d", database);
	const struct redis_word words[] = {redis_string("SELECT"), redis_string(number)};
	return database > 0 ? redis_ask(redis, words, 2, &reply) : 0;
}

/* logs in, or asks for a sign of life, so that a connection that is refused is noticed */
static int log_in(struct redis *redis, const struct redis_address *address)
{
	struct redis_word words[3] = {redis_string("PING")};
	const struct redis_reply *reply;
	size_t count = 1;

	if (address->user.bytes || address->password.bytes)
		words[0] = redis_string("AUTH");
	if (address->user.bytes)
		words[count++] = (struct redis_word){address->user.bytes, address->user.length};
	if (address->password.bytes)
		words[count++] = (struct redis_word){address->password.bytes,
						     address->password.length};
	if (redis_ask(redis, words, count, &reply) < 0)
		return -1;
	return select_database(redis, address->database);
}

static struct redis *open_at(const struct redis_address *address, int lookup_ms,
			     const char **reason)
{
	const char *why;
	struct redis *redis = redis_connect(address, lookup_ms, &why);

	if (redis && log_in(redis, address) == 0)
		return redis;
	*reason = redis_settings_describe(address, redis ? redis_why(redis) : why);
	redis_free(redis);
	return NULL;
}

/* A Redis that cannot be reached or hangs is left alone for a second: else each that asks it would
 * wait as long. These are the end of that second and the reason, for all connections of the
 * process.
 */
static long long rests_until;
static char rest_reason[512];

void redis_rest(const char *reason, int rest_ms)
{
	rests_until = clock_now_ms() + rest_ms;
	snprintf(rest_reason, sizeof rest_reason, "%s", reason);
}

static bool rests(const char **reason)
{
	*reason = rest_reason;
	return rests_until > 0 && clock_now_ms() < rests_until;
}

/* connects anew */
static struct redis *open_anew(int lookup_ms, const char **reason)
{
	struct redis_address address;
	struct redis *redis = NULL;

	if (redis_settings_read(&address, reason) == 0)
		redis = open_at(&address, lookup_ms, reason);
	redis_address_free(&address);
	if (redis)
		rests_until = 0;
	else
		redis_rest(*reason, REDIS_REST_MS);
	return redis;
}

int redis_keep(struct redis **redis, int lookup_ms, const char **reason)
{
	if (*redis && !redis_is_lost(*redis)) {
		redis_begin(*redis);
		return 0;
	}
	redis_free(*redis);
	*redis = rests(reason) ? NULL : open_anew(lookup_ms, reason);
	errno = *redis ? errno : EIO;
	return *redis ? 0 : -1;
}

void redis_prepare(void)
{
	struct redis_address address;

	if (redis_settings_read(&address, &(const char *){NULL}) == 0 && address.host)
		lookup_start(address.host);
	redis_address_free(&address);
}
