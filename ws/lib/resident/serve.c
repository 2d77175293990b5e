#include "serve.h"
#include "client.h"
#include "coroutine.h"
#include "crash.h"
#include "listener.h"
#include "process.h"
#include "worker.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>

/* Clients are told one after another: told at once, all of them would come back at once. */
enum { STOP_SPREAD_MS = 3000, STOP_MS = 5000 };

static struct worker *running;

/* the worker, and what it needs beside its clients */
struct service {
	struct worker worker;
	struct listener listener;
	struct watch signals;
	struct timer end; /* when the process ends, whatever its clients do */
	bool has_ended;
};

struct worker *serve_worker(void)
{
	return running;
}

static void print_figures(const struct worker *worker)
{
	const size_t *refused = worker->refused;
	const size_t *ended = worker->ended;

	fprintf(stderr,
		"%s: %zu clients, %zu bytes wait; handshakes refused: %zu malformed, %zu late, "
		"%zu for too many clients, %zu for memory, %zu for too many of one address, %zu by "
		"the program; connections ended: %zu ordinarily, %zu for the protocol, %zu for "
		"too long a message, %zu for memory, %zu for silence, %zu otherwise\n",
		worker->name, worker->open, worker->memory, refused[REFUSED_MALFORMED],
		refused[REFUSED_LATE], refused[REFUSED_FULL], refused[REFUSED_MEMORY],
		refused[REFUSED_ADDRESS], refused[REFUSED_BY_VIEW], ended[ENDED_ORDINARILY],
		ended[ENDED_PROTOCOL], ended[ENDED_TOO_LONG], ended[ENDED_MEMORY],
		ended[ENDED_SILENT], ended[ENDED_OTHERWISE]);
}

static void stop(struct service *service)
{
	struct worker *worker = &service->worker;
	struct loop *loop = &worker->loop;
	long long told = 0;

	if (worker->is_stopping)
		return;
	worker->is_stopping = true;
	listener_close(&service->listener);
	for (struct client *client = worker->clients; client; client = client->next) {
		/* a handshake that is under way has until the end, so that it may still succeed */
		long long share = client->is_open ? told++ : (long long)worker->connected;
		client_stop_at(client,
			       loop->now + STOP_SPREAD_MS * share / (long long)worker->connected);
	}
	timers_set(&loop->timers, &service->end, loop->now + STOP_MS);
}

static void end(struct timer *timer)
{
	struct service *service = (struct service *)((char *)timer - offsetof(struct service, end));

	timers_clear(&service->worker.loop.timers, timer);
	service->has_ended = true;
}

static void take_signal(struct watch *watch, uint32_t events)
{
	struct service *service = (struct service *)((char *)watch -
						     offsetof(struct service, signals));
	struct signalfd_siginfo info;

	(void)events;
	while (read(watch->fd, &info, sizeof info) == sizeof info)
		if (info.ssi_signo == SIGUSR2)
			print_figures(&service->worker);
		else
			stop(service);
}

static int open_signals(struct service *service)
{
	static const int numbers[] = {SIGTERM, SIGINT, SIGUSR1, SIGUSR2};

	signal(SIGPIPE, SIG_IGN);
	service->signals.fd = process_open_signals(numbers, sizeof numbers / sizeof *numbers);
	return service->signals.fd < 0
		       ? -1
		       : loop_watch(&service->worker.loop, &service->signals, EPOLLIN);
}

/* each client takes a descriptor, so the limit becomes the highest that is allowed */
static void raise_descriptors(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
}

/* true, or false after a line that says what failed */
static bool open_service(struct service *service)
{
	const char *name = service->worker.name;

	service->end.expire = end;
	service->signals = (struct watch){.fd = -1, .notify = take_signal};
	if (loop_open(&service->worker.loop) < 0) {
		fprintf(stderr, "%s: epoll_create1: %s\n", name, strerror(errno));
		return false;
	}
	if (open_signals(service) < 0) {
		fprintf(stderr, "%s: signalfd: %s\n", name, strerror(errno));
		return false;
	}
	raise_descriptors();
	const char *why = listener_open(&service->listener, &service->worker);
	if (why)
		fprintf(stderr, "%s: standard input: %s\n", name, why);
	return why == NULL;
}

static void close_service(struct service *service)
{
	log_tell_left_out(&service->worker);
	if (service->worker.end_helpers)
		service->worker.end_helpers(&service->worker);
	client_drop_all(&service->worker);
	client_free_over(&service->worker);
	if (service->signals.fd >= 0)
		close(service->signals.fd);
	loop_close(&service->worker.loop);
	free(service->worker.input);
	free(service);
}

static bool has_ended(const struct service *service)
{
	return service->has_ended ||
	       (service->worker.is_stopping && service->worker.connected == 0);
}

static int run(struct service *service)
{
	struct worker *worker = &service->worker;

	while (!has_ended(service)) {
		if (loop_turn(&worker->loop) < 0) {
			fprintf(stderr, "%s: epoll_wait: %s\n", worker->name, strerror(errno));
			return 1;
		}
		client_free_over(worker);
	}
	return 0;
}

/* the address of the client whose view runs, or NULL */
static const char *find_address(void)
{
	struct client *client = running ? running->running : NULL;

	return client ? client_carrier.address(&client->ws) : NULL;
}

int serve(const char *name, const struct limits *limits, void (*view)(struct websocket *ws))
{
	struct service *service = calloc(1, sizeof *service);

	if (service == NULL) {
		fprintf(stderr, "%s: calloc: %s\n", name, strerror(errno));
		return 1;
	}
	service->worker.limits = *limits;
	service->worker.name = name;
	service->worker.view = view;
	int status = 1;
	if (open_service(service)) {
		running = &service->worker;
		crash_watch(&(struct crash){
			.name = name,
			.find_address = find_address,
			.clients = &service->worker.open,
			.has_run_over = coroutine_has_run_over,
		});
		status = run(service);
		running = NULL;
	}
	close_service(service);
	return status;
}
