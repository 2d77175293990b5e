#include "websocket.h"
#include "connection.h"
#include "utf8.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
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

/* Half of what the pipe holds: a full pipe, of at least two pages, always has more in it, whatever
 * the sizes of what was written to it. 0 if it is no such pipe. */
static size_t half_of_pipe(int fd)
{
	int size = fcntl(fd, F_GETPIPE_SZ);

	return size >= 2 * sysconf(_SC_PAGESIZE) ? (size_t)size / 2 : 0;
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
		*ws = (struct websocket){.in = in, .out = out, .half = half_of_pipe(in)};
		ws->signals = ws->events = ws->ready = ws->patience = -1;
		inbox_init(&ws->inbox, max_message, max_queue(max_message));
	}
	return ws;
}

void connection_end(struct websocket *ws, int error, const char *reason)
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
	connection_end(ws, error, reason);
}

/* ends the connection if its inbox has refused what the client sent */
static void end_if_refused(struct websocket *ws)
{
	char reason[sizeof ws->reason];

	switch (ws->inbox.state) {
	case INBOX_OPEN:
		break;
	case INBOX_NOT_UTF8:
		connection_end(ws, EILSEQ, "the client sent text that is not valid UTF-8");
		break;
	case INBOX_TOO_LONG:
		snprintf(reason, sizeof reason,
			 "the client sent a message of more than %zu bytes (WEBSOCKET_MAX_MESSAGE)",
			 ws->inbox.max_message);
		connection_end(ws, EMSGSIZE, reason);
		break;
	case INBOX_BINARY:
		connection_end(ws, EBADMSG, "the client sent a binary message");
		break;
	case INBOX_FULL:
		snprintf(reason, sizeof reason,
			 "the client sent more than %zu bytes ahead of what it read",
			 ws->inbox.max_queue);
		connection_end(ws, ENOBUFS, reason);
		break;
	}
}

/*
 * websocketd writes a text message and its newline at once, and a binary message without a newline.
 * Of a write the kernel leaves a part for later only if the pipe is full. So if the pipe is empty,
 * was not full since it last was, and a line is not whole, that line is a binary message.
 */
static void note_empty(struct websocket *ws)
{
	int more = 0;

	if (inbox_is_partial(&ws->inbox)) {
		if (ioctl(ws->in, FIONREAD, &more) < 0 || more > 0)
			return;
		if (ws->run < ws->half)
			inbox_pause(&ws->inbox);
	}
	ws->run = 0;
}

/* takes in what one read gives: true if more may be there */
static bool take_in(struct websocket *ws)
{
	size_t size;
	char *space = inbox_space(&ws->inbox, &size);

	if (space == NULL) {
		end_after(ws, "malloc for what the client sends");
		return false;
	}
	size = size < READ_SIZE ? size : READ_SIZE;
	ssize_t n = read(ws->in, space, size);
	if (n < 0 && errno != EAGAIN && errno != EINTR)
		end_after(ws, "read from the client");
	if (n < 0 && errno == EAGAIN)
		note_empty(ws);
	if (n <= 0) {
		ws->left |= n == 0;
		return false;
	}
	inbox_commit(&ws->inbox, (size_t)n);
	ws->run += (size_t)n;
	if ((size_t)n < size)
		note_empty(ws);
	return (size_t)n == size && ws->inbox.state == INBOX_OPEN;
}

/*
 * Waits until the client sends or leaves, a signal comes, or, if sending, the client takes more;
 * then takes in what it sent. Only a send takes in more than the queue's limit allows for, because
 * not to do so would be the deadlock. False if the time ran out.
 */
static bool look(struct websocket *ws, bool sending, int timeout_ms)
{
	bool room = sending || inbox_waiting(&ws->inbox) + READ_SIZE <= ws->inbox.max_queue;
	struct pollfd set[] = {
		{.fd = ws->left ? -1 : ws->in, .events = room ? POLLIN : 0},
		{.fd = ws->out, .events = sending ? POLLOUT : 0},
		{.fd = ws->signals, .events = POLLIN},
		{.fd = ws->feed && !sending ? ws->feed->fd : -1, .events = POLLIN},
	};

	int found = poll(set, sizeof set / sizeof *set, timeout_ms);
	if (found < 0) {
		if (errno != EINTR)
			end_after(ws, "poll");
		return true;
	}
	while (room && set[0].revents && take_in(ws) && ws->inbox.count == 0)
		;
	ws->gone |= (set[0].revents & POLLHUP) != 0;
	if (set[1].revents & (POLLERR | POLLHUP | POLLNVAL) || set[2].revents)
		ws->left = true;
	ws->fed |= set[3].revents != 0;
	connection_announce(ws);
	return found > 0;
}

/* what there is to return without a look at the descriptors */
static enum websocket_event next(struct websocket *ws, struct websocket_message *message)
{
	bool taken = !ws->ended && inbox_take(&ws->inbox, &message->text, &message->length);

	connection_announce(ws);
	if (taken)
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

/* looks, and lets the feed send what it has */
static void look_and_feed(struct websocket *ws, int timeout_ms)
{
	look(ws, false, timeout_ms);
	if (ws->fed && !ws->ended && !ws->left)
		ws->feed->deliver(ws);
	ws->fed = false;
}

enum websocket_event websocket_wait(struct websocket *ws, struct websocket_message *message,
				    int timeout_ms)
{
	long long deadline = timeout_ms > 0 ? milliseconds() + timeout_ms : 0;

	if (ws->feed) /* else a client that never pauses would keep it out */
		look_and_feed(ws, 0);
	enum websocket_event event = next(ws, message);
	while (event == WEBSOCKET_NONE) {
		look_and_feed(ws, timeout_ms);
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
	if (!look(ws, true, ws->patience))
		connection_end(ws, ETIMEDOUT, "the client takes nothing");
	end_if_refused(ws);
}

static int write_all(struct websocket *ws, const char *bytes, size_t length)
{
	while (length > 0) {
		if (ws->ended || ws->left) {
			errno = EPIPE;
			return -1;
		}
		ssize_t n = write(ws->out, bytes, length);
		if (n >= 0) {
			bytes += n;
			length -= (size_t)n;
		} else if (errno == EAGAIN) {
			await_client(ws);
		} else if (errno != EINTR) {
			end_after(ws, "write to the client");
		}
	}
	return 0;
}

/* A short message goes out with its end in one write, which wakes websocketd once: to copy it costs
 * less than writev(2) does. websocketd cuts "\r\n" off as well as "\n": a carriage return that belongs
 * to the text needs another. */
static int write_line(struct websocket *ws, const char *text, size_t length)
{
	char line[PIPE_BUF];
	bool cut = length > 0 && text[length - 1] == '\r';
	const char *end = cut ? "\r\n" : "\n";
	size_t end_length = cut ? 2 : 1;

	if (length + end_length > sizeof line)
		return write_all(ws, text, length) < 0 ? -1 : write_all(ws, end, end_length);
	if (length > 0)
		memcpy(line, text, length);
	memcpy(line + length, end, end_length);
	return write_all(ws, line, length + end_length);
}

int websocket_send(struct websocket *ws, const char *text, size_t length)
{
	if (length > 0 && memchr(text, '\n', length)) {
		errno = EINVAL;
		return -1;
	}
	if (utf8_valid_prefix(text, length) < length) {
		errno = EILSEQ;
		return -1;
	}
	return write_line(ws, text, length);
}

bool websocket_is_closed(struct websocket *ws)
{
	if (!ws->ended)
		look(ws, false, 0);
	return ws->ended || ws->left || ws->gone;
}

const char *websocket_reason(struct websocket *ws)
{
	return ws->error ? ws->reason : NULL;
}

void websocket_close(struct websocket *ws)
{
	connection_end(ws, 0, "");
	inbox_free(&ws->inbox);
	if (ws->feed)
		ws->feed->release(ws->feed);
	ws->feed = NULL;
	if (ws->in == ws->out)
		ws->in = -1;
	connection_close_once(&ws->in);
	connection_close_once(&ws->out);
	connection_close_once(&ws->signals);
	connection_close_once(&ws->events);
	connection_close_once(&ws->ready);
}

void websocket_free(struct websocket *ws)
{
	if (ws)
		websocket_close(ws);
	free(ws);
}
