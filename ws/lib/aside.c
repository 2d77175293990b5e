#include "aside.h"

#include <errno.h>
#include <poll.h>
#include <stddef.h>

static const struct aside *way; /* NULL: to wait holds nobody up */

void aside_use(const struct aside *new_way)
{
	way = new_way;
}

int aside_wait(int fd, short events, int timeout_ms)
{
	struct pollfd set = {.fd = fd, .events = events};

	return way ? way->wait(fd, events, timeout_ms) : poll(&set, 1, timeout_ms);
}

int aside_call(void (*function)(void *argument), void *argument)
{
	if (way)
		return way->call(function, argument);
	function(argument);
	return 0;
}

int aside_begin(void (*function)(void *argument), void *argument)
{
	if (way)
		return way->begin(function, argument);
	errno = ENOTSUP;
	return -1;
}

int aside_waited_ms(void)
{
	return way ? way->waited_ms() : 0;
}

bool aside_is_ending(void)
{
	return way && way->is_ending();
}
