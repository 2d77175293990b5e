/* which paths have a WebSocket program */
#ifndef ENDPOINTS_H
#define ENDPOINTS_H

#include <stdbool.h>

/*
 * True if websocketd --dir=directory would run a program at this path: the
 * first part of the path that is a file must be executable, and the rest is its
 * PATH_INFO. False if directory is NULL, and for a path that could lead out of
 * it or to a hidden file.
 */
bool endpoints_has(const char *directory, const char *path);

#endif
