/* one descriptor to poll for all that a connection over pipes waits for */
#include "lines.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

static void close_once(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

void lines_announce(struct lines *lines)
{
	bool something = lines->inbox.count > 0 || lines->inbox.state != INBOX_OPEN ||
			 lines->ws.input_ended || lines->ws.ended;
	eventfd_t value;

	if (lines->ready >= 0 && something)
		eventfd_write(lines->ready, 1);
	else if (lines->ready >= 0)
		eventfd_read(lines->ready, &value);
}

static int add(int events, int fd, unsigned int what)
{
	struct epoll_event event = {.events = what, .data.fd = fd};

	return fd < 0 ? -1 : epoll_ctl(events, EPOLL_CTL_ADD, fd, &event);
}

static bool add_all(struct lines *lines)
{
	struct feed *feed = lines->ws.feed;

	return lines->events >= 0 && add(lines->events, lines->ready, EPOLLIN) == 0 &&
	       add(lines->events, lines->in, EPOLLIN) == 0 &&
	       (lines->out == lines->in || add(lines->events, lines->out, 0) == 0) &&
	       (lines->signals < 0 || add(lines->events, lines->signals, EPOLLIN) == 0) &&
	       (feed == NULL || add(lines->events, feed->fd, EPOLLIN) == 0);
}

int lines_descriptor(struct websocket *ws)
{
	struct lines *lines = (struct lines *)ws;

	if (lines->events >= 0)
		return lines->events;

	lines->events = epoll_create1(EPOLL_CLOEXEC);
	lines->ready = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (!add_all(lines)) {
		int error = errno;
		close_once(&lines->events);
		close_once(&lines->ready);
		errno = error;
	}
	lines_announce(lines);
	return lines->events;
}

int lines_watch_feed(struct websocket *ws)
{
	struct lines *lines = (struct lines *)ws;

	return lines->events < 0 ? 0 : add(lines->events, ws->feed->fd, EPOLLIN);
}

void lines_close_descriptors(struct lines *lines)
{
	if (lines->in == lines->out)
		lines->in = -1;
	close_once(&lines->in);
	close_once(&lines->out);
	close_once(&lines->signals);
	close_once(&lines->events);
	close_once(&lines->ready);
}
