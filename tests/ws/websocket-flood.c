/*
 * Messages that come fast, large or binary, with the test in the place of
 * websocketd. websocketd does not read while it writes, and an endpoint that then
 * waits until its own output is read hangs for ever (as cat does).
 */
#include "peer.h"
#include "tap.h"
#include "websocket.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* More messages come at once than the queue takes: the rest stays in the pipe while nothing waits
 * for it. */
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
	   "the queue's limit is the reason that is told");
	disconnect(&peer);
	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
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
	is_next(&peer, "text", 4, "text that came before a binary message");
	errno = 0;
	ok(websocket_wait(peer.ws, &message, WEBSOCKET_FOREVER) == WEBSOCKET_ERROR &&
		   errno == EBADMSG && websocket_reason(peer.ws),
	   "a binary message of %zu bytes ends the connection", length);
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
	check_burst();
	check_flood(12, 300000);
	check_flood(3000, 4);
	check_queue_limit();
	check_long_read();
	check_binary(1);
	check_binary(3);
	check_binary(30000);
	for (int size = 4096; size <= 65536; size *= 2) {
		check_no_false_alarm(size, 100);
		check_no_false_alarm(size, 5000);
		check_no_false_alarm(size, 100000);
	}
	return done();
}
