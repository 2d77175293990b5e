#include "handshake.h"
#include "field.h"

#include <string.h>

static int refuse(struct handshake *handshake, int status, const char *reason)
{
	handshake->reason = reason;
	handshake->status = status;
	return status;
}

/* the request line (RFC 9112 3) */
static int take_request_line(struct handshake *handshake, struct span line)
{
	struct span method;
	struct span target;
	struct target parts;

	handshake->has_request_line = true;
	if (!span_cut(&line, ' ', &method) || !span_is_token(method) ||
	    !span_cut(&line, ' ', &target))
		return refuse(handshake, 400, "the request line is malformed");
	if (line.length != 8 || memcmp(line.bytes, "HTTP/1.", 7) != 0 || line.bytes[7] < '1' ||
	    line.bytes[7] > '9')
		return refuse(handshake, 400, "the protocol must be HTTP/1.1");
	handshake->is_head = method.length == 4 && memcmp(method.bytes, "HEAD", 4) == 0;
	if (method.length != 3 || memcmp(method.bytes, "GET", 3) != 0)
		return refuse(handshake, 405, "the method must be GET");
	if (!target_split(target, &parts))
		return refuse(handshake, 400, "the request target is malformed");
	return HANDSHAKE_MORE;
}

static int take_host(struct handshake *handshake, struct span value)
{
	struct span host;
	struct span port;

	if (handshake->has_host || !host_split(value, &host, &port))
		return refuse(handshake, 400, "Host is doubled or malformed");
	handshake->has_host = true;
	return HANDSHAKE_MORE;
}

/* true if a list has that element, where case does not matter */
static bool has_element(struct span list, const char *wanted)
{
	struct span element;

	while (span_next_element(&list, &element))
		if (span_is(element, wanted))
			return true;
	return false;
}

static int take_upgrade(struct handshake *handshake, struct span value)
{
	handshake->has_upgrade |= has_element(value, "websocket");
	return HANDSHAKE_MORE;
}

static int take_connection(struct handshake *handshake, struct span value)
{
	handshake->has_connection |= has_element(value, "upgrade");
	return HANDSHAKE_MORE;
}

/* 16 bytes in base64 (RFC 4648 4): 22 digits, of which the last has two bits alone, and padding */
static bool is_key(struct span value)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
				     "0123456789+/";
	enum { DIGITS = 22 };

	if (value.length != DIGITS + 2 || memcmp(value.bytes + DIGITS, "==", 2) != 0)
		return false;
	for (size_t i = 0; i < DIGITS; i++)
		if (!is_one_of(value.bytes[i], digits))
			return false;
	return is_one_of(value.bytes[DIGITS - 1], "AQgw");
}

static int take_key(struct handshake *handshake, struct span value)
{
	if (handshake->has_key || !is_key(value))
		return refuse(handshake, 400,
			      "Sec-WebSocket-Key is doubled or not 16 bytes in base64");
	handshake->has_key = true;
	return HANDSHAKE_MORE;
}

static int take_version(struct handshake *handshake, struct span value)
{
	if (handshake->has_version)
		return refuse(handshake, 400, "Sec-WebSocket-Version is doubled");
	if (!span_is(value, "13"))
		return refuse(handshake, 426, "Sec-WebSocket-Version must be 13");
	handshake->has_version = true;
	return HANDSHAKE_MORE;
}

static int take_protocol(struct handshake *handshake, struct span value)
{
	struct span element;

	while (span_next_element(&value, &element))
		if (!span_is_token(element))
			return refuse(handshake, 400, "Sec-WebSocket-Protocol is malformed");
	return HANDSHAKE_MORE;
}

static int take_content_length(struct handshake *handshake, struct span value)
{
	if (!span_is(value, "0"))
		return refuse(handshake, 400, "the request must have no body");
	return HANDSHAKE_MORE;
}

static int take_transfer_encoding(struct handshake *handshake, struct span value)
{
	(void)value;
	return refuse(handshake, 400, "the request must have no body");
}

static const struct {
	const char *name;
	int (*take)(struct handshake *handshake, struct span value);
} known_fields[] = {
	{"Host", take_host},
	{"Upgrade", take_upgrade},
	{"Connection", take_connection},
	{"Sec-WebSocket-Key", take_key},
	{"Sec-WebSocket-Version", take_version},
	{"Sec-WebSocket-Protocol", take_protocol},
	{"Content-Length", take_content_length},
	{"Transfer-Encoding", take_transfer_encoding},
};

/* Takes a field (RFC 9112 5). A line that continues the one before begins with a blank, which no
 * token has. */
static int take_field(struct handshake *handshake, struct span line)
{
	struct span name;
	struct span value;

	if (++handshake->fields > HANDSHAKE_MAX_FIELDS)
		return refuse(handshake, 431, "the head has too many fields");
	if (!span_split_field(line, &name, &value) || !span_is_token(name))
		return refuse(handshake, 400, "a header field is malformed");
	for (size_t i = 0; i < sizeof known_fields / sizeof *known_fields; i++)
		if (span_is(name, known_fields[i].name))
			return known_fields[i].take(handshake, value);
	return HANDSHAKE_MORE;
}

/* the empty line: what is missing of RFC 6455 4.2.1 */
static int end_head(struct handshake *handshake)
{
	if (!handshake->has_host)
		return refuse(handshake, 400, "Host is missing");
	if (!handshake->has_upgrade)
		return refuse(handshake, 426, "only a WebSocket handshake is answered here");
	if (!handshake->has_connection)
		return refuse(handshake, 400, "Connection does not name Upgrade");
	if (!handshake->has_version)
		return refuse(handshake, 426, "Sec-WebSocket-Version must be 13");
	if (!handshake->has_key)
		return refuse(handshake, 400, "Sec-WebSocket-Key is missing");
	handshake->length = handshake->searched;
	return handshake->status = HANDSHAKE_COMPLETE;
}

/* true if a control byte is in the line, but for a tab: of a bare CR too nobody knows what it means
 */
static bool has_control_byte(struct span line)
{
	for (size_t i = 0; i < line.length; i++)
		if (((unsigned char)line.bytes[i] < ' ' && line.bytes[i] != '\t') ||
		    line.bytes[i] == 0x7F)
			return true;
	return false;
}

/* takes a line whose LF is cut off already */
static int take_line(struct handshake *handshake, struct span line)
{
	if (line.length == 0 || line.bytes[line.length - 1] != '\r')
		return refuse(handshake, 400, "a line of the head does not end with CR LF");
	line.length--;
	if (has_control_byte(line))
		return refuse(handshake, 400, "the head has a control byte");
	if (handshake->has_request_line)
		return line.length > 0 ? take_field(handshake, line) : end_head(handshake);
	if (line.length == 0 && handshake->line == 0)
		return HANDSHAKE_MORE; /* one empty line may come first (RFC 9112 2.2) */
	return take_request_line(handshake, line);
}

int handshake_parse(struct handshake *handshake, const char *head, size_t length)
{
	size_t end = length < HANDSHAKE_MAX_HEAD ? length : HANDSHAKE_MAX_HEAD;
	const char *found = head;

	while (handshake->status == HANDSHAKE_MORE && found) {
		found = memchr(head + handshake->searched, '\n', end - handshake->searched);
		size_t line_end = found ? (size_t)(found - head) : end;
		struct span line = {head + handshake->line, line_end - handshake->line};
		if (!handshake->has_request_line && line.length > HANDSHAKE_MAX_LINE + 1)
			return refuse(handshake, 431, "the request line is too long");
		handshake->searched = line_end + (found != NULL);
		if (found) {
			take_line(handshake, line);
			handshake->line = handshake->searched;
		}
	}
	if (handshake->status == HANDSHAKE_MORE && length >= HANDSHAKE_MAX_HEAD)
		return refuse(handshake, 431, "the head is too large");
	return handshake->status;
}
