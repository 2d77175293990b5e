#include "connection.h"
#include "clock.h"
#include "frames.h"
#include "utf8.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void connection_init(struct websocket *ws, const struct carrier *carrier)
{
	*ws = (struct websocket){.carrier = carrier, .send_timeout_ms = -1};
}

void connection_end(struct websocket *ws, int error, const char *reason)
{
	if (ws->ended)
		return;
	ws->ended = true;
	ws->error = error;
	snprintf(ws->reason, sizeof ws->reason, "%s", reason);
}

void connection_end_after(struct websocket *ws, const char *call)
{
	int error = errno == EPIPE || errno == ECONNRESET ? 0 : errno;
	char reason[sizeof ws->reason];

	snprintf(reason, sizeof reason, "%s: %s", call, strerror(errno));
	connection_end(ws, error, reason);
}

void connection_log(struct websocket *ws, const char *text)
{
	if (ws->log_name && (ws->carrier->may_log == NULL || ws->carrier->may_log(ws)))
		fprintf(stderr, "%s: %s: %s\n", ws->log_name, ws->carrier->address(ws), text);
}

int connection_feed(struct websocket *ws, struct feed *feed)
{
	ws->feed = feed;
	if (ws->carrier->watch_feed == NULL || ws->carrier->watch_feed(ws) == 0)
		return 0;
	ws->feed = NULL;
	return -1;
}

/* what there is to return without a look at the descriptors */
static enum websocket_event next(struct websocket *ws, struct websocket_message *message)
{
	if (!ws->ended && ws->carrier->take(ws, message))
		return WEBSOCKET_MESSAGE;
	if (ws->error) {
		errno = ws->error;
		return WEBSOCKET_ERROR;
	}
	return ws->ended || ws->input_ended ? WEBSOCKET_CLOSED : WEBSOCKET_NONE;
}

/* the time that is left, or that until the feed is due if that is less */
static int limit_to_feed(const struct feed *feed, int timeout_ms)
{
	if (feed == NULL || feed->due_ms == 0 || timeout_ms == 0)
		return timeout_ms;
	int left = clock_left_ms(feed->due_ms);
	return timeout_ms < 0 || left < timeout_ms ? left : timeout_ms;
}

static bool is_due(const struct feed *feed)
{
	return feed && feed->due_ms && clock_now_ms() >= feed->due_ms;
}

/* waits, and lets the feed send what it has */
static int wait_and_feed(struct websocket *ws, struct pollfd *set, size_t count, int timeout_ms)
{
	int ready = ws->carrier->wait(ws, set, count, limit_to_feed(ws->feed, timeout_ms));
	bool is_ready = ws->feed_is_ready;

	ws->feed_is_ready = false;
	if ((is_ready || is_due(ws->feed)) && !ws->ended && !ws->input_ended)
		ws->feed->deliver(ws);
	return ready;
}

enum websocket_event websocket_wait(struct websocket *ws, struct websocket_message *message,
				    int timeout_ms)
{
	long long deadline = timeout_ms > 0 ? clock_now_ms() + timeout_ms : 0;

	if (ws->feed && (ws->feed->fd >= 0 ||
			 ws->feed->wants_room)) /* a client that never pauses would keep it out */
		wait_and_feed(ws, NULL, 0, 0);
	enum websocket_event event = next(ws, message);
	while (event == WEBSOCKET_NONE) {
		wait_and_feed(ws, NULL, 0, timeout_ms);
		event = next(ws, message);
		if (timeout_ms == 0)
			break;
		if (timeout_ms > 0)
			timeout_ms = clock_left_ms(deadline);
	}
	return event;
}

enum websocket_event websocket_read(struct websocket *ws, struct websocket_message *message)
{
	return websocket_wait(ws, message, 0);
}

int websocket_poll(struct websocket *ws, struct pollfd *set, size_t count, int timeout_ms)
{
	long long deadline = timeout_ms > 0 ? clock_now_ms() + timeout_ms : 0;

	for (;;) {
		bool is_over = ws->ended || ws->input_ended;
		bool has_input = is_over || ws->carrier->has_input(ws);
		int ready = is_over ? poll(set, count, 0)
				    : wait_and_feed(ws, set, count, has_input ? 0 : timeout_ms);
		if (ready != 0 || has_input || timeout_ms == 0)
			return ready;
		if (timeout_ms > 0)
			timeout_ms = clock_left_ms(deadline);
	}
}

size_t websocket_count_messages(struct websocket *ws)
{
	size_t count = ws->ended ? 0 : ws->carrier->count(ws);

	return ws->ended ? 0 : count;
}

bool websocket_has_messages(struct websocket *ws)
{
	return websocket_count_messages(ws) > 0;
}

/* Refuses a message that may not be sent: -1 with errno set, and one line in the log. */
static int refuse_to_send(struct websocket *ws, int error, const char *why)
{
	if (!ws->refusal_logged)
		connection_log(ws, why);
	ws->refusal_logged = true;
	errno = error;
	return -1;
}

static int send_message(struct websocket *ws, const char *bytes, size_t length, bool is_binary)
{
	if (ws->ended || ws->input_ended) {
		errno = EPIPE;
		return -1;
	}
	int result = ws->carrier->send(ws, bytes, length, is_binary);
	if (result < 0 && errno == EINVAL)
		return refuse_to_send(ws, EINVAL, "a text with a newline in it was not sent");
	if (result < 0 && errno == ENOTSUP)
		return refuse_to_send(ws, ENOTSUP, "a binary message was not sent");
	return result;
}

int websocket_send(struct websocket *ws, const char *text, size_t length)
{
	if (utf8_valid_prefix(text, length) < length)
		return refuse_to_send(ws, EILSEQ, "a text that is not valid UTF-8 was not sent");
	return send_message(ws, text, length, false);
}

int websocket_send_binary(struct websocket *ws, const void *bytes, size_t length)
{
	return send_message(ws, bytes, length, true);
}

int websocket_accept(struct websocket *ws, const char *protocol)
{
	if (ws->ended || ws->input_ended) {
		errno = EPIPE;
		return -1;
	}
	return ws->carrier->accept(ws, protocol);
}

int websocket_refuse(struct websocket *ws, int status)
{
	if (status < 400 || status > 599) {
		errno = EINVAL;
		return -1;
	}
	if (ws->is_closed) {
		errno = EPIPE;
		return -1;
	}
	int result = ws->carrier->refuse(ws, status);
	websocket_close(ws);
	return result;
}

const char *websocket_variable(struct websocket *ws, const char *name)
{
	return ws ? ws->carrier->variable(ws, name) : getenv(name);
}

bool websocket_is_closed(struct websocket *ws)
{
	return ws->ended || ws->carrier->is_gone(ws) || ws->ended || ws->input_ended;
}

const char *websocket_reason(struct websocket *ws)
{
	return ws->error ? ws->reason : NULL;
}

int websocket_close_code(struct websocket *ws)
{
	bool is_over = ws->ended || ws->input_ended;

	return ws->close_code ? ws->close_code : is_over ? FRAMES_CODE_LOST : 0;
}

int websocket_fd(struct websocket *ws)
{
	return ws->carrier->descriptor(ws);
}

static void close_connection(struct websocket *ws, int code, const char *reason, size_t length)
{
	if (ws->is_closed)
		return;
	connection_end(ws, 0, "");
	ws->is_closed = true;
	if (ws->feed)
		ws->feed->release(ws->feed);
	ws->feed = NULL;
	ws->carrier->close(ws, code, reason, length);
}

int websocket_close_with(struct websocket *ws, int code, const char *reason)
{
	size_t length = reason ? strlen(reason) : 0;

	if (!frames_is_close_code(code) || length > FRAMES_MAX_REASON ||
	    utf8_valid_prefix(reason, length) < length) {
		errno = EINVAL;
		return -1;
	}
	close_connection(ws, code, reason, length);
	return 0;
}

void websocket_close(struct websocket *ws)
{
	close_connection(ws, FRAMES_CODE_NORMAL, NULL, 0);
}
