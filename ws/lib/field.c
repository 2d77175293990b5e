#include "field.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

static char lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
}

static bool is_alphanumeric(char c)
{
	return (c >= '0' && c <= '9') || (lower(c) >= 'a' && lower(c) <= 'z');
}

bool is_one_of(char c, const char *set)
{
	return c != '\0' && strchr(set, c);
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return lower(c) >= 'a' && lower(c) <= 'f' ? lower(c) - 'a' + 10 : -1;
}

bool is_escape(const char *s, const char *end, char *byte)
{
	if (end - s < 3 || *s != '%' || hex_digit(s[1]) < 0 || hex_digit(s[2]) < 0)
		return false;
	*byte = (char)(hex_digit(s[1]) << 4 | hex_digit(s[2]));
	return true;
}

struct span span_of(const char *text)
{
	return (struct span){text, strlen(text)};
}

bool span_is_same(struct span a, struct span b)
{
	if (a.length != b.length)
		return false;
	for (size_t i = 0; i < a.length; i++)
		if (lower(a.bytes[i]) != lower(b.bytes[i]))
			return false;
	return true;
}

bool span_is(struct span span, const char *text)
{
	return span_is_same(span, span_of(text));
}

bool span_is_token(struct span span)
{
	for (size_t i = 0; i < span.length; i++)
		if (!is_alphanumeric(span.bytes[i]) && !is_one_of(span.bytes[i], "!#$%&'*+-.^_`|~"))
			return false;
	return span.length > 0;
}

static void skip(struct span *span, size_t length)
{
	span->bytes += length;
	span->length -= length;
}

struct span span_trim(struct span span)
{
	while (span.length > 0 && is_one_of(span.bytes[span.length - 1], " \t"))
		span.length--;
	while (span.length > 0 && is_one_of(*span.bytes, " \t"))
		skip(&span, 1);
	return span;
}

bool span_cut(struct span *rest, char byte, struct span *part)
{
	if (rest->length == 0)
		return false;
	const char *found = memchr(rest->bytes, byte, rest->length);
	*part = (struct span){rest->bytes, found ? (size_t)(found - rest->bytes) : rest->length};
	skip(rest, part->length + (found != NULL));
	return true;
}

bool span_next_element(struct span *list, struct span *element)
{
	while (span_cut(list, ',', element)) {
		*element = span_trim(*element);
		if (element->length > 0)
			return true;
	}
	return false;
}

bool span_next_line(struct span *head, struct span *line)
{
	if (!span_cut(head, '\n', line))
		return false;
	line->length -= line->length > 0; /* the CR */
	return line->length > 0;
}

bool span_split_field(struct span line, struct span *name, struct span *value)
{
	const char *colon = memchr(line.bytes, ':', line.length);

	if (colon == NULL)
		return false;
	size_t length = (size_t)(colon - line.bytes);
	*name = (struct span){line.bytes, length};
	*value = span_trim((struct span){colon + 1, line.length - length - 1});
	return true;
}

/* true if no escape is cut, malformed or stands for NUL */
static bool has_good_escapes(struct span span)
{
	const char *end = span.bytes + span.length;
	char byte;

	for (const char *s = span.bytes; s < end; s++)
		if (*s == '%' && (!is_escape(s, end, &byte) || byte == '\0'))
			return false;
	return true;
}

static bool is_name_of_host(struct span host)
{
	for (size_t i = 0; i < host.length; i++)
		if (!is_alphanumeric(host.bytes[i]) &&
		    !is_one_of(host.bytes[i], "-._~%!$&'()*+,;="))
			return false;
	return host.length > 0 && has_good_escapes(host);
}

static bool is_ipv6_in_brackets(struct span host)
{
	char text[INET6_ADDRSTRLEN] = "";
	struct in6_addr address;

	if (host.length < 2 || host.length - 2 >= sizeof text)
		return false;
	memcpy(text, host.bytes + 1, host.length - 2);
	return strlen(text) == host.length - 2 && inet_pton(AF_INET6, text, &address) == 1;
}

static bool is_port(struct span port)
{
	for (size_t i = 0; i < port.length; i++)
		if (port.bytes[i] < '0' || port.bytes[i] > '9')
			return false;
	return port.length <= 5;
}

bool host_split(struct span value, struct span *host, struct span *port)
{
	bool is_ipv6 = value.length > 0 && *value.bytes == '[';

	*port = value;
	if (!span_cut(port, is_ipv6 ? ']' : ':', host))
		return false;
	if (!is_ipv6)
		return is_name_of_host(*host) && is_port(*port);
	if (host->length == value.length)
		return false;
	host->length++;
	if (port->length > 0 && *port->bytes != ':')
		return false;
	if (port->length > 0)
		skip(port, 1);
	return is_ipv6_in_brackets(*host) && is_port(*port);
}

static bool skip_prefix(struct span *rest, const char *prefix)
{
	struct span start = {rest->bytes, strlen(prefix)};

	if (rest->length < start.length || !span_is(start, prefix))
		return false;
	skip(rest, start.length);
	return true;
}

/* takes scheme and authority off a target in absolute-form: false if they are wrong */
static bool take_authority(struct span *rest, struct target *target)
{
	if (!skip_prefix(rest, "http://") && !skip_prefix(rest, "https://"))
		return false;
	struct span authority = {rest->bytes, 0};
	while (authority.length < rest->length && !is_one_of(rest->bytes[authority.length], "/?"))
		authority.length++;
	skip(rest, authority.length);
	return host_split(authority, &target->host, &target->port);
}

/* true if each byte may stand in a target; it is kinder than RFC 3986, as browsers are */
static bool is_visible(struct span span)
{
	for (size_t i = 0; i < span.length; i++)
		if (span.bytes[i] <= ' ' || span.bytes[i] > '~' || span.bytes[i] == '#')
			return false;
	return true;
}

bool target_split(struct span bytes, struct target *target)
{
	*target = (struct target){0};
	if (bytes.length == 0 || !is_visible(bytes))
		return false;
	if (*bytes.bytes != '/' && !take_authority(&bytes, target))
		return false;
	target->origin_form = target->query = bytes;
	if (!span_cut(&target->query, '?', &target->path) || target->path.length == 0)
		target->path = (struct span){"/", 1};
	return has_good_escapes(target->path);
}
