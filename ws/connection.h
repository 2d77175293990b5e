/* what a connection is inside the library: websocket.c does its work, run.c makes a main of it */
#ifndef CONNECTION_H
#define CONNECTION_H

#include "inbox.h"

struct websocket {
	struct inbox inbox;
	int in;
	int out;
	int signals; /* a signalfd, or -1 */
	int events;  /* the epoll descriptor of websocket_fd, or -1 */
	int ready;   /* one of its descriptors: readable when there is something to return */
	size_t half; /* of the size of the pipe that in is; 0 if it is none */
	size_t run;  /* bytes read since that pipe was last seen empty */
	bool gone;   /* the client's end of in is closed, though not all may be read */
	bool left;   /* the client sends no more: what is queued can be read, nothing can be sent */
	bool ended;  /* the connection is over in both directions */
	int error;   /* an errno value if it ended with an error */
	char reason[128]; /* the same in English */
};

#endif
