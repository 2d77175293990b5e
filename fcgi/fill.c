#include "fill.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NAME_MAX_LENGTH = 63 };

/* the length of the name between braces at text, up to end; 0 if there is none */
static size_t name_at(const char *text, const char *end)
{
	size_t room = (size_t)(end - text);
	size_t most = room < NAME_MAX_LENGTH + 2 ? room : NAME_MAX_LENGTH + 2;
	const char *close = text[0] == '{' ? memchr(text, '}', most) : NULL;

	return close ? (size_t)(close - text) - 1 : 0;
}

char *fill(const char *page, size_t length, fill_value *value, void *context, size_t *filled)
{
	const char *end = page + length;
	char *out = NULL;
	FILE *stream = open_memstream(&out, filled);

	if (stream == NULL)
		return NULL;
	while (page < end) {
		size_t name = name_at(page, end);
		const char *text = name ? value(context, page + 1, name) : NULL;
		if (text)
			fputs(text, stream);
		else
			fputc(*page, stream);
		page += text ? name + 2 : 1;
	}
	bool failed = ferror(stream);
	if (fclose(stream) == 0 && !failed)
		return out;
	free(out);
	return NULL;
}

void fill_way(const char *path, char way[FILL_WAY_SIZE])
{
	char *end = way;

	*way = '\0';
	for (path = strchr(path, '/'); path && (path = strchr(path + 1, '/')) != NULL;) {
		if (end + sizeof "../" > way + FILL_WAY_SIZE) {
			*way = '\0';
			return;
		}
		end = stpcpy(end, "../");
	}
}
