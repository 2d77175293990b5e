/*
 * The files of html/: a fixed set from one directory, held in memory. A file
 * that was edited is read again at the next request for it; one that can no
 * longer be read is served from its last copy.
 */
#ifndef FILES_H
#define FILES_H

#include "http.h"

#include <stdbool.h>

struct files {
	const char *directory;
	struct file_copy *copies; /* one for each file, in the order of the table in files.c */
};

/* Reads every file from directory, whose name is not copied. Returns 0, or -1 with errno set and
 * *name the file that could not be read. Call files_close in either case. */
int files_open(struct files *files, const char *directory, const char **name);

/* true if there is a file called name, such as "echo.css" */
bool files_has(const char *name);

/* The response with the file called name: 200, 304 if the client has it, 404 if there is no such
 * file. */
void files_respond(struct files *files, const char *name, const struct request *request,
		   struct response *response);

void files_close(struct files *files);

#endif
