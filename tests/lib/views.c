/* An endpoint for tests: what it does with a client is the end of the path, as in /views/count. */
#include "websocket.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void say(struct websocket *ws, const char *format, const char *name, long number)
{
	char text[200];
	int length = snprintf(text, sizeof text, format, name, number);

	if (websocket_send(ws, text, (size_t)length) < 0)
		websocket_close(ws);
}

static void echo(struct websocket *ws)
{
	struct websocket_message message;

	while (websocket_wait(ws, &message, WEBSOCKET_FOREVER) == WEBSOCKET_MESSAGE)
		if (websocket_send(ws, message.text, message.length) < 0)
			return;
}

/* selects the subprotocol that the query names, and says what came of it */
static void accept_protocol(struct websocket *ws)
{
	int result = websocket_accept(ws, websocket_variable(ws, "QUERY_STRING"));

	say(ws, "%s %ld", result < 0 ? strerror(errno) : "accepted", result);
	say(ws, "%s %ld", websocket_accept(ws, NULL) < 0 && errno == EALREADY ? "once" : "twice",
	    0);
	echo(ws);
}

static void refuse(struct websocket *ws)
{
	if (websocket_refuse(ws, atoi(websocket_variable(ws, "QUERY_STRING"))) < 0)
		say(ws, "%s %ld", strerror(errno), 0);
}

static void close_with(struct websocket *ws)
{
	int code = atoi(websocket_variable(ws, "QUERY_STRING"));

	if (websocket_close_with(ws, code, "as asked for") < 0)
		say(ws, "%s %ld", strerror(errno), code);
}

/* says the value of the variable that each message names */
static void variables(struct websocket *ws)
{
	struct websocket_message message;

	while (websocket_wait(ws, &message, WEBSOCKET_FOREVER) == WEBSOCKET_MESSAGE) {
		const char *value = websocket_variable(ws, message.text);
		if (websocket_send(ws, value ? value : "-", value ? strlen(value) : 1) < 0)
			return;
	}
}

/* waits for the word, then counts what else has come, and reads it without waiting */
static void count(struct websocket *ws)
{
	struct websocket_message message;

	if (websocket_wait(ws, &message, WEBSOCKET_FOREVER) != WEBSOCKET_MESSAGE)
		return;
	size_t there = websocket_count_messages(ws);
	say(ws, "%s %ld", websocket_has_messages(ws) ? "more:" : "none:", (long)there);
	while (websocket_read(ws, &message) == WEBSOCKET_MESSAGE)
		say(ws, "%s %ld", "read", (long)message.length);
	say(ws, "%s %ld", websocket_has_messages(ws) ? "more" : "no more", 0);
	echo(ws);
}

/* polls a pipe that it fills itself when a message comes, and says what woke it */
static void poll_pipe(struct websocket *ws)
{
	struct websocket_message message;
	char byte;
	int ends[2];

	if (pipe(ends) < 0)
		return;
	struct pollfd set = {ends[0], POLLIN, 0};
	say(ws, "%s %ld", "time:", websocket_poll(ws, &set, 1, 20));
	while (!websocket_is_closed(ws)) {
		int ready = websocket_poll(ws, &set, 1, WEBSOCKET_FOREVER);
		if (ready > 0 && read(ends[0], &byte, 1) == 1)
			say(ws, "%s %ld", "pipe:", ready);
		while (websocket_read(ws, &message) == WEBSOCKET_MESSAGE)
			if (write(ends[1], "x", 1) == 1)
				say(ws, "%s %ld", "client:", ready);
	}
	close(ends[0]);
	close(ends[1]);
}

/* sends without a pause, whatever the client does */
static void stream(struct websocket *ws)
{
	static const char bytes[100000];

	while (websocket_send_binary(ws, bytes, sizeof bytes) == 0)
		;
}

/* asks again and again, and never waits */
static void ask(struct websocket *ws)
{
	struct websocket_message message;
	enum websocket_event event;

	while ((event = websocket_read(ws, &message)) <= WEBSOCKET_MESSAGE &&
	       event != WEBSOCKET_ERROR)
		if (event == WEBSOCKET_MESSAGE &&
		    websocket_send(ws, message.text, message.length) < 0)
			return;
}

static void crash(struct websocket *ws)
{
	(void)ws;
	abort();
}

static int run_over(int depth) /* NOLINT(misc-no-recursion): that is what it is for */
{
	volatile char room[4096] = {0};

	return depth == 0 ? room[0] : run_over(depth - 1) + room[depth % 4096];
}

static void overflow(struct websocket *ws)
{
	say(ws, "%s %ld", "depth", run_over(1000));
}

/* tells how the connection ended, in the log */
static void tell_end(struct websocket *ws)
{
	struct websocket_message message;
	enum websocket_event event;

	do
		event = websocket_wait(ws, &message, WEBSOCKET_FOREVER);
	while (event == WEBSOCKET_MESSAGE);
	fprintf(stderr, "event %d, code %d\n", event, websocket_close_code(ws));
}

static void time_out(struct websocket *ws)
{
	struct websocket_message message;

	while (websocket_wait(ws, &message, 30) == WEBSOCKET_NONE)
		say(ws, "%s %ld", "time", 0);
}

/* What each function does with a connection that is over, as a line of the log. It is written at
 * once: another worker may write to the same log. */
static void tell_calls(struct websocket *ws, const char *name)
{
	struct websocket_message message;
	struct pollfd set = {-1, POLLIN, 0};
	char value[8];
	char first[256];

	snprintf(first, sizeof first,
		 "%s: wait %d %d, read %d, count %zu %d, poll %d, send %d %d, accept %d %d, ", name,
		 websocket_wait(ws, &message, WEBSOCKET_FOREVER), websocket_wait(ws, &message, 1),
		 websocket_read(ws, &message), websocket_count_messages(ws),
		 websocket_has_messages(ws), websocket_poll(ws, &set, 1, WEBSOCKET_FOREVER),
		 websocket_send(ws, "x", 1), websocket_send_binary(ws, "x", 1),
		 websocket_accept(ws, NULL), websocket_accept(ws, "chat"));
	fprintf(stderr, "%srefuse %d, closed %d, close %d, path %s, query %td, fd %d\n", first,
		websocket_refuse(ws, 403), websocket_is_closed(ws),
		websocket_close_with(ws, 1001, NULL), websocket_variable(ws, "PATH_INFO"),
		websocket_parameter(ws, "a", value, sizeof value), websocket_fd(ws));
}

static void call_after_close(struct websocket *ws)
{
	websocket_close(ws);
	tell_calls(ws, "after close");
}

static void call_after_refusal(struct websocket *ws)
{
	if (websocket_refuse(ws, 451) < 0)
		return;
	tell_calls(ws, "after refusal");
}

static void call_after_end(struct websocket *ws)
{
	struct websocket_message message;

	while (websocket_wait(ws, &message, WEBSOCKET_FOREVER) == WEBSOCKET_MESSAGE)
		;
	tell_calls(ws, "after the end");
}

/* sends and waits for a millisecond, again and again */
static void tick(struct websocket *ws)
{
	struct websocket_message message;

	while (websocket_send(ws, "tick", 4) == 0 &&
	       websocket_wait(ws, &message, 1) < WEBSOCKET_CLOSED)
		if (websocket_reason(ws))
			return;
}

/* polls a descriptor that is always ready, and never waits for anything else */
static void poll_busy(struct websocket *ws)
{
	struct pollfd set = {STDERR_FILENO, POLLOUT, 0};

	while (!websocket_is_closed(ws))
		if (websocket_poll(ws, &set, 1, WEBSOCKET_FOREVER) < 0)
			return;
}

/* polls sets of every kind, and says what is returned */
static void poll_odd(struct websocket *ws)
{
	int closed = dup(STDERR_FILENO);
	int ends[2];

	if (closed < 0 || pipe(ends) < 0)
		return;
	close(closed);
	struct pollfd none[] = {{-1, POLLIN, 0}, {-7, POLLOUT, 0}};
	struct pollfd invalid[] = {{closed, POLLIN, 0}, {-1, POLLIN, 0}};
	struct pollfd twice[] = {{ends[0], POLLIN, 0}, {ends[0], POLLOUT, 0}, {ends[0], 0, 0}};
	struct pollfd hung_up[] = {{ends[0], 0, 0}};
	say(ws, "%s %ld", "nothing:", websocket_poll(ws, NULL, 0, 10));
	say(ws, "%s %ld", "negative:", websocket_poll(ws, none, 2, 10));
	say(ws, "%s %ld", "closed:", websocket_poll(ws, invalid, 2, WEBSOCKET_FOREVER));
	say(ws, "%s %ld", "twice, empty:", websocket_poll(ws, twice, 3, 10));
	if (write(ends[1], "x", 1) == 1)
		say(ws, "%s %ld", "twice, full:", websocket_poll(ws, twice, 3, WEBSOCKET_FOREVER));
	close(ends[1]);
	say(ws, "%s %ld", "hung up:", websocket_poll(ws, hung_up, 1, WEBSOCKET_FOREVER));
	close(ends[0]);
	echo(ws);
}

/* answers each message with how many messages all clients have sent before it */
static void count_all(struct websocket *ws)
{
	static long count;
	struct websocket_message message;

	while (websocket_wait(ws, &message, WEBSOCKET_FOREVER) == WEBSOCKET_MESSAGE)
		say(ws, "%s%ld", "", count++);
}

/* keeps a message while it sends so much that it has to wait, and then sends that message */
static void hold(struct websocket *ws)
{
	static const char much[4000000];
	struct websocket_message message;

	if (websocket_wait(ws, &message, WEBSOCKET_FOREVER) == WEBSOCKET_MESSAGE &&
	    websocket_send_binary(ws, much, sizeof much) == 0 &&
	    websocket_send_binary(ws, much, sizeof much) == 0 &&
	    websocket_send(ws, message.text, message.length) == 0)
		echo(ws);
}

static const struct {
	const char *path;
	void (*view)(struct websocket *ws);
} views[] = {
	{"/accept", accept_protocol},
	{"/refuse", refuse},
	{"/close", close_with},
	{"/variables", variables},
	{"/count", count},
	{"/poll", poll_pipe},
	{"/stream", stream},
	{"/ask", ask},
	{"/crash", crash},
	{"/overflow", overflow},
	{"/end", tell_end},
	{"/time", time_out},
	{"/echo", echo},
	{"/after-close", call_after_close},
	{"/after-refusal", call_after_refusal},
	{"/after-end", call_after_end},
	{"/tick", tick},
	{"/poll-busy", poll_busy},
	{"/poll-odd", poll_odd},
	{"/hold", hold},
	{"/count-all", count_all},
};

static void dispatch(struct websocket *ws)
{
	const char *path = websocket_variable(ws, "PATH_INFO");

	for (size_t i = 0; path && i < sizeof views / sizeof *views; i++)
		if (strcmp(views[i].path, path) == 0)
			views[i].view(ws);
}

int main(void)
{
	return websocket_run(dispatch);
}
