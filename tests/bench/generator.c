#include "generator.h"

#include <errno.h>
#include <inttypes.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <unistd.h>

enum { EVENTS = 256 };

void generator_fail(const char *what)
{
	fprintf(stderr, "%s: %s\n", program_invocation_short_name, what);
	exit(2);
}

void *generator_allocate(size_t count, size_t size)
{
	void *memory = calloc(count, size);

	if (memory == NULL)
		generator_fail("memory is short");
	return memory;
}

unsigned long generator_number(const char *text, unsigned long least, unsigned long most)
{
	char *end;
	unsigned long n = strtoul(text, &end, 10);

	if (*text < '0' || *text > '9' || *end || n < least || n > most)
		generator_fail("an option's value is not a number in its range");
	return n;
}

double generator_seconds(const char *text)
{
	char *end;
	double n = strtod(text, &end);

	if (end == text || *end || !(n >= 0 && n < 1e6))
		generator_fail("an option's value is not a number of seconds");
	return n;
}

static void allow_descriptors(void)
{
	struct rlimit files;

	if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
		files.rlim_cur = files.rlim_max;
		setrlimit(RLIMIT_NOFILE, &files);
	}
}

int generator_aim(struct client_use *use, const char *url)
{
	static struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
	struct addrinfo *found;
	char host[128], port[8], path[256] = "/";

	if (sscanf(url, "ws://%127[^:/]:%7[0-9]%255s", host, port, path) < 2)
		return -1;
	if (getaddrinfo(host, port, &hints, &found) != 0)
		generator_fail("the host has no address");
	use->address = found->ai_addr;
	use->address_length = found->ai_addrlen;
	snprintf(use->request, sizeof use->request, CLIENT_REQUEST, path, host, port);
	allow_descriptors();
	use->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (use->epoll < 0)
		generator_fail(strerror(errno));
	return 0;
}

void generator_turn(struct client_use *use, int timeout_ms)
{
	struct epoll_event events[EVENTS];
	int n = epoll_wait(use->epoll, events, EVENTS, timeout_ms);

	for (int i = 0; i < n; i++)
		client_handle(events[i].data.ptr, events[i].events);
}

void generator_hold(struct client_use *use, void (*line)(void))
{
	struct epoll_event event = {.events = EPOLLIN};
	char byte;
	int input = epoll_create1(EPOLL_CLOEXEC);

	if (input < 0 || epoll_ctl(input, EPOLL_CTL_ADD, STDIN_FILENO, &event) < 0)
		return;
	for (;;) {
		generator_turn(use, 20);
		if (epoll_wait(input, &event, 1, 0) == 0)
			continue;
		if (read(STDIN_FILENO, &byte, 1) <= 0)
			return;
		if (byte == '\n')
			line();
	}
}

void generator_print_latency(const char *name, const struct latency *latency)
{
	printf("\"%s_us\": {\"p50\": %.1f, \"p99\": %.1f, \"max\": %.1f}, ", name,
	       (double)latency_at(latency, 0.5) / 1e3, (double)latency_at(latency, 0.99) / 1e3,
	       (double)latency->max / 1e3);
}

bool generator_print_errors(const uint64_t ends[CLIENT_ENDS], uint64_t missing)
{
	uint64_t errors = missing;

	for (int i = 0; i < CLIENT_ENDS; i++)
		errors += ends[i];
	printf("\"errors\": {\"refused\": %" PRIu64 ", \"wrong\": %" PRIu64 ", \"closed\": %" PRIu64
	       ", \"missing\": %" PRIu64 "}}\n",
	       ends[CLIENT_REFUSED], ends[CLIENT_WRONG], ends[CLIENT_CLOSED], missing);
	fflush(stdout);
	return errors == 0;
}
