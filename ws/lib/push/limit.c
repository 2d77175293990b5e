#include "limit.h"
#include "memory.h"
#include "network.h"
#include "settings.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#define VARIABLE "DUPLEX_MAX_PUBLISH"

/*
 * A bucket that holds twice the rate and is filled at the rate, kept as the time when it will be
 * full again (the generic cell rate algorithm). The clock is Redis's. The script returns 1 if the
 * message is allowed.
 */
static const char count_message[] =
	"local time = redis.call('TIME')\n"
	"local now = time[1] * 1000000 + time[2]\n"
	"local interval = 1000000 / ARGV[1]\n"
	"local full = tonumber(redis.call('GET', KEYS[1]) or 0)\n"
	"if full < now then full = now end\n"
	"if full - now > interval * (2 * ARGV[1] - 1) then return 0 end\n"
	"full = full + interval\n"
	"redis.call('SET', KEYS[1], string.format('%.0f', full), 'PX', math.ceil((full - now) / "
	"1000))\n"
	"return 1\n";

int limit_check_settings(const char **reason)
{
	static char text[96];
	struct setting setting;

	if (settings_read_one(VARIABLE, &setting))
		return 0;
	snprintf(text, sizeof text, VARIABLE " is not a number from %zu to %zu", setting.least,
		 setting.most);
	*reason = text;
	errno = EINVAL;
	return -1;
}

size_t limit_rate(void)
{
	struct setting setting;

	return settings_read_one(VARIABLE, &setting) ? setting.value : setting.usual;
}

void limit_write_network(const char *address, char text[LIMIT_NETWORK_SIZE])
{
	char bare[INET6_ADDRSTRLEN + 2] = "";
	unsigned char bytes[sizeof(struct in6_addr)] = {0};
	struct network network;

	if (address)
		snprintf(bare, sizeof bare, "%s", address + (address[0] == '['));
	bare[strcspn(bare, "]")] = '\0';
	snprintf(text, LIMIT_NETWORK_SIZE, "unknown");
	if (!network_find(bare, &network))
		return;
	memcpy(bytes, network.bytes, sizeof network.bytes);
	inet_ntop(network.family, bytes, text, LIMIT_NETWORK_SIZE);
}

int limit_count(struct redis *redis, const char *key, const char *address, bool *is_allowed)
{
	char network[LIMIT_NETWORK_SIZE];
	char counter[LIMIT_NETWORK_SIZE + 16];
	char rate[24];
	const struct redis_reply *reply;
	long long allowed;

	*is_allowed = true;
	if (limit_rate() == 0)
		return 0;
	limit_write_network(address, network);
	snprintf(counter, sizeof counter, "duplex:limit:%s", network);
	snprintf(rate, sizeof rate, "%zu", limit_rate());
	const struct redis_word words[] = {redis_string("EVAL"), redis_string(count_message),
					   redis_string("1"), redis_string(counter),
					   redis_string(rate)};
	if (memory_ask(redis, key, words, sizeof words / sizeof *words, &reply) < 0)
		return -1;
	if (!redis_number(reply, &allowed))
		return redis_refuse(redis);
	*is_allowed = allowed != 0;
	return 0;
}
