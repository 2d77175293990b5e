/* how many clients one address has */
#include "client.h"
#include "network.h"
#include "worker.h"

#include <string.h>

/* the network of the client in one number; false if its address is not known */
static bool find_network(struct client *client)
{
	struct network network;

	if (!network_find(websocket_variable(&client->ws, "REMOTE_ADDR"), &network))
		return false;
	memcpy(&client->address, network.bytes, sizeof client->address);
	return true;
}

static struct client **list_of(const struct client *client)
{
	uint64_t mixed = client->address * 0x9E3779B97F4A7C15U; /* 2^64 by the golden ratio */

	return &client->worker->by_address[(mixed >> 32) % WORKER_ADDRESSES];
}

bool client_count_address(struct client *client)
{
	size_t limit = client->worker->limits.max_per_address;
	size_t count = 0;

	if (limit == 0 || !find_network(client))
		return true;
	for (const struct client *other = *list_of(client); other; other = other->next_at_address)
		count += other->address == client->address;
	if (count >= limit)
		return false;
	client->has_address = true;
	client->next_at_address = *list_of(client);
	*list_of(client) = client;
	return true;
}

void client_forget_address(struct client *client)
{
	if (!client->has_address)
		return;
	client->has_address = false;
	struct client **link = list_of(client);
	while (*link != client)
		link = &(*link)->next_at_address;
	*link = client->next_at_address;
}
