#include "waiting.h"
#include "clock.h"

#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

int64_t waiting_now(void)
{
	static long long now; /* if the clock should fail, the time stands still */

	clock_read_coarse_ms(&now);
	return now;
}

/* half of the descriptors that this process may have: to accept and to answer takes some more */
static size_t usable_count(void)
{
	struct rlimit descriptors;

	if (getrlimit(RLIMIT_NOFILE, &descriptors) < 0 ||
	    descriptors.rlim_cur / 2 > WAITING_COUNT_MAX)
		return WAITING_COUNT_MAX;
	return descriptors.rlim_cur / 2;
}

void waiting_init(struct waiting *waiting)
{
	*waiting = (struct waiting){.count_max = usable_count()};
	waiting_now();
	TAILQ_INIT(&waiting->coming);
	TAILQ_INIT(&waiting->leaving);
}

struct connection *waiting_add(struct waiting *waiting, int fd)
{
	struct connection *connection;

	if (waiting->count >= waiting->count_max)
		return NULL;
	connection = malloc(sizeof *connection);
	if (connection == NULL)
		return NULL;
	*connection = (struct connection){.fd = fd, .until = waiting_now() + WAITING_COMING_MS};
	TAILQ_INSERT_TAIL(&waiting->coming, connection, neighbours);
	waiting->count++;
	return connection;
}

bool waiting_keep(struct waiting *waiting, struct connection *connection, const void *bytes,
		  size_t length)
{
	size_t needed = connection->length + length;

	if (needed > connection->room) {
		size_t room = needed + needed / 4 + 256; /* for a request that comes byte by byte */
		size_t more = room - connection->room;
		if (waiting->memory + more > WAITING_MEMORY_MAX)
			return false;
		char *moved = realloc(connection->bytes, room);
		if (moved == NULL)
			return false;
		connection->bytes = moved;
		connection->room = room;
		waiting->memory += more;
	}
	memcpy(connection->bytes + connection->length, bytes, length);
	connection->length += length;
	return true;
}

static void forget_bytes(struct waiting *waiting, struct connection *connection)
{
	waiting->memory -= connection->room;
	free(connection->bytes);
	connection->bytes = NULL;
	connection->length = 0;
	connection->room = 0;
}

static void take_out(struct waiting *waiting, struct connection *connection)
{
	if (connection->is_leaving)
		TAILQ_REMOVE(&waiting->leaving, connection, neighbours);
	else
		TAILQ_REMOVE(&waiting->coming, connection, neighbours);
}

void waiting_leave(struct waiting *waiting, struct connection *connection)
{
	forget_bytes(waiting, connection);
	take_out(waiting, connection);
	connection->is_leaving = true;
	connection->until = waiting_now() + WAITING_LEAVING_MS;
	TAILQ_INSERT_TAIL(&waiting->leaving, connection, neighbours);
}

void waiting_end(struct waiting *waiting, struct connection *connection)
{
	forget_bytes(waiting, connection);
	take_out(waiting, connection);
	waiting->count--;
	if (connection->fd >= 0)
		close(connection->fd);
	free(connection);
}

struct connection *waiting_longest(const struct waiting *waiting)
{
	struct connection *leaving = TAILQ_FIRST(&waiting->leaving);

	return leaving ? leaving : TAILQ_FIRST(&waiting->coming);
}

/* when the first of a list, if there is one, has no more time */
static int64_t end_of_first(const struct connection_list *list, int64_t limit)
{
	const struct connection *first = TAILQ_FIRST(list);

	if (first == NULL)
		return INT64_MAX;
	return first->until < limit ? first->until : limit;
}

struct connection *waiting_expired(const struct waiting *waiting, int64_t limit)
{
	if (waiting->count == 0)
		return NULL;
	int64_t now = waiting_now();
	if (end_of_first(&waiting->leaving, INT64_MAX) <= now)
		return TAILQ_FIRST(&waiting->leaving);
	return end_of_first(&waiting->coming, limit) <= now ? TAILQ_FIRST(&waiting->coming) : NULL;
}

int waiting_timeout(const struct waiting *waiting, int64_t limit)
{
	if (waiting->count == 0)
		return -1;
	int64_t coming = end_of_first(&waiting->coming, limit);
	int64_t leaving = end_of_first(&waiting->leaving, INT64_MAX);
	int64_t left = (coming < leaving ? coming : leaving) - waiting_now();
	return left > 0 ? (int)left : 0;
}
