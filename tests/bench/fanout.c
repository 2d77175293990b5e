/*
 * The fan-out generator: N subscribers and one more WebSocket client that publishes, in one epoll
 * loop. A message is published when the one before it has arrived everywhere, and every subscriber
 * must get each once and in order, possibly within a line of JSON. It prints one line of JSON; its
 * exit status is 1 if anything was refused, wrong, closed or missing.
 */
#include "generator.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { LEAST_SIZE = 16, MOST_SIZE = 8192 };

static const char usage[] =
	"usage: fanout [options] ws://HOST:PORT/PATH\n"
	"  -c N   subscribers (100)\n"
	"  -n N   messages to measure (20), after -w N that show that all are subscribed (3)\n"
	"  -t N   seconds after which no further message is published (10)\n"
	"  -s N   bytes of a message, at least 16 (64)\n"
	"  -g N   seconds after which a message is given up (10)\n"
	"  -p N   subscribers that are being opened at a time (32)\n"
	"  -l     the server sends the last message to each that it has subscribed: it is open "
	"then,\n"
	"         and without this when the handshake is answered\n"
	"  -o     hold the connections until standard input ends, and measure for each line of "
	"it\n";

static struct options {
	unsigned long subscribers, count, before, size, pending;
	double seconds, give_up;
	bool gets_last, hold;
} options = {.subscribers = 100,
	     .count = 20,
	     .before = 3,
	     .size = 64,
	     .pending = 32,
	     .seconds = 10,
	     .give_up = 10};

struct subscriber {
	struct client client;
	uint32_t next; /* the number of the message whose turn it is */
	bool open;
};

static struct fanout {
	struct client_use use;
	struct subscriber publisher, *subscribers;
	unsigned int started, opening, opened;
	uint32_t session, number; /* of the last message published; the first is 0 */
	uint64_t published;       /* when it was */
	uint64_t left;            /* how many are still to get it */
	uint64_t missing;         /* of those given up */
	uint64_t messages;
	uint64_t ends[CLIENT_ENDS];
	struct latency opens, deliveries, last;
	double opening_seconds, seconds;
	bool failed; /* something that was reported */
} fanout;

static const char *message(uint32_t number)
{
	static char text[MOST_SIZE + 1];

	memset(text, '.', options.size);
	snprintf(text, sizeof text, "%08" PRIx32 "%08" PRIx32, fanout.session, number);
	text[LEAST_SIZE] = options.size > LEAST_SIZE ? '.' : '\0';
	return text;
}

static bool is_publisher(const struct client *client)
{
	return client == &fanout.publisher.client;
}

static void note_open(struct subscriber *one)
{
	one->open = true;
	if (is_publisher(&one->client))
		return;
	latency_add(&fanout.opens, latency_now() - one->client.started);
	fanout.opened++;
	fanout.opening--;
}

static void opened(struct client *client)
{
	struct subscriber *one = (struct subscriber *)client;

	if (is_publisher(client)) {
		client_queue(client, message(0), options.size);
	} else if (!options.gets_last) {
		one->next = 1;
		note_open(one);
	}
}

static void count_delivery(void)
{
	uint64_t took = latency_now() - fanout.published;

	latency_add(&fanout.deliveries, took);
	if (--fanout.left == 0)
		latency_add(&fanout.last, took);
}

static bool received(struct client *client, const char *text, size_t length)
{
	struct subscriber *one = (struct subscriber *)client;

	if (memmem(text, length, message(one->next), options.size) == NULL)
		/* the publisher may get what was there before its first message */
		return is_publisher(client) && one->next == 0;
	if (one->next++ == 0)
		note_open(one);
	else if (!is_publisher(client))
		count_delivery();
	return true;
}

static void ended(struct client *client, enum client_end why)
{
	const struct subscriber *one = (struct subscriber *)client;

	fanout.ends[why]++;
	if (is_publisher(client))
		return;
	if (!one->open)
		fanout.opening--;
	else if (one->next <= fanout.number)
		fanout.left--;
}

static double since(uint64_t start)
{
	return (double)(latency_now() - start) / 1e9;
}

static void turn(void)
{
	generator_turn(&fanout.use, 10);
}

/* The publisher's own message shows that it is subscribed; subscribers that ask for the last
 * message get this one. */
static void open_publisher(void)
{
	uint64_t start = latency_now();

	client_connect(&fanout.publisher.client, &fanout.use, UINT16_MAX);
	while (!fanout.publisher.open && since(start) < options.give_up)
		turn();
	if (!fanout.publisher.open)
		generator_fail("what the publisher sends does not come back");
}

static void open_subscribers(void)
{
	uint64_t start = latency_now();
	uint64_t progress = start;
	unsigned int before = 0;

	while ((fanout.started < options.subscribers || fanout.opening > 0) &&
	       since(progress) < options.give_up) {
		while (fanout.started < options.subscribers && fanout.opening < options.pending) {
			fanout.opening++;
			client_connect(&fanout.subscribers[fanout.started].client, &fanout.use,
				       fanout.started);
			fanout.started++;
		}
		turn();
		if (fanout.opened > before)
			progress = latency_now();
		before = fanout.opened;
	}
	fanout.opening_seconds = since(start);
}

static uint64_t count_open(void)
{
	uint64_t count = 0;

	for (unsigned int i = 0; i < fanout.started; i++)
		count += fanout.subscribers[i].open &&
			 fanout.subscribers[i].client.state == CLIENT_OPEN;
	return count;
}

/* false if it has not arrived everywhere */
static bool publish(void)
{
	struct client *client = &fanout.publisher.client;

	fanout.left = count_open();
	fanout.published = latency_now();
	client_queue(client, message(++fanout.number), options.size);
	client_flush(client);
	while (fanout.left > 0 && since(fanout.published) < options.give_up)
		turn();
	fanout.missing += fanout.left;
	return fanout.left == 0;
}

/* wait for a message that might come twice */
static void settle(void)
{
	uint64_t start = latency_now();

	while (since(start) < 0.1)
		turn();
}

/* Nothing more is published once a message has not arrived: times after that would mean nothing. */
static void run(uint64_t count)
{
	uint64_t start = latency_now();

	fanout.deliveries = fanout.last = (struct latency){0};
	fanout.messages = 0;
	while (fanout.messages < count && since(start) < options.seconds && fanout.missing == 0)
		fanout.messages += publish();
	fanout.seconds = since(start);
	settle();
}

static void report(void)
{
	printf("{\"subscribers\": %u, \"opens_per_second\": %.0f, ", fanout.opened,
	       fanout.opened / fanout.opening_seconds);
	generator_print_latency("open", &fanout.opens);
	printf("\"messages\": %" PRIu64 ", \"deliveries\": %" PRIu64 ", \"seconds\": %.3f, ",
	       fanout.messages, fanout.deliveries.count, fanout.seconds);
	generator_print_latency("delivery", &fanout.deliveries);
	generator_print_latency("last", &fanout.last);
	if (!generator_print_errors(fanout.ends, fanout.missing + fanout.opening))
		fanout.failed = true;
}

static void run_and_report(void)
{
	run(options.count);
	report();
}

static int parse(int argc, char **argv)
{
	int option;

	while ((option = getopt(argc, argv, "c:n:w:t:s:g:p:lo")) != -1) {
		switch (option) {
		case 'c':
			options.subscribers = generator_number(optarg, 1, GENERATOR_CLIENTS);
			break;
		case 'n':
			options.count = generator_number(optarg, 1, 1000000);
			break;
		case 'w':
			options.before = generator_number(optarg, 1, 1000000);
			break;
		case 't':
			options.seconds = generator_seconds(optarg);
			break;
		case 's':
			options.size = generator_number(optarg, LEAST_SIZE, MOST_SIZE);
			break;
		case 'g':
			options.give_up = generator_seconds(optarg);
			break;
		case 'p':
			options.pending = generator_number(optarg, 1, GENERATOR_CLIENTS);
			break;
		case 'l':
			options.gets_last = true;
			break;
		case 'o':
			options.hold = true;
			break;
		default:
			return -1;
		}
	}
	return argc - optind == 1 ? generator_aim(&fanout.use, argv[optind]) : -1;
}

static void prepare(void)
{
	fanout.use.opened = opened;
	fanout.use.received = received;
	fanout.use.ended = ended;
	fanout.session = (uint32_t)latency_now();
	fanout.subscribers = generator_allocate(options.subscribers, sizeof *fanout.subscribers);
}

int main(int argc, char **argv)
{
	if (parse(argc, argv) < 0) {
		fputs(usage, stderr);
		return 2;
	}
	prepare();
	open_publisher();
	open_subscribers();
	run(options.before);
	if (options.hold) {
		fanout.messages = 0;
		report();
		generator_hold(&fanout.use, run_and_report);
	} else {
		run_and_report();
	}
	for (unsigned int i = 0; i < fanout.started; i++)
		client_close(&fanout.subscribers[i].client);
	client_close(&fanout.publisher.client);
	return fanout.failed ? 1 : 0;
}
