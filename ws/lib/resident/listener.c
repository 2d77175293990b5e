#include "listener.h"
#include "client.h"
#include "worker.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

/* how many connections beyond the limit of clients are accepted, so that they can be refused */
enum { MORE_CONNECTIONS = 1000, PAUSE_MS = 100 };

union address {
	struct sockaddr any;
	struct sockaddr_in in;
	struct sockaddr_in6 in6;
	struct sockaddr_storage storage;
};

static bool is_loopback(const union address *address)
{
	if (address->any.sa_family == AF_INET)
		return ntohl(address->in.sin_addr.s_addr) >> 24 == 127;
	return address->any.sa_family == AF_INET6 && IN6_IS_ADDR_LOOPBACK(&address->in6.sin6_addr);
}

/* A TCP socket too is for a web server of this machine, so it must be on loopback. Returns NULL, or
 * why the socket may not be used. */
static const char *judge(struct worker *worker)
{
	union address address = {0};
	socklen_t size = sizeof address;

	if (getsockname(STDIN_FILENO, &address.any, &size) < 0)
		return strerror(errno);
	worker->is_tcp = address.any.sa_family != AF_UNIX;
	return worker->is_tcp && !is_loopback(&address) ? "the socket is not on a loopback address"
							: NULL;
}

/* the peer's address in text, or "" for a UNIX socket */
static void write_peer(const union address *address, char text[INET6_ADDRSTRLEN])
{
	text[0] = '\0';
	if (address->any.sa_family == AF_INET)
		inet_ntop(AF_INET, &address->in.sin_addr, text, INET6_ADDRSTRLEN);
	else if (address->any.sa_family == AF_INET6)
		inet_ntop(AF_INET6, &address->in6.sin6_addr, text, INET6_ADDRSTRLEN);
}

static void pause_accepting(struct listener *listener, const char *why)
{
	struct loop *loop = &listener->worker->loop;

	if (log_is_new(listener->worker, &listener->worker->log.paused_at) &&
	    log_may_add(listener->worker))
		fprintf(stderr, "%s: accept: %s\n", listener->worker->name, why);
	loop_watch(loop, &listener->watch, 0);
	timers_set(&loop->timers, &listener->timer, loop->now + PAUSE_MS);
}

static bool is_full(const struct worker *worker)
{
	size_t most = worker->limits.max_clients;

	return most > 0 && worker->connected >= most + MORE_CONNECTIONS;
}

/* The kernel wakes the process that waits longest: to leave and join the queue again after each
 * client spreads them evenly. */
static void queue_again(struct listener *listener)
{
	struct loop *loop = &listener->worker->loop;

	loop_watch(loop, &listener->watch, 0);
	if (loop_watch(loop, &listener->watch, EPOLLIN | EPOLLEXCLUSIVE) < 0)
		pause_accepting(listener, strerror(errno));
}

/* True for an error of this connection alone, such as that it has gone or that another process has
 * taken it (accept(2)): the next one can be accepted. */
static bool is_of_one_connection(int error)
{
	static const int errors[] = {
		EAGAIN,   EINTR,     ECONNABORTED, EPERM,      EPROTO,      ENOPROTOOPT,
		ENETDOWN, EHOSTDOWN, ENONET,       EOPNOTSUPP, ENETUNREACH, EHOSTUNREACH,
	};

	for (size_t i = 0; i < sizeof errors / sizeof *errors; i++)
		if (errors[i] == error)
			return true;
	return false;
}

static void accept_client(struct watch *watch, uint32_t events)
{
	struct listener *listener = (struct listener *)watch;
	union address address = {0};
	socklen_t size = sizeof address;
	char peer[INET6_ADDRSTRLEN];

	(void)events;
	if (is_full(listener->worker)) {
		pause_accepting(listener, "too many connections (WEBSOCKET_MAX_CLIENTS)");
		return;
	}
	int fd = accept4(watch->fd, &address.any, &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (fd < 0) {
		if (!is_of_one_connection(errno))
			pause_accepting(listener, strerror(errno));
		return;
	}
	if (listener->worker->is_tcp) /* the cork has put together what belongs together */
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
	write_peer(&address, peer);
	if (client_start(listener->worker, fd, peer) < 0) {
		pause_accepting(listener, "memory is short");
		close(fd);
		return;
	}
	queue_again(listener);
}

static void accept_again(struct timer *timer)
{
	struct listener *listener = (struct listener *)((char *)timer -
							offsetof(struct listener, timer));

	timers_clear(&listener->worker->loop.timers, timer);
	if (listener->watch.fd >= 0)
		queue_again(listener);
}

const char *listener_open(struct listener *listener, struct worker *worker)
{
	const char *why = judge(worker);
	int flags = fcntl(STDIN_FILENO, F_GETFL);

	if (why)
		return why;
	*listener = (struct listener){
		.watch = {.fd = STDIN_FILENO, .notify = accept_client},
		.timer = {.expire = accept_again},
		.worker = worker,
	};
	if (flags < 0 || fcntl(STDIN_FILENO, F_SETFL, flags | O_NONBLOCK) < 0 ||
	    timers_reserve(&worker->loop.timers, WORKER_TIMERS) < 0 ||
	    loop_watch(&worker->loop, &listener->watch, EPOLLIN | EPOLLEXCLUSIVE) < 0)
		return strerror(errno);
	return NULL;
}

void listener_close(struct listener *listener)
{
	timers_clear(&listener->worker->loop.timers, &listener->timer);
	loop_watch(&listener->worker->loop, &listener->watch, 0);
	listener->watch.fd = -1;
}
