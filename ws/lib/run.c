#include "lines.h"

#include <errno.h>
#include <malloc.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define MAX_MESSAGE_VARIABLE "WEBSOCKET_MAX_MESSAGE"
enum { MAX_MESSAGE_LIMIT = 1073741824 };

/* the limit that the environment sets, 0 if it is no such number */
static size_t max_message(void)
{
	const char *text = getenv(MAX_MESSAGE_VARIABLE);
	char *end;

	if (text == NULL)
		return WEBSOCKET_MAX_MESSAGE_DEFAULT;
	errno = 0;
	unsigned long bytes = strtoul(text, &end, 10);
	bool number = text[0] >= '0' && text[0] <= '9' && *end == '\0' && errno == 0;
	return number && bytes <= MAX_MESSAGE_LIMIT ? bytes : 0;
}

/* SIGTERM and SIGINT end the loop wherever it waits: a descriptor to poll has no race and no global
 * variable */
static int watch_signals(void)
{
	sigset_t set;

	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
		return -1;
	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

/*
 * A process of this policy, when a message wakes it, does not break off the one that runs. That
 * one, websocketd or Redis, gets on with what it has, and more messages come at a time. The price
 * is paid beside a program that computes without a pause: Linux before 6.6 lets that have its
 * slice, some milliseconds, first. musl has these functions in name only.
 */
static void set_batch_policy(void)
{
	if (syscall(SYS_sched_getscheduler, 0) == SCHED_OTHER)
		syscall(SYS_sched_setscheduler, 0, SCHED_BATCH, &(struct sched_param){0});
}

static void rest(long milliseconds)
{
	nanosleep(&(struct timespec){.tv_nsec = milliseconds * 1000000}, NULL);
}

/* Waits briefly until websocketd has read our standard error: it discards the rest when we exit. */
static void wait_for_log(void)
{
	int unread = 0;

	for (int i = 0; i < 50 && ioctl(STDERR_FILENO, FIONREAD, &unread) == 0 && unread > 0; i++)
		rest(1);
}

/* Closes the pipes and waits a little: websocketd logs an error for a pipe whose process is gone
 * before it has seen the pipe's end. */
static void close_and_linger(struct websocket *ws)
{
	websocket_free(ws);
#ifndef __SANITIZE_ADDRESS__ /* which reports at the exit */
	close(STDERR_FILENO);
#endif
	rest(10);
}

/* true if the program's first argument is this; websocket_run is given no argv */
static bool is_asked_for(const char *option)
{
	FILE *arguments = fopen("/proc/self/cmdline", "re");
	char *argument = NULL;
	size_t size = 0;
	bool is_it = arguments && getdelim(&argument, &size, '\0', arguments) > 0 &&
		     getdelim(&argument, &size, '\0', arguments) > 0 &&
		     strcmp(argument, option) == 0;

	free(argument);
	if (arguments)
		fclose(arguments);
	return is_it;
}

static int started_by_hand(const char *name)
{
	if (is_asked_for("--version")) {
		printf("%s (duplex) " DUPLEX_VERSION "\n", name);
		return fflush(stdout) != 0;
	}
	fprintf(stderr,
		"%s: GATEWAY_INTERFACE is not websocketd's: start it by websocketd, as in "
		"websocketd --address=127.0.0.1 --port=9001 --dir=DIRECTORY\n",
		name);
	return 2;
}

bool is_websocket(void)
{
	return lines_is_started_by_websocketd();
}

int websocket_run(void (*view)(struct websocket *ws))
{
	const char *name = program_invocation_short_name;
	struct websocket *ws = NULL;
	size_t limit = max_message();

	if (!lines_is_started_by_websocketd())
		return started_by_hand(name);
	if (limit == 0) {
		fprintf(stderr,
			"%s: " MAX_MESSAGE_VARIABLE " is not a number of bytes from 1 to %d\n",
			name, MAX_MESSAGE_LIMIT);
		return 2;
	}
#ifdef M_MMAP_THRESHOLD
	mallopt(M_MMAP_THRESHOLD,
		65536); /* else glibc keeps what a large message took, for a later one */
#endif
	set_batch_policy();
	int signals = watch_signals();
	if (signals >= 0)
		ws = websocket_open(STDIN_FILENO, STDOUT_FILENO, limit);
	if (ws == NULL) {
		fprintf(stderr, "%s: %s: %s\n", name, signals < 0 ? "signalfd" : "websocket_open",
			strerror(errno));
		return 1;
	}
	((struct lines *)ws)->signals = signals;
	ws->log_name = name;
	view(ws);

	bool failed = websocket_reason(ws) != NULL;
	if (failed)
		connection_log(ws, websocket_reason(ws));
	wait_for_log();
	close_and_linger(ws);
	return failed;
}
