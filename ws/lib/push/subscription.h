/* The two ways to subscribe, of which websocket_subscribe chooses one. The names are valid, and the
 * client has not subscribed before. Both return 0, or -1 with errno set as websocket_subscribe
 * does; the connection is then over. */
#ifndef SUBSCRIPTION_H
#define SUBSCRIPTION_H

#include "connection.h"

/* with a reader of the client's own, in a process that serves no other */
int subscription_begin_alone(struct websocket *ws, const char *channel, const char *after);

/* with a reader that all clients of the process share (hub.h) */
int subscription_begin_shared(struct websocket *ws, const char *channel, const char *after);

#endif
