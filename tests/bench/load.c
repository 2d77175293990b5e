/*
 * The load generator: N WebSocket clients in one epoll loop, each with so many messages in flight,
 * and every echo is compared. It prints one line of JSON; its exit status is 1 if anything was
 * refused, wrong, closed or missing.
 */
#include "client.h"
#include "latency.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <unistd.h>

#define FOREVER UINT64_MAX
enum { CLIENTS_LIMIT = 65535, EVENTS = 256 };

static const char usage[] = "usage: load [options] ws://HOST:PORT/PATH\n"
			    "  -c N   connections (1)\n"
			    "  -f N   messages in flight on each (1)\n"
			    "  -s N   bytes of a message, at least 12 (13)\n"
			    "  -t N   seconds to measure (2), after -w N seconds to warm up (0.2)\n"
			    "  -n N   or the number of messages on each connection\n"
			    "  -g N   seconds without an echo after which to give up (10)\n"
			    "  -p N   connections that are being opened at a time (32)\n"
			    "  -o     open the connections and hold them until standard input "
			    "ends; for each line of it\n"
			    "         every connection echoes -n messages (10) more\n";

static struct options {
	unsigned long connections, in_flight, size, count, pending;
	double seconds, warm_up, give_up;
	bool only_open;
	const char *url;
} options = {.connections = 1,
	     .in_flight = 1,
	     .size = 13,
	     .pending = 32,
	     .seconds = 2,
	     .warm_up = 0.2,
	     .give_up = 10};

static struct load {
	struct client_use use;
	struct client *clients;
	unsigned int started, opened, opening;
	uint64_t left; /* echoes still to come */
	uint64_t echoes;
	uint64_t progress; /* when something last came back */
	uint64_t ends[CLIENT_ENDS];
	struct latency opens, trips;
	double opening_seconds, seconds;
	char request[512];
} load;

static void fail(const char *what)
{
	fprintf(stderr, "load: %s\n", what);
	exit(2);
}

static void echoed(struct client *client, uint64_t nanoseconds)
{
	load.progress = latency_now();
	if (client->received == 1) {
		latency_add(&load.opens, load.progress - client->started);
		load.opened++;
		load.opening--;
		return;
	}
	latency_add(&load.trips, nanoseconds);
	load.echoes++;
	load.left--;
}

static void ended(struct client *client, enum client_end why)
{
	load.ends[why]++;
	if (client->received == 0)
		load.opening--;
	else if (client->goal != FOREVER)
		load.left -= client->goal - client->received;
}

static void turn(int timeout_ms)
{
	struct epoll_event events[EVENTS];
	int n = epoll_wait(load.use.epoll, events, EVENTS, timeout_ms);

	for (int i = 0; i < n; i++)
		client_handle(events[i].data.ptr, events[i].events);
}

static uint64_t after(double seconds)
{
	return latency_now() + (uint64_t)(seconds * 1e9);
}

static bool is_stuck(void)
{
	return (double)(latency_now() - load.progress) > options.give_up * 1e9;
}

/* until the time is there, all is back, or nothing comes back any more */
static void run_until(uint64_t deadline)
{
	while (load.left > 0 && latency_now() < deadline && !is_stuck())
		turn(10);
}

static void open_clients(void)
{
	uint64_t start = load.progress = latency_now();

	while ((load.started < options.connections || load.opening > 0) && !is_stuck()) {
		while (load.started < options.connections && load.opening < options.pending) {
			load.opening++;
			client_connect(&load.clients[load.started], &load.use, load.started);
			load.started++;
		}
		turn(10);
	}
	load.opening_seconds = (double)(latency_now() - start) / 1e9;
}

static void forget(void)
{
	load.trips = (struct latency){0};
	load.echoes = load.use.bytes_in = load.use.bytes_out = 0;
}

/* lets every connection send so many more messages */
static void set_goals(uint64_t more)
{
	load.left = more == FOREVER ? FOREVER : 0;
	load.progress = latency_now();
	for (unsigned int i = 0; i < load.started; i++) {
		struct client *client = &load.clients[i];
		if (client->state != CLIENT_OPEN)
			continue;
		client->goal = more == FOREVER ? FOREVER : client->sent + more;
		load.left += more == FOREVER ? 0 : more;
	}
	for (unsigned int i = 0; i < load.started; i++)
		client_send(&load.clients[i]);
}

static void run_count(uint64_t count)
{
	uint64_t start = latency_now();

	forget();
	set_goals(count);
	run_until(FOREVER);
	load.seconds = (double)(latency_now() - start) / 1e9;
}

/* sends no more, and waits for what is in flight, which is compared but not counted */
static void drain(void)
{
	struct load measured = load;

	load.left = 0;
	for (unsigned int i = 0; i < load.started; i++) {
		struct client *client = &load.clients[i];
		if (client->state == CLIENT_OPEN)
			load.left += client->sent - client->received;
		client->goal = client->sent;
	}
	run_until(FOREVER);
	load.trips = measured.trips;
	load.echoes = measured.echoes;
	load.use.bytes_in = measured.use.bytes_in;
	load.use.bytes_out = measured.use.bytes_out;
}

static void run_seconds(void)
{
	set_goals(FOREVER);
	run_until(after(options.warm_up));
	uint64_t start = latency_now();
	forget();
	run_until(after(options.seconds));
	load.seconds = (double)(latency_now() - start) / 1e9;
	drain();
}

static void print_latency(const char *name, const struct latency *latency)
{
	printf("\"%s_us\": {\"p50\": %.1f, \"p99\": %.1f, \"max\": %.1f}, ", name,
	       (double)latency_at(latency, 0.5) / 1e3, (double)latency_at(latency, 0.99) / 1e3,
	       (double)latency->max / 1e3);
}

/* true if there was no error */
static bool report(void)
{
	uint64_t missing = load.left + load.opening;
	uint64_t errors = missing;

	printf("{\"connections\": %u, \"opens_per_second\": %.0f, ", load.opened,
	       load.opened / load.opening_seconds);
	print_latency("open", &load.opens);
	printf("\"messages\": %" PRIu64 ", \"seconds\": %.3f, \"rate\": %.0f, ", load.echoes,
	       load.seconds, load.seconds > 0 ? (double)load.echoes / load.seconds : 0);
	print_latency("trip", &load.trips);
	printf("\"bytes_out\": %" PRIu64 ", \"bytes_in\": %" PRIu64 ", ", load.use.bytes_out,
	       load.use.bytes_in);
	for (int i = 0; i < CLIENT_ENDS; i++)
		errors += load.ends[i];
	printf("\"errors\": {\"refused\": %" PRIu64 ", \"wrong\": %" PRIu64 ", \"closed\": %" PRIu64
	       ", \"missing\": %" PRIu64 "}}\n",
	       load.ends[CLIENT_REFUSED], load.ends[CLIENT_WRONG], load.ends[CLIENT_CLOSED],
	       missing);
	fflush(stdout);
	return errors == 0;
}

/* looks after the connections, too: a server may send pings */
static bool hold(void)
{
	struct epoll_event event = {.events = EPOLLIN};
	struct epoll_event events;
	char line[2];
	int input = epoll_create1(EPOLL_CLOEXEC);
	bool good = report();

	if (input < 0 || epoll_ctl(input, EPOLL_CTL_ADD, STDIN_FILENO, &event) < 0)
		return good;
	for (;;) {
		turn(20);
		if (epoll_wait(input, &events, 1, 0) == 0)
			continue;
		if (read(STDIN_FILENO, line, 1) <= 0)
			return good;
		if (line[0] == '\n') {
			run_count(options.count ? options.count : 10);
			good = report() && good;
		}
	}
}

static unsigned long number(const char *text, unsigned long least, unsigned long most)
{
	char *end;
	unsigned long n = strtoul(text, &end, 10);

	if (*text < '0' || *text > '9' || *end || n < least || n > most)
		fail("an option's value is no number, or out of its range");
	return n;
}

static double seconds(const char *text)
{
	char *end;
	double n = strtod(text, &end);

	if (end == text || *end || !(n >= 0 && n < 1e6))
		fail("an option's value is no number of seconds");
	return n;
}

static int parse(int argc, char **argv)
{
	int option;

	while ((option = getopt(argc, argv, "c:f:s:n:t:w:g:p:o")) != -1) {
		switch (option) {
		case 'c':
			options.connections = number(optarg, 1, CLIENTS_LIMIT);
			break;
		case 'f':
			options.in_flight = number(optarg, 1, 1000000);
			break;
		case 's':
			options.size = number(optarg, CLIENT_LEAST_SIZE, 1UL << 30);
			break;
		case 'n':
			options.count = number(optarg, 1, 1UL << 31);
			break;
		case 't':
			options.seconds = seconds(optarg);
			break;
		case 'w':
			options.warm_up = seconds(optarg);
			break;
		case 'g':
			options.give_up = seconds(optarg);
			break;
		case 'p':
			options.pending = number(optarg, 1, CLIENTS_LIMIT);
			break;
		case 'o':
			options.only_open = true;
			break;
		default:
			return -1;
		}
	}
	options.url = argv[optind];
	return argc - optind == 1 ? 0 : -1;
}

static int set_address(void)
{
	static struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
	struct addrinfo *found;
	char host[128], port[8], path[256] = "/";

	if (sscanf(options.url, "ws://%127[^:/]:%7[0-9]%255s", host, port, path) < 2)
		return -1;
	if (getaddrinfo(host, port, &hints, &found) != 0)
		fail("the host has no address");
	load.use.address = found->ai_addr;
	load.use.address_length = found->ai_addrlen;
	snprintf(load.request, sizeof load.request,
		 "GET %s HTTP/1.1\r\nHost: %s:%s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
		 "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n",
		 path, host, port);
	return 0;
}

static void prepare(void)
{
	struct rlimit files;

	if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
		files.rlim_cur = files.rlim_max;
		setrlimit(RLIMIT_NOFILE, &files);
	}
	load.use.epoll = epoll_create1(EPOLL_CLOEXEC);
	load.use.request = load.request;
	load.use.size = options.size;
	load.use.in_flight = (unsigned int)options.in_flight;
	load.use.message = malloc(options.size);
	load.use.echoed = echoed;
	load.use.ended = ended;
	load.clients = calloc(options.connections, sizeof *load.clients);
	if (load.use.epoll < 0 || load.use.message == NULL || load.clients == NULL)
		fail(strerror(errno));
	/* of a period that no buffer has, so that a piece lost or doubled shows */
	for (size_t i = 0; i < options.size; i++)
		load.use.message[i] = (char)(' ' + i % 93);
}

int main(int argc, char **argv)
{
	bool good;

	if (parse(argc, argv) < 0 || set_address() < 0) {
		fputs(usage, stderr);
		return 2;
	}
	prepare();
	open_clients();
	if (options.only_open) {
		good = hold();
	} else {
		if (options.count)
			run_count(options.count);
		else
			run_seconds();
		good = report();
	}
	for (unsigned int i = 0; i < load.started; i++)
		client_close(&load.clients[i]);
	return good ? 0 : 1;
}
