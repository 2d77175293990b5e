#include "memory.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define KEPT_AFTER_TRIM (MEMORY_KEPT / 8LL * 7)

enum {
	MOST_TRIES = 8,   /* how often messages give way for one command */
	NUMBER_SIZE = 24, /* room for a number in a command */
};

/*
 * Makes room by a quarter of the largest channel, of the one that is published to and some others,
 * and goes on with the next until that is 64 KiB. A hundred messages stay, so that a reader that
 * was overtaken reads a full batch, and notices it: a channel that has no more gives way as a
 * whole, if another is published to. Nothing is removed where that could not help, because the
 * memory is not ours. The script returns 1 if it removed something.
 */
static const char make_room[] =
	"local own = KEYS[1]\n"
	"local function find_largest()\n"
	"  local largest, most, biggest = nil, 0, 0\n"
	"  local function look(key)\n"
	"    if redis.call('TYPE', key).ok ~= 'stream' then return end\n"
	"    local size = redis.call('MEMORY', 'USAGE', key) or 0\n"
	"    biggest = math.max(biggest, size)\n"
	"    if size > most and (key ~= own or redis.call('XLEN', key) > 100) then\n"
	"      largest, most = key, size\n"
	"    end\n"
	"  end\n"
	"  look(own)\n"
	"  for i = 1, 16 do\n"
	"    local key = redis.call('RANDOMKEY')\n"
	"    if key and string.find(key, '^duplex:[%w_-]+$') then look(key) end\n"
	"  end\n"
	"  return largest or own, most, biggest\n"
	"end\n"
	"local function shorten(key, size)\n"
	"  local count = redis.call('XLEN', key)\n"
	"  if count <= 100 and key ~= own then\n"
	"    redis.call('UNLINK', key)\n"
	"    return size\n"
	"  end\n"
	"  local keep = math.floor(count * 3 / 4)\n"
	"  if count > 100 then keep = math.max(100, keep) end\n"
	"  local removed = redis.call('XTRIM', key, 'MAXLEN', keep)\n"
	"  return removed > 0 and math.max(1, size * removed / count) or 0\n"
	"end\n"
	"local key, size, biggest = find_largest()\n"
	"local info = redis.call('INFO', 'memory')\n"
	"local used = tonumber(string.match(info, 'used_memory:(%d+)'))\n"
	"local limit = tonumber(string.match(info, 'maxmemory:(%d+)'))\n"
	"if used - limit > math.max(biggest, 65536) then return 0 end\n"
	"local freed = 0\n"
	"for i = 1, 200 do\n"
	"  local part = shorten(key, size)\n"
	"  freed = freed + part\n"
	"  if part == 0 or freed >= 65536 then break end\n"
	"  key, size = find_largest()\n"
	"end\n"
	"return freed > 0 and 1 or 0\n";

static int make_room_for(struct redis *redis, const char *key, long long *removed)
{
	const struct redis_word words[] = {redis_string("EVAL"), redis_string(make_room),
					   redis_string("1"), redis_string(key)};
	const struct redis_reply *reply;

	if (redis_ask(redis, words, sizeof words / sizeof *words, &reply) < 0)
		return -1;
	return redis_number(reply, removed) ? 0 : redis_refuse(redis);
}

int memory_ask(struct redis *redis, const char *key, const struct redis_word *words, size_t count,
	       const struct redis_reply **reply)
{
	char why[REDIS_WHY_SIZE];
	long long removed = 1;

	for (int tries = 0;; tries++) {
		if (redis_ask(redis, words, count, reply) == 0)
			return 0;
		snprintf(why, sizeof why, "%s", redis_why(redis));
		if (strncmp(why, "OOM ", 4) != 0 || tries == MOST_TRIES)
			return redis_fail(redis, why);
		if (make_room_for(redis, key, &removed) < 0 || removed == 0)
			return redis_fail(redis, why);
	}
}

/* asks for a number */
static int ask_for_number(struct redis *redis, const struct redis_word *words, size_t count,
			  long long *number)
{
	const struct redis_reply *reply;

	*number = 0;
	if (redis_ask(redis, words, count, &reply) < 0)
		return -1;
	return redis_number(reply, number) || redis_is_nil(reply) ? 0 : redis_refuse(redis);
}

/* Trims to seven eighths of the bytes, so that not every message has to. */
int memory_trim(struct redis *redis, const char *key)
{
	const struct redis_word usage[] = {redis_string("MEMORY"), redis_string("USAGE"),
					   redis_string(key), redis_string("SAMPLES"),
					   redis_string("100")};
	const struct redis_word length[] = {redis_string("XLEN"), redis_string(key)};
	char number[NUMBER_SIZE];
	long long bytes;
	long long count;
	long long trimmed;

	if (ask_for_number(redis, usage, sizeof usage / sizeof *usage, &bytes) < 0)
		return -1;
	if (bytes <= MEMORY_KEPT)
		return 0;
	if (ask_for_number(redis, length, sizeof length / sizeof *length, &count) < 0)
		return -1;
	snprintf(number, sizeof number, "%lld", count * KEPT_AFTER_TRIM / bytes);
	const struct redis_word trim[] = {redis_string("XTRIM"), redis_string(key),
					  redis_string("MAXLEN"), redis_string(number)};
	return ask_for_number(redis, trim, sizeof trim / sizeof *trim, &trimmed);
}
