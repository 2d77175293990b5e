/* how a view of a resident process waits: for its client, room for its feed, and descriptors */
#include "client.h"
#include "worker.h"

#include <errno.h>
#include <sys/epoll.h>
#include <unistd.h>

/* an epoll descriptor for the set, or -1 with errno set */
static int open_set(const struct pollfd *set, size_t count)
{
	int epoll = epoll_create1(EPOLL_CLOEXEC);

	for (size_t i = 0; epoll >= 0 && i < count; i++) {
		struct epoll_event event = {.events = (uint16_t)set[i].events};
		for (size_t j = 0; j < count; j++)
			event.events |= set[j].fd == set[i].fd ? (uint16_t)set[j].events : 0U;
		if (set[i].fd >= 0 && epoll_ctl(epoll, EPOLL_CTL_ADD, set[i].fd, &event) < 0 &&
		    errno != EEXIST) {
			int error = errno;
			close(epoll);
			errno = error;
			return -1;
		}
	}
	return epoll;
}

static void notify_set(struct watch *watch, uint32_t events)
{
	(void)events;
	client_wake((struct client *)((char *)watch - offsetof(struct client, set_watch)),
		    WANTS_SET);
}

static bool feed_waits(const struct client *client)
{
	return client->ws.feed && client->ws.feed->wants_room;
}

static bool feed_has_room(const struct client *client)
{
	return feed_waits(client) && output_waiting(client) <= CLIENT_MUCH_OUTPUT;
}

bool client_may_read(const struct client *client)
{
	size_t waiting = output_waiting(client);

	return waiting <= CLIENT_MUCH_OUTPUT ||
	       (waiting / client->worker->limits.max_message < WEBSOCKET_MAX_QUEUE &&
		!worker_is_short_of_memory(client->worker));
}

/* A view reads once in a turn, so that a client that never pauses lets the others go on. */
void client_wait_without_time(struct client *client)
{
	if (client->has_read)
		client_yield(client);
	if (!client->ws.input_ended && !client->is_lost && client_may_read(client))
		client_read(client);
}

/* waits for the client, and for the set if there is one: 0, or -1 with errno set */
static int wait_for_events(struct client *client, const struct pollfd *set, size_t count,
			   int timeout_ms)
{
	struct loop *loop = &client->worker->loop;
	bool wants_room = feed_waits(client) || !client_may_read(client);
	unsigned char wants = (unsigned char)((client_may_read(client) ? WANTS_INPUT : 0U) |
					      (wants_room ? WANTS_ROOM : 0U));
	int result = 0;

	if (count == 0) {
		client_suspend(client, wants, timeout_ms);
		return 0;
	}
	client->set_watch = (struct watch){.fd = open_set(set, count), .notify = notify_set};
	if (client->set_watch.fd < 0)
		return -1;
	if (loop_watch(loop, &client->set_watch, EPOLLIN) == 0)
		client_suspend(client, wants | WANTS_SET, timeout_ms);
	else
		result = -1;
	int error = errno;
	loop_watch(loop, &client->set_watch, 0);
	close(client->set_watch.fd);
	client->set_watch.fd = -1;
	errno = error;
	return result;
}

static int wait_for_view(struct client *client, struct pollfd *set, size_t count, int timeout_ms)
{
	if (client->input || client->has_ahead) { /* there is something to be read first */
		if (count == 0)
			return 0;
		/* a view that does not read it must not keep the others out */
		client_yield(client);
	} else if (timeout_ms == 0 || (count > 0 && poll(set, count, 0) != 0)) {
		client_wait_without_time(client);
	} else {
		if (wait_for_events(client, set, count, timeout_ms) < 0)
			return -1;
		if (client->is_readable && !client->ws.input_ended && !client->is_lost &&
		    client_may_read(client))
			client_read(client);
	}
	return count > 0 ? poll(set, count, 0) : 0;
}

int client_wait_for(struct websocket *ws, struct pollfd *set, size_t count, int timeout_ms)
{
	struct client *client = (struct client *)ws;

	if (!client_is_open(client) || ws->input_ended)
		return 0;
	int ready = wait_for_view(client, set, count, feed_has_room(client) ? 0 : timeout_ms);
	ws->feed_is_ready = feed_has_room(client);
	return ready;
}
