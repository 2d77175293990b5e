#include "crash.h"
#include "lines.h"
#include "process.h"
#include "resident/helper.h"
#include "resident/serve.h"
#include "settings.h"

#include <errno.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* SIGTERM and SIGINT end the loop wherever it waits: a descriptor to poll has no race and no global
 * variable */
static int watch_signals(void)
{
	static const int numbers[] = {SIGTERM, SIGINT};

	signal(SIGPIPE, SIG_IGN);
	return process_open_signals(numbers, sizeof numbers / sizeof *numbers);
}

/* Closes the pipes and waits a little: websocketd logs an error for a pipe whose process is gone
 * before it has seen the pipe's end. */
static void close_and_linger(struct websocket *ws)
{
	websocket_free(ws);
#ifndef __SANITIZE_ADDRESS__ /* which reports at the exit */
	close(STDERR_FILENO);
#endif
	nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
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

static int print_usage(const char *name)
{
	printf("usage: %s is started for its clients, not by hand:\n"
	       "  by websocketd, one process for each client:\n"
	       "    websocketd --address=127.0.0.1 --port=9001 --dir=DIRECTORY\n"
	       "  or with a listening socket as standard input, one process for all:\n"
	       "    spawn-fcgi -n -s SOCKET -M 0600 -- %s\n"
	       "  %s --help or --version prints this or the version.\n",
	       name, name, name);
	return fflush(stdout) != 0;
}

static int started_by_hand(const char *name)
{
	if (is_asked_for("--version")) {
		printf("%s (duplex) " DUPLEX_VERSION "\n", name);
		return fflush(stdout) != 0;
	}
	if (is_asked_for("--help"))
		return print_usage(name);
	fprintf(stderr,
		"%s: GATEWAY_INTERFACE is not websocketd's, and standard input is not a listening "
		"socket: see --help\n",
		name);
	return 2;
}

#ifndef __GLIBC__ /* musl has no makecontext(3) */
struct worker *serve_worker(void)
{
	return NULL;
}

void helper_prepare(void)
{
}

int serve(const char *name, const struct limits *limits, void (*view)(struct websocket *ws))
{
	(void)limits;
	(void)view;
	fprintf(stderr,
		"%s: standard input is a listening socket, but the library was built without "
		"makecontext(3), which a resident process needs\n",
		name);
	return 2;
}
#endif

bool is_websocket(void)
{
	return lines_is_started_by_websocketd() || serve_worker();
}

/* the endpoint of one client, on the pipes of websocketd */
static int serve_one(const char *name, size_t max_message, void (*view)(struct websocket *ws))
{
	struct websocket *ws = NULL;
	int signals = watch_signals();

	if (signals >= 0)
		ws = websocket_open(STDIN_FILENO, STDOUT_FILENO, max_message);
	if (ws == NULL) {
		fprintf(stderr, "%s: %s: %s\n", name, signals < 0 ? "signalfd" : "websocket_open",
			strerror(errno));
		return 1;
	}
	((struct lines *)ws)->signals = signals;
	ws->log_name = name;
	crash_watch(&(struct crash){.name = name, .address = lines_address(ws)});
	view(ws);
	crash_view_is_over();

	bool failed = websocket_reason(ws) != NULL;
	if (failed)
		connection_log(ws, websocket_reason(ws));
	crash_wait_for_log();
	close_and_linger(ws);
	return failed;
}

int websocket_run(void (*view)(struct websocket *ws))
{
	const char *name = program_invocation_short_name;
	bool by_websocketd = lines_is_started_by_websocketd();
	struct limits limits;
	size_t least;
	size_t most;

	if (!by_websocketd && !process_has_listening_socket())
		return started_by_hand(name);
	const char *wrong = settings_read(&limits, &least, &most);
	if (wrong) {
		fprintf(stderr, "%s: %s is not a number from %zu to %zu\n", name, wrong, least,
			most);
		return 2;
	}
#ifdef M_MMAP_THRESHOLD
	mallopt(M_MMAP_THRESHOLD, 65536); /* else glibc keeps what large messages took */
#endif
	process_set_batch_policy();
	if (by_websocketd && lines_restore_path() < 0) {
		fprintf(stderr, "%s: PATH_INFO cannot be set: %s\n", name, strerror(errno));
		return 1;
	}
	if (by_websocketd)
		return serve_one(name, limits.max_message, view);
	int status = serve(name, &limits, view);
	crash_view_is_over();
	return status;
}
