/* A trouble that lasts: the log has a line when it begins, and one when it is over. */
#ifndef TROUBLE_H
#define TROUBLE_H

#include <stdbool.h>

struct trouble {
	bool is_told;
};

/* writes a line, unless it was written since the trouble began */
void trouble_begin(struct trouble *trouble, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* writes the line, if the trouble had begun */
void trouble_end(struct trouble *trouble, const char *line);

#endif
