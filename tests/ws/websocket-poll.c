/*
 * websocket_poll over pipes, with the test in the place of websocketd: descriptors of a view's own
 * beside the client. What it does in a resident process is in resident.t.
 */
#include "peer.h"
#include "tap.h"
#include "websocket.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/time.h>
#include <unistd.h>

static int own[2]; /* a pipe of the view's own */

static struct pollfd readable(void)
{
	return (struct pollfd){.fd = own[0], .events = POLLIN};
}

static void check_own(struct peer *peer)
{
	struct pollfd set[] = {readable(), {.fd = own[1], .events = POLLOUT}};
	char byte;

	ok(websocket_poll(peer->ws, set, 1, 0) == 0 && set[0].revents == 0,
	   "with no time and nothing there, nothing is ready");
	ok(websocket_poll(peer->ws, set, 1, 20) == 0, "nothing is ready when the time is up");
	ok(websocket_poll(peer->ws, set, 2, WEBSOCKET_FOREVER) == 1 && set[0].revents == 0 &&
		   set[1].revents == POLLOUT,
	   "one of two descriptors is ready, and is said to be");
	if (write(own[1], "x", 1) != 1)
		exit(1);
	ok(websocket_poll(peer->ws, set, 2, 0) == 2 && set[0].revents == POLLIN,
	   "both descriptors are ready");
	ok(read(own[0], &byte, 1) == 1 && websocket_poll(peer->ws, NULL, 0, 20) == 0,
	   "an empty set waits for the client alone, until the time is up");
}

static void check_message(struct peer *peer)
{
	struct pollfd set = readable();

	put(peer, "half");
	ok(websocket_poll(peer->ws, &set, 1, 20) == 0, "a part of a line is not a message");
	put(peer, " of it\n");
	ok(websocket_poll(peer->ws, &set, 1, WEBSOCKET_FOREVER) == 0 && set.revents == 0,
	   "a message from the client ends the wait, and nothing of the set is ready");
	ok(websocket_poll(peer->ws, &set, 1, WEBSOCKET_FOREVER) == 0,
	   "with a message that nobody has read there is no wait");
	is_next(peer, "half of it", 10, "the message that ended the wait");
	put(peer, "again\n");
	if (write(own[1], "x", 1) != 1)
		exit(1);
	ok(websocket_poll(peer->ws, &set, 1, WEBSOCKET_FOREVER) == 1 && set.revents == POLLIN,
	   "beside a message, what is ready of the set is counted");
	is_next(peer, "again", 5, "the message beside it");
}

static volatile sig_atomic_t alarms;

static void count_alarm(int number)
{
	(void)number;
	alarms++;
}

static void check_signal(struct peer *peer)
{
	struct sigaction action = {.sa_handler = count_alarm};
	struct itimerval soon = {.it_value.tv_usec = 20000};
	struct pollfd set = {.fd = -1};

	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &soon, NULL);
	while (alarms == 0)
		if (websocket_poll(peer->ws, &set, 1, 5000) != 0)
			break;
	ok(alarms == 1, "a signal in between is not an error");
}

static void check_end(struct peer *peer)
{
	struct pollfd set = {.fd = -1};
	struct websocket_message message;

	close(peer->to);
	ok(websocket_poll(peer->ws, &set, 1, WEBSOCKET_FOREVER) == 0,
	   "that the client leaves ends the wait");
	ok(websocket_read(peer->ws, &message) == WEBSOCKET_CLOSED,
	   "a client that has left has closed the connection");
	set = (struct pollfd){.fd = own[1], .events = POLLOUT};
	ok(websocket_poll(peer->ws, &set, 1, WEBSOCKET_FOREVER) == 1,
	   "after the end the set alone is looked at");
	peer->to = -1;
}

static void check_handshake(struct peer *peer)
{
	ok(websocket_accept(peer->ws, NULL) == 0, "to accept what websocketd accepted is allowed");
	errno = 0;
	ok(websocket_accept(peer->ws, "chat") == -1 && errno == ENOTSUP,
	   "a subprotocol cannot be selected behind websocketd");
	errno = 0;
	ok(websocket_refuse(peer->ws, 399) == -1 && errno == EINVAL &&
		   websocket_refuse(peer->ws, 600) == -1 && errno == EINVAL,
	   "a handshake is not refused with a status that is not one of an error");
	ok(websocket_refuse(peer->ws, 403) == 0, "to refuse closes the connection");
	errno = 0;
	ok(websocket_refuse(peer->ws, 403) == -1 && errno == EPIPE, "a handshake is refused once");
	errno = 0;
	ok(websocket_accept(peer->ws, NULL) == -1 && errno == EPIPE,
	   "a handshake that was refused cannot be accepted");
}

int main(void)
{
	struct peer peer = connect_socket(100); /* where a line may come in pieces */
	struct peer leaver = connect_peer(100);
	struct peer refused = connect_peer(100);

	signal(SIGPIPE, SIG_IGN);
	if (pipe(own) < 0)
		return 1;
	check_own(&peer);
	check_message(&peer);
	check_signal(&peer);
	disconnect(&peer);
	check_end(&leaver);
	disconnect(&leaver);
	check_handshake(&refused);
	disconnect(&refused);
	return done();
}
