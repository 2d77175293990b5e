#include "worker.h"
#include "fastcgi.h"
#include "process.h"
#include "waiting.h"

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

/* Together with WAITING_LEAVING_MS and the deadline of an answer this is less than what systemd
 * waits for at a stop. */
enum { STOP_MS = 3000 };

struct worker {
	struct site *site;
	int epoll;
	int signals;
	bool is_stopping;
	bool has_failed;
	bool is_crowded; /* a connection was given up for others, and the log has said so */
	int64_t stop_by; /* the last moment of requests that are coming */
	struct waiting waiting;
};

/* what epoll tells of, beside connections */
static char signal_event, listener_event;

/* what has come on a connection, until somebody takes it or it is thrown away */
static char bytes[65536];

/*
 * SIGTERM, SIGINT and SIGUSR1, which multiwatch and other FastCGI process managers send to stop a
 * worker, are read from a descriptor: as signals they would break libfcgi's reads and writes in the
 * middle of a request, or come just before accept(2) and be missed.
 */
static int open_signals(void)
{
	static const int numbers[] = {SIGTERM, SIGINT, SIGUSR1};

	return process_open_signals(numbers, sizeof numbers / sizeof *numbers);
}

static int watch(const struct worker *worker, int fd, uint32_t events, void *what)
{
	struct epoll_event watched = {.events = events, .data.ptr = what};

	return epoll_ctl(worker->epoll, EPOLL_CTL_ADD, fd, &watched);
}

/* A request on the listening socket wakes one of the workers that wait, and at times another one,
 * whose accept must not block. */
static int open_events(struct worker *worker)
{
	int flags = fcntl(STDIN_FILENO, F_GETFL);

	worker->signals = open_signals();
	worker->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (worker->signals < 0 || worker->epoll < 0 || flags < 0 ||
	    watch(worker, worker->signals, EPOLLIN, &signal_event) < 0 ||
	    fcntl(STDIN_FILENO, F_SETFL, flags | O_NONBLOCK) < 0)
		return -1;
	return watch(worker, STDIN_FILENO, EPOLLIN | EPOLLEXCLUSIVE, &listener_event);
}

/* throws away what has come on a connection: false if that is all that will ever come */
static bool discard(int fd)
{
	ssize_t length;

	do
		length = recv(fd, bytes, sizeof bytes, MSG_DONTWAIT);
	while (length > 0);
	return length < 0 && (errno == EAGAIN || errno == EINTR);
}

/* Ends a connection so that the web server sees its end: with bytes left unread it would see an
 * error.
 */
static void end_cleanly(struct worker *worker, struct connection *connection)
{
	if (connection->fd >= 0)
		discard(connection->fd);
	waiting_end(&worker->waiting, connection);
}

/* Answers a request that will not be answered otherwise, if it has begun. The connection may be
 * closed. */
static void refuse(struct connection *connection, int status)
{
	if (connection->records.id && !connection->is_leaving &&
	    !fastcgi_refuse(connection->fd, connection->records.id, status))
		connection->fd = -1;
}

/* gives up the connection that has waited longest: false if there is none */
static bool give_up_longest(struct worker *worker)
{
	struct connection *longest = waiting_longest(&worker->waiting);

	if (longest == NULL)
		return false;
	if (!longest->is_leaving && !worker->is_crowded)
		warnx("too many requests that do not come to their end: giving up the oldest");
	worker->is_crowded |= !longest->is_leaving;
	refuse(longest, 503);
	end_cleanly(worker, longest);
	return true;
}

/* Watches a connection from now on, and gives up others for it if it must. Returns NULL, and has
 * closed it, if the system refuses. */
static struct connection *admit(struct worker *worker, int fd)
{
	struct connection *connection;

	do
		connection = waiting_add(&worker->waiting, fd);
	while (connection == NULL && give_up_longest(worker));
	if (connection == NULL) {
		close(fd);
		return NULL;
	}
	if (watch(worker, fd, EPOLLIN, connection) == 0)
		return connection;
	waiting_end(&worker->waiting, connection);
	return NULL;
}

/* Gives a connection a little time that was answered before the web server had sent all: the web
 * server may read the answer only then. */
static void leave(struct worker *worker, struct connection *connection)
{
	shutdown(connection->fd, SHUT_WR);
	waiting_leave(&worker->waiting, connection);
}

/* Looks at what has come on a connection without taking it: if it is all of a request, as it
 * usually is, libfcgi can read it there. */
static enum records_state look(int fd)
{
	struct records records = {0};
	ssize_t length = recv(fd, bytes, sizeof bytes, MSG_PEEK | MSG_DONTWAIT);

	if (length > 0)
		return records_take(&records, bytes, (size_t)length);
	return length < 0 && (errno == EAGAIN || errno == EINTR) ? RECORDS_MORE : RECORDS_REFUSED;
}

/* Keeps what has come of a request. If memory is short, the oldest requests are given up, even this
 * one. */
static enum records_state take_in(struct worker *worker, struct connection *connection)
{
	ssize_t length = recv(connection->fd, bytes, sizeof bytes, MSG_DONTWAIT);

	if (length < 0 && (errno == EAGAIN || errno == EINTR))
		return RECORDS_MORE;
	if (length <= 0)
		return RECORDS_REFUSED;
	enum records_state state = records_take(&connection->records, bytes, (size_t)length);
	if (state == RECORDS_REFUSED || state == RECORDS_TOO_LARGE)
		return state;
	while (!waiting_keep(&worker->waiting, connection, bytes, (size_t)length)) {
		if (waiting_longest(&worker->waiting) == connection) {
			refuse(connection, 503);
			return RECORDS_REFUSED;
		}
		give_up_longest(worker);
	}
	return state;
}

/* something has come on a connection that waits */
static void go_on(struct worker *worker, struct connection *connection)
{
	enum records_state state = RECORDS_MORE;

	if (connection->is_leaving) {
		if (!discard(connection->fd))
			waiting_end(&worker->waiting, connection);
		return;
	}
	if (connection->length == 0)
		state = look(connection->fd);
	if (state == RECORDS_MORE)
		state = take_in(worker, connection);
	if (state == RECORDS_MORE)
		return;
	if (state == RECORDS_TOO_LARGE)
		refuse(connection, connection->records.has_params ? 413 : 431);
	if ((state == RECORDS_WHOLE || state == RECORDS_ENOUGH) &&
	    !fastcgi_answer(worker->site, connection->fd, connection->bytes, connection->length))
		connection->fd = -1;
	if (connection->fd >= 0 && (state == RECORDS_ENOUGH || state == RECORDS_TOO_LARGE))
		leave(worker, connection);
	else
		end_cleanly(worker, connection);
}

/* a connection that was just accepted */
static void begin(struct worker *worker, int fd)
{
	enum records_state state = look(fd);
	bool is_ready = state == RECORDS_WHOLE || state == RECORDS_ENOUGH;

	if (is_ready && !fastcgi_answer(worker->site, fd, NULL, 0))
		return;
	if (state == RECORDS_WHOLE || state == RECORDS_REFUSED) {
		discard(fd);
		close(fd);
		return;
	}
	struct connection *connection = admit(worker, fd);
	if (connection && is_ready)
		leave(worker, connection);
}

/* true if accept can be tried again: another worker was faster, the client has gone, or descriptors
 * or memory are short, for which it waits a little unless a signal comes */
static bool retry_accept(struct worker *worker, int error)
{
	struct pollfd signal = {.fd = worker->signals, .events = POLLIN};

	if (error == EAGAIN || error == EINTR || error == ECONNABORTED)
		return true;
	if (error != EMFILE && error != ENFILE && error != ENOBUFS && error != ENOMEM)
		return false;
	if (give_up_longest(worker))
		return true;
	warnx("accept: out of descriptors or memory, trying again");
	poll(&signal, 1, 100);
	return true;
}

static void accept_one(struct worker *worker)
{
	int fd = fastcgi_accept();
	int error = errno;

	if (fd >= 0) {
		begin(worker, fd);
	} else if (!retry_accept(worker, error)) {
		warnx("accept: %s", strerror(error));
		worker->has_failed = true;
	}
}

/* EPOLLEXCLUSIVE may have woken only this worker for a request: it serves that one although a stop
 * has come with it. */
static void begin_stop(struct worker *worker)
{
	accept_one(worker);
	worker->is_stopping = true;
	worker->stop_by = waiting_now() + STOP_MS;
	if (epoll_ctl(worker->epoll, EPOLL_CTL_DEL, worker->signals, NULL) < 0 ||
	    epoll_ctl(worker->epoll, EPOLL_CTL_DEL, STDIN_FILENO, NULL) < 0) {
		warn("epoll_ctl");
		worker->has_failed = true;
	}
}

static void end_expired(struct worker *worker)
{
	struct connection *connection;

	while ((connection = waiting_expired(&worker->waiting, worker->stop_by)) != NULL) {
		bool has_begun = connection->records.id && !connection->is_leaving;
		refuse(connection, worker->is_stopping ? 503 : 408);
		if (has_begun && connection->fd >= 0)
			leave(worker, connection);
		else
			end_cleanly(worker, connection);
	}
	if (TAILQ_EMPTY(&worker->waiting.coming))
		worker->is_crowded = false;
}

/* Takes one event at a time, because what is done for it may close the connection of another. */
static void wait_and_serve(struct worker *worker)
{
	struct epoll_event event;
	int timeout = waiting_timeout(&worker->waiting, worker->stop_by);

	if (epoll_wait(worker->epoll, &event, 1, timeout) == 1) {
		if (event.data.ptr == &signal_event)
			begin_stop(worker);
		else if (event.data.ptr == &listener_event)
			accept_one(worker);
		else
			go_on(worker, event.data.ptr);
	}
	end_expired(worker);
}

int worker_run(struct site *site)
{
	struct worker worker = {.site = site, .stop_by = INT64_MAX};

	waiting_init(&worker.waiting);
	if (open_events(&worker) < 0 || fastcgi_open() < 0) {
		warn("setting up FastCGI on standard input");
		return 1;
	}
	process_set_batch_policy(); /* the web server that connects writes its request first */
	while (!worker.has_failed && !(worker.is_stopping && worker.waiting.count == 0))
		wait_and_serve(&worker);
	fastcgi_close();
	return worker.has_failed;
}
