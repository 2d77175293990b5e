/* a connection for a test that plays websocketd: the library at one end of pipes, the test at the
 * other */
#ifndef PEER_H
#define PEER_H

#include "tap.h"
#include "websocket.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* a connection, and the far ends of its pipes */
struct peer {
	struct websocket *ws;
	int to;
	int from;
};

/* A user has so much memory for all pipes, of which another test may have the most (pipe(7)). */
static inline void resize_pipe(int fd, int size)
{
	for (int tries = 0; fcntl(fd, F_SETPIPE_SZ, size) < 0; tries++) {
		if (errno != EPERM || tries == 6000) {
			perror("fcntl(F_SETPIPE_SZ)");
			exit(1);
		}
		poll(NULL, 0, 10);
	}
}

static inline struct peer connect_pipe(size_t max_message, int pipe_size)
{
	int in[2];
	int out[2];

	if (pipe(in) < 0 || pipe(out) < 0)
		exit(1);
	resize_pipe(in[0], pipe_size);
	resize_pipe(out[0], 65536);
	return (struct peer){websocket_open(in[0], out[1], max_message), in[1], out[0]};
}

static inline struct peer connect_peer(size_t max_message)
{
	return connect_pipe(max_message, 65536);
}

/* the same over one socket, where a line may come in pieces */
static inline struct peer connect_socket(size_t max_message)
{
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) < 0)
		exit(1);
	return (struct peer){websocket_open(pair[0], pair[0], max_message), pair[1], dup(pair[1])};
}

static inline void disconnect(struct peer *peer)
{
	close(peer->to);
	close(peer->from);
	websocket_free(peer->ws);
}

static inline void put(const struct peer *peer, const char *text)
{
	if (write(peer->to, text, strlen(text)) != (ssize_t)strlen(text))
		exit(1);
}

static inline void is_next(struct peer *peer, const char *text, size_t length, const char *name)
{
	struct websocket_message message = {.text = ""};

	if (ok(websocket_wait(peer->ws, &message, WEBSOCKET_FOREVER) == WEBSOCKET_MESSAGE,
	       "%s: a message", name))
		is(message.text, message.length, text, length, name);
}

static inline void has_sent(struct peer *peer, const char *bytes, size_t length, const char *name)
{
	char out[256];
	struct pollfd set = {.fd = peer->from, .events = POLLIN};
	ssize_t n = poll(&set, 1, 0) > 0 ? read(peer->from, out, sizeof out) : 0;

	is(out, n > 0 ? (size_t)n : 0, bytes, length, name);
}

#endif
