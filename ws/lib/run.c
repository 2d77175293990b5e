#include "connection.h"
#include "websocket.h"

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
enum { MAX_MESSAGE_LIMIT = 1073741824, MAX_ADDRESS = 64 };

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
 * A process of this policy, when a message wakes it, does not break off the one that runs. That one,
 * websocketd or Redis, gets on with what it has, and more messages come at a time. The price is paid
 * beside a program that computes without a pause: Linux before 6.6 lets that have its slice, some
 * milliseconds, first. musl has these functions in name only.
 */
static void wake_up_gently(void)
{
	if (syscall(SYS_sched_getscheduler, 0) == SCHED_OTHER)
		syscall(SYS_sched_setscheduler, 0, SCHED_BATCH, &(struct sched_param){0});
}

/* the address that the nearest proxy saw, or the one that websocketd saw, if it looks like one */
static const char *client_address(struct websocket *ws)
{
	const char *forwarded = websocket_variable(ws, "HTTP_X_FORWARDED_FOR");
	const char *last = forwarded ? strrchr(forwarded, ',') : NULL;
	const char *address = last ? last + 1 : forwarded;

	if (address == NULL)
		address = websocket_variable(ws, "REMOTE_ADDR");
	if (address == NULL)
		return "unknown client";
	address += strspn(address, " ");

	size_t length = strspn(address, "0123456789abcdefABCDEF.:[]");
	return address[length] || length > MAX_ADDRESS ? "unknown client" : address;
}

static void rest(long milliseconds)
{
	nanosleep(&(struct timespec){.tv_nsec = milliseconds * 1000000}, NULL);
}

/* Tells why the connection ended. websocketd drops what it has not yet read of our standard error
 * once we are gone, so it is given a moment for it. */
static void report(const char *name, struct websocket *ws)
{
	int unread = 0;

	fprintf(stderr, "%s: %s: %s\n", name, client_address(ws), websocket_reason(ws));
	for (int i = 0; i < 50 && ioctl(STDERR_FILENO, FIONREAD, &unread) == 0 && unread > 0; i++)
		rest(1);
}

/* websocketd logs an error for a pipe whose process is gone before it has seen the pipe's end. */
static void leave(struct websocket *ws)
{
	websocket_free(ws);
#ifndef __SANITIZE_ADDRESS__ /* which has its say at the exit */
	close(STDERR_FILENO);
#endif
	rest(10);
}

/* true if the program's first argument is this; view has no argv, so that a main needs none */
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

int websocket_run(void (*view)(struct websocket *ws))
{
	const char *name = program_invocation_short_name;
	struct websocket *ws = NULL;
	size_t limit = max_message();

	if (!is_websocket())
		return started_by_hand(name);
	if (limit == 0) {
		fprintf(stderr, "%s: " MAX_MESSAGE_VARIABLE " is no number of bytes from 1 to %d\n",
			name, MAX_MESSAGE_LIMIT);
		return 2;
	}
#ifdef M_MMAP_THRESHOLD
	mallopt(M_MMAP_THRESHOLD,
		65536); /* else glibc keeps what a large message took, for a later one */
#endif
	wake_up_gently();
	int signals = watch_signals();
	if (signals >= 0)
		ws = websocket_open(STDIN_FILENO, STDOUT_FILENO, limit);
	if (ws == NULL) {
		fprintf(stderr, "%s: %s: %s\n", name, signals < 0 ? "signalfd" : "websocket_open",
			strerror(errno));
		return 1;
	}
	ws->signals = signals;
	view(ws);

	bool failed = websocket_reason(ws) != NULL;
	if (failed)
		report(name, ws);
	leave(ws);
	return failed;
}
