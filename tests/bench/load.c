/*
 * The load generator: N WebSocket clients in one epoll loop, each with so many messages in flight,
 * and every echo is compared. It prints one line of JSON; its exit status is 1 if anything was
 * refused, wrong, closed or missing.
 */
#include "echo.h"
#include "generator.h"

#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#define FOREVER UINT64_MAX

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
} options = {.connections = 1,
	     .in_flight = 1,
	     .size = 13,
	     .pending = 32,
	     .seconds = 2,
	     .warm_up = 0.2,
	     .give_up = 10};

static struct load {
	struct echo_use use;
	struct echo *clients;
	unsigned int started, opened, opening;
	uint64_t left; /* echoes still to come */
	uint64_t echoes;
	uint64_t progress; /* when something last came back */
	uint64_t ends[CLIENT_ENDS];
	struct latency opens, trips;
	double opening_seconds, seconds;
	bool failed; /* something that was reported */
} load;

static void echoed(struct echo *echo, uint64_t nanoseconds)
{
	load.progress = latency_now();
	if (echo->received == 1) {
		latency_add(&load.opens, load.progress - echo->client.started);
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
	const struct echo *echo = (struct echo *)client;

	load.ends[why]++;
	if (echo->received == 0)
		load.opening--;
	else if (echo->goal != FOREVER)
		load.left -= echo->goal - echo->received;
}

static void turn(void)
{
	generator_turn(&load.use.client, 10);
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
		turn();
}

static void open_clients(void)
{
	uint64_t start = load.progress = latency_now();

	while ((load.started < options.connections || load.opening > 0) && !is_stuck()) {
		while (load.started < options.connections && load.opening < options.pending) {
			load.opening++;
			echo_connect(&load.clients[load.started], &load.use, load.started);
			load.started++;
		}
		turn();
	}
	load.opening_seconds = (double)(latency_now() - start) / 1e9;
}

static void forget(void)
{
	load.trips = (struct latency){0};
	load.echoes = load.use.client.bytes_in = load.use.client.bytes_out = 0;
}

/* lets every connection send so many more messages */
static void set_goals(uint64_t more)
{
	load.left = more == FOREVER ? FOREVER : 0;
	load.progress = latency_now();
	for (unsigned int i = 0; i < load.started; i++) {
		struct echo *echo = &load.clients[i];
		if (echo->client.state != CLIENT_OPEN)
			continue;
		echo->goal = more == FOREVER ? FOREVER : echo->sent + more;
		load.left += more == FOREVER ? 0 : more;
	}
	for (unsigned int i = 0; i < load.started; i++)
		echo_send(&load.clients[i]);
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
		struct echo *echo = &load.clients[i];
		if (echo->client.state == CLIENT_OPEN)
			load.left += echo->sent - echo->received;
		echo->goal = echo->sent;
	}
	run_until(FOREVER);
	load.trips = measured.trips;
	load.echoes = measured.echoes;
	load.use.client.bytes_in = measured.use.client.bytes_in;
	load.use.client.bytes_out = measured.use.client.bytes_out;
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

static void report(void)
{
	printf("{\"connections\": %u, \"opens_per_second\": %.0f, ", load.opened,
	       load.opened / load.opening_seconds);
	generator_print_latency("open", &load.opens);
	printf("\"messages\": %" PRIu64 ", \"seconds\": %.3f, \"rate\": %.0f, ", load.echoes,
	       load.seconds, load.seconds > 0 ? (double)load.echoes / load.seconds : 0);
	generator_print_latency("trip", &load.trips);
	printf("\"bytes_out\": %" PRIu64 ", \"bytes_in\": %" PRIu64 ", ", load.use.client.bytes_out,
	       load.use.client.bytes_in);
	if (!generator_print_errors(load.ends, load.left + load.opening))
		load.failed = true;
}

static void echo_more(void)
{
	run_count(options.count ? options.count : 10);
	report();
}

static int parse(int argc, char **argv)
{
	int option;

	while ((option = getopt(argc, argv, "c:f:s:n:t:w:g:p:o")) != -1) {
		switch (option) {
		case 'c':
			options.connections = generator_number(optarg, 1, GENERATOR_CLIENTS);
			break;
		case 'f':
			options.in_flight = generator_number(optarg, 1, 1000000);
			break;
		case 's':
			options.size = generator_number(optarg, ECHO_LEAST_SIZE, 1UL << 30);
			break;
		case 'n':
			options.count = generator_number(optarg, 1, 1UL << 31);
			break;
		case 't':
			options.seconds = generator_seconds(optarg);
			break;
		case 'w':
			options.warm_up = generator_seconds(optarg);
			break;
		case 'g':
			options.give_up = generator_seconds(optarg);
			break;
		case 'p':
			options.pending = generator_number(optarg, 1, GENERATOR_CLIENTS);
			break;
		case 'o':
			options.only_open = true;
			break;
		default:
			return -1;
		}
	}
	return argc - optind == 1 ? generator_aim(&load.use.client, argv[optind]) : -1;
}

static void prepare(void)
{
	load.use.size = options.size;
	load.use.in_flight = (unsigned int)options.in_flight;
	load.use.echoed = echoed;
	load.use.client.ended = ended;
	echo_prepare(&load.use);
	load.clients = generator_allocate(options.connections, sizeof *load.clients);
}

int main(int argc, char **argv)
{
	if (parse(argc, argv) < 0) {
		fputs(usage, stderr);
		return 2;
	}
	prepare();
	open_clients();
	if (options.only_open) {
		report();
		generator_hold(&load.use.client, echo_more);
	} else {
		if (options.count)
			run_count(options.count);
		else
			run_seconds();
		report();
	}
	for (unsigned int i = 0; i < load.started; i++)
		echo_close(&load.clients[i]);
	return load.failed ? 1 : 0;
}
