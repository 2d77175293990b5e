#include "redis-address.h"
#include "field.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/un.h>

enum { DEFAULT_PORT = 6379, HOST_MAX = 255, PIECES = 8 };

static const char bad_form[] =
	"it is neither a path nor host:port, nor a URL of redis:// or unix://";
static const char bad_host[] = "the host is neither a name nor an IP address";
static const char bad_port[] = "the port is not a number from 1 to 65535";
static const char bad_escape[] = "a \"%\" in a URL must be followed by two hexadecimal digits";
static const char bad_database[] = "the database is not a number";
static const char long_path[] = "the path is too long for a UNIX socket";

/* a part of the text that is read */
struct part {
	const char *begin;
	const char *end;
};

static size_t length_of(struct part part)
{
	return (size_t)(part.end - part.begin);
}

/* the last such character in the part; NULL if there is none */
static const char *find_last(struct part part, char c)
{
	return memrchr(part.begin, c, length_of(part));
}

/* keeps a part as it stands */
static struct redis_bytes keep(struct redis_address *address, struct part part)
{
	struct redis_bytes kept = {address->memory + address->used, length_of(part)};

	memcpy(kept.bytes, part.begin, kept.length);
	kept.bytes[kept.length] = '\0';
	address->used += kept.length + 1;
	return kept;
}

/* keeps a percent-encoded part (RFC 3986 2.1); bytes are NULL if an escape is malformed */
static struct redis_bytes decode(struct redis_address *address, struct part part)
{
	struct redis_bytes kept = keep(address, part);
	size_t length = 0;

	for (const char *s = part.begin; s < part.end; s++) {
		if (*s == '%' && !is_escape(s, part.end, &kept.bytes[length]))
			return (struct redis_bytes){0};
		if (*s == '%')
			s += 2;
		else
			kept.bytes[length] = *s;
		length++;
	}
	kept.bytes[length] = '\0';
	kept.length = length;
	return kept;
}

/* the number that the digits of a part are; -1 if they are not one, or it is greater than most */
static int number_of(struct part digits, int most)
{
	int number = digits.begin < digits.end ? 0 : -1;

	for (const char *s = digits.begin; s < digits.end && number >= 0; s++) {
		number = *s >= '0' && *s <= '9' ? number * 10 + (*s - '0') : -1;
		if (number > most)
			number = -1;
	}
	return number;
}

static bool is_ipv6(const char *host)
{
	char text[INET6_ADDRSTRLEN];
	struct in6_addr address;
	size_t length = strcspn(host, "%"); /* a zone may follow (RFC 4007 11) */

	if (length >= sizeof text)
		return false;
	memcpy(text, host, length);
	text[length] = '\0';
	return inet_pton(AF_INET6, text, &address) == 1;
}

static bool is_host(const char *host)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				      "0123456789.-_";

	return host[0] && strlen(host) <= HOST_MAX &&
	       (strchr(host, ':') ? is_ipv6(host) : host[strspn(host, allowed)] == '\0');
}

/* in a URL the "%" before a zone is escaped (RFC 6874 2) */
static void unescape_zone(char *host)
{
	char *zone = strstr(host, "%25");

	if (zone && zone[3])
		memmove(zone + 1, zone + 3, strlen(zone + 3) + 1);
}

/* reads host:port, where a URL may do without the port */
static const char *parse_host(struct redis_address *address, struct part part, bool is_url)
{
	bool is_bracketed = part.begin < part.end && *part.begin == '[';
	const char *bracket = is_bracketed ? find_last(part, ']') : NULL;
	const char *colon = find_last(part, ':');
	struct part host = {part.begin, colon ? colon : part.end};

	if (is_bracketed && bracket == NULL)
		return bad_host;
	if (is_bracketed) {
		host = (struct part){part.begin + 1, bracket};
		colon = bracket + 1 < part.end ? bracket + 1 : NULL;
	}
	if ((colon && *colon != ':') || (colon == NULL && !is_url))
		return bad_form;
	address->host = keep(address, host).bytes;
	if (strlen(address->host) != length_of(host) || !is_host(address->host) ||
	    (is_bracketed && !is_ipv6(address->host)))
		return bad_host;
	if (is_url && is_bracketed)
		unescape_zone(address->host);
	address->port = colon ? number_of((struct part){colon + 1, part.end}, 65535) : DEFAULT_PORT;
	return address->port > 0 ? NULL : bad_port;
}

static const char *check_path(const char *path)
{
	return strlen(path) < sizeof((struct sockaddr_un *)0)->sun_path ? NULL : long_path;
}

static const char *parse_path(struct redis_address *address, struct part part)
{
	address->path = keep(address, part).bytes;
	return check_path(address->path);
}

/*
 * Reads an address that is not a URL. Any "@" may be what ends the password, since both a password
 * and a path may have one: it is the last one that an address follows.
 */
static const char *parse_plain(struct redis_address *address, struct part text)
{
	struct part password = {text.begin, text.end};
	const char *why = bad_form;
	const char *at;

	if (find_last(text, '@') == NULL)
		return parse_host(address, text, false);
	while (why && (at = find_last(password, '@')) != NULL) {
		struct part where = {at + 1, text.end};
		password.end = at;
		address->used = 0;
		address->path = address->host = NULL;
		why = *where.begin == '/' ? parse_path(address, where)
					  : parse_host(address, where, false);
	}
	if (why == NULL && length_of(password) > 0)
		address->password = keep(address, password);
	return why;
}

/* reads "user:password" or "password" of a URL */
static const char *parse_user(struct redis_address *address, struct part part)
{
	const char *colon = memchr(part.begin, ':', length_of(part));
	struct part user = {part.begin, colon ? colon : part.begin};
	struct part password = {colon ? colon + 1 : part.begin, part.end};

	if (length_of(user) > 0) {
		address->user = decode(address, user);
		if (address->user.bytes == NULL)
			return bad_escape;
	}
	if (length_of(user) == 0 && length_of(password) == 0)
		return NULL;
	address->password = decode(address, password);
	return address->password.bytes ? NULL : bad_escape;
}

static const char *parse_database(struct redis_address *address, struct part part)
{
	address->database = number_of(part, 1000000);
	return address->database >= 0 ? NULL : bad_database;
}

/* reads what follows redis:// */
static const char *parse_url(struct redis_address *address, struct part text)
{
	struct part authority = {text.begin, text.begin + strcspn(text.begin, "/?#")};
	struct part database = {authority.end + (*authority.end == '/'), text.end};
	const char *at = find_last(authority, '@');
	struct part host = {at ? at + 1 : authority.begin, authority.end};
	const char *why = NULL;

	if (at)
		why = parse_user(address, (struct part){authority.begin, at});
	if (why == NULL)
		why = parse_host(address, host, true);
	if (why == NULL && length_of(database) > 0)
		why = parse_database(address, database);
	return why;
}

/* reads what follows unix: */
static const char *parse_unix(struct redis_address *address, struct part text)
{
	const char *begin = text.begin + (strncmp(text.begin, "//", 2) == 0 ? 2 : 0);
	const char *slash = strchr(begin, '/');
	struct part path = {slash ? slash : begin, begin + strcspn(begin, "?")};
	struct part query = {path.end, text.end};
	const char *why = NULL;

	if (slash == NULL || path.end < slash || (slash > begin && slash[-1] != '@'))
		return bad_form;
	if (slash > begin)
		why = parse_user(address, (struct part){begin, slash - 1});
	struct redis_bytes decoded = decode(address, path);
	address->path = decoded.bytes;
	if (why == NULL && (decoded.bytes == NULL || strlen(decoded.bytes) != decoded.length))
		why = bad_escape;
	if (why == NULL && length_of(query) > 0)
		why = strncmp(query.begin, "?db=", 4) == 0
			      ? parse_database(address, (struct part){query.begin + 4, query.end})
			      : bad_form;
	return why ? why : check_path(address->path);
}

/* true if the text begins with this, in either case (RFC 3986 3.1), which is then cut off */
static bool skip(struct part *text, const char *start)
{
	size_t length = strlen(start);

	if (strncasecmp(text->begin, start, length) != 0)
		return false;
	text->begin += length;
	return true;
}

const char *redis_address_parse(struct redis_address *address, const char *text)
{
	struct part part = {text, text + strlen(text)};

	*address = (struct redis_address){.size = length_of(part) + PIECES};
	address->memory = malloc(address->size);
	if (address->memory == NULL)
		return "memory is short";
	if (*text == '/')
		return parse_path(address, part);
	if (skip(&part, "unix:"))
		return parse_unix(address, part);
	address->is_tls = skip(&part, "rediss://");
	if (address->is_tls || skip(&part, "redis://"))
		return parse_url(address, part);
	return parse_plain(address, part);
}

void redis_address_free(struct redis_address *address)
{
	if (address->memory)
		explicit_bzero(address->memory, address->size);
	free(address->memory);
	*address = (struct redis_address){0};
}
