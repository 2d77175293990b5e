#include "crash.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

enum { LINE_SIZE = 512, STACK_SIZE = 16384 };

/* It has a value so that it lies beside other variables that have one: what is zero at first would
 * take a page of its own in every endpoint. */
static struct crash watched = {.name = "?"};
static bool is_view_over = true;

/* Beside faults these are limits of the process, and timers that a view has set and not caught. */
static const struct {
	int number;
	const char *name;
} fatal[] = {
	{SIGSEGV, "SIGSEGV"}, {SIGBUS, "SIGBUS"},   {SIGILL, "SIGILL"},   {SIGFPE, "SIGFPE"},
	{SIGABRT, "SIGABRT"}, {SIGSYS, "SIGSYS"},   {SIGTRAP, "SIGTRAP"}, {SIGXCPU, "SIGXCPU"},
	{SIGXFSZ, "SIGXFSZ"}, {SIGALRM, "SIGALRM"}, {SIGPROF, "SIGPROF"}, {SIGVTALRM, "SIGVTALRM"},
};
enum { FATAL = sizeof fatal / sizeof *fatal };

/* In a signal handler printf is not allowed (signal-safety(7)). */
static void add(char line[LINE_SIZE], const char *text)
{
	size_t length = strlen(line);

	for (; *text && length + 1 < LINE_SIZE; length++)
		line[length] = *text++;
	line[length] = '\0';
}

static void add_number(char line[LINE_SIZE], size_t number)
{
	char digits[24];
	char *at = digits + sizeof digits - 1;

	*at = '\0';
	do
		*--at = (char)('0' + number % 10);
	while (number /= 10);
	add(line, at);
}

static const char *name_of(int number)
{
	for (size_t i = 0; i < FATAL; i++)
		if (fatal[i].number == number)
			return fatal[i].name;
	return "a signal";
}

/* If memory is so broken that the address cannot be found, this is called again, and does without.
 */
static const char *find_address(void)
{
	const char *(*find)(void) = watched.find_address;

	watched.find_address = NULL;
	return find ? find() : watched.address;
}

static void add_who(char line[LINE_SIZE])
{
	const char *address = find_address();

	add(line, watched.name);
	add(line, ": ");
	if (address) {
		add(line, address);
		add(line, ": ");
	}
}

void crash_wait_for_log(void)
{
	int unread = 0;

	for (int i = 0; i < 50 && ioctl(STDERR_FILENO, FIONREAD, &unread) == 0 && unread > 0; i++)
		nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
}

static void write_line(char line[LINE_SIZE])
{
	if (watched.clients) {
		add(line, ", with its clients: ");
		add_number(line, *watched.clients);
	}
	add(line, "\n");
	ssize_t written = write(STDERR_FILENO, line, strlen(line));
	(void)written;
	crash_wait_for_log();
}

static void tell(int number, siginfo_t *info, void *context)
{
	bool is_address = number == SIGSEGV || number == SIGBUS;
	char line[LINE_SIZE] = "";

	(void)context;
	add_who(line);
	if (is_address && watched.has_run_over && watched.has_run_over(info->si_addr))
		add(line, "a view ran over its stack of 64 KiB: ");
	add(line, "the program was ended by ");
	add(line, name_of(number));
	write_line(line);
	signal(number, SIG_DFL);
	raise(number);
}

#ifdef __GLIBC__ /* musl has no on_exit(3) */
static void tell_status(int status, void *unused)
{
	char line[LINE_SIZE] = "";

	(void)unused;
	if (is_view_over)
		return;
	add_who(line);
	add(line, "the program called exit, with status ");
	add_number(line, (size_t)(status & 0xff));
	write_line(line);
}
#endif

void crash_view_is_over(void)
{
	is_view_over = true;
}

static void watch_signal(int number)
{
	struct sigaction before;
	struct sigaction action = {
		.sa_sigaction = tell,
		.sa_flags = (int)(SA_SIGINFO | SA_ONSTACK | SA_NODEFER),
	};

	if (sigaction(number, NULL, &before) == 0 && before.sa_handler == SIG_DFL)
		sigaction(number, &action, NULL);
}

void crash_watch(const struct crash *crash)
{
	/* the stack that ran over is of no use; this one takes no memory until then */
	void *stack = mmap(NULL, STACK_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			   -1, 0);
	stack_t alternate = {.ss_sp = stack, .ss_size = STACK_SIZE};

	watched = *crash;
	is_view_over = false;
#ifdef __GLIBC__
	on_exit(tell_status, NULL);
#endif
	if (stack == MAP_FAILED || sigaltstack(&alternate, NULL) < 0)
		return;
	for (size_t i = 0; i < FATAL; i++)
		watch_signal(fatal[i].number);
}
