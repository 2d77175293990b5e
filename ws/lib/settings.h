/* the limits of an endpoint, which variables of the environment set */
#ifndef SETTINGS_H
#define SETTINGS_H

#include <stdbool.h>
#include <stddef.h>

/* Each is for one process. 0 switches a limit off, except max_message, which is at least 1. */
struct limits {
	size_t max_message;       /* WEBSOCKET_MAX_MESSAGE: bytes of a message */
	size_t max_clients;       /* WEBSOCKET_MAX_CLIENTS */
	size_t max_memory;        /* WEBSOCKET_MAX_MEMORY: bytes of what waits, of all clients */
	size_t max_per_address;   /* WEBSOCKET_MAX_PER_ADDRESS: clients of one address */
	size_t handshake_seconds; /* WEBSOCKET_HANDSHAKE_SECONDS */
	size_t ping_seconds;      /* WEBSOCKET_PING_SECONDS: of silence, and again for the answer */
	size_t max_publish; /* DUPLEX_MAX_PUBLISH: messages of one address a second (limit.h) */
};

/* one variable */
struct setting {
	size_t value;
	size_t usual; /* its value if it is not set */
	size_t least;
	size_t most;
};

/* Reads the variable with this name, which must be one of ours. Returns false if it is not a number
 * in its range; everything but value is then set. */
bool settings_read_one(const char *name, struct setting *setting);

/* Reads all of them. Returns NULL, or the name of the variable that is not a number in its range;
 * *least and *most are then that range. */
const char *settings_read(struct limits *limits, size_t *least, size_t *most);

#endif
