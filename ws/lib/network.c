#include "network.h"

#include <arpa/inet.h>
#include <string.h>

enum { MAX_LENGTH = 64 };

const char *network_for_log(const char *address)
{
	size_t length = address ? strspn(address, "0123456789abcdefABCDEF.:[]") : 0;

	return length > 0 && length <= MAX_LENGTH && address[length] == '\0' ? address
									     : "unknown client";
}

bool network_find(const char *address, struct network *network)
{
	struct in6_addr ipv6;

	*network = (struct network){.family = AF_INET};
	if (address == NULL)
		return false;
	if (inet_pton(AF_INET, address, network->bytes) == 1)
		return true;
	if (inet_pton(AF_INET6, address, &ipv6) != 1)
		return false;
	if (IN6_IS_ADDR_V4MAPPED(&ipv6)) {
		memcpy(network->bytes, ipv6.s6_addr + 12, 4);
		return true;
	}
	network->family = AF_INET6;
	memcpy(network->bytes, ipv6.s6_addr, sizeof network->bytes);
	return true;
}
