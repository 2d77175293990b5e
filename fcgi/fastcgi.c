#include "fastcgi.h"

#include <errno.h>
#include <fastcgi.h>
#include <fcgiapp.h>
#include <fcgios.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/* how much may wait in a connection's buffer by default, with what the system needs for it */
enum { USUAL_BUFFER = 65536 };

/*
 * A request is given to libfcgi when no more of it has to come, and an answer fits into the
 * connection's buffer: nothing waits for a web server. Where the system's limits
 * (net.core.wmem_max) are so low that an answer does not fit, the connection is ended after this
 * time, or up to a second less. It is less than what systemd waits for at a stop.
 */
enum { DEADLINE_SECONDS = 4 };

/* The request that is being answered. libfcgi accepts no connection for it (listen_sock is -1): it
 * is given each as if it had kept it. */
static FCGX_Request in_hand = {.ipcFd = -1};
static bool listens_on_tcp;

static void end_connection(int signal)
{
	int error = errno;

	(void)signal;
	shutdown(in_hand.ipcFd, SHUT_RDWR);
	errno = error;
}

/* Sets the deadline of a request that begins now. Setting a timer costs more than reading a clock.
 */
static void set_deadline(void)
{
	static time_t set;
	struct timespec now;

	if (clock_gettime(CLOCK_MONOTONIC_COARSE, &now) == 0 && now.tv_sec == set)
		return;
	set = now.tv_sec;
	alarm(DEADLINE_SECONDS);
}

/* prepares the deadline; whoever has started this process may have blocked its signal */
static int open_deadline(void)
{
	struct sigaction deadline = {.sa_handler = end_connection, .sa_flags = SA_RESTART};
	sigset_t alarms;

	sigemptyset(&alarms);
	sigaddset(&alarms, SIGALRM);
	if (sigaction(SIGALRM, &deadline, NULL) < 0)
		return -1;
	return sigprocmask(SIG_UNBLOCK, &alarms, NULL);
}

int fastcgi_open(void)
{
	struct sockaddr_storage address = {0};
	socklen_t size = sizeof address;

	listens_on_tcp = getsockname(STDIN_FILENO, (struct sockaddr *)&address, &size) < 0 ||
			 address.ss_family != AF_UNIX;
	if (FCGX_Init() != 0 || FCGX_InitRequest(&in_hand, -1, 0) != 0)
		return -1;
	return open_deadline();
}

/* On a UNIX socket OS_Accept would poll each connection once more, for an old fault of Linux. */
int fastcgi_accept(void)
{
	if (listens_on_tcp)
		return OS_Accept(STDIN_FILENO, 1, getenv("FCGI_WEB_SERVER_ADDRS"));
	return accept4(STDIN_FILENO, NULL, NULL, SOCK_CLOEXEC);
}

/* Makes a connection, pair[0], from which these bytes can be read, and then its end. libfcgi's
 * answers to records other than the request's can be read from pair[1]. Returns 0, or -1. */
static int make_feed(const char *bytes, size_t length, int pair[2])
{
	int size = (int)length;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return -1;
	if (size > USUAL_BUFFER) /* the system doubles it */
		setsockopt(pair[1], SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
	if (send(pair[1], bytes, length, MSG_DONTWAIT) == (ssize_t)length &&
	    shutdown(pair[1], SHUT_WR) == 0)
		return 0;
	close(pair[0]);
	close(pair[1]);
	return -1;
}

/* closes such a connection, as far as libfcgi has not, and passes on what libfcgi wrote to it */
static void end_feed(int pair[2], int connection)
{
	char bytes[4096];
	ssize_t length = recv(pair[1], bytes, sizeof bytes, MSG_DONTWAIT);

	if (length > 0)
		send(connection, bytes, (size_t)length, MSG_DONTWAIT);
	close(pair[1]);
	if (in_hand.ipcFd == pair[0])
		close(pair[0]);
}

/* Reads the body. If libfcgi meets an error, nothing of the body counts. */
static size_t read_body(void *body, char *room, size_t size)
{
	FCGX_Stream *in = body;
	size_t length = 0;
	int n;

	if (size > HTTP_BODY_MAX)
		size = HTTP_BODY_MAX;
	while (length < size && (n = FCGX_GetStr(room + length, (int)(size - length), in)) > 0)
		length += (size_t)n;
	return FCGX_GetError(in) ? 0 : length;
}

/* true if the connection is still open */
static bool respond(int connection, const struct response *response, bool has_body)
{
	char head[HTTP_HEAD_SIZE];
	int size = (int)response->length * 2; /* the system doubles it once more */

	in_hand.ipcFd = connection;
	in_hand.keepConnection = 1;
	if (has_body && size > USUAL_BUFFER)
		setsockopt(connection, SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
	FCGX_PutStr(head, (int)http_head(response, head), in_hand.out);
	if (has_body)
		FCGX_PutStr(response->body, (int)response->length, in_hand.out);
	FCGX_Finish_r(&in_hand);
	bool is_open = in_hand.ipcFd >= 0;
	in_hand.ipcFd = -1;
	return is_open;
}

/*
 * Has libfcgi read the request from a descriptor, and asks the view for a response, unless site is
 * NULL. If libfcgi fails, it closes that descriptor, and has no listening socket from which it
 * could accept another. FCGX_Detach keeps it from waiting, when it closes one, until the web server
 * has closed its end.
 */
static bool read_request(int from, struct site *site, struct request *request,
			 struct response *response)
{
	in_hand.ipcFd = from;
	in_hand.keepConnection = 1;
	FCGX_Detach(&in_hand);
	if (FCGX_Accept_r(&in_hand) != 0)
		return false;
	if (site) {
		http_request(in_hand.envp, request);
		request->read_body = read_body;
		request->body = in_hand.in;
		route(site, request, response);
	}
	return true;
}

static bool read_bytes(const void *bytes, size_t length, int connection, struct site *site,
		       struct request *request, struct response *response)
{
	int pair[2];

	if (make_feed(bytes, length, pair) < 0)
		return false;
	bool is_read = read_request(pair[0], site, request, response);
	end_feed(pair, connection);
	return is_read;
}

bool fastcgi_answer(struct site *site, int connection, const char *bytes, size_t length)
{
	struct request request;
	struct response response;

	set_deadline();
	if (bytes == NULL && !read_request(connection, site, &request, &response))
		return false;
	if (bytes && !read_bytes(bytes, length, connection, site, &request, &response)) {
		close(connection);
		return false;
	}
	return respond(connection, &response, http_has_body(&request, &response));
}

bool fastcgi_refuse(int connection, unsigned int id, int status)
{
	unsigned char high = (unsigned char)(id >> 8);
	unsigned char low = (unsigned char)id;
	const unsigned char bytes[] = {
		1, FCGI_BEGIN_REQUEST, high, low, 0, 8, 0, 0, /* and its body: */
		0, FCGI_RESPONDER,     0,    0,   0, 0, 0, 0, 1, FCGI_PARAMS, high, low, 0, 0, 0, 0,
		1, FCGI_STDIN,         high, low, 0, 0, 0, 0,
	};
	struct request request;
	struct response response;

	set_deadline();
	if (!read_bytes(bytes, sizeof bytes, connection, NULL, &request, &response)) {
		close(connection);
		return false;
	}
	http_status(&response, status);
	response.length = 0; /* the request may be a HEAD */
	return respond(connection, &response, false);
}

void fastcgi_close(void)
{
	alarm(0);
	FCGX_Free(&in_hand, 1);
}
