/* input that ends where memory ends: to read or write one byte too far is a crash */
#ifndef EDGE_H
#define EDGE_H

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* a copy of length bytes whose last one is the last before a page that cannot be touched */
static inline char *edge_copy(const char *bytes, size_t length)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	size_t pages = length / page + 2;
	char *memory = mmap(NULL, pages * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			    -1, 0);

	if (memory == MAP_FAILED || mprotect(memory + (pages - 1) * page, page, PROT_NONE) < 0)
		abort();
	char *copy = memory + (pages - 1) * page - length;
	if (length > 0)
		memcpy(copy, bytes, length);
	return copy;
}

static inline void edge_free(char *copy, size_t length)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	size_t pages = length / page + 2;

	munmap(copy + length - (pages - 1) * page, pages * page);
}

#endif
