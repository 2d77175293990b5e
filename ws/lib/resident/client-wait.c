/* how a view of a resident process waits: for its client, its feed, and descriptors of its own */
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

static void notify_feed(struct watch *watch, uint32_t events)
{
	struct client *client = (struct client *)((char *)watch -
						  offsetof(struct client, feed_watch));

	(void)events;
	client->ws.feed_is_ready = true;
	loop_watch(&client->worker->loop, watch, 0); /* until it has delivered */
	client_wake(client, WANTS_INPUT);
}

int client_watch_feed(struct websocket *ws)
{
	struct client *client = (struct client *)ws;

	client->feed_watch = (struct watch){.fd = ws->feed->fd, .notify = notify_feed};
	return loop_watch(&client->worker->loop, &client->feed_watch, EPOLLIN);
}

static void go_on_watching_feed(struct client *client)
{
	if (client->ws.feed && !client->ws.feed_is_ready &&
	    loop_watch(&client->worker->loop, &client->feed_watch, EPOLLIN) < 0)
		client_lose(client, "epoll_ctl for the feed");
}

bool client_may_read(const struct client *client)
{
	size_t waiting = output_waiting(client);
	size_t most = WEBSOCKET_MAX_QUEUE * client->worker->limits.max_message;

	return waiting <= CLIENT_MUCH_OUTPUT ||
	       (waiting < most && !worker_is_short_of_memory(client->worker));
}

/* In one turn a view reads once: one whose client never pauses lets the others go on. */
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
	unsigned char wants = client_may_read(client) ? WANTS_INPUT : WANTS_ROOM;
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

int client_wait_for(struct websocket *ws, struct pollfd *set, size_t count, int timeout_ms)
{
	struct client *client = (struct client *)ws;

	if (!client_is_open(client) || ws->input_ended)
		return 0;
	go_on_watching_feed(client);
	if (client->input || client->has_ahead) { /* there is something to be read first */
		if (count == 0)
			return 0;
		client_yield(client); /* a view that reads it later must not keep the others out */
	} else if (timeout_ms == 0 || (count > 0 && poll(set, count, 0) != 0)) {
		client_wait_without_time(client);
	} else {
		if (wait_for_events(client, set, count, timeout_ms) < 0)
			return -1;
		if (client->is_readable && !ws->input_ended && !client->is_lost &&
		    client_may_read(client))
			client_read(client);
	}
	return count > 0 ? poll(set, count, 0) : 0;
}
