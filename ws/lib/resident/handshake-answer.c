/* the answers to a handshake (RFC 6455 4.2.2, RFC 9110 15) */
#include "field.h"
#include "handshake.h"

#include <netinet/in.h>
#include <resolv.h>
#include <sha1.h>
#include <stdio.h>
#include <string.h>

/* what shows that the server has understood the key (4.2.2, 5.4) */
static void accept_value(const char *key, char value[29])
{
	static const char guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
	unsigned char digest[SHA1_DIGEST_LENGTH];
	SHA1_CTX sha1;

	SHA1Init(&sha1);
	SHA1Update(&sha1, (const unsigned char *)key, strlen(key));
	SHA1Update(&sha1, (const unsigned char *)guid, sizeof guid - 1);
	SHA1Final(digest, &sha1);
	b64_ntop(digest, sizeof digest, value, 29);
}

bool handshake_is_offered(const char *variables, const char *protocol)
{
	const char *offered = handshake_variable(variables, "HTTP_SEC_WEBSOCKET_PROTOCOL");
	struct span list = span_of(offered ? offered : "");
	struct span element;

	while (span_next_element(&list, &element))
		if (element.length == strlen(protocol) &&
		    memcmp(element.bytes, protocol, element.length) == 0)
			return true;
	return false;
}

size_t handshake_accept(char answer[HANDSHAKE_ANSWER_SIZE], const char *variables,
			const char *protocol)
{
	const char *key = handshake_variable(variables, "HTTP_SEC_WEBSOCKET_KEY");
	char value[29] = "";

	if (protocol && (strlen(protocol) > HANDSHAKE_MAX_PROTOCOL ||
			 !handshake_is_offered(variables, protocol)))
		return 0;
	accept_value(key ? key : "", value);
	return (size_t)snprintf(answer, HANDSHAKE_ANSWER_SIZE,
				"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
				"Connection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n%s%s%s\r\n",
				value, protocol ? "Sec-WebSocket-Protocol: " : "",
				protocol ? protocol : "", protocol ? "\r\n" : "");
}

static const struct refusal {
	int status;
	const char *phrase;
	const char *fields; /* which this status must have, or is better for */
} refusals[] = {
	{400, "Bad Request", ""},
	{401, "Unauthorized", "WWW-Authenticate: Bearer\r\n"},
	{402, "Payment Required", ""},
	{403, "Forbidden", ""},
	{404, "Not Found", ""},
	{405, "Method Not Allowed", "Allow: GET\r\n"},
	{406, "Not Acceptable", ""},
	{408, "Request Timeout", ""},
	{409, "Conflict", ""},
	{410, "Gone", ""},
	{412, "Precondition Failed", ""},
	{413, "Content Too Large", ""},
	{414, "URI Too Long", ""},
	{417, "Expectation Failed", ""},
	{421, "Misdirected Request", ""},
	{422, "Unprocessable Content", ""},
	{426, "Upgrade Required", "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"},
	{428, "Precondition Required", ""},
	{429, "Too Many Requests", "Retry-After: 10\r\n"},
	{431, "Request Header Fields Too Large", ""},
	{500, "Internal Server Error", ""},
	{501, "Not Implemented", ""},
	{502, "Bad Gateway", ""},
	{503, "Service Unavailable", "Retry-After: 10\r\n"},
	{504, "Gateway Timeout", ""},
	{505, "HTTP Version Not Supported", ""},
	{511, "Network Authentication Required", ""},
};

/* for what is registered elsewhere or not at all (RFC 9110 15) */
static const struct refusal other_refusals[] = {{400, "Client Error", ""},
						{500, "Server Error", ""}};

static const struct refusal *find_refusal(int status)
{
	for (size_t i = 0; i < sizeof refusals / sizeof *refusals; i++)
		if (refusals[i].status == status)
			return &refusals[i];
	return status >= 400 && status < 500   ? &other_refusals[0]
	       : status >= 500 && status < 600 ? &other_refusals[1]
					       : NULL;
}

size_t handshake_refuse(char answer[HANDSHAKE_ANSWER_SIZE], int status, const char *reason,
			bool is_head)
{
	const struct refusal *refusal = find_refusal(status);

	if (refusal == NULL)
		return 0;
	struct span text = span_of(reason ? reason : refusal->phrase);
	if (text.length > HANDSHAKE_MAX_REASON)
		text.length = HANDSHAKE_MAX_REASON;
	return (size_t)snprintf(answer, HANDSHAKE_ANSWER_SIZE,
				"HTTP/1.1 %d %s\r\nConnection: close%s\r\n%s"
				"Content-Type: text/plain; charset=utf-8\r\n"
				"X-Content-Type-Options: nosniff\r\nCache-Control: no-store\r\n"
				"Content-Length: %zu\r\n\r\n%.*s%s",
				status, refusal->phrase, status == 426 ? ", Upgrade" : "",
				refusal->fields, text.length + 1, is_head ? 0 : (int)text.length,
				text.bytes, is_head ? "" : "\n");
}
