/* a block of variables as handshake_variables makes it */
#ifndef VARIABLES_H
#define VARIABLES_H

#include <stddef.h>
#include <string.h>

/* how many bytes a block takes, with the empty string at its end */
static inline size_t variables_size(const char *variables)
{
	const char *at = variables;

	while (*at)
		at += strlen(at) + 1;
	return (size_t)(at - variables) + 1;
}

#endif
