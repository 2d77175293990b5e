/*
 * The channels that a resident process reads for its clients, each once, however many
 * subscribe to it. A subscriber reads by itself until it is as far as the channel is
 * read, and joins then; from then on it is sent what comes.
 */
#ifndef HUB_H
#define HUB_H

#include "connection.h"
#include "place.h"

struct hub;

struct subscriber {
	struct websocket *ws;
	struct place place; /* where it was when it joined */
	struct hub *hub;    /* NULL if it has not joined, or has left or was sent away */
	struct subscriber *next;
	struct subscriber *previous;
	bool is_level; /* it has all that was read, and nothing that is still to be read */
};

/* Writes the id up to which a channel has been read for those that have joined; "0-0" if nobody
 * has. */
void hub_get_last(const char *channel, char id[MESSAGE_ID_SIZE]);

/*
 * Lets a subscriber join that has all messages up to its place. Returns 1, or 0 if the channel has
 * been read further by now, so that it must read on first, or -1 with errno ENOMEM. If Redis fails
 * later, or too much waits for the client, the connection ends with EIO or ENOBUFS.
 */
int hub_join(struct subscriber *subscriber);

/* Sends away all that have joined a channel which was read up to this id. The channel has lost that
 * message and has begun anew with earlier ids, as after a failover. */
void hub_begin_anew(const char *channel, const char *id);

/* takes a subscriber out again, if it has joined */
void hub_leave(struct subscriber *subscriber);

#endif
