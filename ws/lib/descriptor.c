/* one descriptor to poll for all that a connection waits for */
#include "connection.h"
#include "websocket.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

void connection_close_once(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

void connection_announce(struct websocket *ws)
{
	bool something = ws->inbox.count > 0 || ws->inbox.state != INBOX_OPEN || ws->left ||
			 ws->ended;
	eventfd_t value;

	if (ws->ready >= 0 && something)
		eventfd_write(ws->ready, 1);
	else if (ws->ready >= 0)
		eventfd_read(ws->ready, &value);
}

static int add(int events, int fd, unsigned int what)
{
	struct epoll_event event = {.events = what, .data.fd = fd};

	return fd < 0 ? -1 : epoll_ctl(events, EPOLL_CTL_ADD, fd, &event);
}

int websocket_fd(struct websocket *ws)
{
	if (ws->events >= 0)
		return ws->events;

	ws->events = epoll_create1(EPOLL_CLOEXEC);
	ws->ready = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (ws->events < 0 || add(ws->events, ws->ready, EPOLLIN) < 0 ||
	    add(ws->events, ws->in, EPOLLIN) < 0 ||
	    (ws->out != ws->in && add(ws->events, ws->out, 0) < 0) ||
	    (ws->signals >= 0 && add(ws->events, ws->signals, EPOLLIN) < 0) ||
	    (ws->feed && add(ws->events, ws->feed->fd, EPOLLIN) < 0)) {
		int error = errno;
		connection_close_once(&ws->events);
		connection_close_once(&ws->ready);
		errno = error;
	}
	connection_announce(ws);
	return ws->events;
}

int connection_feed(struct websocket *ws, struct feed *feed)
{
	if (ws->events >= 0 && add(ws->events, feed->fd, EPOLLIN) < 0)
		return -1;
	ws->feed = feed;
	return 0;
}
