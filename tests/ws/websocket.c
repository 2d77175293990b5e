/*
 * The message API over pipes and sockets, with the test in the place of
 * websocketd. The one test that matters most is the flood: websocketd writes
 * while it does not read, and an endpoint that then waits for its own output
 * to be taken hangs for ever (as cat does).
 */
#include "websocket.h"
#include "tap.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* a connection, and the far ends of its pipes */
struct peer {
	struct websocket *ws;
	int to;
	int from;
};

static struct peer connect_pipe(size_t max_message, int pipe_size)
{
	int in[2];
	int out[2];

	if (pipe(in) < 0 || pipe(out) < 0 || fcntl(in[0], F_SETPIPE_SZ, pipe_size) < 0)
		exit(1);
	return (struct peer){websocket_open(in[0], out[1], max_message), in[1], out[0]};
}

static struct peer connect_peer(size_t max_message)
{
	return connect_pipe(max_message, 65536);
}

/* the same over one socket, where a line may come in pieces */
static struct peer connect_socket(size_t max_message)
{
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) < 0)
		exit(1);
	return (struct peer){websocket_open(pair[0], pair[0], max_message), pair[1], dup(pair[1])};
}

static void disconnect(struct peer *peer)
{
	close(peer->to);
	close(peer->from);
	websocket_free(peer->ws);
}

static void put(const struct peer *peer, const char *text)
{
	if (write(peer->to, text, strlen(text)) != (ssize_t)strlen(text))
		exit(1);
}

static void is_next(struct peer *peer, const char *text, size_t length, const char *name)
{
	struct websocket_message message = {.text = ""};

	if (ok(websocket_wait(peer->ws, &message, WEBSOCKET_FOREVER) == WEBSOCKET_MESSAGE,
	       "%s: a message", name))
		is(message.text, message.length, text, length, name);
}

static void has_sent(struct peer *peer, const char *bytes, size_t length, const char *name)
{
	char out[256];
	struct pollfd set = {.fd = peer->from, .events = POLLIN};
	ssize_t n = poll(&set, 1, 0) > 0 ? read(peer->from, out, sizeof out) : 0;

	is(out, n > 0 ? (size_t)n : 0, bytes, length, name);
}

static void check_messages(void)
{
	struct peer peer = connect_peer(100);
	struct websocket_message message;

	ok(websocket_read(peer.ws, &message) == WEBSOCKET_NONE, "nothing to read");
	ok(websocket_wait(peer.ws, &message, 0) == WEBSOCKET_NONE,
	   "nothing to wait for in no time");
	ok(websocket_count_messages(peer.ws) == 0 && !websocket_has_messages(peer.ws),
	   "no messages");
	put(&peer, "one\ntwo\n\n");
	ok(websocket_count_messages(peer.ws) == 3 && websocket_has_messages(peer.ws),
	   "three messages");
	is_next(&peer, "one", 3, "the first");
	is_next(&peer, "two", 3, "the second");
	is_next(&peer, "", 0, "the empty one");
	ok(websocket_read(peer.ws, &message) == WEBSOCKET_NONE, "and no more");
	ok(!websocket_is_closed(peer.ws) && websocket_reason(peer.ws) == NULL,
	   "the connection is open");
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
	ok(websocket_wait(peer.ws, &message, 60) == WEBSOCKET_NONE, "the time runs out");
	ok(elapsed_ms(&start) >= 59, "after the time, not before it");
	disconnect(&peer);
}

static void check_send(void)
{
	struct peer peer = connect_peer(100);

	ok(websocket_send(peer.ws, "hello", 5) == 0, "send");
	has_sent(&peer, "hello\n", 6, "it is written at once");
	ok(websocket_send(peer.ws, "", 0) == 0 && websocket_send(peer.ws, NULL, 0) == 0,
	   "send nothing");
	has_sent(&peer, "\n\n", 2, "two empty messages");
	ok(websocket_send(peer.ws, "a\0b", 3) == 0, "send NUL");
	has_sent(&peer, "a\0b\n", 4, "NUL is a byte");
	ok(websocket_send(peer.ws, "a\r", 2) == 0 && websocket_send(peer.ws, "\r", 1) == 0,
	   "send a trailing carriage return");
	has_sent(&peer, "a\r\r\n\r\r\n", 7, "another follows it, for websocketd to cut off");
	errno = 0;
	ok(websocket_send(peer.ws, "a\nb", 3) == -1 && errno == EINVAL, "a newline is refused");
	errno = 0;
	ok(websocket_send(peer.ws, "a\xC3", 2) == -1 && errno == EILSEQ,
	   "invalid UTF-8 is refused");
	has_sent(&peer, "", 0, "and nothing was sent");
	ok(websocket_send(peer.ws, "\xF0\x9F\x98\x80", 4) == 0, "the connection is as before");
	disconnect(&peer);
}

static void check_end(void)
{
	struct peer peer = connect_peer(100);
	struct websocket_message message;

	put(&peer, "last\n");
	close(peer.to);
	peer.to = -1;
	is_next(&peer, "last", 4, "what came before the end");
	ok(websocket_wait(peer.ws, &message, WEBSOCKET_FOREVER) == WEBSOCKET_CLOSED,
	   "then it is closed");
	ok(websocket_read(peer.ws, &message) == WEBSOCKET_CLOSED, "and stays so");
	ok(websocket_is_closed(peer.ws) && websocket_reason(peer.ws) == NULL, "which is no error");
	ok(websocket_send(peer.ws, "a", 1) == -1 && errno == EPIPE, "nothing can be sent");
	disconnect(&peer);

	peer = connect_peer(100);
	close(peer.from);
	peer.from = -1;
	ok(websocket_wait(peer.ws, &message, WEBSOCKET_FOREVER) == WEBSOCKET_CLOSED,
	   "a closed output ends a wait");
	disconnect(&peer);

	peer = connect_peer(100);
	put(&peer, "unread\n");
	websocket_close(peer.ws);
	websocket_close(peer.ws);
	char byte;
	ok(read(peer.from, &byte, 1) == 0, "close is seen");
	ok(websocket_wait(peer.ws, &message, WEBSOCKET_FOREVER) == WEBSOCKET_CLOSED,
	   "after close it is closed");
	ok(websocket_send(peer.ws, "a", 1) == -1 && errno == EPIPE, "and nothing can be sent");
	ok(websocket_count_messages(peer.ws) == 0 && websocket_is_closed(peer.ws), "nor read");
	disconnect(&peer);
}

static void check_error(const char *input, int error, const char *reason)
{
	struct peer peer = connect_peer(10);
	struct websocket_message message;

	put(&peer, input);
	is_next(&peer, "good", 4, "what came before the error");
	ok(websocket_send(peer.ws, "good", 4) == 0, "it can be answered");
	errno = 0;
	ok(websocket_wait(peer.ws, &message, WEBSOCKET_FOREVER) == WEBSOCKET_ERROR &&
		   errno == error,
	   "then: %s", strerror(error));
	errno = 0;
	ok(websocket_read(peer.ws, &message) == WEBSOCKET_ERROR && errno == error, "and again");
	ok(websocket_reason(peer.ws) && strcmp(websocket_reason(peer.ws), reason) == 0,
	   "because %s", reason);
	ok(websocket_send(peer.ws, "a", 1) == -1 && errno == EPIPE, "nothing can be sent");
	disconnect(&peer);
}

/* more messages than the queue takes, at once: those that are not being waited for stay in the pipe
 */
static void check_burst(void)
{
	struct peer peer = connect_pipe(4, 1048576);
	struct websocket_message message;
	int received = 0;

	for (int i = 0; i < 100000; i++)
		put(&peer, "ab\n");
	while (websocket_count_messages(peer.ws) > 0 &&
	       websocket_read(peer.ws, &message) == WEBSOCKET_MESSAGE)
		received++;
	ok(received == 100000, "100,000 short messages with a limit of 4 bytes: %d", received);
	disconnect(&peer);
}

static void write_all(int fd, const char *bytes, size_t length)
{
	ssize_t n;

	while (length > 0 && (n = write(fd, bytes, length)) > 0) {
		bytes += n;
		length -= (size_t)n;
	}
}

static char big_byte(int message, size_t at)
{
	return (char)('a' + (message + (int)(at % 23)) % 26);
}

/* websocketd at its worst: writes all messages before it reads the first; true if all came back */
static bool flood(int to, int from, int messages, size_t size)
{
	char *bytes = malloc(size + 1);
	FILE *in = fdopen(from, "r");
	int wrong = 0;

	for (int m = 0; m < messages; m++) {
		for (size_t i = 0; i < size; i++)
			bytes[i] = big_byte(m, i);
		bytes[size] = '\n';
		write_all(to, bytes, size + 1);
	}
	for (int m = 0; m < messages; m++)
		for (size_t i = 0; i <= size; i++)
			wrong += getc(in) != (i < size ? big_byte(m, i) : '\n');
	fclose(in);
	free(bytes);
	return wrong == 0;
}

static pid_t start_flood(struct peer *peer, int messages, size_t size)
{
	pid_t pid = fork();

	if (pid == 0)
		_exit(flood(peer->to, peer->from, messages, size) ? 0 : 1);
	close(peer->to);
	close(peer->from);
	peer->to = peer->from = -1;
	return pid;
}

static void check_flood(int messages, size_t size)
{
	struct peer peer = connect_peer(size);
	struct websocket_message message;
	pid_t pid = start_flood(&peer, messages, size);
	int status = -1;

	while (websocket_wait(peer.ws, &message, WEBSOCKET_FOREVER) == WEBSOCKET_MESSAGE)
		if (websocket_send(peer.ws, message.text, message.length) < 0)
			continue; /* websocket_wait tells why */
	waitpid(pid, &status, 0);
	ok(status == 0, "%d messages of %zu bytes before the first is read: equal and in order",
	   messages, size);
	disconnect(&peer);
}

static void check_queue_limit(void)
{
	struct peer peer = connect_peer(1000);
	struct websocket_message message;
	enum websocket_event event;
	pid_t pid = start_flood(&peer, 1000, 1000);
	int status;

	while ((event = websocket_wait(peer.ws, &message, WEBSOCKET_FOREVER)) == WEBSOCKET_MESSAGE)
		if (websocket_send(peer.ws, message.text, message.length) < 0)
			continue; /* websocket_wait tells why */
	ok(event == WEBSOCKET_ERROR && errno == ENOBUFS,
	   "a client that only sends ends at the queue's limit");
	ok(websocket_reason(peer.ws) && strstr(websocket_reason(peer.ws), "ahead of what it read"),
	   "with the reason");
	disconnect(&peer);
	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
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

	ok(fd >= 0 && websocket_fd(peer.ws) == fd, "a descriptor to poll");
	ok(readable(fd) == 0, "not readable");
	put(&peer, "a\n");
	ok(readable(fd) == 1, "readable");
	is_next(&peer, "a", 1, "the message");
	ok(readable(fd) == 0, "not readable again");
	close(peer.from);
	peer.from = -1;
	ok(readable(fd) == 1, "readable when the output is closed");
	ok(websocket_read(peer.ws, &message) == WEBSOCKET_CLOSED, "and closed");
	disconnect(&peer);
}

/* what another function took in makes it readable as well */
static void check_fd_after_count(void)
{
	struct peer peer = connect_peer(100);
	struct websocket_message message;
	int fd = websocket_fd(peer.ws);

	put(&peer, "a\nb\n");
	ok(websocket_count_messages(peer.ws) == 2 && readable(fd) == 1, "readable after a count");
	is_next(&peer, "a", 1, "one of two");
	ok(readable(fd) == 1, "still readable");
	is_next(&peer, "b", 1, "the other");
	ok(readable(fd) == 0, "not any more");
	put(&peer, "\xFF\n");
	ok(websocket_count_messages(peer.ws) == 0 && readable(fd) == 1, "readable after an error");
	ok(websocket_read(peer.ws, &message) == WEBSOCKET_ERROR, "which is read");
	disconnect(&peer);
}

static void check_socket(void)
{
	struct peer peer = connect_socket(100);
	struct websocket_message message;

	put(&peer, "hi\n");
	is_next(&peer, "hi", 2, "over one socket");
	put(&peer, "thr");
	ok(websocket_read(peer.ws, &message) == WEBSOCKET_NONE, "an incomplete message is none");
	put(&peer, "ee\n");
	ok(websocket_read(peer.ws, &message) == WEBSOCKET_MESSAGE,
	   "read finds it when it is whole");
	is(message.text, message.length + 1, "three", 6, "and a NUL follows it");
	ok(websocket_send(peer.ws, "ho", 2) == 0 && websocket_fd(peer.ws) >= 0, "both ways");
	has_sent(&peer, "ho\n", 3, "the answer");
	close(peer.to);
	close(peer.from);
	peer.to = peer.from = -1;
	ok(websocket_wait(peer.ws, &message, WEBSOCKET_FOREVER) == WEBSOCKET_CLOSED,
	   "until it is closed");
	disconnect(&peer);
}

/* a whole message is found however many reads it takes */
static void check_long_read(void)
{
	struct peer peer = connect_peer(60000);
	struct websocket_message message = {.text = ""};
	static char text[60002];

	memset(text, 'x', 60000);
	text[60000] = '\n';
	put(&peer, text);
	ok(websocket_read(peer.ws, &message) == WEBSOCKET_MESSAGE && message.length == 60000,
	   "60,000 bytes by one call: %zu", message.length);
	disconnect(&peer);
}

/* websocketd passes a binary message on without a newline */
static void check_binary(size_t length)
{
	struct peer peer = connect_peer(100000);
	struct websocket_message message;
	static char binary[65536];

	memset(binary, 'b', length);
	binary[length] = '\0';
	put(&peer, "text\n");
	put(&peer, binary);
	is_next(&peer, "text", 4, "what came before a binary message");
	errno = 0;
	ok(websocket_wait(peer.ws, &message, WEBSOCKET_FOREVER) == WEBSOCKET_ERROR &&
		   errno == EBADMSG && websocket_reason(peer.ws),
	   "one of %zu bytes ends the connection", length);
	disconnect(&peer);
}

static size_t pseudo_random(uint64_t *state, size_t below)
{
	*state = *state * 6364136223846793005U + 1442695040888963407U;
	return (size_t)(*state >> 33) % below;
}

/* text of any size, each written at once as websocketd does, must not be taken for binary when the
 * pipe is full; a slow reader and a small pipe have it full most of the time */
static void check_no_false_alarm(int pipe_size, size_t longest)
{
	enum { MESSAGES = 3000 };
	struct peer peer = connect_pipe(longest, pipe_size);
	struct websocket_message message;
	uint64_t state = 1;
	int received = 0;

	int size = fcntl(peer.to, F_GETPIPE_SZ);
	pid_t pid = fork();
	if (pid == 0) {
		char *bytes = malloc(longest + 1);
		memset(bytes, 'x', longest);
		for (int i = 0; i < MESSAGES; i++) {
			size_t length = pseudo_random(&state, longest);
			bytes[length] = '\n';
			write_all(peer.to, bytes, length + 1);
			bytes[length] = 'x';
		}
		_exit(0);
	}
	close(peer.to);
	peer.to = -1;
	while (websocket_wait(peer.ws, &message, WEBSOCKET_FOREVER) == WEBSOCKET_MESSAGE) {
		received += message.length == pseudo_random(&state, longest);
		if (received % 3 == 0)
			sched_yield();
	}
	ok(received == MESSAGES && websocket_reason(peer.ws) == NULL,
	   "%d texts of up to %zu bytes through a pipe of %d: %d", MESSAGES, longest, size,
	   received);
	disconnect(&peer);
	waitpid(pid, NULL, 0);
}

int main(void)
{
	signal(SIGPIPE, SIG_IGN);
	check_messages();
	check_timeout();
	check_send();
	check_end();
	check_error("good\n\xFF\nbad\n", EILSEQ, "the client sent text that is not valid UTF-8");
	check_error("good\n12345678901\nbad\n", EMSGSIZE,
		    "the client sent a message of more than 10 bytes (WEBSOCKET_MAX_MESSAGE)");
	check_burst();
	check_flood(12, 300000);
	check_flood(3000, 4);
	check_queue_limit();
	check_fd();
	check_fd_after_count();
	check_socket();
	check_long_read();
	check_binary(1);
	check_binary(3);
	check_binary(30000);
	for (int size = 4096; size <= 65536; size *= 2) {
		check_no_false_alarm(size, 100);
		check_no_false_alarm(size, 5000);
		check_no_false_alarm(size, 100000);
	}
	ok(websocket_open(-1, 1, 10) == NULL && errno == EBADF, "no connection over no descriptor");
	ok(!is_websocket() && websocket_variable(NULL, "GATEWAY_INTERFACE") == NULL,
	   "no websocketd");
	setenv("GATEWAY_INTERFACE", "CGI/1.1", 1);
	ok(!is_websocket(), "CGI is no websocketd");
	setenv("GATEWAY_INTERFACE", "websocketd-CGI/0.1", 1);
	ok(is_websocket() &&
		   strcmp(websocket_variable(NULL, "GATEWAY_INTERFACE"), "websocketd-CGI/0.1") == 0,
	   "websocketd");
	return done();
}
