#include "settings.h"
#include "websocket.h"

#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* 1 TiB, or half of what a process of 32 bits can have */
#define MOST_MEMORY ((size_t)1 << (SIZE_MAX > UINT32_MAX ? 40 : 31))

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
	{"WEBSOCKET_MAX_MEMORY", offsetof(struct limits, max_memory), 268435456, 0, MOST_MEMORY},
	{"WEBSOCKET_MAX_PER_ADDRESS", offsetof(struct limits, max_per_address), 200, 0, 1000000},
	{"WEBSOCKET_HANDSHAKE_SECONDS", offsetof(struct limits, handshake_seconds), 10, 0, 86400},
	{"WEBSOCKET_PING_SECONDS", offsetof(struct limits, ping_seconds), 25, 0, 86400},
	{"DUPLEX_MAX_PUBLISH", offsetof(struct limits, max_publish), 20, 0, 1000000},
};

/* reads a number: false if the text is not decimal digits alone, or the number is too large */
static bool read_number(const char *text, size_t *number)
{
	char *end;

	errno = 0;
	unsigned long value = strtoul(text, &end, 10);
	*number = value;
	return text[0] >= '0' && text[0] <= '9' && *end == '\0' && errno == 0;
}

static bool read_row(size_t i, struct setting *setting)
{
	const char *text = getenv(table[i].name);

	*setting = (struct setting){table[i].usual, table[i].usual, table[i].least, table[i].most};
	return text == NULL ||
	       (read_number(text, &setting->value) && setting->value >= setting->least &&
		setting->value <= setting->most);
}

bool settings_read_one(const char *name, struct setting *setting)
{
	size_t i = 0;

	while (strcmp(table[i].name, name) != 0)
		i++;
	return read_row(i, setting);
}

const char *settings_read(struct limits *limits, size_t *least, size_t *most)
{
	struct setting setting;

	for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
		bool is_valid = read_row(i, &setting);
		*(size_t *)((char *)limits + table[i].offset) = setting.value;
		*least = setting.least;
		*most = setting.most;
		if (!is_valid)
			return table[i].name;
	}
	return NULL;
}
