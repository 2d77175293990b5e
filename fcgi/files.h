/*
 * The files of html/: a fixed set from one directory, held in memory. A file
 * that was edited is read again at the next request for it; one that can no
 * longer be read is served from its last copy.
 *
 * Three things are filled into a page when it is served: {root} is the way back to
 * the root of our paths, {NAME} is the hash of that file, by which it may be cached
 * for a year, as in src="{root}echo/echo.js?v={echo.js}", and {source} is a link to
 * DUPLEX_SOURCE, or nothing if that is empty.
 */
#ifndef FILES_H
#define FILES_H

#include "http.h"

#include <stdbool.h>

struct files {
	const char *directory;
	struct file_copy *copies; /* one for each file, in the order of the table in files.c */
	char *page;               /* the last page that was served */
	char etag[19];            /* of the last file that was served */
};

/* Reads every file from directory, whose name is not copied. Returns 0, or -1 with errno set and
 * *name the file that could not be read. Call files_close in either case. */
int files_open(struct files *files, const char *directory, const char **name);

/* true if there is a file called name, such as "echo.css" */
bool files_has(const char *name);

/* The response with the file called name: 200, 304 if the client has it, 404 if there is no such
 * file, 503 if memory is short. Of the query only v counts: if it is the hash of the file, the
 * answer may be kept for a year. */
void files_respond(struct files *files, const char *name, const struct request *request,
		   struct response *response);

/* frees the files */
void files_close(struct files *files);

#endif
