/* the limits of an endpoint, which variables of the environment set */
#ifndef SETTINGS_H
#define SETTINGS_H

#include <stddef.h>

/* Each is for one process. 0 switches a limit off, but for max_message. */
struct limits {
	size_t max_message;       /* WEBSOCKET_MAX_MESSAGE: bytes of a message */
	size_t max_clients;       /* WEBSOCKET_MAX_CLIENTS */
	size_t max_memory;        /* WEBSOCKET_MAX_MEMORY: bytes of what waits, of all clients */
	size_t max_per_address;   /* WEBSOCKET_MAX_PER_ADDRESS: clients of one address */
	size_t handshake_seconds; /* WEBSOCKET_HANDSHAKE_SECONDS */
	size_t ping_seconds;      /* WEBSOCKET_PING_SECONDS: of silence, and again for the answer */
};

/* Reads all of them. Returns NULL, or the name of the variable that is not a number in its range;
 * *least and *most are then that range. */
const char *settings_read(struct limits *limits, size_t *least, size_t *most);

#endif
