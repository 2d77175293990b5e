/*
 * System calls and allocations that fail when they are told to: linked with --wrap for each of
 * them, so that the calls of the program under test come here. The environment says which:
 *   FAULT="NAME N ERROR"  the N-th call of NAME fails with that errno; with 0, it does a part
 *   FAULT_HIT=FILE        is made when that happens, so that a test knows when N is too large
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

static int calls;

/* begins to count anew */
void forget_calls(void);
void forget_calls(void)
{
	calls = 0;
}

static void forget_fault(void)
{
	unsetenv("FAULT");
}

/* calls after main, such as those of gcov, are not counted */
__attribute__((constructor)) static void prepare_end(void)
{
	atexit(forget_fault);
}

/* Returns 0 if this call shall work, -1 with errno set if it shall fail, 1 if it shall do a part.
 */
static int strike(const char *name)
{
	const char *fault = getenv("FAULT");
	char wanted[32];
	int nth;
	int error;

	if (fault == NULL || sscanf(fault, "%31s %d %d", wanted, &nth, &error) != 3 ||
	    strcmp(wanted, name) != 0 || ++calls != nth)
		return 0;
	FILE *hit = getenv("FAULT_HIT") ? fopen(getenv("FAULT_HIT"), "w") : NULL;
	if (hit)
		fclose(hit);
	errno = error;
	return error ? -1 : 1;
}

/* a wrapper that passes its arguments on, or fails with the given value */
/* clang-format off */
#define WRAP(type, name, failure, parameters, ...)    \
	type __real_##name parameters;                \
	type __wrap_##name parameters;                \
	type __wrap_##name parameters                 \
	{                                             \
		return strike(#name) ? (failure)      \
				     : __real_##name( \
					       __VA_ARGS__); \
	}

/* clang-format on */

WRAP(int, accept, -1, (int fd, struct sockaddr *address, socklen_t *size), fd, address, size)
WRAP(int, accept4, -1, (int fd, struct sockaddr *address, socklen_t *size, int flags), fd, address,
     size, flags)
WRAP(void *, calloc, NULL, (size_t count, size_t size), count, size)
WRAP(int, clock_gettime, -1, (clockid_t clock, struct timespec *now), clock, now)
WRAP(int, connect, -1, (int fd, const struct sockaddr *address, socklen_t size), fd, address, size)
WRAP(int, epoll_create1, -1, (int flags), flags)
WRAP(int, epoll_ctl, -1, (int fd, int what, int other, struct epoll_event *event), fd, what, other,
     event)
WRAP(int, epoll_wait, -1, (int fd, struct epoll_event *events, int size, int timeout), fd, events,
     size, timeout)
WRAP(int, eventfd, -1, (unsigned int count, int flags), count, flags)
WRAP(int, fstat, -1, (int fd, struct stat *status), fd, status)
WRAP(int, getrlimit, -1, (int resource, struct rlimit *limit), resource, limit)
WRAP(int, getsockname, -1, (int fd, struct sockaddr *address, socklen_t *size), fd, address, size)
WRAP(int, getsockopt, -1, (int fd, int level, int name, void *value, socklen_t *size), fd, level,
     name, value, size)
WRAP(void *, malloc, NULL, (size_t size), size)
WRAP(void *, mmap, MAP_FAILED,
     (void *address, size_t size, int access, int flags, int fd, off_t offset), address, size,
     access, flags, fd, offset)
WRAP(int, mprotect, -1, (void *address, size_t size, int access), address, size, access)
WRAP(int, open, -1, (const char *path, int flags), path, flags)
WRAP(int, poll, -1, (struct pollfd * set, nfds_t count, int timeout), set, count, timeout)
WRAP(void *, realloc, NULL, (void *memory, size_t size), memory, size)
WRAP(ssize_t, recv, -1, (int fd, void *bytes, size_t size, int flags), fd, bytes, size, flags)
WRAP(ssize_t, send, -1, (int fd, const void *bytes, size_t size, int flags), fd, bytes, size, flags)
WRAP(int, setrlimit, -1, (int resource, const struct rlimit *limit), resource, limit)
WRAP(int, setsockopt, -1, (int fd, int level, int name, const void *value, socklen_t size), fd,
     level, name, value, size)
WRAP(int, shutdown, -1, (int fd, int how), fd, how)
WRAP(int, sigaction, -1, (int number, const struct sigaction *new, struct sigaction *old), number,
     new, old)
WRAP(int, sigaltstack, -1, (const stack_t *new, stack_t *old), new, old)
WRAP(int, signalfd, -1, (int fd, const sigset_t *set, int flags), fd, set, flags)
WRAP(int, sigprocmask, -1, (int how, const sigset_t *new, sigset_t *old), how, new, old)
WRAP(int, socket, -1, (int domain, int type, int protocol), domain, type, protocol)
WRAP(int, socketpair, -1, (int domain, int type, int protocol, int pair[2]), domain, type, protocol,
     pair)
WRAP(int, stat, -1, (const char *path, struct stat *status), path, status)

int __real_fcntl(int fd, int command, ...);
int __wrap_fcntl(int fd, int command, ...);
int __wrap_fcntl(int fd, int command, ...)
{
	va_list arguments;

	va_start(arguments, command);
	long value = va_arg(arguments, long);
	va_end(arguments);
	return strike("fcntl") ? -1 : __real_fcntl(fd, command, value);
}

ssize_t __real_read(int fd, void *bytes, size_t size);
ssize_t __wrap_read(int fd, void *bytes, size_t size);
ssize_t __wrap_read(int fd, void *bytes, size_t size)
{
	int fault = strike("read");

	return fault < 0 ? -1 : __real_read(fd, bytes, fault && size > 1 ? size / 2 : size);
}

ssize_t __real_write(int fd, const void *bytes, size_t size);
ssize_t __wrap_write(int fd, const void *bytes, size_t size);
ssize_t __wrap_write(int fd, const void *bytes, size_t size)
{
	int fault = strike("write");

	return fault < 0 ? -1 : __real_write(fd, bytes, fault && size > 1 ? size / 2 : size);
}
