/* Where a FastCGI request ends: a table, at the edge of memory, whole and byte by byte; and long
 * requests. */
#include "fcgi/records.h"
#include "edge.h"
#include "fcgi/http.h"
#include "tap.h"

/* a record's header: of request 1, of request 2, of none */
#define HEAD(type, id, length, padding) "\1" type "\0" id "\0" length padding "\0"
#define BEGIN HEAD("\1", "\1", "\10", "\0") "\0\1\0\0\0\0\0\0"
#define KEEP HEAD("\1", "\1", "\10", "\0") "\0\1\1\0\0\0\0\0"
#define AUTHORIZER HEAD("\1", "\1", "\10", "\0") "\0\2\0\0\0\0\0\0"
#define OTHER_ROLE HEAD("\1", "\1", "\10", "\0") "\1\2\0\0\0\0\0\0"
#define NO_PARAMS HEAD("\4", "\1", "\0", "\0")
#define NO_STDIN HEAD("\5", "\1", "\0", "\0")
#define PARAM HEAD("\4", "\1", "\4", "\0") "\1\1A1"
#define NAMES "\16\0FCGI_MAX_CONNS\15\0FCGI_MAX_REQS\17\0FCGI_MPXS_CONNS"

static const struct {
	const char *name;
	const char *bytes;
	size_t length;
	enum records_state state;
	int line;
} table[] = {
#define T(name, bytes, state) ROW(name, bytes, sizeof(bytes) - 1, state, __LINE__)
#define WHOLE(name, bytes) T(name, bytes, RECORDS_WHOLE)
#define MORE(name, bytes) T(name, bytes, RECORDS_MORE)
#define REFUSED(name, bytes) T(name, bytes, RECORDS_REFUSED)
	MORE("nothing", ""),
	MORE("a part of a header", "\1\1\0"),
	MORE("the header of a begin", "\1\1\0\1\0\10\0\0"),
	MORE("a begin", BEGIN),
	MORE("no end of the variables", BEGIN PARAM),
	MORE("no end of the body", BEGIN PARAM NO_PARAMS),
	MORE("a part of the header that ends it", BEGIN PARAM NO_PARAMS "\1\5\0\1\0\0\0"),
	WHOLE("a request without variables", BEGIN NO_PARAMS NO_STDIN),
	WHOLE("a request", BEGIN PARAM NO_PARAMS NO_STDIN),
	WHOLE("FCGI_KEEP_CONN", KEEP PARAM NO_PARAMS NO_STDIN),
	WHOLE("a body", BEGIN NO_PARAMS HEAD("\5", "\1", "\2", "\0") "hi" NO_STDIN),
	WHOLE("a body in two records", BEGIN NO_PARAMS HEAD("\5", "\1", "\1", "\0") "h" HEAD(
					       "\5", "\1", "\1", "\0") "i" NO_STDIN),
	WHOLE("an authorizer's, which has no body", AUTHORIZER PARAM NO_PARAMS),
	MORE("no end of an authorizer's variables", AUTHORIZER PARAM),
	REFUSED("a part of a length in them",
		AUTHORIZER HEAD("\4", "\1", "\1", "\0") "\1" NO_PARAMS),
	MORE("no end of the body in an unknown role", OTHER_ROLE PARAM NO_PARAMS),
	WHOLE("padding",
	      BEGIN HEAD("\4", "\1", "\4", "\3") "\1\1A1___" HEAD("\4", "\1", "\0", "\1") "_" HEAD(
		      "\5", "\1", "\1", "\7") "h_______" HEAD("\5", "\1", "\0", "\2") "__"),
	MORE("the padding of the last record is missing",
	     BEGIN NO_PARAMS HEAD("\5", "\1", "\0", "\2") "_"),
	WHOLE("a pair in two records", BEGIN HEAD("\4", "\1", "\1", "\0") "\1" HEAD(
					       "\4", "\1", "\3", "\0") "\1A1" NO_PARAMS NO_STDIN),
	WHOLE("lengths of four bytes",
	      BEGIN HEAD("\4", "\1", "\14", "\0") "\200\0\0\2\200\0\0\2ABCD" NO_PARAMS NO_STDIN),
	WHOLE("a name alone", BEGIN HEAD("\4", "\1", "\3", "\0") "\1\0A" NO_PARAMS NO_STDIN),
	WHOLE("a pair of nothing", BEGIN HEAD("\4", "\1", "\2", "\0") "\0\0" NO_PARAMS NO_STDIN),
	REFUSED("a record of another request", BEGIN HEAD("\4", "\2", "\1", "\0") "?"),
	REFUSED("an empty one", BEGIN NO_PARAMS HEAD("\5", "\2", "\0", "\0")),
	WHOLE("another request begins",
	      BEGIN HEAD("\1", "\2", "\10", "\0") "\0\1\0\0\0\0\0\0" NO_PARAMS NO_STDIN),
	WHOLE("the request begins again", BEGIN BEGIN NO_PARAMS NO_STDIN),
	REFUSED("an unknown management record", HEAD("\144", "\0", "\0", "\0")),
	WHOLE("an empty FCGI_GET_VALUES in it",
	      BEGIN PARAM HEAD("\11", "\0", "\0", "\0") NO_PARAMS NO_STDIN),
	WHOLE("FCGI_GET_VALUES with each name",
	      HEAD("\11", "\0", "\60", "\0") NAMES BEGIN NO_PARAMS NO_STDIN),
	REFUSED("with more, which libfcgi has no room for", HEAD("\11", "\0", "\61", "\0")),
	REFUSED("with a name that is longer than the record",
		HEAD("\11", "\0", "\3", "\0") "\4\0A"),
	REFUSED("with a length of 2^31 - 1", HEAD("\11", "\0", "\5", "\0") "\377\377\377\377\0"),
	REFUSED("another version", "\2\1\0\1\0\10\0\0"),
	REFUSED("HTTP", "GET / HTTP/1.1\r\n"),
	REFUSED("a begin of no request", HEAD("\1", "\0", "\10", "\0")),
	REFUSED("a begin that is too short", HEAD("\1", "\1", "\7", "\0")),
	REFUSED("variables before the begin", PARAM),
	REFUSED("a body before the begin", NO_STDIN),
	REFUSED("a body before the end of the variables", BEGIN PARAM NO_STDIN),
	REFUSED("variables after their end", BEGIN NO_PARAMS PARAM),
	REFUSED("FCGI_ABORT_REQUEST", BEGIN PARAM HEAD("\2", "\1", "\0", "\0")),
	REFUSED("FCGI_ABORT_REQUEST in the body", BEGIN NO_PARAMS HEAD("\2", "\1", "\0", "\0")),
	REFUSED("FCGI_DATA", BEGIN NO_PARAMS HEAD("\10", "\1", "\0", "\0")),
	REFUSED("a name longer than the variables",
		BEGIN HEAD("\4", "\1", "\3", "\0") "\4\0A" NO_PARAMS),
	REFUSED("a value longer than the variables",
		BEGIN HEAD("\4", "\1", "\3", "\0") "\1\1A" NO_PARAMS),
	REFUSED("a part of a length", BEGIN HEAD("\4", "\1", "\2", "\0") "\200\0" NO_PARAMS),
	REFUSED("no length of a value", BEGIN HEAD("\4", "\1", "\1", "\0") "\1" NO_PARAMS),
	REFUSED("a name of 2^31 - 1 bytes",
		BEGIN HEAD("\4", "\1", "\5", "\0") "\377\377\377\377\1"),
	REFUSED("a value of 2^31 - 1 bytes",
		BEGIN HEAD("\4", "\1", "\5", "\0") "\1\377\377\377\377"),
	REFUSED("both together 2^32 - 2",
		BEGIN HEAD("\4", "\1", "\10", "\0") "\377\377\377\377\377\377\377\377"),
	REFUSED("a value of 16 MiB", BEGIN HEAD("\4", "\1", "\5", "\0") "\1\201\0\0\0"),
};

/* in pieces of size bytes */
static enum records_state take(const char *bytes, size_t length, size_t size)
{
	struct records records = {0};

	for (size_t at = 0; at < length; at += size) {
		size_t n = length - at < size ? length - at : size;
		char *copy = edge_copy(bytes + at, n);
		records_take(&records, copy, n);
		edge_free(copy, n);
	}
	return records_take(&records, "", 0);
}

static void check_table(void)
{
	for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
		bool right = true;
		for (size_t size = 1; size <= table[i].length + 1; size++)
			right &= take(table[i].bytes, table[i].length, size) == table[i].state;
		ok(right, "%s, in pieces of every size (line %d)", table[i].name, table[i].line);
	}
}

/* what follows the end does not matter, and what precedes it is not enough */
static void check_end(void)
{
	static const char request[] = BEGIN PARAM NO_PARAMS NO_STDIN "another";
	size_t length = sizeof(BEGIN PARAM NO_PARAMS NO_STDIN) - 1;
	struct records records = {0};

	ok(records_take(&records, request, sizeof request) == RECORDS_WHOLE &&
		   records.size == length,
	   "what follows a request is not taken");
	ok(records_take(&records, "\2", 1) == RECORDS_WHOLE,
	   "what follows a request does not change its state");
	bool early = false;
	for (size_t part = 0; part < length; part++) {
		records = (struct records){0};
		early |= records_take(&records, request, part) != RECORDS_MORE;
	}
	ok(!early, "no part of a request is a whole one");
}

/* gives as many records of 1,000 bytes as it takes: the state, and in *count how many were taken */
static enum records_state repeat(struct records *records, const char *head, const char *content,
				 size_t *count)
{
	for (*count = 0; *count < 1000 && records->state == RECORDS_MORE; ++*count) {
		records_take(records, head, 8);
		records_take(records, content, 1000);
	}
	return records->state;
}

static void check_long(void)
{
	static char content[1000];
	struct records records = {0};
	size_t count;

	records_take(&records, BEGIN NO_PARAMS, sizeof(BEGIN NO_PARAMS) - 1);
	enum records_state state = repeat(&records, "\1\5\0\1\3\350\0\0", content, &count);
	ok(state == RECORDS_ENOUGH && count == HTTP_BODY_MAX / 1000 + 1,
	   "a body is enough when a view would read no more: after %zu records", count);

	records = (struct records){0};
	records_take(&records, BEGIN, sizeof(BEGIN) - 1);
	state = repeat(&records, "\1\4\0\1\3\350\0\0", content, &count);
	ok(state == RECORDS_TOO_LARGE && count == RECORDS_SIZE_MAX / 1008 + 1,
	   "variables are too large: after %zu records", count);

	records = (struct records){0};
	for (count = 0; count < 1000 && records.state == RECORDS_MORE; count++)
		records_take(&records, HEAD("\11", "\0", "\0", "\0"), 8);
	ok(records.state == RECORDS_REFUSED && count < 100,
	   "management records without an end are refused: after %zu", count);
}

int main(void)
{
	check_table();
	check_end();
	check_long();
	return done();
}
