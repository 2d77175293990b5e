/* what a connection is inside the library: websocket.c does its work, run.c makes a main of it */
#ifndef CONNECTION_H
#define CONNECTION_H

#include "inbox.h"

struct websocket;

/* what sends to the client of its own accord while the program waits; push.c has one */
struct feed {
	int fd;
	void (*deliver)(struct websocket *ws); /* is called when fd is readable */
	void (*release)(struct feed *feed);    /* is called once, at the end */
};

struct websocket {
	struct inbox inbox;
	int in;
	int out;
	int signals;       /* a signalfd, or -1 */
	int events;        /* the epoll descriptor of websocket_fd, or -1 */
	int ready;         /* one of its descriptors: readable when there is something to return */
	size_t half;       /* of the size of the pipe that in is; 0 if it is none */
	size_t run;        /* bytes read since that pipe was last seen empty */
	struct feed *feed; /* or NULL */
	bool fed;          /* its descriptor is readable */
	int patience;      /* for how many ms a send waits without the client taking anything */
	bool gone;         /* the client's end of in is closed, though not all may be read */
	bool left;  /* the client sends no more: what is queued can be read, nothing can be sent */
	bool ended; /* the connection is over in both directions */
	int error;  /* an errno value if it ended with an error */
	char reason[192]; /* the same in English */
};

/* ends the connection in both directions: with an errno value and its reason, or with 0 */
void connection_end(struct websocket *ws, int error, const char *reason);

/* lets the descriptor of websocket_fd be readable if there is something to return */
void connection_announce(struct websocket *ws);

/* closes a descriptor unless it is -1, which it is afterwards */
void connection_close_once(int *fd);

/* gives the connection its feed, which belongs to it from then on: 0, or -1 with errno set */
int connection_feed(struct websocket *ws, struct feed *feed);

#endif
