#include "trouble.h"

#include <err.h>
#include <stdarg.h>

void trouble_begin(struct trouble *trouble, const char *format, ...)
{
	va_list arguments;

	if (trouble->is_told)
		return;
	trouble->is_told = true;
	va_start(arguments, format);
	vwarnx(format, arguments);
	va_end(arguments);
}

void trouble_end(struct trouble *trouble, const char *line)
{
	if (trouble->is_told)
		warnx("%s", line);
	trouble->is_told = false;
}
