/*
 * One WebSocket client of a generator. The frames are wslay's; the socket is not blocking, and
 * belongs to the epoll descriptor of the use. The use decides what is sent and what must come.
 */
#ifndef CLIENT_H
#define CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <wslay/wslay.h>

/* the handshake, for a path, a host and a port; the key may be any */
#define CLIENT_REQUEST \
	"GET %s HTTP/1.1\r\nHost: %s:%s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" \
	"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"

enum client_end {
	CLIENT_REFUSED, /* no connection, or the answer to the handshake was not 101 */
	CLIENT_WRONG,   /* a message was not the one whose turn it was */
	CLIENT_CLOSED,  /* the server ended the connection, or broke the protocol */
	CLIENT_ENDS
};

struct client;

/* what all clients share */
struct client_use {
	int epoll;
	const struct sockaddr *address;
	socklen_t address_length;
	char request[1024]; /* of the handshake */
	uint64_t bytes_out; /* of TCP, handshakes too */
	uint64_t bytes_in;
	void (*opened)(struct client *client); /* the handshake is answered */
	/* a message of text has come; false if it is wrong, which ends the client */
	bool (*received)(struct client *client, const char *text, size_t length);
	void (*ended)(struct client *client, enum client_end why);
};

enum client_state { CLIENT_NEW, CLIENT_CONNECTING, CLIENT_SHAKING, CLIENT_OPEN, CLIENT_GONE };

/* it may be the first member of a larger struct */
struct client {
	struct client_use *use;
	unsigned int number;
	enum client_state state;
	int fd;
	bool drained; /* the last read gave less than there was room for */
	bool armed;   /* waits to write, too */
	wslay_event_context_ptr ws;
	uint64_t started; /* when it began to connect */
	char *rest;       /* what the socket did not take, allocated */
	size_t rest_length;
	size_t head_length;
	char head[1024]; /* of the answer to the handshake */
};

/* begins to connect; opened is called if it succeeds, ended if not */
void client_connect(struct client *client, struct client_use *use, unsigned int number);

/* does what epoll says can be done, and sends what was queued meanwhile */
void client_handle(struct client *client, uint32_t events);

/* queues a text message if the client is open */
void client_queue(struct client *client, const char *text, size_t length);

/* sends as much of the queue as the socket takes; client_handle sends the rest */
void client_flush(struct client *client);

/* closes the socket, after a close frame if the connection is open; does not call ended */
void client_close(struct client *client);

#endif
