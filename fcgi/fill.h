/* Fills values into a page, in place of their names in braces. */
#ifndef FILL_H
#define FILL_H

#include <stddef.h>

/* Returns the value of the name of length bytes, or NULL if it has none. The value is copied before
 * the next call. */
typedef const char *fill_value(void *context, const char *name, size_t length);

/* Returns page, of length bytes, with each {name} that has a value replaced by it, and all else as
 * it is; *filled is its length in bytes. The caller frees it. NULL with errno ENOMEM if memory is
 * short. */
char *fill(const char *page, size_t length, fill_value *value, void *context, size_t *filled);

/* The way from a path such as "/serialize/echo/" back to the root of our paths, "../../": a link
 * that begins with it works under any prefix that a proxy strips. "" from a path of one part, or if
 * the path is too deep for way. */
enum { FILL_WAY_SIZE = 64 };
void fill_way(const char *path, char way[FILL_WAY_SIZE]);

#endif
