/*
 * A connection over the pipes of websocketd, which hands over each text message
 * as a line on standard input, and takes each line of standard output for one.
 */
#ifndef LINES_H
#define LINES_H

#include "connection.h"
#include "inbox.h"
#include "user.h"

struct lines {
	struct websocket ws;
	struct inbox inbox;
	int in;
	int out;
	int signals;      /* a signalfd that ends the connection, or -1 */
	int events;       /* the epoll descriptor of websocket_fd, or -1 */
	int ready;        /* one of its descriptors: readable if there is something to return */
	size_t half_pipe; /* half of the size of the pipe that in is; 0 if it is not a pipe */
	size_t bytes_since_empty;  /* bytes read since that pipe was last seen empty */
	bool peer_hung_up;         /* the other end of in is closed, though not all may be read */
	char user[USER_NAME_SIZE]; /* REMOTE_USER, once it was asked for */
};

/* lets the descriptor of websocket_fd be readable if there is something to return */
void lines_announce(struct lines *lines);

/* true if GATEWAY_INTERFACE (RFC 3875 4.1.4) is websocketd's */
bool lines_is_started_by_websocketd(void);

/* Sets PATH_INFO to what the client asked for, where websocketd has changed it. Returns 0, or -1
 * with errno set. */
int lines_restore_path(void);

/* the operations that concern the handshake, which lines-gateway.c has */
int lines_accept(struct websocket *ws, const char *protocol);
int lines_refuse(struct websocket *ws, int status);
const char *lines_variable(struct websocket *ws, const char *name);
const char *lines_address(struct websocket *ws);

/* the operations of websocket_fd and of a feed, which lines-descriptor.c has */
int lines_descriptor(struct websocket *ws);
int lines_watch_feed(struct websocket *ws);
void lines_close_descriptors(struct lines *lines);

#endif
