#include "hub.h"
#include "aside.h"
#include "batch.h"
#include "clock.h"
#include "frames.h"
#include "reader.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A reader that hears nothing for so long asks again: a Redis that hangs is noticed within a second
 * more, and a channel without subscribers is given up. */
enum { BLOCK_MS = 900, OVERDUE_MS = BLOCK_MS + REDIS_OPERATION_MS };

struct hub {
	struct hub *next;
	char channel[CHANNEL_NAME_MAX + 1];
	char last[MESSAGE_ID_SIZE]; /* the message up to which all have what there is */
	struct subscriber *first;
	struct reader *reader;
};

static struct hub *hubs;

static struct hub *find(const char *channel)
{
	struct hub *hub = hubs;

	while (hub && strcmp(hub->channel, channel) != 0)
		hub = hub->next;
	return hub;
}

/* ends the connection of a subscriber, which may come back */
static void end(struct subscriber *subscriber, int error, const char *why)
{
	struct websocket *ws = subscriber->ws;

	hub_leave(subscriber);
	connection_end(ws, error, why);
	ws->carrier->cut(ws, FRAMES_CODE_TRY_AGAIN);
}

/* ends all subscribers; if there are several, one line of the log tells of all */
static void end_all(struct hub *hub, const char *why)
{
	size_t count = 0;

	if (hub->first == NULL || aside_is_ending())
		return;
	struct websocket *ws = hub->first->ws;
	for (struct subscriber *next = hub->first; next; next = next->next)
		count++;
	if (count > 1 && ws->log_name)
		fprintf(stderr, "%s: %zu clients of the channel %s are sent away: %s\n",
			ws->log_name, count, hub->channel, why);
	while (hub->first) {
		hub->first->ws->end_logged = count > 1;
		end(hub->first, EIO, why);
	}
}

/* sends a subscriber what it does not have yet of the batch */
static void send_batch(struct subscriber *subscriber)
{
	struct websocket *ws = subscriber->ws;
	size_t length;
	const char *frames = subscriber->is_level
				     ? batch_frames(&length)
				     : batch_frames_after(subscriber->place.last, &length);

	if (length > 0 && ws->carrier->append(ws, frames, length) < 0)
		end(subscriber, errno, "the client takes less than comes on its channel");
}

/* sends all the batch, after which they have everything up to this id */
static void deliver(struct hub *hub, const char *last)
{
	struct subscriber *next;

	message_copy_id(hub->last, last);
	for (struct subscriber *one = hub->first; one; one = next) {
		next = one->next;
		send_batch(one);
		one->is_level |= !message_is_after(one->place.last, hub->last);
	}
	batch_clear();
}

/* the channel is shorter than it was when the first one joined, and begins anew */
static void deliver_gap(struct hub *hub)
{
	for (struct subscriber *one = hub->first; one; one = one->next)
		one->is_level = true;
	batch_add(NULL, hub->last, NULL, 0);
	deliver(hub, reader_last(hub->reader));
}

/* waits until something can be read, but not beyond the time when it is due */
static bool wait_for_reader(struct reader *reader, long long due)
{
	int ready = aside_wait(reader_fd(reader), POLLIN, clock_left_ms(due));

	if (ready == 0 && clock_left_ms(due) == 0) {
		reader_give_up(reader);
		return false;
	}
	return ready >= 0 || errno == EINTR;
}

/* asks for what comes next, and delivers it; false if Redis fails */
static bool read_once(struct hub *hub)
{
	struct reader *reader = hub->reader;
	enum reader_result result = READER_WAITS;

	if (reader_ask(reader, BLOCK_MS) < 0)
		return false;
	long long due = clock_now_ms() + OVERDUE_MS;
	while (result == READER_WAITS && wait_for_reader(reader, due))
		result = reader_take(reader, batch_add, NULL);
	if (result != READER_TOOK)
		return false;
	if (batch_is_incomplete())
		end_all(hub, "memory for a message is short");
	deliver(hub, reader_last(reader));
	return true;
}

/* takes a hub out of the list, if it is there */
static void forget(const struct hub *hub)
{
	struct hub **place = &hubs;

	while (*place && *place != hub)
		place = &(*place)->next;
	if (*place)
		*place = hub->next;
}

/* the work of a hub, which ends with its last subscriber */
static void work(void *argument)
{
	struct hub *hub = argument;
	const char *why;

	hub->reader = reader_open(hub->channel, hub->last, &why);
	if (hub->reader && reader_begins_with_gap(hub->reader))
		deliver_gap(hub);
	while (hub->reader && hub->first && read_once(hub))
		;
	end_all(hub, hub->reader ? reader_why(hub->reader) : why);
	forget(hub);
	reader_close(hub->reader);
	free(hub);
}

static struct hub *make(const struct place *place)
{
	struct hub *hub = calloc(1, sizeof *hub);

	if (hub == NULL)
		return NULL;
	memcpy(hub->channel, place->channel, sizeof hub->channel);
	message_copy_id(hub->last, place->last);
	if (aside_begin(work, hub) < 0) {
		free(hub);
		return NULL;
	}
	hub->next = hubs;
	hubs = hub;
	return hub;
}

void hub_get_last(const char *channel, char id[MESSAGE_ID_SIZE])
{
	const struct hub *hub = find(channel);

	message_copy_id(id, hub ? hub->last : "0-0");
}

void hub_begin_anew(const char *channel, const char *id)
{
	struct hub *hub = find(channel);

	if (hub == NULL || strcmp(hub->last, id) != 0)
		return;
	end_all(hub, "the channel has begun anew");
	forget(hub);
}

int hub_join(struct subscriber *subscriber)
{
	struct hub *hub = find(subscriber->place.channel);

	if (hub == NULL)
		hub = make(&subscriber->place);
	if (hub == NULL)
		return -1;
	if (message_is_after(hub->last, subscriber->place.last))
		return 0;
	subscriber->hub = hub;
	subscriber->is_level = !message_is_after(subscriber->place.last, hub->last);
	subscriber->previous = NULL;
	subscriber->next = hub->first;
	if (hub->first)
		hub->first->previous = subscriber;
	hub->first = subscriber;
	return 1;
}

void hub_leave(struct subscriber *subscriber)
{
	struct hub *hub = subscriber->hub;

	if (hub == NULL)
		return;
	*(subscriber->previous ? &subscriber->previous->next : &hub->first) = subscriber->next;
	if (subscriber->next)
		subscriber->next->previous = subscriber->previous;
	subscriber->hub = NULL;
}
