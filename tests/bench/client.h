/*
 * One WebSocket client of the load generator: it sends numbered messages and checks that each comes
 * back as it was, and in its turn. The frames are wslay's; the socket is not blocking, and belongs
 * to the epoll descriptor of the use.
 */
#ifndef CLIENT_H
#define CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <wslay/wslay.h>

/* the number of the client and that of the message, in hexadecimal */
enum { CLIENT_LEAST_SIZE = 12 };

enum client_end {
	CLIENT_REFUSED, /* no connection, or the answer to the handshake was not 101 */
	CLIENT_WRONG,   /* an echo was not the message whose turn it was */
	CLIENT_CLOSED,  /* the server ended the connection, or broke the protocol */
	CLIENT_ENDS
};

struct client;

/* what all clients share */
struct client_use {
	int epoll;
	const struct sockaddr *address;
	socklen_t address_length;
	const char *request; /* of the handshake */
	char *message;       /* size bytes, in which the numbers are written */
	size_t size;
	unsigned int in_flight; /* at most, for each client */
	uint64_t bytes_out;     /* of TCP, handshakes too */
	uint64_t bytes_in;
	void (*echoed)(struct client *client, uint64_t nanoseconds);
	void (*ended)(struct client *client, enum client_end why);
};

enum client_state { CLIENT_NEW, CLIENT_CONNECTING, CLIENT_SHAKING, CLIENT_OPEN, CLIENT_GONE };

struct client {
	struct client_use *use;
	unsigned int number;
	enum client_state state;
	int fd;
	bool drained; /* the last read gave less than there was room for */
	bool armed;   /* waits to write, too */
	wslay_event_context_ptr ws;
	uint64_t started;  /* when it began to connect */
	uint64_t sent;     /* messages */
	uint64_t received; /* echoes, each right */
	uint64_t goal;     /* how many to send */
	uint64_t *times;   /* when each message in flight was sent */
	char *rest;        /* what the socket did not take, allocated */
	size_t rest_length;
	size_t head_length;
	char head[1024]; /* of the answer to the handshake */
};

/* begins to connect; echoed is called when the first message is back, ended if it fails */
void client_connect(struct client *client, struct client_use *use, unsigned int number);

/* does what epoll says can be done */
void client_handle(struct client *client, uint32_t events);

/* sends as many messages as the goal and those in flight allow */
void client_send(struct client *client);

/* closes the socket, after a close frame if the connection is open; does not call ended */
void client_close(struct client *client);

#endif
