/*
 * Decoding of application/x-www-form-urlencoded query strings, as the WHATWG
 * URL standard (5.1) and every web framework have it: "&" separates, "+" is a
 * space, "%XX" a byte, a malformed escape stays as it stands, names are decoded
 * too, and of several parameters of one name the last counts.
 */
#ifndef QUERY_H
#define QUERY_H

#include <stdbool.h>
#include <stddef.h>

/*
 * Finds the last parameter called name (a string, not encoded) in the query of
 * length bytes, and decodes its value in place: *value points into query, which
 * is changed, and *value_length is its length in bytes; NUL may be among them.
 * A parameter without "=" has an empty value. False if there is no such
 * parameter; query is then unchanged.
 */
bool query_value(char *query, size_t length, const char *name, char **value, size_t *value_length);

#endif
