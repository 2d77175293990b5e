/* the parts of the message API that the echo does not use, while what they call fails */
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
	ok(websocket_fd(ws) >= 0, "and it can be tried again");
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
	return done();
}
