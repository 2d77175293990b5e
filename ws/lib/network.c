#include "network.h"

#include <arpa/inet.h>
#include <string.h>

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
