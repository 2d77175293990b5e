/*
 * The page: a fixed set of files from one directory, held in memory. A file
 * that was edited is read again at the next request for it; one that cannot be
 * read any more is served from its last copy.
 */
#ifndef PAGE_H
#define PAGE_H

#include "http.h"

#include <stdbool.h>
#include <sys/stat.h>

enum { PAGE_FILES = 9 };

struct page {
	const char *directory;
	struct page_copy {
		char *body;
		size_t length;
		char etag[20];      /* of the content, so that all workers agree on it */
		struct stat status; /* of the file when it was read */
		bool stale;         /* it could not be read again, and the log has said so */
	} copy[PAGE_FILES];
};

/* Reads every file of the page from directory, which is not copied. 0, or -1 with
 * errno set and *name the file that could not be read. */
int page_open(struct page *page, const char *directory, const char **name);

/* true if the page has a file called name, such as "index.html" */
bool page_has(const char *name);

/* The response with the file called name: 200, 304 if the
 * client has it, 404 if the page has no such file. */
void page_respond(struct page *page, const char *name, const struct request *request,
		  struct response *response);

void page_close(struct page *page);

#endif
