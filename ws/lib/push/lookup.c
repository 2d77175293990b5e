#include "lookup.h"
#include "aside.h"
#include "clock.h"

#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { HOST_SIZE = 256 };

struct result {
	int error; /* of getaddrinfo */
	size_t count;
	char addresses[LOOKUP_MAX][LOOKUP_SIZE];
};

/* what the process knows of one host, since it has one Redis */
static struct {
	pthread_mutex_t mutex; /* guards what follows */
	bool is_running;       /* a thread is asking for the host */
	int has_ended;         /* an eventfd(2) that is readable then; -1 before the first thread */
	char host[HOST_SIZE];
	struct result result;
} cache = {.mutex = PTHREAD_MUTEX_INITIALIZER, .has_ended = -1};

static void resolve(const char *host, int flags, struct result *result)
{
	const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = flags};
	struct addrinfo *list = NULL;

	*result = (struct result){.error = getaddrinfo(host, NULL, &hints, &list)};
	for (const struct addrinfo *one = list; one && result->count < LOOKUP_MAX;
	     one = one->ai_next)
		if (getnameinfo(one->ai_addr, one->ai_addrlen, result->addresses[result->count],
				LOOKUP_SIZE, NULL, 0, NI_NUMERICHOST) == 0)
			result->count++;
	if (list)
		freeaddrinfo(list);
}

/* The thread. When the resolver fails, the addresses that it gave before stay. */
static void *run(void *host)
{
	struct result result;

	resolve(host, 0, &result);
	free(host);
	pthread_mutex_lock(&cache.mutex);
	if (result.count > 0 || cache.result.count == 0)
		cache.result = result;
	cache.is_running = false;
	eventfd_write(cache.has_ended, 1);
	pthread_mutex_unlock(&cache.mutex);
	return NULL;
}

/* Starts the thread, which takes no signals: those are for the rest of the program. Returns 0 or an
 * error number. */
static int start_thread(char *host)
{
	pthread_attr_t attributes;
	pthread_t thread;
	sigset_t all;
	sigset_t before;

	sigfillset(&all);
	int error = pthread_attr_init(&attributes);
	if (error)
		return error;
	pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	error = pthread_create(&thread, &attributes, run, host);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_attr_destroy(&attributes);
	return error;
}

/* makes the eventfd, or one that is readable unreadable; false if that fails */
static bool prepare_event(void)
{
	eventfd_t count;

	if (cache.has_ended < 0)
		cache.has_ended = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	else
		eventfd_read(cache.has_ended, &count);
	return cache.has_ended >= 0;
}

/* has a thread ask for the host, unless one asks already */
static void start(const char *host)
{
	char *copy = cache.is_running ? NULL : strdup(host);

	if (copy == NULL)
		return;
	if (strcmp(cache.host, host) != 0)
		cache.result = (struct result){0};
	snprintf(cache.host, sizeof cache.host, "%s", host);
	cache.is_running = prepare_event() && start_thread(copy) == 0;
	if (!cache.is_running) {
		cache.result.error = EAI_MEMORY;
		free(copy);
	}
}

/* Waits until the thread has ended, but for no longer than wait_ms. Several may wait, each with a
 * descriptor of its own, as an epoll descriptor takes one only once. False if it cannot wait. */
static bool wait_for_event(int wait_ms)
{
	int fd = fcntl(cache.has_ended, F_DUPFD_CLOEXEC, 0);
	int result = -1;

	pthread_mutex_unlock(&cache.mutex);
	if (fd >= 0) {
		result = aside_wait(fd, POLLIN, wait_ms);
		close(fd);
	}
	pthread_mutex_lock(&cache.mutex);
	return result >= 0;
}

/* waits while the thread has found nothing, but for no longer than wait_ms */
static void wait_for_result(int wait_ms)
{
	long long end = clock_now_ms() + wait_ms;

	for (int left = wait_ms; left > 0 && cache.is_running && cache.result.count == 0;
	     left = clock_left_ms(end))
		if (!wait_for_event(left))
			return;
}

/* the addresses that the resolver gives; true if it has answered */
static bool ask_resolver(const char *host, int wait_ms, struct result *result)
{
	pthread_mutex_lock(&cache.mutex);
	start(host);
	wait_for_result(wait_ms);
	bool is_answered = strcmp(cache.host, host) == 0 &&
			   (cache.result.count > 0 || !cache.is_running);
	*result = cache.result;
	pthread_mutex_unlock(&cache.mutex);
	return is_answered;
}

size_t lookup_host(const char *host, int wait_ms, char addresses[LOOKUP_MAX][LOOKUP_SIZE],
		   const char **why)
{
	struct result result;

	resolve(host, AI_NUMERICHOST, &result);
	if (result.count == 0 && !ask_resolver(host, wait_ms, &result)) {
		*why = "the name is still being looked up";
		return 0;
	}
	if (result.count == 0)
		*why = gai_strerror(result.error);
	memcpy(addresses, result.addresses, sizeof result.addresses);
	return result.count;
}

void lookup_start(const char *host)
{
	char addresses[LOOKUP_MAX][LOOKUP_SIZE];
	const char *why;

	lookup_host(host, 0, addresses, &why);
}
