/* duplex: the HTTP side, as a FastCGI program or, started by hand, as a CGI program */
#include "cgi.h"
#include "process.h"
#include "push/limit.h"
#include "push/redis-settings.h"
#include "worker.h"

#include <err.h>
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <stdnoreturn.h>
#include <sys/stat.h>

static const char usage[] =
	"usage: %s [--page=DIRECTORY] [--endpoints=DIRECTORY]\n"
	"\n"
	"  --page=DIRECTORY       where the files of html/ are (default: html)\n"
	"  --endpoints=DIRECTORY  where websocketd's programs are: plain HTTP to one of\n"
	"                         them is answered 426 (default: none)\n"
	"  --help                 print this and exit\n"
	"  --version              print the version and exit\n"
	"\n"
	"Standard input is a listening socket from a web server, spawn-fcgi or systemd\n"
	"(FastCGI), or REQUEST_METHOD and the other CGI variables are set (CGI).\n";

struct options {
	const char *page;
	const char *endpoints;
};

/* prints what was asked for, with the program's name in it, and ends */
static noreturn void print_and_exit(const char *format)
{
	bool failed = printf(format, program_invocation_short_name) < 0 || fflush(stdout) != 0;

	exit(failed ? EXIT_FAILURE : EXIT_SUCCESS);
}

static int parse(int argc, char **argv, struct options *options)
{
	static const struct option names[] = {
		{"page", required_argument, NULL, 'p'},
		{"endpoints", required_argument, NULL, 'e'},
		{"help", no_argument, NULL, 'h'},
		{"version", no_argument, NULL, 'v'},
		{0},
	};
	int c;

	while ((c = getopt_long(argc, argv, "", names, NULL)) != -1) {
		switch (c) {
		case 'p':
			options->page = optarg;
			break;
		case 'e':
			options->endpoints = optarg;
			break;
		case 'h':
			print_and_exit(usage);
		case 'v':
			print_and_exit("%s (duplex) " DUPLEX_VERSION "\n");
		default:
			return -1;
		}
	}
	if (optind < argc)
		warnx("unexpected argument: %s", argv[optind]);
	return optind < argc ? -1 : 0;
}

static void open_site(const struct options *options, struct site *site)
{
	const char *name;
	struct stat status;

	site->endpoints = options->endpoints;
	if (files_open(&site->files, options->page, &name) < 0)
		err(EXIT_FAILURE, "--page: %s/%s", options->page, name);
	if (options->endpoints && stat(options->endpoints, &status) < 0)
		err(EXIT_FAILURE, "--endpoints: %s", options->endpoints);
	if (options->endpoints && !S_ISDIR(status.st_mode))
		errx(EXIT_FAILURE, "--endpoints: %s: not a directory", options->endpoints);
}

/* An address that cannot be used is a mistake that an operator has to mend. A Redis that is not
 * there may come. */
static void check_chat_settings(void)
{
	const char *reason;

	if (redis_settings_check(&reason) < 0 || limit_check_settings(&reason) < 0)
		errx(errno == EINVAL ? 2 : EXIT_FAILURE, "%s", reason);
}

int main(int argc, char **argv)
{
	struct options options = {.page = "html"};
	struct site site;
	int status;

	/* else a line is written in pieces, between which another worker may write its own */
	setvbuf(stderr, NULL, _IOLBF, BUFSIZ);
	if (parse(argc, argv, &options) < 0) {
		fprintf(stderr, usage, program_invocation_short_name);
		return 2;
	}
	bool fastcgi = process_has_listening_socket();
	if (!fastcgi && getenv("REQUEST_METHOD") == NULL) {
		warnx("standard input is not a listening socket, and REQUEST_METHOD is not set: "
		      "see --help");
		return 2;
	}
	/* A write to a Redis or a reader that has gone fails, and does not end the process. */
	signal(SIGPIPE, SIG_IGN);
	check_chat_settings();
	open_site(&options, &site);
	chat_open(&site.chat, fastcgi);
	status = fastcgi ? worker_run(&site) : cgi_serve(&site);
	files_close(&site.files);
	chat_close(&site.chat);
	return status;
}
