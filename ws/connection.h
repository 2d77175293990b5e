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
	bool left;   /* the client sends no more: what is queued can be read, nothing can be sent */
	bool ended;  /* the connection is over in both directions */
	int error;   /* an errno value if it ended with an error */
	char reason[128]; /* the same in English */
};

#endif
