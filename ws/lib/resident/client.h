/*
 * One client of a resident process: its socket, and the coroutine that shakes
 * hands, runs the view and closes. The struct lies at the top of that coroutine's
 * stack.
 *
 * A function that waits suspends the coroutine, and the loop resumes it when what
 * it waits for is there. So the code of a client reads from top to bottom.
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

/* what resumes a suspended client, beside its deadline and its end */
enum {
	WANTS_INPUT = 1, /* the client sent something or has gone */
	WANTS_ROOM = 2,  /* little of the output waits */
	WANTS_SET = 4,   /* a descriptor of the view's is ready */
	WANTS_TURN = 8,  /* the others have had their turn */
};

enum {
	CLIENT_MUCH_OUTPUT = 65536, /* more than this makes a view wait */
	/* More than this ends a client to which others send. A busy channel sends so much in a
	 * second, and a client that comes back reads on at its own pace. */
	CLIENT_MOST_OUTPUT = 1048576,
};

struct client {
	struct websocket ws; /* first, so that one is the other */
	struct worker *worker;
	struct client *next; /* of those that are connected */
	struct client *previous;
	struct client *next_at_address;

	struct turn turn;       /* by which it goes on without an event */
	struct watch watch;     /* the socket */
	struct watch set_watch; /* while the view polls descriptors of its own */
	struct timer timer;     /* due when the nearest of the times below is, or before */
	long long deadline;     /* until when the coroutine waits; 0 if without a limit */
	long long heard_at;     /* when the client sent something last */
	long long pinged_at;    /* 0 if no ping waits for its answer */
	long long took_at;      /* when the client took something last */
	long long begun_at;     /* when the unfinished message began; 0 if there is none */
	long long stop_at;      /* when it is told that the server stops; 0 if it is not */

	char *input; /* the buffer of the window, while it is in use */
	size_t at;   /* the window: bytes that were read and not yet decoded */
	size_t end;
	struct frames frames;
	struct frames_item ahead; /* a message that was decoded before it was asked for */
	struct output output;
	size_t sent_in_turn;
	size_t counted;        /* bytes of worker->memory that are this client's */
	uint64_t address;      /* the network of the client, for the limit of clients of one */
	char *variables;       /* of the handshake, or NULL */
	size_t long_variables; /* bytes of them beyond those of an ordinary handshake */
	char peer[INET6_ADDRSTRLEN]; /* the peer's address over TCP; else empty */

	unsigned char wants;
	bool is_held; /* nothing may resume it: a helper works for it, and needs its stack */
	bool is_due;  /* the time that the coroutine waits for is up, or the server stops */
	bool is_readable;
	bool has_read; /* in this turn */
	bool has_ahead;
	bool is_answered; /* the handshake was accepted or refused */
	bool is_open;     /* the handshake was accepted */
	bool is_lost;     /* nothing can be written to it, or read from it */
	bool has_address;
	bool sent_close;
	bool got_close;
};

/* Begins to serve a client on a connected, non-blocking socket, which belongs to the client from
 * then on. peer is its address in text, or "". Returns 0, or -1 with errno set: the socket is then
 * still the caller's. */
int client_start(struct worker *worker, int fd, const char *peer);

/* runs the client until it suspends itself or ends, if it waits for this and is not to go on in the
 * next turn anyway */
void client_wake(struct client *client, unsigned char what);

/* Lets the client go on in the next turn, even if it was held. */
void client_resume_later(struct client *client);

/* has the client told at that time that the server stops */
void client_stop_at(struct client *client, long long time);

/* frees the clients that have ended */
void client_free_over(struct worker *worker);

/* Drops the clients that are still connected when the process ends. Their views do not go on: what
 * these hold ends with the process. */
void client_drop_all(struct worker *worker);

/* The functions below are for the coroutine itself. */

/* waits for what is wanted, for at most timeout_ms; -1 is without a limit */
void client_suspend(struct client *client, unsigned char wants, int timeout_ms);

/* counts what the client holds, and waits for what it wants */
void client_arm(struct client *client);

/* lets the other clients have their turn, and goes on in the next one */
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

/* Gives the client up: ends the connection without a close frame. error and reason are as for
 * connection_end. */
void client_give_up(struct client *client, int error, const char *reason);

/* ends the connection for what errno says of a call */
void client_lose(struct client *client, const char *call);

/* client-decode.c: decodes up to the next message, and answers control frames on the way. Returns
 * true if there is a message. */
bool client_decode(struct client *client, struct frames_item *item);

/* resumes the client if what it waits for is there, or else goes on waiting for it */
void client_resume_or_wait(struct client *client);

/* True if the connection is open. If the handshake is not answered yet, this accepts it. */
bool client_is_open(struct client *client);

/* client-wait.c: false if so much output waits that nothing more may be read, which would only make
 * more output */
bool client_may_read(const struct client *client);

/* takes in what is there, after the others had their turn if the client has had its own */
void client_wait_without_time(struct client *client);

/* waits as the carrier's wait does */
int client_wait_for(struct websocket *ws, struct pollfd *set, size_t count, int timeout_ms);

/* client-timer.c: sets the timer to the nearest of the client's times; acts on those that have come
 */
void client_set_timer(struct client *client);
void client_expire(struct timer *timer);

/* client-close.c: ends the connection after the view has returned */
void client_close(struct client *client);

/* client-handshake.c: reads the handshake and judges it; false if it was refused or the client left
 */
bool client_shake_hands(struct client *client);

/* accepts the handshake, as websocket_accept does */
int client_accept(struct websocket *ws, const char *protocol);

/* answers it with a status instead: 0, or -1 with errno EALREADY, EINVAL or EPIPE */
int client_refuse(struct client *client, int status, const char *reason, bool is_head);

/* client-address.c: counts the client for its address: false if that has too many */
bool client_count_address(struct client *client);

/* counts it no longer */
void client_forget_address(struct client *client);

/* client-memory.c: counts what the client holds of the worker's memory */
void client_count_memory(struct client *client);

/* Makes room in the worker's memory for the client that runs, by ending other clients whose
 * messages have been unfinished for long, or that have not taken for long what was sent to them.
 * Returns true if there is room. */
bool client_make_room(struct client *client);

/* client-append.c: what callers other than the view do to a client, as the carrier has it */
int client_append(struct websocket *ws, const char *frames, size_t length);
void client_cut(struct websocket *ws, int code);

/* client-carrier.c: what the functions of websocket.h do with it */
extern const struct carrier client_carrier;

#endif
