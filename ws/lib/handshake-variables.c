/* the CGI variables of a handshake (RFC 3875 4.1): "NAME=value" strings in one block, of which the
 * last is empty */
#include "field.h"
#include "handshake.h"
#include "user.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

/* The block while it is written. Without bytes, as in a first pass, its length alone is found. */
struct block {
	char *bytes;
	size_t length;
};

static void put(struct block *block, char c)
{
	if (block->bytes)
		block->bytes[block->length] = c;
	block->length++;
}

static void put_span(struct block *block, struct span span)
{
	if (block->bytes && span.length > 0)
		memcpy(block->bytes + block->length, span.bytes, span.length);
	block->length += span.length;
}

static void put_text(struct block *block, const char *text)
{
	put_span(block, span_of(text));
}

/* a whole variable, with its NUL */
static void put_variable(struct block *block, const char *name, struct span value)
{
	put_text(block, name);
	put(block, '=');
	put_span(block, value);
	put(block, '\0');
}

/* takes the next byte off an escaped path, and decodes it: target_split has found its escapes good
 */
static char next_decoded(struct span *path)
{
	char c = *path->bytes;
	size_t length = is_escape(path->bytes, path->bytes + path->length, &c) ? 3 : 1;

	path->bytes += length;
	path->length -= length;
	return c;
}

static void put_decoded(struct block *block, const char *name, struct span path)
{
	put_text(block, name);
	put(block, '=');
	while (path.length > 0)
		put(block, next_decoded(&path));
	put(block, '\0');
}

/* Takes the next segment off a path, with the slash behind it: where the segment ends. *is_name
 * tells whether it is that name once it is decoded. */
static const char *next_segment(struct span *path, const char *name, bool *is_name)
{
	*is_name = true;
	while (path->length > 0) {
		/* cppcheck-suppress variableScope ; next_decoded moves the path on */
		const char *end = path->bytes;
		char c = next_decoded(path);
		if (c == '/') {
			*is_name = *is_name && *name == '\0';
			return end;
		}
		*is_name = *is_name && *name && *name == c;
		name += *is_name;
	}
	*is_name = *is_name && *name == '\0';
	return path->bytes;
}

/* How much of a path is that of the script: up to the first segment of the program's name, or 0. An
 * escaped slash counts: the web server has decoded the path before it chose the program and applied
 * its access rules. */
static size_t script_length(struct span path, const char *program)
{
	struct span rest = path;

	while (rest.length > 0) {
		bool is_script;
		const char *end = next_segment(&rest, program, &is_script);
		if (is_script)
			return (size_t)(end - path.bytes);
	}
	return 0;
}

/* takes the next field off the rest of a head: false at its end */
static bool next_field(struct span *rest, struct span *name, struct span *value)
{
	struct span line;

	return span_next_line(rest, &line) && span_split_field(line, name, value);
}

/* the value of the last field of that name, or an empty span */
static struct span last_value(struct span fields, const char *wanted)
{
	struct span last = span_of("");
	struct span name;
	struct span value;

	while (next_field(&fields, &name, &value))
		if (span_is(name, wanted))
			last = value;
	return last;
}

/* a name with an underscore would pass for one with a hyphen, and HTTP_PROXY for a setting */
static bool is_left_out(struct span name)
{
	return memchr(name.bytes, '_', name.length) || span_is(name, "Proxy");
}

/* true if a field of that name comes before the end */
static bool is_repeated(struct span fields, struct span wanted)
{
	struct span name;
	struct span value;

	while (next_field(&fields, &name, &value) && name.bytes != wanted.bytes)
		if (span_is_same(name, wanted))
			return true;
	return false;
}

/* HTTP_ and the name in upper case, with _ for - (RFC 3875 4.1.18) */
static void put_field_name(struct block *block, struct span name)
{
	put_text(block, "HTTP_");
	for (size_t i = 0; i < name.length; i++) {
		char c = name.bytes[i];
		put(block, c == '-' ? '_' : c >= 'a' && c <= 'z' ? (char)(c & ~0x20) : c);
	}
	put(block, '=');
}

/* a variable for each name: the values of fields that share it are joined as one field would have
 * them (RFC 9110 5.3; for Cookie RFC 6265 4.2.1) */
static void put_fields(struct block *block, const struct span fields)
{
	struct span rest = fields;
	struct span name;
	struct span value;

	while (next_field(&rest, &name, &value)) {
		if (is_left_out(name) || is_repeated(fields, name))
			continue;
		put_field_name(block, name);
		put_span(block, value);
		struct span later = rest;
		for (struct span other; next_field(&later, &other, &value);)
			if (span_is_same(other, name)) {
				put_text(block, span_is(name, "Cookie") ? "; " : ", ");
				put_span(block, value);
			}
		put(block, '\0');
	}
}

/* the address that the web server has added to X-Forwarded-For: the last one, in the usual
 * spelling. False if that is not an IP address. */
static bool forwarded_address(struct span fields, char address[INET6_ADDRSTRLEN])
{
	struct span list = last_value(fields, "X-Forwarded-For");
	const char *comma = memrchr(list.bytes, ',', list.length);
	struct in6_addr bytes; /* has room for an IPv4 address too */
	char text[INET6_ADDRSTRLEN] = "";

	size_t skipped = comma ? (size_t)(comma + 1 - list.bytes) : 0;
	struct span last = span_trim((struct span){list.bytes + skipped, list.length - skipped});
	if (last.length >= sizeof text)
		return false;
	memcpy(text, last.bytes, last.length);
	int family = strchr(text, ':') ? AF_INET6 : AF_INET;
	return inet_pton(family, text, &bytes) == 1 &&
	       inet_ntop(family, &bytes, address, INET6_ADDRSTRLEN);
}

static void put_address(struct block *block, struct span fields, const char *address)
{
	char forwarded[INET6_ADDRSTRLEN];

	if (address == NULL && forwarded_address(fields, forwarded))
		address = forwarded;
	if (address)
		put_variable(block, "REMOTE_ADDR", span_of(address));
}

/* over TCP any program of the machine could pretend to be the web server */
static void put_user(struct block *block, struct span fields, const char *address)
{
	char name[USER_NAME_SIZE];

	if (address == NULL &&
	    user_name(last_value(fields, "X-Remote-User"), last_value(fields, "Forwarded"), name))
		put_variable(block, "REMOTE_USER", span_of(name));
}

/* The authority of the target goes before Host (RFC 9112 3.2.2). The port is that of http unless it
 * is told: nothing else is known of what the client connected to. */
static void put_server(struct block *block, struct span fields, const struct target *target)
{
	struct span host = target->host;
	struct span port = target->port;

	if (host.length == 0)
		host_split(last_value(fields, "Host"), &host, &port);
	put_variable(block, "SERVER_NAME", host);
	put_variable(block, "SERVER_PORT", port.length > 0 ? port : span_of("80"));
}

static void put_target(struct block *block, const struct target *target, const char *program)
{
	size_t script = script_length(target->path, program);
	struct span uri = target->origin_form;

	put_text(block, "REQUEST_URI=");
	if (uri.length == 0 || *uri.bytes != '/')
		put(block, '/');
	put_span(block, uri);
	put(block, '\0');
	put_decoded(block, "SCRIPT_NAME", (struct span){target->path.bytes, script});
	put_decoded(block, "PATH_INFO",
		    (struct span){target->path.bytes + script, target->path.length - script});
	put_variable(block, "QUERY_STRING", target->query);
}

static void put_all(struct block *block, struct span head, const char *program, const char *address)
{
	struct span line;
	struct span method;
	struct span bytes;
	struct target target;

	if (!span_next_line(&head, &line)) /* an empty line may come first */
		span_next_line(&head, &line);
	span_cut(&line, ' ', &method);
	span_cut(&line, ' ', &bytes);
	target_split(bytes, &target);
	put_variable(block, "GATEWAY_INTERFACE", span_of("CGI/1.1"));
	put_variable(block, "SERVER_SOFTWARE", span_of("duplex"));
	put_variable(block, "SERVER_PROTOCOL", span_of("HTTP/1.1"));
	put_variable(block, "REQUEST_METHOD", method);
	put_target(block, &target, program);
	put_server(block, head, &target);
	put_address(block, head, address);
	put_user(block, head, address);
	put_fields(block, head);
	put(block, '\0');
}

char *handshake_variables(const struct handshake *handshake, const char *head, const char *program,
			  const char *address)
{
	struct span bytes = {head, handshake->length};
	struct block block = {0};

	put_all(&block, bytes, program, address);
	block.bytes = malloc(block.length);
	if (block.bytes == NULL)
		return NULL;
	block.length = 0;
	put_all(&block, bytes, program, address);
	return block.bytes;
}

const char *handshake_variable(const char *variables, const char *name)
{
	size_t length = strlen(name);

	for (; *variables; variables += strlen(variables) + 1)
		if (strncmp(variables, name, length) == 0 && variables[length] == '=')
			return variables + length + 1;
	return NULL;
}
