#include "echo.h"
#include "generator.h"

#include <stdlib.h>
#include <string.h>

static struct echo_use *use_of(const struct echo *echo)
{
	return (struct echo_use *)echo->client.use;
}

static void put_hex(char *at, int digits, uint64_t number)
{
	for (; digits > 0; number >>= 4)
		at[--digits] = "0123456789abcdef"[number & 15];
}

/* the message of this number: it stands at both ends of a long one */
static const char *message(const struct echo *echo, uint64_t number)
{
	const struct echo_use *use = use_of(echo);

	put_hex(use->message, 4, echo->client.number);
	put_hex(use->message + 4, 8, number);
	if (use->size >= ECHO_LEAST_SIZE + 8)
		put_hex(use->message + use->size - 8, 8, number);
	return use->message;
}

static void queue(struct echo *echo)
{
	const struct echo_use *use = use_of(echo);

	while (echo->client.state == CLIENT_OPEN && echo->sent < echo->goal &&
	       echo->sent - echo->received < use->in_flight) {
		client_queue(&echo->client, message(echo, echo->sent), use->size);
		echo->times[echo->sent++ % use->in_flight] = latency_now();
	}
}

static void opened(struct client *client)
{
	struct echo *echo = (struct echo *)client;

	echo->goal = 1;
	queue(echo);
}

static bool received(struct client *client, const char *text, size_t length)
{
	struct echo *echo = (struct echo *)client;
	const struct echo_use *use = use_of(echo);

	if (echo->received == echo->sent || length != use->size ||
	    memcmp(text, message(echo, echo->received), length) != 0)
		return false;
	uint64_t sent_at = echo->times[echo->received++ % use->in_flight];
	use->echoed(echo, latency_now() - sent_at);
	queue(echo);
	return true;
}

void echo_prepare(struct echo_use *use)
{
	use->client.opened = opened;
	use->client.received = received;
	use->message = generator_allocate(use->size, 1);
	/* of a period that no buffer has, so that a piece lost or doubled shows */
	for (size_t i = 0; i < use->size; i++)
		use->message[i] = (char)(' ' + i % 93);
}

void echo_connect(struct echo *echo, struct echo_use *use, unsigned int number)
{
	*echo = (struct echo){.times = generator_allocate(use->in_flight, sizeof *echo->times)};
	client_connect(&echo->client, &use->client, number);
}

void echo_send(struct echo *echo)
{
	queue(echo);
	client_flush(&echo->client);
}

void echo_close(struct echo *echo)
{
	client_close(&echo->client);
	free(echo->times);
	echo->times = NULL;
}
