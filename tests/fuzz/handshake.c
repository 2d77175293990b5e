/*
 * The head of a handshake: whole, byte by byte and cut at random places, compared with what a
 * second parser makes of it, which looks at it line by line with regular expressions.
 *
 * The input is a head of four bytes (bytes of path, of a long field, fields that are
 * put in, and a seed for the cuts) and the request.
 */
#include "handshake.h"
#include "fuzz.h"
#include "variables.h"

#include <arpa/inet.h>
#include <regex.h>
#include <strings.h>

enum { HEAD = 4, MAX_INPUT = 8192, MAX_LINES = 4000 };

#define TOKEN "[!#$%&'*+.^_`|~0-9A-Za-z-]+"
#define HEX2 "%[0-9A-Fa-f][0-9A-Fa-f]"
#define AUTHORITY "(\\[[0-9A-Fa-f:.]+\\]|([A-Za-z0-9._~!$&'()*+,;=-]|" HEX2 ")+)(:([0-9]{0,5}))?"
#define OWS "[ \t]*"

struct bytes {
	char *at;
	size_t length;
};

static void put(struct bytes *to, const char *bytes, size_t length)
{
	if (length > 0)
		memcpy(to->at + to->length, bytes, length);
	to->length += length;
}

/* the request with what its head says put in behind "GET /" and behind the first line */
static struct bytes read_request(const uint8_t *data, size_t size)
{
	const char *request = (const char *)data + HEAD;
	size_t length = size - HEAD < MAX_INPUT ? size - HEAD : MAX_INPUT;
	struct bytes out = {malloc(65536), 0};
	const char *line = memchr(request, '\n', length);
	size_t first = line ? (size_t)(line - request) + 1 : length;
	size_t start = first < 5 ? first : 5;

	if (out.at == NULL)
		abort();
	put(&out, request, start);
	for (size_t i = 0; i < data[0] * (size_t)40; i++)
		put(&out, "a", 1);
	put(&out, request + start, first - start);
	if (data[1] > 0)
		put(&out, "X: ", 3);
	for (size_t i = 0; i < data[1] * (size_t)80; i++)
		put(&out, "x", 1);
	if (data[1] > 0)
		put(&out, "\r\n", 2);
	for (size_t i = 0; i < data[2]; i++)
		put(&out, "a-B: c\r\n", 8);
	put(&out, request + first, length - first);
	return out;
}

/* true if the text matches, and then its parts */
static bool matches(const char *text, const char *pattern, int flags, regmatch_t parts[12])
{
	static struct {
		const char *pattern;
		regex_t compiled;
	} known[32];
	size_t i = 0;

	while (known[i].pattern && strcmp(known[i].pattern, pattern) != 0)
		i++;
	if (known[i].pattern == NULL) {
		if (regcomp(&known[i].compiled, pattern, REG_EXTENDED | flags) != 0)
			abort();
		known[i].pattern = pattern;
	}
	return regexec(&known[i].compiled, text, parts ? 12 : 0, parts, 0) == 0;
}

static char *part_of(const char *text, const regmatch_t *part)
{
	size_t length = part->rm_so < 0 ? 0 : (size_t)(part->rm_eo - part->rm_so);
	char *out = fuzz_copy(length > 0 ? text + part->rm_so : "", length + 1);

	out[length] = '\0';
	return out;
}

/* what the second parser knows of a request */
struct plain {
	int status;
	size_t length;
	char *lines[MAX_LINES]; /* each without its CR LF */
	size_t count;
	int hosts;
	int keys;
	int versions;
	bool upgrades;
	bool names_upgrade;
	char *host;
	char *port;
	char *path;
	char *query;
	char *origin_form;
};

/* the name and port of an authority: false if it is not one */
static bool plain_host(const char *value, char **host, char **port)
{
	regmatch_t parts[12];
	struct in6_addr address;

	if (!matches(value, "^" AUTHORITY "$", 0, parts) || strstr(value, "%00"))
		return false;
	*host = part_of(value, &parts[1]);
	*port = part_of(value, &parts[4]);
	if (**host != '[')
		return true;
	char *inner = fuzz_copy(*host + 1, strlen(*host) - 1);
	inner[strlen(*host) - 2] = '\0';
	bool is_address = inet_pton(AF_INET6, inner, &address) == 1;
	free(inner);
	return is_address;
}

static int plain_request_line(struct plain *plain, const char *line)
{
	regmatch_t parts[12];

	if (!matches(line, "^(" TOKEN ") ([^ ]*) HTTP/1[.][1-9]$", 0, parts))
		return 400;
	char *target = part_of(line, &parts[2]);
	bool is_get = parts[1].rm_eo == 3 && memcmp(line, "GET", 3) == 0;
	bool is_good = matches(target,
			       "^([hH][tT][tT][pP][sS]?://(" AUTHORITY "))?(/([!-\"$&->@-~]|" HEX2
			       ")*)?([?][!-\"$-~]*)?$",
			       0, parts);
	bool has_host = is_good && parts[1].rm_so >= 0;
	if (is_good && !has_host && *target != '/')
		is_good = false;
	if (is_good) {
		char *authority = part_of(target, &parts[2]);
		char *path = part_of(target, &parts[7]);
		char *query = part_of(target, &parts[9]);
		is_good = !strstr(path, "%00") &&
			  (!has_host || plain_host(authority, &plain->host, &plain->port));
		plain->path = *path ? path : (free(path), strdup("/"));
		plain->origin_form = malloc(strlen(plain->path) + strlen(query) + 1);
		sprintf(plain->origin_form, "%s%s", plain->path, query);
		plain->query = strdup(*query ? query + 1 : "");
		free(query);
		free(authority);
	}
	free(target);
	return !is_get ? 405 : is_good ? 0 : 400;
}

static int plain_host_field(struct plain *plain, const char *value)
{
	char *host = NULL;
	char *port = NULL;
	bool is_good = plain_host(value, &host, &port);

	if (plain->host == NULL && is_good) {
		plain->host = host;
		plain->port = port;
	} else {
		free(host);
		free(port);
	}
	return is_good && ++plain->hosts == 1 ? 0 : 400;
}

/* what a field means: the status that it deserves, or 0 */
static int plain_known_field(struct plain *plain, const char *name, const char *value)
{
	if (strcasecmp(name, "Host") == 0)
		return plain_host_field(plain, value);
	if (strcasecmp(name, "Upgrade") == 0)
		plain->upgrades |= matches(value, "(^|,)" OWS "websocket" OWS "(,|$)", REG_ICASE,
					   NULL);
	if (strcasecmp(name, "Connection") == 0)
		plain->names_upgrade |= matches(value, "(^|,)" OWS "upgrade" OWS "(,|$)", REG_ICASE,
						NULL);
	if (strcasecmp(name, "Sec-WebSocket-Key") == 0)
		return matches(value, "^[A-Za-z0-9+/]{21}[AQgw]==$", 0, NULL) && ++plain->keys == 1
			       ? 0
			       : 400;
	if (strcasecmp(name, "Sec-WebSocket-Version") == 0)
		return ++plain->versions > 1 ? 400 : strcmp(value, "13") == 0 ? 0 : 426;
	if (strcasecmp(name, "Sec-WebSocket-Protocol") == 0)
		return matches(value, "^(" TOKEN OWS ")?(," OWS "(" TOKEN OWS ")?)*$", 0, NULL)
			       ? 0
			       : 400;
	if (strcasecmp(name, "Content-Length") == 0)
		return strcmp(value, "0") == 0 ? 0 : 400;
	return strcasecmp(name, "Transfer-Encoding") == 0 ? 400 : 0;
}

/* splits a field: false if it is not one */
static bool plain_field(const char *line, char **name, char **value)
{
	regmatch_t parts[12];

	if (!matches(line, "^(" TOKEN "):" OWS "(.*[^ \t])?" OWS "$", 0, parts))
		return false;
	*name = part_of(line, &parts[1]);
	*value = part_of(line, &parts[2]);
	return true;
}

static int plain_take_field(struct plain *plain, const char *line)
{
	char *name;
	char *value;

	if (plain->count > 101) /* the first line is the request's */
		return 431;
	if (!plain_field(line, &name, &value))
		return 400;
	int status = plain_known_field(plain, name, value);
	free(name);
	free(value);
	return status;
}

static int plain_end(const struct plain *plain)
{
	if (plain->hosts == 0)
		return 400;
	if (!plain->upgrades)
		return 426;
	if (!plain->names_upgrade)
		return 400;
	if (plain->versions == 0)
		return 426;
	return plain->keys == 0 ? 400 : 101;
}

/* takes a line with its CR: the status that it deserves, or 0 */
static int plain_line(struct plain *plain, const char *bytes, size_t length, size_t start)
{
	char *line = fuzz_copy(bytes, length + 1);

	line[length] = '\0';
	plain->lines[plain->count++] = line;
	if (strlen(line) != length || !matches(line, "^[\t -~\x80-\xFF]*\r$", 0, NULL))
		return 400;
	line[length - 1] = '\0';
	if (plain->count > 1)
		return *line ? plain_take_field(plain, line) : plain_end(plain);
	if (*line || start > 0)
		return plain_request_line(plain, line);
	plain->count = 0;
	free(line);
	return 0;
}

static void plain_parse(struct plain *plain, const char *bytes, size_t length)
{
	size_t limit = length < HANDSHAKE_MAX_HEAD ? length : HANDSHAKE_MAX_HEAD;
	size_t start = 0;

	while (plain->status == 0) {
		size_t end = start;
		while (end < limit && bytes[end] != '\n')
			end++;
		if (plain->count == 0 && end - start > HANDSHAKE_MAX_LINE + 1)
			plain->status = 431;
		else if (end == limit)
			break;
		else
			plain->status = plain_line(plain, bytes + start, end - start, start);
		start = end + 1;
	}
	if (plain->status == 0 && length >= HANDSHAKE_MAX_HEAD)
		plain->status = 431;
	plain->length = start;
}

static void plain_free(struct plain *plain)
{
	for (size_t i = 0; i < plain->count; i++)
		free(plain->lines[i]);
	free(plain->host);
	free(plain->port);
	free(plain->path);
	free(plain->query);
	free(plain->origin_form);
}

static void check_value(const char *block, const char *name, const char *wanted)
{
	const char *value = handshake_variable(block, name);

	if (value == NULL || wanted == NULL ? value != wanted : strcmp(value, wanted) != 0) {
		fprintf(stderr, "%s is %s, not %s\n", name, value ? value : "missing",
			wanted ? wanted : "missing");
		fuzz_check(false, "a variable has its value");
	}
}

/* an escaped text, decoded in its place */
static void plain_decode(char *text)
{
	char *to = text;

	for (unsigned int byte; *text; text++) {
		if (*text == '%' && sscanf(text + 1, "%2x", &byte) == 1) {
			*to++ = (char)byte;
			text += 2;
		} else {
			*to++ = *text;
		}
	}
	*to = '\0';
}

static void check_path(const char *block, const struct plain *plain)
{
	char *path = strdup(plain->path);
	size_t end = 0;

	plain_decode(path);
	for (size_t at = 0; at < strlen(path) && end == 0; at++) {
		size_t length = strcspn(path + at, "/");
		if (length == strlen("echo") && memcmp(path + at, "echo", length) == 0)
			end = at + length;
		at += length;
	}
	char *script = fuzz_copy(path, end + 1);
	script[end] = '\0';
	check_value(block, "SCRIPT_NAME", script);
	check_value(block, "PATH_INFO", path + end);
	free(script);
	free(path);
}

/* the values of all fields of that name, joined, as HTTP_NAME has them; false if it is left out */
static void check_name(const char *block, const struct plain *plain, const char *wanted)
{
	char joined[70000] = "";
	char variable[20000] = "HTTP_";
	size_t length = 0;
	int found = 0;

	for (size_t i = 1; i + 1 < plain->count; i++) {
		char *name;
		char *value;
		if (!plain_field(plain->lines[i], &name, &value))
			abort();
		if (strcasecmp(name, wanted) == 0) {
			const char *comma = strcasecmp(name, "cookie") == 0 ? "; " : ", ";
			length += (size_t)sprintf(joined + length, "%s%s", found++ > 0 ? comma : "",
						  value);
		}
		free(name);
		free(value);
	}
	for (size_t i = 0; wanted[i]; i++) {
		static const char from[] = "abcdefghijklmnopqrstuvwxyz-";
		static const char to[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ_";
		const char *place = strchr(from, wanted[i]);
		variable[5 + i] = place ? to[place - from] : wanted[i];
	}
	check_value(block, variable, joined);
}

/* true if the field is left out, or an earlier one had its name */
static bool is_skipped(const struct plain *plain, size_t line, const char *name)
{
	size_t length = strlen(name);

	for (size_t i = 1; i < line; i++)
		if (strncasecmp(plain->lines[i], name, length) == 0 &&
		    plain->lines[i][length] == ':')
			return true;
	return strchr(name, '_') || strcasecmp(name, "proxy") == 0;
}

static void check_fields(const char *block, const struct plain *plain)
{
	size_t wanted = 0;
	size_t count = 0;

	for (size_t i = 1; i + 1 < plain->count; i++) {
		char *name = part_of(plain->lines[i],
				     &(regmatch_t){0, (int)strcspn(plain->lines[i], ":")});
		if (!is_skipped(plain, i, name)) {
			wanted++;
			check_name(block, plain, name);
		}
		free(name);
	}
	for (const char *at = block; *at; at += strlen(at) + 1)
		count += strncmp(at, "HTTP_", 5) == 0;
	fuzz_check(count == wanted, "there is one variable for each name, and no other");
}

static void check_address(const char *block)
{
	const char *all = handshake_variable(block, "HTTP_X_FORWARDED_FOR");
	const char *comma = all ? strrchr(all, ',') : NULL;
	char last[20000] = "";
	unsigned char address[16];
	char text[64];

	sscanf(comma ? comma + 1 : all ? all : "", " %19999[^\r]", last);
	while (*last && strchr(" \t", last[strlen(last) - 1]))
		last[strlen(last) - 1] = '\0';
	int family = inet_pton(AF_INET, last, address) == 1    ? AF_INET
		     : inet_pton(AF_INET6, last, address) == 1 ? AF_INET6
							       : 0;
	check_value(block, "REMOTE_ADDR",
		    family ? inet_ntop(family, address, text, sizeof text) : NULL);
}

static void check_variables(const struct handshake *handshake, const char *head,
			    const struct plain *plain)
{
	char answer[HANDSHAKE_ANSWER_SIZE];
	char *block = handshake_variables(handshake, head, "echo", NULL);

	if (block == NULL)
		abort();
	char *exact = fuzz_copy(block, variables_size(block));
	free(block);
	check_value(exact, "REQUEST_METHOD", "GET");
	check_value(exact, "REQUEST_URI", plain->origin_form);
	check_value(exact, "QUERY_STRING", plain->query);
	check_value(exact, "SERVER_NAME", plain->host);
	check_value(exact, "SERVER_PORT", *plain->port ? plain->port : "80");
	check_path(exact, plain);
	check_fields(exact, plain);
	check_address(exact);
	size_t length = handshake_accept(answer, exact, NULL);
	fuzz_check(length == strlen(answer) && strstr(answer, "\r\n\r\n") + 4 == answer + length,
		   "an answer is whole");
	free(exact);
}

/* the verdict when the bytes come in pieces of largest at most, and each piece of memory ends there
 */
static struct handshake judge(const struct bytes *request, size_t largest, uint32_t seed)
{
	struct handshake handshake = {0};

	for (size_t n = 0; n < request->length && handshake.status == 0;) {
		seed = seed * 1664525U + 1013904223U;
		n += largest > 0 ? 1 + (seed >> 8) % largest : request->length;
		n = n < request->length ? n : request->length;
		char *part = fuzz_copy(request->at, n);
		handshake_parse(&handshake, part, n);
		free(part);
	}
	return handshake;
}

static void check_refusal(const struct handshake *handshake)
{
	char answer[HANDSHAKE_ANSWER_SIZE];
	size_t length = handshake_refuse(answer, handshake->status, handshake->reason,
					 handshake->is_head);

	fuzz_check(length > 0 && length == strlen(answer) && length < sizeof answer,
		   "each refusal has its answer");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size <= HEAD)
		return 0;
	struct bytes request = read_request(data, size);
	struct plain *plain = calloc(1, sizeof *plain);
	struct handshake whole = judge(&request, 0, data[3]);
	size_t largest = request.length < 1000 ? 1 : 200;
	struct handshake cut = judge(&request, largest, data[3]);

	plain_parse(plain, request.at, request.length);
	if (whole.status != plain->status)
		fprintf(stderr, "%d (%s), not %d\n", whole.status,
			whole.reason ? whole.reason : "no reason", plain->status);
	fuzz_check(whole.status == plain->status, "the second parser judges the same");
	fuzz_check(cut.status == whole.status && cut.length == whole.length &&
			   cut.reason == whole.reason,
		   "where the bytes are cut does not matter");
	if (whole.status == HANDSHAKE_COMPLETE) {
		fuzz_check(whole.length == plain->length, "the head ends at the same place");
		check_variables(&whole, request.at, plain);
	} else if (whole.status != HANDSHAKE_MORE) {
		check_refusal(&whole);
	}
	plain_free(plain);
	free(plain);
	free(request.at);
	return 0;
}
