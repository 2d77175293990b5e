/* the answers to a handshake (RFC 6455 4.2.2, RFC 9110 15) */
#include "field.h"
#include "handshake.h"
#include "status.h"

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

/* the fields that a status must have, or is better for */
static const char *fields_of(int status)
{
	switch (status) {
	case 401:
		return "WWW-Authenticate: Bearer\r\n";
	case 405:
		return "Allow: GET\r\n";
	case 426:
		return "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n";
	case 429:
	case 503:
		return "Retry-After: 10\r\n";
	default:
		return "";
	}
}

size_t handshake_refuse(char answer[HANDSHAKE_ANSWER_SIZE], int status, const char *reason,
			bool is_head)
{
	struct span text = span_of(reason ? reason : status_phrase(status));

	if (status < 400 || status > 599)
		return 0;
	if (text.length > HANDSHAKE_MAX_REASON)
		text.length = HANDSHAKE_MAX_REASON;
	return (size_t)snprintf(answer, HANDSHAKE_ANSWER_SIZE,
				"HTTP/1.1 %d %s\r\nConnection: close%s\r\n%s"
				"Content-Type: text/plain; charset=utf-8\r\n"
				"X-Content-Type-Options: nosniff\r\nCache-Control: no-store\r\n"
				"Content-Length: %zu\r\n\r\n%.*s%s",
				status, status_phrase(status), status == 426 ? ", Upgrade" : "",
				fields_of(status), text.length + 1, is_head ? 0 : (int)text.length,
				text.bytes, is_head ? "" : "\n");
}
