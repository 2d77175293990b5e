/*
 * A client's connection, whatever carries it: what the functions of websocket.h
 * know of it, and what a carrier does for them. lines.c carries it over the
 * pipes of websocketd, client.c over the socket of a resident process.
 */
#ifndef CONNECTION_H
#define CONNECTION_H

#include "websocket.h"

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>

/* a source that sends to the client while the view waits; push/ has two */
struct feed {
	int fd;           /* that it waits for, or -1 */
	bool wants_room;  /* deliver is called again once little of what was sent waits */
	long long due_ms; /* when deliver is called at the latest, by clock_now_ms; 0 for never */
	void (*deliver)(struct websocket *ws); /* is called when fd is readable */
	void (*release)(struct feed *feed);    /* is called once, when the connection is closed */
};

/* What a carrier does. None of these is called after close. */
struct carrier {
	/* gives the next whole message that has been taken in; false if there is none */
	bool (*take)(struct websocket *ws, struct websocket_message *message);
	/* true if take would give a message, or would end the connection */
	bool (*has_input)(struct websocket *ws);
	/* Waits until the client sends or leaves, the feed is ready, one of the set is, or the time
	 * is up, and takes in what the client sent. How many of the set are ready, or -1 with errno
	 * set if the set cannot be waited for. */
	int (*wait)(struct websocket *ws, struct pollfd *set, size_t count, int timeout_ms);
	/* takes in what is there, and returns how many whole messages wait */
	size_t (*count)(struct websocket *ws);
	/* sends a message as websocket_send does; text is known to be valid UTF-8 */
	int (*send)(struct websocket *ws, const char *bytes, size_t length, bool is_binary);
	/* true if the client has gone, though what it sent may still be there to be read */
	bool (*is_gone)(struct websocket *ws);
	/* ends the connection in both directions, and frees what the carrier holds */
	void (*close)(struct websocket *ws, int code, const char *reason, size_t length);
	/* these do what the function of websocket.h with that name says */
	int (*accept)(struct websocket *ws, const char *protocol);
	int (*refuse)(struct websocket *ws, int status);
	const char *(*variable)(struct websocket *ws, const char *name);
	/* the client's address for a line of the log; in memory of the carrier */
	const char *(*address)(struct websocket *ws);
	/* false if the log is to get no more lines just now; NULL if a line may always be written
	 */
	bool (*may_log)(struct websocket *ws);
	/* what websocket_fd returns */
	int (*descriptor)(struct websocket *ws);
	/* waits for the feed of the connection from now on: 0, or -1 with errno set; NULL if no
	 * feed has a descriptor */
	int (*watch_feed)(struct websocket *ws);
	/* The last two are for callers other than the view. NULL where a process serves one client.
	 */
	/* Sends whole frames after what was sent before, without waiting; a connection that is
	 * about to end gets no more. 0, or -1 with errno ENOBUFS if too much waits for this client,
	 * or for all. */
	int (*append)(struct websocket *ws, const char *frames, size_t length);
	/* after connection_end: sends a close frame with this code, and lets the view go on */
	void (*cut)(struct websocket *ws, int code);
};

struct websocket {
	const struct carrier *carrier;
	struct feed *feed;    /* or NULL */
	const char *log_name; /* of the program, for the log; NULL if nothing is to be logged */
	int send_timeout_ms;  /* for how long a send waits for a client that takes nothing; or -1 */
	int error;            /* an errno value if it ended with an error */
	int close_code;       /* the one that the client closed with, or that stands for it */
	bool feed_is_ready;
	bool input_ended;    /* the client sends no more: nothing can be sent either */
	bool ended;          /* it is over in both directions */
	bool is_closed;      /* and the carrier holds nothing more */
	bool refusal_logged; /* the log has told of a message that was not sent */
	bool end_logged;     /* the log has told why the connection ended */
	char reason[192];    /* why it ended with an error, in English */
};

/* sets up what every carrier has in common */
void connection_init(struct websocket *ws, const struct carrier *carrier);

/* ends the connection in both directions: with an errno value and its reason, or with 0 */
void connection_end(struct websocket *ws, int error, const char *reason);

/* ends the connection for what a system call says; that the client has gone is not an error */
void connection_end_after(struct websocket *ws, const char *call);

/* writes a line with the program, the client's address and the text to the log */
void connection_log(struct websocket *ws, const char *text);

/* gives the connection its feed, which belongs to it from then on: 0, or -1 with errno set */
int connection_feed(struct websocket *ws, struct feed *feed);

#endif
