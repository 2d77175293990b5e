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
 * Finds the last parameter called name (a string, not encoded) in the query of length bytes. *value
 * points to its value in the query, still encoded, and *value_length is the length of that. A
 * parameter without "=" has an empty value. Returns false if there is no such parameter.
 */
bool query_find(const char *query, size_t length, const char *name, const char **value,
		size_t *value_length);

/* Decodes length bytes at value to out, which has room for size bytes and may be where value is.
 * Returns the length of the whole result, of which the rest is missing if it is longer than size.
 * NUL may be among its bytes. */
size_t query_decode(const char *value, size_t length, char *out, size_t size);

/*
 * Both in one: *value points into query, which is changed, and *value_length is the length of the
 * decoded value. Returns false if there is no such parameter; query is then unchanged.
 */
bool query_value(char *query, size_t length, const char *name, char **value, size_t *value_length);

#endif
