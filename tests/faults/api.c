/* the parts of the message API that the echo does not use, and those that decode frames and
 * handshakes, while what they call fails */
#include "client_frames.h"
#include "handshake.h"
#include "lines.h"
#include "tap.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

extern void forget_calls(void); /* of faults.c */

static void set_fault(const char *name, int nth, int error)
{
	char fault[64];

	snprintf(fault, sizeof fault, "%s %d %d", name, nth, error);
	setenv("FAULT", fault, 1);
}

static void check_open(const char *name, int nth, int error)
{
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) < 0)
		exit(1);
	set_fault(name, nth, error);
	struct websocket *ws = websocket_open(pair[0], pair[0], 100);
	int got = errno;
	unsetenv("FAULT");
	ok(ws == NULL && got == error, "websocket_open: %s %d fails", name, nth);
	ok(fcntl(pair[0], F_GETFD) >= 0, "the descriptors are still the caller's");
	close(pair[0]);
	close(pair[1]);
}

static void leave_alone(struct feed *feed)
{
	(void)feed;
}

/* over two pipes, as under websocket_run: with a descriptor for signals, and one for a feed */
static struct websocket *open_all(int in[2], int out[2], int feed[2])
{
	static struct feed fed;
	sigset_t none;

	sigemptyset(&none);
	if (pipe(in) < 0 || pipe(out) < 0 || pipe(feed) < 0)
		exit(1);
	struct websocket *ws = websocket_open(in[0], out[1], 100);
	int signals = signalfd(-1, &none, SFD_CLOEXEC);
	((struct lines *)ws)->signals = signals;
	fed = (struct feed){.fd = feed[0], .release = leave_alone};
	if (signals < 0 || connection_feed(ws, &fed) < 0)
		exit(1);
	return ws;
}

static void check_fd(const char *name, int nth, int error)
{
	int in[2];
	int out[2];
	int feed[2];
	struct websocket_message message;
	struct websocket *ws = open_all(in, out, feed);

	set_fault(name, nth, error);
	errno = 0;
	ok(websocket_fd(ws) == -1 && errno == error, "websocket_fd: %s %d fails", name, nth);
	unsetenv("FAULT");
	ok(write(in[1], "hi\n", 3) == 3 && websocket_read(ws, &message) == WEBSOCKET_MESSAGE,
	   "the connection is as before");
	ok(websocket_fd(ws) >= 0, "websocket_fd works when it is tried again");
	websocket_free(ws);
	close(in[1]);
	close(out[0]);
	close(feed[0]);
	close(feed[1]);
}

static void check_wait(const char *name, int nth, int error)
{
	int pair[2];
	struct websocket_message message;

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) < 0)
		exit(1);
	struct websocket *ws = websocket_open(pair[0], pair[0], 100);
	set_fault(name, nth, error);
	errno = 0;
	bool is_write = write(pair[1], "hi\n", 3) == 3;
	ok(is_write && websocket_count_messages(ws) == 0 && websocket_is_closed(ws),
	   "websocket_count_messages: %s fails", name);
	ok(websocket_wait(ws, &message, 1000) == WEBSOCKET_ERROR && errno == error &&
		   strstr(websocket_reason(ws), name),
	   "and wait says why: %s", websocket_reason(ws));
	unsetenv("FAULT");
	websocket_free(ws);
	close(pair[1]);
}

/* a message in fragments with a ping between them, and a second message */
static struct client_bytes make_frames(void)
{
	static const char mask[] = {1, 2, 3, 4};
	static char payload[3000];
	struct client_bytes sent = {0};

	client_frame(&sent, FRAMES_OPCODE_BINARY, payload, sizeof payload, mask);
	client_frame(&sent, 0x80 | FRAMES_OPCODE_PING, payload, FRAMES_MAX_CONTROL, mask);
	client_frame(&sent, 0x80, payload, sizeof payload, mask);
	client_frame(&sent, 0x80 | FRAMES_OPCODE_BINARY, payload, 1, mask);
	return sent;
}

/* the events that come of them byte by byte, up to an error, which is in *item */
static int count_events(struct frames *frames, struct client_bytes *sent, struct frames_item *item)
{
	int count = 0;
	size_t used;

	for (size_t at = 0; at < sent->length; at++) {
		enum frames_event event = frames_next(frames, sent->bytes + at, 1, &used, item);
		if (event == FRAMES_ERROR)
			return count;
		count += event != FRAMES_MORE;
	}
	return count;
}

/* each allocation of the decoder fails once: its client is told 1011, and no memory is held */
static void check_frames(void)
{
	int count = 0;
	int nth = 0;

	while (count < 3) {
		struct client_bytes sent = make_frames();
		struct frames frames;
		struct frames_item item = {0};
		frames_init(&frames, 10000);
		forget_calls();
		set_fault("realloc", ++nth, ENOMEM);
		count = count_events(&frames, &sent, &item);
		unsetenv("FAULT");
		if (count < 3)
			ok(item.code == FRAMES_CODE_INTERNAL_ERROR && frames_memory(&frames) == 0 &&
				   strcmp(item.reason, "memory is short") == 0,
			   "frames_next: realloc %d fails, behind %d events", nth, count);
		frames_free(&frames);
		free(sent.bytes);
	}
	ok(nth > 4, "frames_next: without the %d faults all comes out", nth - 1);
}

static void check_variables(void)
{
	static const char head[] = "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n"
				   "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
				   "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n";
	struct handshake handshake = {0};

	forget_calls();
	set_fault("malloc", 1, ENOMEM);
	int status = handshake_parse(&handshake, head, sizeof head - 1);
	errno = 0;
	ok(status == HANDSHAKE_COMPLETE &&
		   handshake_variables(&handshake, head, "echo", NULL) == NULL && errno == ENOMEM,
	   "handshake_variables: malloc fails");
	unsetenv("FAULT");
	char *variables = handshake_variables(&handshake, head, "echo", NULL);
	ok(variables && handshake_variable(variables, "REQUEST_METHOD"),
	   "handshake_variables works when it is tried again");
	free(variables);
}

/* runs a check with fresh counts of calls */
static void apart(void (*check)(const char *, int, int), const char *name, int nth, int error)
{
	forget_calls();
	check(name, nth, error);
}

int main(void)
{
	signal(SIGPIPE, SIG_IGN);
	for (int nth = 1; nth <= 4; nth++)
		apart(check_open, "fcntl", nth, EBADF);
	apart(check_open, "malloc", 1, ENOMEM);
	apart(check_fd, "epoll_create1", 1, EMFILE);
	apart(check_fd, "eventfd", 1, EMFILE);
	for (int nth = 1; nth <= 5; nth++)
		apart(check_fd, "epoll_ctl", nth, ENOMEM);
	apart(check_wait, "poll", 1, ENOMEM);
	apart(check_wait, "malloc", 1, ENOMEM);
	apart(check_wait, "read", 1, EIO);
	check_frames();
	check_variables();
	return done();
}
