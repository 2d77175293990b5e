#include "crash.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { LINE_SIZE = 512, STACK_SIZE = 16384 };

static char line[LINE_SIZE]; /* begins with who */
static size_t who_length;
static const size_t *client_count;
static bool (*is_run_over)(const void *);

static const struct {
	int number;
	const char *name;
} fatal[] = {
	{SIGSEGV, "SIGSEGV"}, {SIGBUS, "SIGBUS"},   {SIGILL, "SIGILL"},
	{SIGFPE, "SIGFPE"},   {SIGABRT, "SIGABRT"}, {SIGSYS, "SIGSYS"},
};
enum { FATAL = sizeof fatal / sizeof *fatal };

/* In a signal handler printf is not allowed (signal-safety(7)). */
static void add(const char *text)
{
	size_t length = strlen(line);

	for (; *text && length + 1 < LINE_SIZE; length++)
		line[length] = *text++;
	line[length] = '\0';
}

static void add_number(size_t number)
{
	char digits[24];
	char *at = digits + sizeof digits - 1;

	*at = '\0';
	do
		*--at = (char)('0' + number % 10);
	while (number /= 10);
	add(at);
}

static const char *name_of(int number)
{
	for (size_t i = 0; i < FATAL; i++)
		if (fatal[i].number == number)
			return fatal[i].name;
	return "a signal";
}

static void tell(int number, siginfo_t *info, void *context)
{
	bool has_run_over = number == SIGSEGV && is_run_over && is_run_over(info->si_addr);

	(void)context;
	line[who_length] = '\0';
	add(has_run_over ? ": a view ran over its stack of 64 KiB: " : ": ");
	add("the program was ended by ");
	add(name_of(number));
	if (client_count) {
		add(", with its clients: ");
		add_number(*client_count);
	}
	add("\n");
	ssize_t written = write(STDERR_FILENO, line, strlen(line));
	(void)written;
	raise(number); /* SA_RESETHAND: this time it ends the process */
}

void crash_watch(const char *who, const size_t *clients, bool (*has_run_over)(const void *))
{
	static char stack[STACK_SIZE]; /* the one that ran over is of no use */
	stack_t alternate = {.ss_sp = stack, .ss_size = sizeof stack};
	struct sigaction action = {
		.sa_sigaction = tell,
		.sa_flags = (int)(SA_SIGINFO | SA_ONSTACK | SA_RESETHAND | SA_NODEFER),
	};

	snprintf(line, sizeof line, "%s", who);
	who_length = strlen(line);
	client_count = clients;
	is_run_over = has_run_over;
	if (sigaltstack(&alternate, NULL) < 0)
		return;
	for (size_t i = 0; i < FATAL; i++)
		sigaction(fatal[i].number, &action, NULL);
}
