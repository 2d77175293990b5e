/*
 * Looks a host name up without holding its caller up: a thread asks the
 * resolver, which may take twenty seconds, and what it found is kept for the
 * whole process.
 */
#ifndef LOOKUP_H
#define LOOKUP_H

#include <stddef.h>

enum {
	LOOKUP_SIZE = 64, /* room for an address as text, with its zone and NUL */
	LOOKUP_MAX = 8    /* addresses of a host that are kept */
};

/*
 * Writes the numeric addresses of a host, which may be one itself. What an earlier call found is
 * used at once, and looked up anew for a later one; otherwise it waits for up to wait_ms. Returns
 * how many there are, or 0 with *why a sentence in static memory: the resolver has not answered
 * yet, or the host has no address.
 */
size_t lookup_host(const char *host, int wait_ms, char addresses[LOOKUP_MAX][LOOKUP_SIZE],
		   const char **why);

/* starts to look the name up, for a later call */
void lookup_start(const char *host);

#endif
