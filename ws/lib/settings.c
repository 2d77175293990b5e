#include "settings.h"
#include "websocket.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>

static const struct {
	const char *name;
	size_t offset; /* in struct limits */
	size_t usual;
	size_t least;
	size_t most;
} table[] = {
	{"WEBSOCKET_MAX_MESSAGE", offsetof(struct limits, max_message),
	 WEBSOCKET_MAX_MESSAGE_DEFAULT, 1, 1073741824},
	{"WEBSOCKET_MAX_CLIENTS", offsetof(struct limits, max_clients), 10000, 0, 1000000},
	{"WEBSOCKET_MAX_MEMORY", offsetof(struct limits, max_memory), 268435456, 0, 1099511627776},
	{"WEBSOCKET_MAX_PER_ADDRESS", offsetof(struct limits, max_per_address), 200, 0, 1000000},
	{"WEBSOCKET_HANDSHAKE_SECONDS", offsetof(struct limits, handshake_seconds), 10, 0, 86400},
	{"WEBSOCKET_PING_SECONDS", offsetof(struct limits, ping_seconds), 25, 0, 86400},
};

/* a number in decimal digits alone: true, and the number */
static int read_number(const char *text, size_t *number)
{
	char *end;

	errno = 0;
	unsigned long value = strtoul(text, &end, 10);
	*number = value;
	return text[0] >= '0' && text[0] <= '9' && *end == '\0' && errno == 0;
}

const char *settings_read(struct limits *limits, size_t *least, size_t *most)
{
	for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
		const char *text = getenv(table[i].name);
		size_t *limit = (size_t *)((char *)limits + table[i].offset);

		*limit = table[i].usual;
		*least = table[i].least;
		*most = table[i].most;
		if (text && (!read_number(text, limit) || *limit < *least || *limit > *most))
			return table[i].name;
	}
	return NULL;
}
