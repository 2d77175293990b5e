#include "lines.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum { READ_SIZE = 65536 };

static const struct carrier carrier;

/* the limit of the queue: so many messages of the largest size, and one read more */
static size_t max_queue(size_t max_message)
{
	size_t most = (SIZE_MAX - READ_SIZE) / WEBSOCKET_MAX_QUEUE - 1;

	return WEBSOCKET_MAX_QUEUE * ((max_message < most ? max_message : most) + 1) + READ_SIZE;
}

/* Half of what the pipe holds: a full pipe, of at least two pages, always has more in it, whatever
 * the sizes of what was written to it. 0 if it is not such a pipe. */
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

	struct lines *lines = malloc(sizeof *lines);
	if (lines == NULL)
		return NULL;
	*lines = (struct lines){.in = in, .out = out, .half_pipe = half_of_pipe(in)};
	connection_init(&lines->ws, &carrier);
	lines->signals = lines->events = lines->ready = -1;
	inbox_init(&lines->inbox, max_message, max_queue(max_message));
	return &lines->ws;
}

/* ends the connection if its inbox has refused what the client sent */
static void end_if_refused(struct lines *lines)
{
	struct websocket *ws = &lines->ws;
	char reason[sizeof ws->reason];

	switch (lines->inbox.state) {
	case INBOX_OPEN:
		break;
	case INBOX_NOT_UTF8:
		connection_end(ws, EILSEQ, "the client sent text that is not valid UTF-8");
		break;
	case INBOX_TOO_LONG:
		snprintf(reason, sizeof reason,
			 "the client sent a message of more than %zu bytes (WEBSOCKET_MAX_MESSAGE)",
			 lines->inbox.max_message);
		connection_end(ws, EMSGSIZE, reason);
		break;
	case INBOX_BINARY:
		connection_end(ws, EBADMSG, "the client sent a binary message");
		break;
	case INBOX_FULL:
		snprintf(reason, sizeof reason,
			 "the client sent more than %zu bytes ahead of what it read",
			 lines->inbox.max_queue);
		connection_end(ws, ENOBUFS, reason);
		break;
	}
}

/*
 * websocketd writes a text message and its newline at once, and a binary message without a newline.
 * The kernel splits a write only when the pipe is full. If the pipe is empty, has not been full
 * since it was last empty, and the line still lacks its newline, then that write had none: it was a
 * binary message.
 */
static void note_empty(struct lines *lines)
{
	int more = 0;

	if (inbox_is_partial(&lines->inbox)) {
		if (ioctl(lines->in, FIONREAD, &more) < 0 || more > 0)
			return;
		if (lines->bytes_since_empty < lines->half_pipe)
			inbox_pause(&lines->inbox);
	}
	lines->bytes_since_empty = 0;
}

/* takes in what one read gives: true if more may be there */
static bool take_in(struct lines *lines)
{
	size_t size;
	char *space = inbox_space(&lines->inbox, &size);

	if (space == NULL) {
		connection_end_after(&lines->ws, "malloc for what the client sends");
		return false;
	}
	size = size < READ_SIZE ? size : READ_SIZE;
	ssize_t n = read(lines->in, space, size);
	if (n < 0 && errno != EAGAIN && errno != EINTR)
		connection_end_after(&lines->ws, "read from the client");
	if (n < 0 && errno == EAGAIN)
		note_empty(lines);
	if (n <= 0) {
		lines->ws.input_ended |= n == 0;
		return false;
	}
	inbox_commit(&lines->inbox, (size_t)n);
	lines->bytes_since_empty += (size_t)n;
	if ((size_t)n < size)
		note_empty(lines);
	return (size_t)n == size && lines->inbox.state == INBOX_OPEN;
}

/* the descriptors of the connection, in the order in which they are polled */
enum { IN, OUT, SIGNALS, FEED, OWN };

static void note_events(struct lines *lines, const struct pollfd own[OWN])
{
	bool may_read = own[IN].events & POLLIN;

	while (may_read && own[IN].revents && take_in(lines) && lines->inbox.count == 0)
		;
	lines->peer_hung_up |= (own[IN].revents & POLLHUP) != 0;
	if (own[OUT].revents & (POLLERR | POLLHUP | POLLNVAL) || own[SIGNALS].revents)
		lines->ws.input_ended = true;
	lines->ws.feed_is_ready |= own[FEED].revents != 0;
	lines_announce(lines);
}

/*
 * Waits until the client sends or leaves, a signal comes, the feed is ready, or, if sending, the
 * client takes more; then takes in what it sent. Only a send takes in more than the queue's limit
 * allows for, because not to do so would be the deadlock. False if the time is up.
 */
static bool wait_and_take_in(struct lines *lines, bool sending, int timeout_ms)
{
	const struct feed *feed = lines->ws.feed;
	bool may_read = sending ||
			inbox_waiting(&lines->inbox) + READ_SIZE <= lines->inbox.max_queue;
	struct pollfd own[OWN] = {
		[IN] = {lines->ws.input_ended ? -1 : lines->in, may_read ? POLLIN : 0, 0},
		[OUT] = {lines->out, sending ? POLLOUT : 0, 0},
		[SIGNALS] = {lines->signals, POLLIN, 0},
		[FEED] = {feed && !sending ? feed->fd : -1, POLLIN, 0},
	};

	int found = poll(own, OWN, timeout_ms);
	if (found > 0)
		note_events(lines, own);
	else if (found < 0 && errno != EINTR)
		connection_end_after(&lines->ws, "poll");
	return found != 0;
}

/* the same beside a set of the view's: returns how many of that are ready, or -1 with errno set */
static int wait_with(struct lines *lines, struct pollfd *set, size_t count, int timeout_ms)
{
	int events = lines_descriptor(&lines->ws);
	struct pollfd *all = events < 0 ? NULL : malloc((count + 1) * sizeof *all);

	if (all == NULL)
		return -1;
	all[0] = (struct pollfd){events, POLLIN, 0};
	memcpy(all + 1, set, count * sizeof *set);
	int ready = poll(all, count + 1, timeout_ms);
	memcpy(set, all + 1, count * sizeof *set);
	bool is_own = all[0].revents != 0;
	free(all);
	if (ready > 0 && is_own)
		wait_and_take_in(lines, false, 0);
	return ready > 0 ? ready - is_own : ready < 0 && errno == EINTR ? 0 : ready;
}

static int lines_wait(struct websocket *ws, struct pollfd *set, size_t count, int timeout_ms)
{
	if (count > 0)
		return wait_with((struct lines *)ws, set, count, timeout_ms);
	wait_and_take_in((struct lines *)ws, false, timeout_ms);
	return 0;
}

static bool lines_has_input(struct websocket *ws)
{
	const struct inbox *inbox = &((struct lines *)ws)->inbox;

	return inbox->count > 0 || inbox->state != INBOX_OPEN;
}

static bool lines_take(struct websocket *ws, struct websocket_message *message)
{
	struct lines *lines = (struct lines *)ws;
	bool taken = inbox_take(&lines->inbox, &message->text, &message->length);

	message->is_binary = false;
	lines_announce(lines);
	if (!taken)
		end_if_refused(lines);
	return taken;
}

static size_t lines_count(struct websocket *ws)
{
	struct lines *lines = (struct lines *)ws;
	size_t before;

	do {
		before = inbox_waiting(&lines->inbox);
		wait_and_take_in(lines, false, 0);
	} while (inbox_waiting(&lines->inbox) > before);
	return lines->inbox.count;
}

/* waits until the client takes more; a client that broke a limit meanwhile gets no more */
static void await_client(struct lines *lines)
{
	if (!wait_and_take_in(lines, true, lines->ws.send_timeout_ms))
		connection_end(&lines->ws, ETIMEDOUT, "the client takes nothing");
	end_if_refused(lines);
}

static int write_all(struct lines *lines, const char *bytes, size_t length)
{
	while (length > 0) {
		if (lines->ws.ended || lines->ws.input_ended) {
			errno = EPIPE;
			return -1;
		}
		ssize_t n = write(lines->out, bytes, length);
		if (n >= 0) {
			bytes += n;
			length -= (size_t)n;
		} else if (errno == EAGAIN) {
			await_client(lines);
		} else if (errno != EINTR) {
			connection_end_after(&lines->ws, "write to the client");
		}
	}
	return 0;
}

/* A short message goes out with its end in one write, which wakes websocketd once: to copy it costs
 * less than writev(2) does. websocketd cuts "\r\n" off as well as "\n": a carriage return that
 * belongs to the text needs another. */
static int lines_send(struct websocket *ws, const char *text, size_t length, bool is_binary)
{
	struct lines *lines = (struct lines *)ws;
	char line[PIPE_BUF];
	const char *end = length > 0 && text[length - 1] == '\r' ? "\r\n" : "\n";
	size_t end_length = strlen(end);

	if (is_binary || (length > 0 && memchr(text, '\n', length))) {
		errno = is_binary ? ENOTSUP : EINVAL;
		return -1;
	}
	if (length + end_length > sizeof line)
		return write_all(lines, text, length) < 0 ? -1 : write_all(lines, end, end_length);
	if (length > 0)
		memcpy(line, text, length);
	memcpy(line + length, end, end_length);
	return write_all(lines, line, length + end_length);
}

static bool lines_is_gone(struct websocket *ws)
{
	wait_and_take_in((struct lines *)ws, false, 0);
	return ((struct lines *)ws)->peer_hung_up;
}

/* websocketd sends no close frame: the client sees code 1006 whatever is asked for */
static void lines_close(struct websocket *ws, int code, const char *reason, size_t length)
{
	struct lines *lines = (struct lines *)ws;

	(void)code;
	(void)reason;
	(void)length;
	inbox_free(&lines->inbox);
	lines_close_descriptors(lines);
}

static const struct carrier carrier = {
	.take = lines_take,
	.has_input = lines_has_input,
	.wait = lines_wait,
	.count = lines_count,
	.send = lines_send,
	.is_gone = lines_is_gone,
	.close = lines_close,
	.accept = lines_accept,
	.refuse = lines_refuse,
	.variable = lines_variable,
	.address = lines_address,
	.descriptor = lines_descriptor,
	.watch_feed = lines_watch_feed,
};

void websocket_free(struct websocket *ws)
{
	if (ws)
		websocket_close(ws);
	free(ws);
}
