/* what the generators share: options, the address that they connect to, the loop, and the output */
#ifndef GENERATOR_H
#define GENERATOR_H

#include "client.h"
#include "latency.h"

#include <stdnoreturn.h>

enum { GENERATOR_CLIENTS = 65535 };

/* says what and exits with 2 */
noreturn void generator_fail(const char *what);

/* zeroed; fails if memory is short */
void *generator_allocate(size_t count, size_t size);

/* an option's value; fails if it is none */
unsigned long generator_number(const char *text, unsigned long least, unsigned long most);
double generator_seconds(const char *text);

/* Prepares the use for ws://HOST:PORT/PATH, and the process for as many descriptors as it may have:
 * 0, or -1 if the URL is none. */
int generator_aim(struct client_use *use, const char *url);

/* lets the clients do what they can, for which it waits so long at most */
void generator_turn(struct client_use *use, int timeout_ms);

/* Looks after the connections, as a server may send pings, until standard input ends, and calls the
 * function for each line of it. */
void generator_hold(struct client_use *use, void (*line)(void));

/* "NAME_us": the median and so on, and a comma */
void generator_print_latency(const char *name, const struct latency *latency);

/* "errors", the end of the line; true if there were none */
bool generator_print_errors(const uint64_t ends[CLIENT_ENDS], uint64_t missing);

#endif
