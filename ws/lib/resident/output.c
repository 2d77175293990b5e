#include "output.h"
#include "client.h"
#include "worker.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Drops the bytes that were sent, once they are a fair part of all: to move what waits for each few
 * of them would take long. */
static void drop_sent(struct output *output)
{
	size_t waiting = output->length - output->sent;

	if (output->bytes == NULL || output->sent == 0 || output->sent < waiting / 4)
		return;
	memmove(output->bytes, output->bytes + output->sent, waiting);
	output->sent = 0;
	output->length = waiting;
}

/* makes room for so many bytes more */
static int make_room(struct output *output, size_t length)
{
	drop_sent(output);
	if (output->bytes && output->length + length <= output->capacity)
		return 0;

	size_t capacity = output->length + length + output->length / 2;
	char *bytes = realloc(output->bytes, capacity);
	if (bytes == NULL)
		return -1;
	output->bytes = bytes;
	output->capacity = capacity;
	return 0;
}

static int keep(struct output *output, const char *bytes, size_t length)
{
	if (length == 0)
		return 0;
	if ((output->bytes == NULL || output->capacity - output->length < length) &&
	    make_room(output, length) < 0)
		return -1;
	memcpy(output->bytes + output->length, bytes, length);
	output->length += length;
	return 0;
}

/* how many bytes the socket takes, or -1 */
static ssize_t try_to_write(struct client *client, const char *bytes, size_t length)
{
	ssize_t n;

	do
		n = write(client->watch.fd, bytes, length);
	while (n < 0 && errno == EINTR);
	if (n > 0)
		client->took_at = client->worker->loop.now;
	return n < 0 && errno == EAGAIN ? 0 : n;
}

/* notes what waits now */
static void mark(struct client *client)
{
	client->output.marked = client->output.length - client->output.sent;
	client->output.marked_at = client->worker->loop.now;
}

/* writes what it can at once, and keeps the rest */
static int write_or_keep(struct client *client, const char *bytes, size_t length)
{
	bool is_first = client->output.bytes == NULL;
	ssize_t n = is_first ? try_to_write(client, bytes, length) : 0;

	if (n < 0)
		return -1;
	if (is_first)
		client->took_at = client->worker->loop.now;
	if (keep(&client->output, bytes + n, length - (size_t)n) < 0)
		return -1;
	if (is_first)
		mark(client);
	return 0;
}

static int flush_cork(struct client *client)
{
	struct worker *worker = client->worker;
	size_t length = worker->corked;

	worker->corked = 0;
	return length > 0 ? write_or_keep(client, worker->cork, length) : 0;
}

int output_add(struct client *client, const void *bytes, size_t length)
{
	struct worker *worker = client->worker;

	if (length > WORKER_CORK_SIZE - worker->corked) {
		if (flush_cork(client) < 0)
			return -1;
		if (length > WORKER_CORK_SIZE)
			return write_or_keep(client, bytes, length);
	}
	if (length > 0)
		memcpy(worker->cork + worker->corked, bytes, length);
	worker->corked += length;
	return 0;
}

static int flush_kept(struct client *client)
{
	struct output *output = &client->output;
	ssize_t n = try_to_write(client, output->bytes + output->sent,
				 output->length - output->sent);

	if (n < 0)
		return -1;
	output->sent += (size_t)n;
	if ((size_t)n >= output->marked)
		mark(client);
	else
		output->marked -= (size_t)n;
	/* a client that takes output is not silent, and may not have met the ping yet */
	if (n > 0) {
		client->heard_at = client->worker->loop.now;
		client->pinged_at = client->pinged_at ? client->heard_at : 0;
	}
	if (output->sent == output->length)
		output_drop(client);
	return 0;
}

int output_flush(struct client *client)
{
	if (client->output.bytes && flush_kept(client) < 0)
		return -1;
	return flush_cork(client);
}

size_t output_waiting(const struct client *client)
{
	return client->output.length - client->output.sent + client->worker->corked;
}

void output_drop(struct client *client)
{
	free(client->output.bytes);
	client->output = (struct output){0};
}
