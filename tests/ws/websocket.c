/*
 * The message API over pipes and sockets, with the test in the place of
 * websocketd. What comes fast, large or binary is in websocket-flood.c.
 */
#include "websocket.h"
#include "peer.h"
#include "tap.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static void check_messages(void)
{
	struct peer peer = connect_peer(100);
	struct websocket_message message;

	ok(websocket_read(peer.ws, &message) == WEBSOCKET_NONE,
	   "websocket_read finds nothing before a message came");
	ok(websocket_wait(peer.ws, &message, 0) == WEBSOCKET_NONE,
	   "websocket_wait with no time finds nothing before a message came");
	ok(websocket_count_messages(peer.ws) == 0 && !websocket_has_messages(peer.ws),
	   "no messages are counted before one came");
	put(&peer, "one\ntwo\n\n");
	ok(websocket_count_messages(peer.ws) == 3 && websocket_has_messages(peer.ws),
	   "three messages are counted");
	is_next(&peer, "one", 3, "the first of three messages");
	is_next(&peer, "two", 3, "the second of three messages");
	is_next(&peer, "", 0, "the third message, which is empty");
	ok(websocket_read(peer.ws, &message) == WEBSOCKET_NONE,
	   "after three messages websocket_read finds nothing more");
	ok(!websocket_is_closed(peer.ws) && websocket_reason(peer.ws) == NULL,
	   "the connection is open, and has no reason for an end");
	disconnect(&peer);
}

static long elapsed_ms(const struct timespec *since)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (now.tv_sec - since->tv_sec) * 1000 + (now.tv_nsec - since->tv_nsec) / 1000000;
}

static void check_timeout(void)
{
	struct peer peer = connect_socket(100);
	struct websocket_message message;
	struct timespec start;

	put(&peer, "incomplete");
	clock_gettime(CLOCK_MONOTONIC, &start);
	ok(websocket_wait(peer.ws, &message, 60) == WEBSOCKET_NONE,
	   "websocket_wait returns when the time is up");
	ok(elapsed_ms(&start) >= 59, "websocket_wait does not return before the time is up");
	disconnect(&peer);
}

static void check_send(void)
{
	struct peer peer = connect_peer(100);

	ok(websocket_send(peer.ws, "hello", 5) == 0, "websocket_send takes a text");
	has_sent(&peer, "hello\n", 6, "a text that was sent is written at once");
	ok(websocket_send(peer.ws, "", 0) == 0 && websocket_send(peer.ws, NULL, 0) == 0,
	   "websocket_send takes an empty text, also one at NULL");
	has_sent(&peer, "\n\n", 2, "two empty messages are written");
	ok(websocket_send(peer.ws, "a\0b", 3) == 0, "websocket_send takes a text with a NUL");
	has_sent(&peer, "a\0b\n", 4, "a NUL in a text is written like any other byte");
	ok(websocket_send(peer.ws, "a\r", 2) == 0 && websocket_send(peer.ws, "\r", 1) == 0,
	   "websocket_send takes a text that ends in a carriage return");
	has_sent(&peer, "a\r\r\n\r\r\n", 7,
		 "a second carriage return is written after it, for websocketd to cut off");
	errno = 0;
	ok(websocket_send(peer.ws, "a\nb", 3) == -1 && errno == EINVAL,
	   "websocket_send refuses a text with a newline");
	errno = 0;
	ok(websocket_send(peer.ws, "a\xC3", 2) == -1 && errno == EILSEQ,
	   "websocket_send refuses invalid UTF-8");
	has_sent(&peer, "", 0, "of a text that was refused nothing is written");
	ok(websocket_send(peer.ws, "\xF0\x9F\x98\x80", 4) == 0,
	   "websocket_send works after a text was refused");
	disconnect(&peer);
}

static void check_end(void)
{
	struct peer peer = connect_peer(100);
	struct websocket_message message;

	put(&peer, "last\n");
	close(peer.to);
	peer.to = -1;
	is_next(&peer, "last", 4, "a message that came before the end is delivered");
	ok(websocket_wait(peer.ws, &message, WEBSOCKET_FOREVER) == WEBSOCKET_CLOSED,
	   "websocket_wait returns WEBSOCKET_CLOSED after the last message");
	ok(websocket_read(peer.ws, &message) == WEBSOCKET_CLOSED,
	   "websocket_read returns WEBSOCKET_CLOSED from then on");
	ok(websocket_is_closed(peer.ws) && websocket_reason(peer.ws) == NULL,
	   "an ordinary end is not an error");
	ok(websocket_send(peer.ws, "a", 1) == -1 && errno == EPIPE,
	   "nothing can be sent after the end");
	disconnect(&peer);

	peer = connect_peer(100);
	close(peer.from);
	peer.from = -1;
	ok(websocket_wait(peer.ws, &message, WEBSOCKET_FOREVER) == WEBSOCKET_CLOSED,
	   "websocket_wait ends when the output is closed");
	disconnect(&peer);

	peer = connect_peer(100);
	put(&peer, "unread\n");
	websocket_close(peer.ws);
	websocket_close(peer.ws);
	char byte;
	ok(read(peer.from, &byte, 1) == 0, "the peer sees the end when websocket_close is called");
	ok(websocket_wait(peer.ws, &message, WEBSOCKET_FOREVER) == WEBSOCKET_CLOSED,
	   "websocket_wait returns WEBSOCKET_CLOSED after websocket_close");
	ok(websocket_send(peer.ws, "a", 1) == -1 && errno == EPIPE,
	   "nothing can be sent after websocket_close");
	ok(websocket_count_messages(peer.ws) == 0 && websocket_is_closed(peer.ws),
	   "nothing can be read after websocket_close");
	disconnect(&peer);
}

static void check_error(const char *input, int error, const char *reason)
{
	struct peer peer = connect_peer(10);
	struct websocket_message message;

	put(&peer, input);
	is_next(&peer, "good", 4, "a message that came before the error is delivered");
	ok(websocket_send(peer.ws, "good", 4) == 0,
	   "a message that came before the error can be answered");
	errno = 0;
	ok(websocket_wait(peer.ws, &message, WEBSOCKET_FOREVER) == WEBSOCKET_ERROR &&
		   errno == error,
	   "websocket_wait returns the error: %s", strerror(error));
	errno = 0;
	ok(websocket_read(peer.ws, &message) == WEBSOCKET_ERROR && errno == error,
	   "websocket_read returns the same error again");
	ok(websocket_reason(peer.ws) && strcmp(websocket_reason(peer.ws), reason) == 0,
	   "websocket_reason after the error: %s", reason);
	ok(websocket_send(peer.ws, "a", 1) == -1 && errno == EPIPE,
	   "nothing can be sent after the error");
	disconnect(&peer);
}
static int readable(int fd)
{
	struct pollfd set = {.fd = fd, .events = POLLIN};

	return poll(&set, 1, 0);
}

static void check_fd(void)
{
	struct peer peer = connect_peer(100);
	struct websocket_message message;
	int fd = websocket_fd(peer.ws);

	ok(fd >= 0 && websocket_fd(peer.ws) == fd,
	   "websocket_fd returns the same descriptor each time");
	ok(readable(fd) == 0, "the descriptor is not readable while nothing came");
	put(&peer, "a\n");
	ok(readable(fd) == 1, "the descriptor is readable when a message came");
	is_next(&peer, "a", 1, "a message that the descriptor announced");
	ok(readable(fd) == 0, "the descriptor is not readable once the message was taken");
	close(peer.from);
	peer.from = -1;
	ok(readable(fd) == 1, "the descriptor is readable when the output is closed");
	ok(websocket_read(peer.ws, &message) == WEBSOCKET_CLOSED,
	   "websocket_read returns WEBSOCKET_CLOSED when the output is closed");
	disconnect(&peer);
}

/* the descriptor is also readable after another function took messages in */
static void check_fd_after_count(void)
{
	struct peer peer = connect_peer(100);
	struct websocket_message message;
	int fd = websocket_fd(peer.ws);

	put(&peer, "a\nb\n");
	ok(websocket_count_messages(peer.ws) == 2 && readable(fd) == 1,
	   "the descriptor is readable after a count found two messages");
	is_next(&peer, "a", 1, "the first of two messages that were counted");
	ok(readable(fd) == 1, "the descriptor is readable while one counted message is left");
	is_next(&peer, "b", 1, "the second of two messages that were counted");
	ok(readable(fd) == 0, "the descriptor is not readable once both were taken");
	put(&peer, "\xFF\n");
	ok(websocket_count_messages(peer.ws) == 0 && readable(fd) == 1,
	   "the descriptor is readable after a count found an error");
	ok(websocket_read(peer.ws, &message) == WEBSOCKET_ERROR,
	   "websocket_read returns the error that a count found");
	disconnect(&peer);
}

static void check_socket(void)
{
	struct peer peer = connect_socket(100);
	struct websocket_message message;

	put(&peer, "hi\n");
	is_next(&peer, "hi", 2, "a message over one socket for both directions");
	put(&peer, "thr");
	ok(websocket_read(peer.ws, &message) == WEBSOCKET_NONE,
	   "websocket_read finds nothing while a message is incomplete");
	put(&peer, "ee\n");
	ok(websocket_read(peer.ws, &message) == WEBSOCKET_MESSAGE,
	   "websocket_read finds the message once it is complete");
	is(message.text, message.length + 1, "three", 6,
	   "a NUL follows the message that came in two parts");
	ok(websocket_send(peer.ws, "ho", 2) == 0 && websocket_fd(peer.ws) >= 0,
	   "one socket serves to send, and has a descriptor to poll");
	has_sent(&peer, "ho\n", 3, "a message is sent over one socket for both directions");
	close(peer.to);
	close(peer.from);
	peer.to = peer.from = -1;
	ok(websocket_wait(peer.ws, &message, WEBSOCKET_FOREVER) == WEBSOCKET_CLOSED,
	   "websocket_wait returns WEBSOCKET_CLOSED when the socket is closed");
	disconnect(&peer);
}

/* websocketd has put the web server's header into the environment */
static void check_user(void)
{
	struct peer peer = connect_peer(10);

	setenv("REMOTE_USER", "mallory", 1);
	ok(websocket_variable(peer.ws, "REMOTE_USER") == NULL,
	   "REMOTE_USER of the environment is not the user of a connection");
	setenv("HTTP_X_REMOTE_USER", "alice", 1);
	ok(strcmp(websocket_variable(peer.ws, "REMOTE_USER"), "alice") == 0,
	   "the web server's X-Remote-User is REMOTE_USER");
	setenv("HTTP_X_REMOTE_USER", "", 1);
	setenv("HTTP_FORWARDED", "remote_user=\"bob\"", 1);
	ok(strcmp(websocket_variable(peer.ws, "REMOTE_USER"), "bob") == 0,
	   "the user in the web server's Forwarded is REMOTE_USER");
	unsetenv("HTTP_X_REMOTE_USER");
	unsetenv("HTTP_FORWARDED");
	unsetenv("REMOTE_USER");
	disconnect(&peer);
}

int main(void)
{
	signal(SIGPIPE, SIG_IGN);
	check_user();
	check_messages();
	check_timeout();
	check_send();
	check_end();
	check_error("good\n\xFF\nbad\n", EILSEQ, "the client sent text that is not valid UTF-8");
	check_error("good\n12345678901\nbad\n", EMSGSIZE,
		    "the client sent a message of more than 10 bytes (WEBSOCKET_MAX_MESSAGE)");
	check_fd();
	check_fd_after_count();
	check_socket();
	ok(websocket_open(-1, 1, 10) == NULL && errno == EBADF,
	   "websocket_open refuses a descriptor that is not open");
	ok(!is_websocket() && websocket_variable(NULL, "GATEWAY_INTERFACE") == NULL,
	   "without GATEWAY_INTERFACE is_websocket is false");
	setenv("GATEWAY_INTERFACE", "CGI/1.1", 1);
	ok(!is_websocket(), "CGI's GATEWAY_INTERFACE does not make is_websocket true");
	setenv("GATEWAY_INTERFACE", "websocketd-CGI/0.1", 1);
	ok(is_websocket() &&
		   strcmp(websocket_variable(NULL, "GATEWAY_INTERFACE"), "websocketd-CGI/0.1") == 0,
	   "websocketd's GATEWAY_INTERFACE makes is_websocket true");
	return done();
}
