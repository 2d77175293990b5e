#include "fastcgi.h"

#include <err.h>
#include <errno.h>
#include <fcgiapp.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static volatile sig_atomic_t stopping;

static void stop(int signal)
{
	(void)signal;
	stopping = 1;
}

/*
 * A web server may pass a client's slowness on, and libfcgi waits without a limit for a request to
 * come and for an answer to be taken: so that no client has a worker to itself, its connection is
 * ended after this time. It is less than what systemd waits for at a stop.
 */
enum { DEADLINE_SECONDS = 4 };
static FCGX_Request in_hand = {.ipcFd = -1};

static void end_connection(int signal)
{
	int error = errno;

	(void)signal;
	shutdown(in_hand.ipcFd, SHUT_RDWR);
	errno = error;
}

/*
 * SIGTERM, SIGINT and SIGUSR1, which multiwatch and other FastCGI process managers send to stop a
 * worker, are blocked, except where *waiting is in force: a signal in the middle of a request would
 * break libfcgi's reads and writes, and one just before accept(2) would be missed.
 */
static int catch_signals(sigset_t *waiting)
{
	static const int caught[] = {SIGTERM, SIGINT, SIGUSR1};
	struct sigaction action = {.sa_handler = stop};
	struct sigaction deadline = {.sa_handler = end_connection, .sa_flags = SA_RESTART};
	sigset_t blocked;

	sigemptyset(&blocked);
	for (size_t i = 0; i < sizeof caught / sizeof *caught; i++)
		sigaddset(&blocked, caught[i]);
	if (sigprocmask(SIG_BLOCK, &blocked, waiting) < 0)
		return -1;
	for (size_t i = 0; i < sizeof caught / sizeof *caught; i++) {
		sigdelset(waiting, caught[i]);
		if (sigaction(caught[i], &action, NULL) < 0)
			return -1;
	}
	return sigaction(SIGALRM, &deadline, NULL);
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
 * bad moment */
static bool is_passing(int error, const sigset_t *waiting)
{
	static const struct timespec moment = {.tv_nsec = 100000000};

	if (error == EAGAIN || error == EINTR || error == ECONNABORTED)
		return true;
	if (error != EMFILE && error != ENFILE && error != ENOBUFS && error != ENOMEM)
		return false;
	warnx("accept: %s", "out of descriptors or memory, trying again");
	ppoll(NULL, 0, &moment, waiting);
	return true;
}

int fastcgi_serve(struct site *site)
{
	struct pollfd socket = {.fd = STDIN_FILENO, .events = POLLIN};
	sigset_t waiting;
	int flags = fcntl(STDIN_FILENO, F_GETFL);

	/* all workers are woken for a request, and one accept succeeds: the others must not block
	 * in theirs */
	if (flags < 0 || fcntl(STDIN_FILENO, F_SETFL, flags | O_NONBLOCK) < 0 ||
	    catch_signals(&waiting) < 0 || FCGX_Init() != 0 ||
	    FCGX_InitRequest(&in_hand, STDIN_FILENO, 0) != 0) {
		warn("setting up FastCGI on standard input");
		return 1;
	}
	while (!stopping) {
		/* a signal is let in first: under load the next ppoll returns a connection instead
		 */
		ppoll(NULL, 0, &(struct timespec){0}, &waiting);
		if (stopping || ppoll(&socket, 1, NULL, &waiting) <= 0)
			continue;
		alarm(DEADLINE_SECONDS);
		int result = FCGX_Accept_r(&in_hand);
		if (result == 0)
			answer(site, &in_hand);
		alarm(0);
		if (result < 0 && !is_passing(-result, &waiting)) {
			warnx("accept: error %d", -result);
			return 1;
		}
	}
	FCGX_Free(&in_hand, 1);
	return 0;
}
