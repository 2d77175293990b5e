/*
 * One client of a resident process: its socket, and the coroutine that shakes
 * hands, runs the view and closes. It lies at the top of that coroutine's stack.
 *
 * In the coroutine, a function that waits suspends it; the loop resumes it when
 * what it waits for is there. Everything else is done in straight lines.
 */
#ifndef CLIENT_H
#define CLIENT_H

#include "connection.h"
#include "frames.h"
#include "loop.h"
#include "output.h"

#include <netinet/in.h>
#include <stdint.h>

struct worker;

/* what a suspended client goes on for, beside its time and its end */
enum {
	WANTS_INPUT = 1, /* the client sent something or has gone */
	WANTS_ROOM = 2,  /* little of the output waits */
	WANTS_SET = 4,   /* a descriptor of the view's is ready */
	WANTS_TURN = 8,  /* the others have had their turn */
};

enum {
	CLIENT_MUCH_OUTPUT = 65536, /* more than this makes a view wait */
	/* More than this ends a client that others send to. It is what a second of a busy channel
	 * takes, and a client that comes back reads on at its own pace. */
	CLIENT_MOST_OUTPUT = 1048576,
};

struct client {
	struct websocket ws; /* first, so that one is the other */
	struct worker *worker;
	struct client *next; /* of those that are connected */
	struct client *previous;
	struct client *next_at_address;

	struct turn turn;       /* for one that goes on without an event */
	struct watch watch;     /* the socket */
	struct watch set_watch; /* while the view polls descriptors of its own */
	struct timer timer;     /* due when the nearest of the times below is, or before */
	long long deadline;     /* of what the coroutine waits for; 0 if there is none */
	long long heard_at;     /* when the client sent something last */
	long long pinged_at;    /* 0 if no ping waits for its answer */
	long long took_at;      /* when the client took something last */
	long long begun_at;     /* when the message began that is not whole yet; 0 if none is */
	long long stop_at;      /* when it is to be told that the server stops; 0 if not */

	char *input; /* the buffer of the window, while it is in use */
	size_t at;   /* the window: bytes that were read and not yet decoded */
	size_t end;
	struct frames frames;
	struct frames_item ahead; /* a message that was decoded before it was asked for */
	struct output output;
	size_t sent_in_turn;
	size_t counted;   /* bytes of worker->memory that are this client's */
	uint64_t address; /* the network of the client, for the limit of clients of one */
	char *variables;  /* of the handshake, or NULL */
	size_t variables_size;
	char peer[INET6_ADDRSTRLEN]; /* the peer's address over TCP; else empty */

	unsigned char wants;
	bool is_held; /* nothing makes it go on, as what a helper does for it needs its stack */
	bool is_due;  /* the time that the coroutine waits for is up, or the server stops */
	bool is_readable;
	bool has_read; /* in this turn */
	bool has_ahead;
	bool is_answered; /* the handshake, with whatever */
	bool is_open;     /* it was accepted */
	bool is_lost;     /* nothing can be written to it, or read from it */
	bool has_address;
	bool sent_close;
	bool got_close;
};

/* Begins to serve a client on a connected, non-blocking socket, which belongs to it from then on.
 * peer is its address in text, or "". 0, or -1 with errno set: the socket is then the caller's. */
int client_start(struct worker *worker, int fd, const char *peer);

/* runs the client until it suspends itself or is over */
void client_resume(struct client *client);

/* the same if that is among what it waits for, and it does not go on in its turn anyway */
void client_wake(struct client *client, unsigned char what);

/* Lets it go on in the next turn. From now on nothing holds it. */
void client_resume_later(struct client *client);

/* lets the server's stop be told to the client at that time */
void client_stop_at(struct client *client, long long time);

/* frees those that are over */
void client_free_over(struct worker *worker);

/* Drops those that are still connected when the process ends, wherever their views are: what these
 * hold goes with the process. */
void client_drop_all(struct worker *worker);

/* The following are for the coroutine itself. */

/* waits for what is wanted, for at most timeout_ms or without limit for -1 */
void client_suspend(struct client *client, unsigned char wants, int timeout_ms);

/* counts what the client holds, and waits for what it wants */
void client_arm(struct client *client);

/* gives the others their turn */
void client_yield(struct client *client);

/* Reads once into the window, behind what is there: true if something came. */
bool client_read(struct client *client);

/* empties the window, and gives its buffer back */
void client_drop_window(struct client *client);

/* sends a frame: 0, or -1 if the connection is lost */
int client_send_frame(struct client *client, enum frames_opcode opcode, const void *bytes,
		      size_t length);

/* sends a close frame, unless one was sent */
void client_send_close(struct client *client, int code, const char *reason, size_t length);

/* ends the connection for what errno says of a call */
void client_lose(struct client *client, const char *call);

/* client-decode.c: decodes up to the next message, answering control frames on the way: true if
 * there is one. */
bool client_decode(struct client *client, struct frames_item *item);

/* resumes the client if what it waits for is there, or else goes on waiting for it */
void client_resume_or_wait(struct client *client);

/* true if there is a connection; the first call that needs it accepts the handshake */
bool client_is_open(struct client *client);

/* client-wait.c: what the functions that wait do; false if so much of its output waits that nothing
 * more is taken in that would make more of it */
bool client_may_read(const struct client *client);
void client_wait_without_time(struct client *client);
int client_wait_for(struct websocket *ws, struct pollfd *set, size_t count, int timeout_ms);

/* client-timer.c: sets its timer to the nearest of its times, and acts on them */
void client_set_timer(struct client *client);
void client_expire(struct timer *timer);

/* client-close.c: what follows the view */
void client_close(struct client *client);

/* client-handshake.c: reads the handshake and judges it; true if the view is to decide */
bool client_shake_hands(struct client *client);

/* accepts it, as websocket_accept does */
int client_accept(struct websocket *ws, const char *protocol);

/* answers it with a status instead: 0, or -1 with errno EALREADY or EINVAL */
int client_refuse(struct client *client, int status, const char *reason, bool is_head);

/* client-address.c: the limit of clients of one address */
bool client_count_address(struct client *client);
void client_forget_address(struct client *client);

/* client-memory.c: counts what the client holds of the worker's memory */
void client_count_memory(struct client *client);

/* Tries to make memory for the client that runs, by ending others whose messages are under way for
 * long, or that do not take what was sent to them long ago: true if there is some. */
bool client_make_room(struct client *client);

/* client-append.c: what others than its view do to it */
int client_append(struct websocket *ws, const char *frames, size_t length);
void client_cut(struct websocket *ws, int code);

/* client-carrier.c: what the functions of websocket.h do with it */
extern const struct carrier client_carrier;

#endif
