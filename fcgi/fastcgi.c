#include "fastcgi.h"

#include <err.h>
#include <errno.h>
#include <fcgiapp.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/*
 * A web server may pass a client's slowness on, and libfcgi waits without a limit for a request to
 * come and for an answer to be taken: so that no client has a worker to itself, its connection is
 * ended after this time, or up to a second less. Two of them are less than what systemd waits for
 * at a stop.
 */
enum { DEADLINE_SECONDS = 4 };
static FCGX_Request in_hand = {.ipcFd = -1};

static void end_connection(int signal)
{
	int error = errno;

	(void)signal;
	shutdown(in_hand.ipcFd, SHUT_RDWR);
	if (in_hand.ipcFd >= 0) /* libfcgi may go on to a further connection by itself */
		alarm(DEADLINE_SECONDS);
	errno = error;
}

/* for a request that begins now; a timer costs more to set than a clock to read */
static void set_deadline(void)
{
	static time_t set;
	struct timespec now;

	if (clock_gettime(CLOCK_MONOTONIC_COARSE, &now) == 0 && now.tv_sec == set)
		return;
	set = now.tv_sec;
	alarm(DEADLINE_SECONDS);
}

/*
 * SIGTERM, SIGINT and SIGUSR1, which multiwatch and other FastCGI process managers send to stop a
 * worker, are read from a descriptor: as signals they would break libfcgi's reads and writes in the
 * middle of a request, or come just before accept(2) and be missed.
 */
static int open_signals(void)
{
	struct sigaction deadline = {.sa_handler = end_connection, .sa_flags = SA_RESTART};
	sigset_t stop;

	sigemptyset(&stop);
	sigaddset(&stop, SIGTERM);
	sigaddset(&stop, SIGINT);
	sigaddset(&stop, SIGUSR1);
	if (sigaction(SIGALRM, &deadline, NULL) < 0 || sigprocmask(SIG_BLOCK, &stop, NULL) < 0)
		return -1;
	return signalfd(-1, &stop, SFD_CLOEXEC);
}

enum event { REQUEST = 1, STOP = 2 };

static int watch(int epoll, int fd, uint32_t events, enum event event)
{
	struct epoll_event watched = {.events = events, .data.u32 = event};

	return epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &watched);
}

/*
 * An epoll descriptor for requests, which come on standard input, and for signals. A request wakes
 * one of the workers that wait, at times a further one: the accept of that one must not block.
 */
static int open_events(int signals)
{
	int flags = fcntl(STDIN_FILENO, F_GETFL);
	int epoll = epoll_create1(EPOLL_CLOEXEC);

	if (epoll < 0 || signals < 0 || watch(epoll, signals, EPOLLIN, STOP) < 0 || flags < 0 ||
	    fcntl(STDIN_FILENO, F_SETFL, flags | O_NONBLOCK) < 0 ||
	    watch(epoll, STDIN_FILENO, EPOLLIN | EPOLLEXCLUSIVE, REQUEST) < 0)
		return -1;
	return epoll;
}

/* what there is, of enum event */
static unsigned int wait_for_events(int epoll)
{
	struct epoll_event events[2];
	unsigned int there = 0;
	int count = epoll_wait(epoll, events, 2, -1);

	while (count-- > 0)
		there |= events[count].data.u32;
	return there;
}

/* nothing, if it is not all there: what came of it is not what was sent */
static size_t read_body(void *body, char *room, size_t size)
{
	FCGX_Stream *in = body;
	size_t length = 0;
	int n;

	while (length < size && (n = FCGX_GetStr(room + length, (int)(size - length), in)) > 0)
		length += (size_t)n;
	return FCGX_GetError(in) ? 0 : length;
}

static void answer(struct site *site, FCGX_Request *fcgi)
{
	struct request request;
	struct response response;
	char head[HTTP_HEAD_SIZE];

	/* a kept connection (FCGI_KEEP_CONN) would have this worker to itself */
	fcgi->keepConnection = 0;
	http_request(fcgi->envp, &request);
	request.read_body = read_body;
	request.body = fcgi->in;
	route(site, &request, &response);
	FCGX_PutStr(head, (int)http_head(&response, head), fcgi->out);
	if (http_has_body(&request, &response))
		FCGX_PutStr(response.body, (int)response.length, fcgi->out);
	FCGX_Finish_r(fcgi);
}

/* true if accept can be tried again: another worker was faster, or the client or the system had a
 * bad moment, which is waited for unless a signal comes */
static bool is_passing(int error, int signals)
{
	struct pollfd signal = {.fd = signals, .events = POLLIN};

	if (error == EAGAIN || error == EINTR || error == ECONNABORTED)
		return true;
	if (error != EMFILE && error != ENFILE && error != ENOBUFS && error != ENOMEM)
		return false;
	warnx("accept: %s", "out of descriptors or memory, trying again");
	poll(&signal, 1, 100);
	return true;
}

static bool is_unix_socket(int fd)
{
	struct sockaddr_storage address = {0};
	socklen_t size = sizeof address;

	return getsockname(fd, (struct sockaddr *)&address, &size) == 0 &&
	       address.ss_family == AF_UNIX;
}

/*
 * The next request: 0, or an error of accept(2). libfcgi would poll each connection of a UNIX
 * socket once more, for an old fault of Linux: it is given the connection as one that was kept, and
 * a socket (-1) on which it finds no other when that one is broken, which would have no deadline of
 * its own. On a TCP socket it accepts by itself, and checks FCGI_WEB_SERVER_ADDRS.
 */
static int accept_request(void)
{
	if (in_hand.listen_sock >= 0)
		return -FCGX_Accept_r(&in_hand);
	in_hand.ipcFd = accept4(STDIN_FILENO, NULL, NULL, SOCK_CLOEXEC);
	if (in_hand.ipcFd < 0)
		return errno;
	in_hand.keepConnection = 1;
	int error = -FCGX_Accept_r(&in_hand);
	return error == EBADF ? EAGAIN : error;
}

/* Lets the web server, whose connection wakes this worker, go on and write the request, rather than
 * have this worker wait for it again. */
static void wake_up_gently(void)
{
	if (sched_getscheduler(0) == SCHED_OTHER)
		sched_setscheduler(0, SCHED_BATCH, &(struct sched_param){0});
}

int fastcgi_serve(struct site *site)
{
	int signals = open_signals();
	int epoll = open_events(signals);
	int for_libfcgi = is_unix_socket(STDIN_FILENO) ? -1 : STDIN_FILENO;
	unsigned int there;

	if (epoll < 0 || FCGX_Init() != 0 || FCGX_InitRequest(&in_hand, for_libfcgi, 0) != 0) {
		warn("setting up FastCGI on standard input");
		return 1;
	}
	wake_up_gently();
	/* a request that has woken this worker has woken no other: it is served before a stop */
	do {
		there = wait_for_events(epoll);
		if ((there & REQUEST) == 0)
			continue;
		set_deadline();
		int error = accept_request();
		if (error == 0)
			answer(site, &in_hand);
		if (error != 0 && !is_passing(error, signals)) {
			warnx("accept: %s", strerror(error));
			return 1;
		}
	} while ((there & STOP) == 0);
	alarm(0);
	FCGX_Free(&in_hand, 1);
	return 0;
}
