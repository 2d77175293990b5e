/* TAP for the tests in C: ok() and is() a check each, done() at the end of main */
#ifndef TAP_H
#define TAP_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

/* A row of a table, for a macro that makes some: versions of clang-format disagree on a macro that
 * begins with a brace. */
/* clang-format off */
#define ROW(...) {__VA_ARGS__}
/* clang-format on */

static int tap_checks;
static int tap_failures;

__attribute__((format(printf, 2, 3))) static inline bool ok(bool passed, const char *format, ...)
{
	va_list arguments;

	printf("%sok %d - ", passed ? "" : "not ", ++tap_checks);
	va_start(arguments, format);
	vprintf(format, arguments);
	va_end(arguments);
	putchar('\n');
	fflush(stdout);
	tap_failures += !passed;
	return passed;
}

/* compares two strings of bytes, and prints both if they differ */
static inline bool is(const char *got, size_t got_length, const char *wanted, size_t wanted_length,
		      const char *name)
{
	bool same = got_length == wanted_length &&
		    (wanted_length == 0 || memcmp(got, wanted, wanted_length) == 0);

	ok(same, "%s", name);
	if (!same)
		printf("# got %zu bytes \"%.*s\", wanted %zu bytes \"%.*s\"\n", got_length,
		       (int)got_length, got, wanted_length, (int)wanted_length, wanted);
	return same;
}

static inline int done(void)
{
	printf("1..%d\n", tap_checks);
	return tap_failures > 0;
}

#endif
