/*
 * A Redis that says what a test tells it to: a thread on a UNIX socket, where DUPLEX_REDIS points.
 * Each command, on whatever connection it comes, must be the next of the script, and is answered as
 * the script says. So a test knows to the byte what Redis is asked, and can have it say anything.
 */
#ifndef FAKE_REDIS_H
#define FAKE_REDIS_H

#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

/* pieces of its protocol: a string of n bytes, n values, and a message in a reply to XREAD */
#define BULK(n, text) "$" #n "\r\n" text "\r\n"
#define LIST(n, values) "*" #n "\r\n" values
#define ENTRY(id, text) LIST(2, id LIST(2, BULK(4, "text") text))
#define STREAM(n, entries) LIST(1, LIST(2, BULK(11, "duplex:room") LIST(n, entries)))
/* clang-format off */
#define PING {"PING", "+PONG\r\n", AT_ONCE}
/* clang-format on */
#define SILENCE "" /* no answer at all */

/* how an answer comes */
enum manner { AT_ONCE, BYTE_BY_BYTE, THEN_CLOSED };

struct step {
	const char *command; /* its words, with a space between two; one that ends in "..." stands
			      * for all that begin so; NULL at the end of a script */
	const char *reply;
	enum manner manner;
};

enum { REDIS_CLIENTS = 8 };

static struct {
	char directory[32];
	char path[64];
	pthread_t thread;
	pthread_mutex_t mutex; /* guards what follows */
	pthread_cond_t changed;
	const struct step *script; /* the rest of it */
	char wrong[256];           /* what came and was not in the script */
	struct pollfd set[1 + REDIS_CLIENTS];
	FILE *client[1 + REDIS_CLIENTS];
} redis = {.mutex = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

/* reads a command as its words with a space between two: false if the client is gone */
static inline bool redis_read(FILE *in, char *command, size_t size)
{
	char word[20000];
	int count;
	int length;
	size_t at = 0;

	if (fscanf(in, "*%d\r\n", &count) != 1)
		return false;
	command[0] = '\0';
	while (count-- > 0) {
		if (fscanf(in, "$%d", &length) != 1 || fgetc(in) != '\r' || fgetc(in) != '\n' ||
		    fread(word, 1, (size_t)length + 2, in) != (size_t)length + 2)
			return false;
		at += (size_t)snprintf(command + at, size - at, "%s%.*s", at ? " " : "", length,
				       word);
	}
	return true;
}

/* nothing is left for the client to read: it has taken the byte by itself */
static inline void redis_await_reader(int fd)
{
	int unread = 0;

	while (ioctl(fd, TIOCOUTQ, &unread) == 0 && unread > 0)
		sched_yield();
}

static inline void redis_reply(int fd, const struct step *step)
{
	size_t length = strlen(step->reply);
	size_t part = step->manner == BYTE_BY_BYTE ? 1 : length;

	for (size_t at = 0; at < length; at += part) {
		if (send(fd, step->reply + at, part, MSG_NOSIGNAL) < 0)
			return;
		if (step->manner == BYTE_BY_BYTE)
			redis_await_reader(fd);
	}
	if (step->manner == THEN_CLOSED)
		shutdown(fd, SHUT_RDWR);
}

static inline bool redis_matches(const char *command, const char *wanted)
{
	size_t length = strlen(wanted);

	if (length >= 3 && strcmp(wanted + length - 3, "...") == 0)
		return strncmp(command, wanted, length - 3) == 0;
	return strcmp(command, wanted) == 0;
}

/* the step that this command is, NULL if it is not the next */
static inline const struct step *redis_step(const char *command)
{
	const struct step *step = NULL;

	pthread_mutex_lock(&redis.mutex);
	if (redis.script->command && redis_matches(command, redis.script->command))
		step = redis.script;
	else if (redis.wrong[0] == '\0')
		snprintf(redis.wrong, sizeof redis.wrong, "%.100s instead of %.100s", command,
			 redis.script->command ? redis.script->command : "nothing");
	pthread_mutex_unlock(&redis.mutex);
	return step;
}

static inline void redis_took_step(bool is_step)
{
	pthread_mutex_lock(&redis.mutex);
	redis.script += is_step;
	pthread_cond_signal(&redis.changed);
	pthread_mutex_unlock(&redis.mutex);
}

/* a client has sent something, or is gone */
static inline void redis_serve(int i)
{
	static char command[20000];
	const struct step *step = NULL;
	bool is_there = redis_read(redis.client[i], command, sizeof command);

	if (is_there)
		step = redis_step(command);
	if (step)
		redis_reply(redis.set[i].fd, step);
	if (is_there) {
		redis_took_step(step != NULL);
		return;
	}
	pthread_mutex_lock(&redis.mutex);
	redis.set[i].fd = -1;
	pthread_mutex_unlock(&redis.mutex);
	fclose(redis.client[i]);
}

static inline void redis_accept(void)
{
	int fd = accept(redis.set[0].fd, NULL, NULL);
	int i = 1;

	while (redis.set[i].fd >= 0)
		i++;
	redis.client[i] = fdopen(fd, "r");
	pthread_mutex_lock(&redis.mutex);
	redis.set[i].fd = fd;
	pthread_mutex_unlock(&redis.mutex);
}

/* until its listening socket is shut down */
static inline void *redis_run(void *nothing)
{
	while (poll(redis.set, 1 + REDIS_CLIENTS, -1) > 0 && !(redis.set[0].revents & POLLHUP)) {
		for (int i = 1; i <= REDIS_CLIENTS; i++)
			if (redis.set[i].fd >= 0 && redis.set[i].revents)
				redis_serve(i);
		if (redis.set[0].revents)
			redis_accept();
	}
	return nothing;
}

/* as if Redis were started anew: every connection is closed, and this is what it is to be asked */
static inline void redis_play(const struct step *script)
{
	pthread_mutex_lock(&redis.mutex);
	for (int i = 1; i <= REDIS_CLIENTS; i++)
		if (redis.set[i].fd >= 0)
			shutdown(redis.set[i].fd, SHUT_RDWR);
	redis.script = script;
	redis.wrong[0] = '\0';
	pthread_mutex_unlock(&redis.mutex);
}

/* true if all of the script has been asked and answered, or anything else came */
static inline bool redis_is_through(void)
{
	pthread_mutex_lock(&redis.mutex);
	bool is_through = redis.script->command == NULL || redis.wrong[0];
	pthread_mutex_unlock(&redis.mutex);
	return is_through;
}

/* waits for that, for ten seconds: NULL, or what is wrong */
static inline const char *redis_played(void)
{
	struct timespec end;
	int error = 0;

	clock_gettime(CLOCK_REALTIME, &end);
	end.tv_sec += 10;
	pthread_mutex_lock(&redis.mutex);
	while (redis.script->command && redis.wrong[0] == '\0' && error == 0)
		error = pthread_cond_timedwait(&redis.changed, &redis.mutex, &end);
	if (redis.wrong[0] == '\0' && redis.script->command)
		snprintf(redis.wrong, sizeof redis.wrong, "nothing instead of %.200s",
			 redis.script->command);
	pthread_mutex_unlock(&redis.mutex);
	return redis.wrong[0] ? redis.wrong : NULL;
}

static inline bool redis_open(void)
{
	static const struct step nothing;
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	strcpy(redis.directory, "/tmp/duplex-redis.XXXXXX");
	if (mkdtemp(redis.directory) == NULL)
		return false;
	snprintf(redis.path, sizeof redis.path, "%s/socket", redis.directory);
	strcpy(address.sun_path, redis.path);
	for (int i = 0; i <= REDIS_CLIENTS; i++)
		redis.set[i] = (struct pollfd){.fd = -1, .events = POLLIN};
	redis.set[0].fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	redis.script = &nothing;
	setenv("DUPLEX_REDIS", redis.path, 1);
	return bind(redis.set[0].fd, (struct sockaddr *)&address, sizeof address) == 0 &&
	       listen(redis.set[0].fd, REDIS_CLIENTS) == 0 &&
	       pthread_create(&redis.thread, NULL, redis_run, NULL) == 0;
}

static inline void redis_close(void)
{
	shutdown(redis.set[0].fd, SHUT_RDWR);
	pthread_join(redis.thread, NULL);
	for (int i = 1; i <= REDIS_CLIENTS; i++)
		if (redis.set[i].fd >= 0)
			fclose(redis.client[i]);
	close(redis.set[0].fd);
	unlink(redis.path);
	rmdir(redis.directory);
}

#endif
