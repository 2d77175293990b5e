/* The phrases of statuses: those of RFC 9110 15, and the name of the class for all others. */
#include "status.h"
#include "tap.h"

#include <string.h>

static const struct {
	int status;
	const char *phrase;
} table[] = {
	{200, "OK"},
	{304, "Not Modified"},
	{400, "Bad Request"},
	{404, "Not Found"},
	{415, "Unsupported Media Type"},
	{431, "Request Header Fields Too Large"},
	{418, "Client Error"},
	{499, "Client Error"},
	{511, "Network Authentication Required"},
	{599, "Server Error"},
	{101, ""},
	{299, ""},
	{399, ""},
	{600, ""},
	{0, ""},
};

int main(void)
{
	for (size_t i = 0; i < sizeof table / sizeof *table; i++)
		ok(strcmp(status_phrase(table[i].status), table[i].phrase) == 0,
		   "the phrase of %d is \"%s\"", table[i].status, table[i].phrase);
	return done();
}
