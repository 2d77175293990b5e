#include "websocket.h"
#include "connection.h"
#include "utf8.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum { READ_SIZE = 65536 };

bool is_websocket(void)
{
	static const char gateway[] = "websocketd-CGI/";
	const char *interface = getenv("GATEWAY_INTERFACE");

	return interface && strncmp(interface, gateway, sizeof gateway - 1) == 0;
}

const char *websocket_variable(struct websocket *ws, const char *name)
{
	(void)ws;
	return getenv(name);
}

/* the queue's limit; a read may come on top of the messages it is for */
static size_t max_queue(size_t max_message)
{
	size_t most = (SIZE_MAX - READ_SIZE) / WEBSOCKET_MAX_QUEUE - 1;

	return WEBSOCKET_MAX_QUEUE * ((max_message < most ? max_message : most) + 1) + READ_SIZE;
}

struct websocket *websocket_open(int in, int out, size_t max_message)
{
	int in_flags = fcntl(in, F_GETFL);
	int out_flags = fcntl(out, F_GETFL);

	if (in_flags < 0 || out_flags < 0 || fcntl(in, F_SETFL, in_flags | O_NONBLOCK) < 0 ||
	    fcntl(out, F_SETFL, out_flags | O_NONBLOCK) < 0)
		return NULL;

	struct websocket *ws = malloc(sizeof *ws);
	if (ws) {
		*ws = (struct websocket){.in = in, .out = out, .signals = -1, .events = -1};
		inbox_init(&ws->inbox, max_message, max_queue(max_message));
	}
	return ws;
}

static void end_with(struct websocket *ws, int error, const char *reason)
{
	if (ws->ended)
		return;
	ws->ended = true;
	ws->error = error;
	snprintf(ws->reason, sizeof ws->reason, "%s", reason);
}

/* ends the connection for what a system call says; that the client is gone is no error */
static void end_after(struct websocket *ws, const char *call)
{
	int error = errno == EPIPE || errno == ECONNRESET ? 0 : errno;
	char reason[sizeof ws->reason];

	snprintf(reason, sizeof reason, "%s: %s", call, strerror(errno));
	end_with(ws, error, reason);
}

/* ends the connection if its inbox has refused what the client sent */
static void end_if_refused(struct websocket *ws)
{
	char reason[sizeof ws->reason];

	switch (ws->inbox.state) {
	case INBOX_OPEN:
		break;
	case INBOX_NOT_UTF8:
		end_with(ws, EILSEQ, "the client sent text that is not valid UTF-8");
		break;
	case INBOX_TOO_LONG:
		snprintf(reason, sizeof reason,
			 "the client sent a message of more than %zu bytes (WEBSOCKET_MAX_MESSAGE)",
			 ws->inbox.max_message);
		end_with(ws, EMSGSIZE, reason);
		break;
	case INBOX_FULL:
		snprintf(reason, sizeof reason,
			 "the client sent more than %zu bytes ahead of what it read",
			 ws->inbox.max_queue);
		end_with(ws, ENOBUFS, reason);
		break;
	}
}

/* takes in what one read gives */
static void take_in(struct websocket *ws)
{
	size_t size;
	char *space = inbox_space(&ws->inbox, &size);

	if (space == NULL) {
		end_after(ws, "malloc for what the client sends");
		return;
	}
	ssize_t n = read(ws->in, space, size < READ_SIZE ? size : READ_SIZE);
	if (n > 0)
		inbox_commit(&ws->inbox, (size_t)n);
	else if (n == 0)
		ws->left = true;
	else if (errno != EAGAIN && errno != EINTR)
		end_after(ws, "read from the client");
}

/*
 * Waits until the client sends or leaves, a signal comes, or, if sending, the client takes more;
 * then takes in what it sent. Only a send takes in more than the queue's limit allows for, because
 * not to do so would be the deadlock.
 */
static void look(struct websocket *ws, bool sending, int timeout_ms)
{
	bool room = sending || inbox_waiting(&ws->inbox) + READ_SIZE <= ws->inbox.max_queue;
	struct pollfd set[] = {
		{.fd = room && !ws->left ? ws->in : -1, .events = POLLIN},
		{.fd = ws->out, .events = sending ? POLLOUT : 0},
		{.fd = ws->signals, .events = POLLIN},
	};

	if (poll(set, sizeof set / sizeof *set, timeout_ms) < 0) {
		if (errno != EINTR)
			end_after(ws, "poll");
		return;
	}
	if (set[0].revents)
		take_in(ws);
	if (set[1].revents & (POLLERR | POLLHUP | POLLNVAL))
		ws->left = true;
	if (set[2].revents)
		end_with(ws, 0, "");
}

/* what there is to return without a look at the descriptors */
static enum websocket_event next(struct websocket *ws, struct websocket_message *message)
{
	if (!ws->ended && inbox_take(&ws->inbox, &message->text, &message->length))
		return WEBSOCKET_MESSAGE;

	end_if_refused(ws);
	if (ws->error) {
		errno = ws->error;
		return WEBSOCKET_ERROR;
	}
	return ws->ended || ws->left ? WEBSOCKET_CLOSED : WEBSOCKET_NONE;
}

static long long milliseconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000LL + now.tv_nsec / 1000000;
}

enum websocket_event websocket_wait(struct websocket *ws, struct websocket_message *message,
				    int timeout_ms)
{
	long long deadline = timeout_ms > 0 ? milliseconds() + timeout_ms : 0;
	enum websocket_event event = next(ws, message);

	while (event == WEBSOCKET_NONE) {
		look(ws, false, timeout_ms);
		event = next(ws, message);
		if (timeout_ms == 0)
			break;
		if (timeout_ms > 0 && (timeout_ms = (int)(deadline - milliseconds())) < 0)
			timeout_ms = 0;
	}
	return event;
}

enum websocket_event websocket_read(struct websocket *ws, struct websocket_message *message)
{
	return websocket_wait(ws, message, 0);
}

size_t websocket_count_messages(struct websocket *ws)
{
	size_t before;

	do {
		before = inbox_waiting(&ws->inbox);
		look(ws, false, 0);
	} while (inbox_waiting(&ws->inbox) > before);
	return ws->ended ? 0 : ws->inbox.count;
}

bool websocket_has_messages(struct websocket *ws)
{
	return websocket_count_messages(ws) > 0;
}

/* waits until the client takes more; a client that broke a limit meanwhile gets no more */
static void await_client(struct websocket *ws)
{
	look(ws, true, WEBSOCKET_FOREVER);
	end_if_refused(ws);
}

static void skip(struct iovec part[2], size_t written)
{
	for (int i = 0; i < 2; i++) {
		size_t n = written < part[i].iov_len ? written : part[i].iov_len;
		part[i].iov_base = (char *)part[i].iov_base + n;
		part[i].iov_len -= n;
		written -= n;
	}
}

static int write_all(struct websocket *ws, struct iovec part[2])
{
	while (part[0].iov_len + part[1].iov_len > 0) {
		if (ws->ended || ws->left) {
			errno = EPIPE;
			return -1;
		}
		ssize_t n = writev(ws->out, part, 2);
		if (n >= 0)
			skip(part, (size_t)n);
		else if (errno == EAGAIN)
			await_client(ws);
		else if (errno != EINTR)
			end_after(ws, "write to the client");
	}
	return 0;
}

int websocket_send(struct websocket *ws, const char *text, size_t length)
{
	/* websocketd cuts "\r\n" off as well as "\n": a carriage return that belongs to the text
	 * needs another */
	bool cut = length > 0 && text[length - 1] == '\r';
	struct iovec part[2] = {{(void *)text, length}, {cut ? "\r\n" : "\n", cut ? 2 : 1}};

	if (length > 0 && memchr(text, '\n', length)) {
		errno = EINVAL;
		return -1;
	}
	if (utf8_valid_prefix(text, length) < length) {
		errno = EILSEQ;
		return -1;
	}
	return write_all(ws, part);
}

bool websocket_is_closed(struct websocket *ws)
{
	if (!ws->ended)
		look(ws, false, 0);
	return ws->ended || ws->left;
}

const char *websocket_reason(struct websocket *ws)
{
	return ws->error ? ws->reason : NULL;
}

static int add(int events, int fd, unsigned int what)
{
	struct epoll_event event = {.events = what, .data.fd = fd};

	return epoll_ctl(events, EPOLL_CTL_ADD, fd, &event);
}

int websocket_fd(struct websocket *ws)
{
	if (ws->events >= 0)
		return ws->events;

	int events = epoll_create1(EPOLL_CLOEXEC);
	if (events < 0)
		return -1;
	if (add(events, ws->in, EPOLLIN) < 0 ||
	    (ws->out != ws->in && add(events, ws->out, 0) < 0) ||
	    (ws->signals >= 0 && add(events, ws->signals, EPOLLIN) < 0)) {
		int error = errno;
		close(events);
		errno = error;
		return -1;
	}
	return ws->events = events;
}

static void close_once(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

void websocket_close(struct websocket *ws)
{
	end_with(ws, 0, "");
	inbox_free(&ws->inbox);
	if (ws->in == ws->out)
		ws->in = -1;
	close_once(&ws->in);
	close_once(&ws->out);
	close_once(&ws->signals);
	close_once(&ws->events);
}

void websocket_free(struct websocket *ws)
{
	if (ws)
		websocket_close(ws);
	free(ws);
}
