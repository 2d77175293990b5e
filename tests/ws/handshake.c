/*
 * The opening handshake: each request is judged whole, byte by byte and in every two pieces, at the
 * edge of memory, and the verdict must be the same. Then the CGI variables and the answers.
 */
#include "handshake.h"
#include "edge.h"
#include "tap.h"
#include "variables.h"

#include <stdint.h>

#define KEY_VALUE "dGhlIHNhbXBsZSBub25jZQ=="
#define GET "GET /echo HTTP/1.1\r\n"
#define HOST "Host: example.org\r\n"
#define UPGRADE "Upgrade: websocket\r\n"
#define CONNECTION "Connection: Upgrade\r\n"
#define KEY "Sec-WebSocket-Key: " KEY_VALUE "\r\n"
#define VERSION "Sec-WebSocket-Version: 13\r\n"
#define END "\r\n"
#define FIELDS HOST UPGRADE CONNECTION KEY VERSION
#define REST FIELDS END
#define FIELD(field) GET FIELDS field "\r\n" END
#define HOST_IS(value) GET "Host: " value "\r\n" UPGRADE CONNECTION KEY VERSION END
#define KEY_IS(value) GET HOST UPGRADE CONNECTION "Sec-WebSocket-Key: " value "\r\n" VERSION END

static const struct {
	int line;
	int status;
	const char *about;
	const char *request;
	size_t length;
} table[] = {
#define T(status, about, request) ROW(__LINE__, status, about, request, sizeof(request) - 1)
	/* what is taken */
	T(101, "a handshake", GET REST),
	T(101, "frames may follow at once", GET REST "\x81\x80\0\0\0\0\r\n\r\n"),
	T(101, "the example of RFC 6455 1.2",
	  "GET /chat HTTP/1.1\r\nHost: server.example.com\r\nUpgrade: websocket\r\n"
	  "Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
	  "Origin: http://example.com\r\nSec-WebSocket-Protocol: chat, superchat\r\n"
	  "Sec-WebSocket-Version: 13\r\n\r\n"),
	T(101, "names of fields in any case, values without a blank or with many",
	  GET "hOST:a\r\nUPGRADE:WebSocket\r\nconnection: \t upgrade \t\r\n"
	      "sec-websocket-key:" KEY_VALUE "\r\nSEC-WEBSOCKET-VERSION:\t13\r\n\r\n"),
	T(101, "Upgrade and Connection as lists",
	  GET HOST KEY VERSION
	  "Upgrade: h2c , WEBSOCKET\r\nConnection: keep-alive,, UPGRADE ,x\r\n\r\n"),
	T(101, "Upgrade and Connection in several fields",
	  GET HOST KEY VERSION "Upgrade: h2c\r\nUpgrade: websocket\r\nUpgrade: x\r\n"
			       "Connection: keep-alive\r\nConnection: upgrade\r\n\r\n"),
	T(101, "an empty line before the request", "\r\n" GET REST),
	T(101, "a later HTTP/1", "GET / HTTP/1.2\r\n" REST),
	T(101, "an empty value and bytes above ASCII in one", FIELD("X:\r\nY: \xC3\xA9\xFF\tz")),
	T(101, "Content-Length 0", FIELD("Content-Length: 0")),
	T(101, "subprotocols",
	  FIELD("Sec-WebSocket-Protocol: a, b!#$,,c\r\nSec-WebSocket-Protocol: d")),
	T(101, "a query with what browsers leave as it is",
	  "GET /a?b={|}^`\\\"<>%zz%00 HTTP/1.1\r\n" REST),
	T(101, "escapes in the path", "GET /%41%c3%A9%2f HTTP/1.1\r\n" REST),
	T(101, "a target with scheme and host", "GET http://example.org/echo HTTP/1.1\r\n" REST),
	T(101, "a target without a path", "GET HTTPS://[::1]:80?x HTTP/1.1\r\n" REST),

	/* the request line, RFC 9112 3 */
	T(0, "nothing", ""),
	T(0, "a part of the request line", "GET /ec"),
	T(0, "all but the last byte", GET FIELDS "\r"),
	T(400, "two empty lines", "\r\n\r\n" GET REST),
	T(400, "an empty line behind a field without a request", "\r\n" HOST REST),
	T(400, "no target", "GET HTTP/1.1\r\n" REST),
	T(400, "no version", "GET /echo\r\n" REST),
	T(400, "one word", "GET\r\n" REST),
	T(400, "two blanks", "GET  /echo HTTP/1.1\r\n" REST),
	T(400, "two blanks before the version", "GET /echo  HTTP/1.1\r\n" REST),
	T(400, "a blank at the end", "GET /echo HTTP/1.1 \r\n" REST),
	T(400, "a blank at the beginning", " GET /echo HTTP/1.1\r\n" REST),
	T(400, "a tab for a blank", "GET\t/echo HTTP/1.1\r\n" REST),
	T(400, "HTTP/1.0", "GET /echo HTTP/1.0\r\n" REST),
	T(400, "HTTP/0.9", "GET /echo HTTP/0.9\r\n" REST),
	T(400, "HTTP/2.0", "GET /echo HTTP/2.0\r\n" REST),
	T(400, "HTTP/1.11", "GET /echo HTTP/1.11\r\n" REST),
	T(400, "http/1.1", "GET /echo http/1.1\r\n" REST),
	T(400, "HTTP/1.x", "GET /echo HTTP/1.x\r\n" REST),
	T(400, "the beginning of HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
	T(400, "TLS", "\x16\x03\x01\x02\x00\x01\x00\x01\xFC\x03\x03\n"),
	T(400, "a method that is not a token", "G@T /echo HTTP/1.1\r\n" REST),
	T(405, "POST", "POST /echo HTTP/1.1\r\n" REST),
	T(405, "HEAD", "HEAD /echo HTTP/1.1\r\n" REST),
	T(405, "OPTIONS of all", "OPTIONS * HTTP/1.1\r\n" REST),
	T(405, "CONNECT", "CONNECT example.org:80 HTTP/1.1\r\n" REST),
	T(405, "a method in lower case", "get /echo HTTP/1.1\r\n" REST),
	T(400, "a target without a slash", "GET echo HTTP/1.1\r\n" REST),
	T(400, "a target of another scheme", "GET ftp://example.org/ HTTP/1.1\r\n" REST),
	T(400, "a target without a host", "GET http:///echo HTTP/1.1\r\n" REST),
	T(400, "a target with a user", "GET http://me@example.org/echo HTTP/1.1\r\n" REST),
	T(400, "a fragment", "GET /echo#a HTTP/1.1\r\n" REST),
	T(400, "a byte above ASCII in the target", "GET /\xC3\xA9 HTTP/1.1\r\n" REST),
	T(400, "NUL in the target", "GET /\0 HTTP/1.1\r\n" REST),
	T(400, "NUL as an escape in the path", "GET /echo%00 HTTP/1.1\r\n" REST),
	T(400, "half an escape", "GET /echo%4 HTTP/1.1\r\n" REST),
	T(400, "an escape that is cut off by the query", "GET /echo%4?1 HTTP/1.1\r\n" REST),
	T(400, "an escape of other digits", "GET /%4g HTTP/1.1\r\n" REST),

	/* lines and fields, RFC 9112 2.2 and 5 */
	T(400, "LF alone behind the request line", "GET /echo HTTP/1.1\n" REST),
	T(400, "LF alone behind a field", GET "Host: a\n" UPGRADE CONNECTION KEY VERSION END),
	T(400, "LF alone at the end", GET FIELDS "\n"),
	T(400, "CR inside a line", FIELD("X: a\rb")),
	T(400, "two CR", FIELD("X: a\r")),
	T(400, "a folded line", FIELD("X: a\r\n b")),
	T(400, "a line folded with a tab", FIELD("X: a\r\n\tb")),
	T(400, "a folded first line", GET " " HOST REST),
	T(400, "a blank before the colon", FIELD("X : a")),
	T(400, "a tab before the colon", FIELD("X\t: a")),
	T(400, "no name", FIELD(": a")),
	T(400, "no colon", FIELD("X")),
	T(400, "a name with a byte above ASCII", FIELD("\xC3\xA9: a")),
	T(400, "a name with a slash", FIELD("a/b: c")),
	T(400, "NUL in a value", FIELD("X: a\0b")),
	T(400, "a control byte in a value", FIELD("X: \x1B[31m")),
	T(400, "DEL in a value", FIELD("X: \x7F")),
	T(400, "NUL in a name", FIELD("X\0: a")),

	/* Host, RFC 9112 3.2 */
	T(101, "Host with a port", HOST_IS("example.org:8080")),
	T(101, "Host with a colon and no port", HOST_IS("example.org:")),
	T(101, "an address", HOST_IS("127.0.0.1:80")),
	T(101, "an IPv6 address", HOST_IS("[2001:db8::1]")),
	T(101, "an IPv6 address with a port", HOST_IS("[::1]:8080")),
	T(101, "a name with underscore and escape", HOST_IS("a_b%2D.c~d")),
	T(400, "no Host", GET UPGRADE CONNECTION KEY VERSION END),
	T(400, "two of them", GET FIELDS HOST END),
	T(400, "two different ones", GET FIELDS "Host: example.com\r\n" END),
	T(400, "an empty one", HOST_IS("")),
	T(400, "a list of hosts", HOST_IS("a, b")),
	T(400, "a host with a user", HOST_IS("a@b")),
	T(400, "a host with a path", HOST_IS("a/b")),
	T(400, "a port that is not a number", HOST_IS("a:b")),
	T(400, "a port of six digits", HOST_IS("a:123456")),
	T(400, "two ports", HOST_IS("a:1:2")),
	T(400, "a port alone", HOST_IS(":80")),
	T(400, "an IPv6 address without brackets", HOST_IS("::1")),
	T(400, "an IPv6 address with one bracket", HOST_IS("[::1")),
	T(400, "an empty IPv6 address", HOST_IS("[]")),
	T(400, "a wrong IPv6 address", HOST_IS("[1:2]")),
	T(400, "an IPv6 address and more", HOST_IS("[::1]a")),
	T(400, "a wrong escape in a host", HOST_IS("a%2")),

	/* RFC 6455 4.2.1 */
	T(426, "no Upgrade", GET HOST CONNECTION KEY VERSION END),
	T(426, "an ordinary request", GET HOST END),
	T(426, "another Upgrade", GET HOST "Upgrade: h2c\r\n" CONNECTION KEY VERSION END),
	T(426, "an Upgrade that begins with the right word",
	  GET HOST "Upgrade: websockets, xwebsocket\r\n" CONNECTION KEY VERSION END),
	T(400, "no Connection", GET HOST UPGRADE KEY VERSION END),
	T(400, "another Connection",
	  GET HOST UPGRADE "Connection: keep-alive, upgrades\r\n" KEY VERSION END),
	T(426, "no version", GET HOST UPGRADE CONNECTION KEY END),
	T(426, "version 8", GET HOST UPGRADE CONNECTION KEY "Sec-WebSocket-Version: 8\r\n" END),
	T(426, "version 14", GET HOST UPGRADE CONNECTION KEY "Sec-WebSocket-Version: 14\r\n" END),
	T(426, "version 013", GET HOST UPGRADE CONNECTION KEY "Sec-WebSocket-Version: 013\r\n" END),
	T(426, "a list of versions",
	  GET HOST UPGRADE CONNECTION KEY "Sec-WebSocket-Version: 13, 8\r\n" END),
	T(426, "an empty version",
	  GET HOST UPGRADE CONNECTION KEY "Sec-WebSocket-Version:\r\n" END),
	T(400, "two versions", FIELD("Sec-WebSocket-Version: 13")),
	T(400, "no key", GET HOST UPGRADE CONNECTION VERSION END),
	T(400, "two keys", GET FIELDS KEY END),
	T(400, "an empty key", KEY_IS("")),
	T(101, "a key of NUL", KEY_IS("AAAAAAAAAAAAAAAAAAAAAA==")),
	T(101, "a key of all bits", KEY_IS("/////////////////////w==")),
	T(101, "a key with plus", KEY_IS("+++++++++++++++++++++w==")),
	T(400, "a key that is not base64", KEY_IS("not base64")),
	T(400, "a key of 15 bytes", KEY_IS("AAAAAAAAAAAAAAAAAAAA")),
	T(400, "a key of 17 bytes", KEY_IS("AAAAAAAAAAAAAAAAAAAAAAA=")),
	T(400, "a key of 18 bytes", KEY_IS("AAAAAAAAAAAAAAAAAAAAAAAA")),
	T(400, "a key without padding", KEY_IS("AAAAAAAAAAAAAAAAAAAAAA")),
	T(400, "a key with bits behind its end", KEY_IS("AAAAAAAAAAAAAAAAAAAAAB==")),
	T(400, "a key of base64url", KEY_IS("-_AAAAAAAAAAAAAAAAAAAA==")),
	T(400, "a key with a blank", KEY_IS("AAAAAAAAAAA AAAAAAAAAA==")),
	T(400, "a key and more", KEY_IS(KEY_VALUE ", x")),
	T(400, "subprotocols that are not tokens", FIELD("Sec-WebSocket-Protocol: a b")),
	T(400, "a subprotocol in quotes", FIELD("Sec-WebSocket-Protocol: \"a\"")),
	T(400, "a body", FIELD("Content-Length: 5")),
	T(400, "a length that is not a number", FIELD("Content-Length: x")),
	T(400, "a list of lengths", FIELD("Content-Length: 0, 0")),
	T(400, "a length of two digits", FIELD("Content-Length: 00")),
	T(400, "an empty length", FIELD("Content-Length:")),
	T(400, "a body in chunks", FIELD("Transfer-Encoding: chunked")),
	T(400, "any other encoding", FIELD("Transfer-Encoding: identity")),
#undef T
};

/* the verdict when the first bytes come, and then the rest at once; each time where memory ends */
static bool is_judged_in_two(size_t i, size_t cut)
{
	struct handshake handshake = {0};
	size_t length = table[i].length;
	char *part = edge_copy(table[i].request, cut);
	char *whole = edge_copy(table[i].request, length);

	handshake_parse(&handshake, part, cut);
	int status = handshake_parse(&handshake, whole, length);
	bool right = status == table[i].status && handshake.status == status &&
		     (handshake.reason != NULL) == (status >= 400);
	if (!right)
		printf("# cut at %zu: %d, %s\n", cut, status,
		       handshake.reason ? handshake.reason : "no reason");
	edge_free(part, cut);
	edge_free(whole, length);
	return right;
}

static bool is_judged_byte_by_byte(size_t i)
{
	struct handshake handshake = {0};
	int status = 0;

	for (size_t n = 1; n <= table[i].length && status == 0; n++) {
		char *part = edge_copy(table[i].request, n);
		status = handshake_parse(&handshake, part, n);
		edge_free(part, n);
	}
	return status == table[i].status;
}

static void check_table(void)
{
	for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
		bool right = is_judged_byte_by_byte(i);
		for (size_t cut = 0; right && cut <= table[i].length; cut++)
			right = is_judged_in_two(i, cut);
		ok(right, "line %d: %s: %d", table[i].line, table[i].about, table[i].status);
	}
}

/* a request with so many bytes of path, so many fields besides, and so many bytes of the last one
 */
static size_t build(char *bytes, size_t path, size_t fields, size_t last)
{
	size_t length = (size_t)sprintf(bytes, "GET /");

	memset(bytes + length, 'a', path - 1);
	length += path - 1;
	length += (size_t)sprintf(bytes + length, " HTTP/1.1\r\n" FIELDS);
	for (size_t i = 0; i < fields; i++)
		length += (size_t)sprintf(bytes + length, "a: b\r\n");
	length += (size_t)sprintf(bytes + length, "X: ");
	memset(bytes + length, 'x', last);
	return length + last + (size_t)sprintf(bytes + length + last, "\r\n\r\n");
}

/* the verdict on it: whole, and in pieces of 1 and of 1000 bytes; -1 if they differ */
static int judge(const char *bytes, size_t length)
{
	static const size_t steps[] = {1, 1000, SIZE_MAX / 2};
	int statuses[3] = {0};

	for (size_t i = 0; i < 3; i++) {
		struct handshake handshake = {0};
		for (size_t n = 0; n < length && handshake.status == 0;) {
			n = steps[i] < length - n ? n + steps[i] : length;
			handshake_parse(&handshake, bytes, n);
		}
		statuses[i] = handshake.status;
		if (handshake.status == 101 && handshake.length != length)
			return -1;
	}
	return statuses[0] == statuses[1] && statuses[1] == statuses[2] ? statuses[0] : -1;
}

static void check_limits(void)
{
	static char bytes[40000];
	size_t room = HANDSHAKE_MAX_LINE - strlen("GET  HTTP/1.1");

	ok(judge(bytes, build(bytes, room, 0, 1)) == 101, "the longest request line is accepted");
	ok(judge(bytes, build(bytes, room + 1, 0, 1)) == 431,
	   "a request line that is a byte longer is refused");
	memset(bytes, 'G', sizeof bytes);
	ok(judge(bytes, HANDSHAKE_MAX_LINE + 1) == 0,
	   "a request line that has not ended is waited for");
	ok(judge(bytes, HANDSHAKE_MAX_LINE + 2) == 431,
	   "a request line that will be too long is refused");
	ok(judge(bytes, build(bytes, 1, HANDSHAKE_MAX_FIELDS - 6, 1)) == 101,
	   "100 fields are accepted");
	ok(judge(bytes, build(bytes, 1, HANDSHAKE_MAX_FIELDS - 5, 1)) == 431,
	   "101 fields are refused");
	size_t length = build(bytes, 1, 0, 1);
	ok(judge(bytes, build(bytes, 1, 0, HANDSHAKE_MAX_HEAD + 1 - length)) == 101,
	   "the largest head is accepted");
	ok(judge(bytes, build(bytes, 1, 0, HANDSHAKE_MAX_HEAD + 2 - length)) == 431,
	   "a head that is a byte too large is refused");
	ok(judge(bytes, build(bytes, 1, 0, 20000)) == 431,
	   "a head that is much too large is refused");
	ok(judge(bytes, HANDSHAKE_MAX_HEAD) == 431,
	   "the first 16,384 bytes of a head that is too large are refused");
	ok(judge(bytes, HANDSHAKE_MAX_HEAD - 1) == 0,
	   "after 16,383 bytes the rest of a head is waited for");
}

/* each byte is read once: what was taken may be anything afterwards */
static void check_once(void)
{
	struct handshake handshake = {0};
	char bytes[] = GET REST "rest";
	size_t head = sizeof bytes - 1 - 4;

	for (size_t n = 1; n <= head; n++) {
		handshake_parse(&handshake, bytes, n);
		if (bytes[n - 1] == '\n')
			memset(bytes, '\0', n);
	}
	ok(handshake.status == 101, "lines that were judged are not read again");
	ok(handshake.length == head, "the head ends before the first frame");
	ok(handshake_parse(&handshake, bytes, sizeof bytes - 1) == 101 && handshake.length == head,
	   "more bytes change nothing");
}

static const struct {
	int line;
	const char *request;
	const char *program;
	const char *address;
	const char *name;
	const char *value; /* NULL: there is no such variable */
} variables_table[] = {
#define V(request, name, value) ROW(__LINE__, request, "echo", NULL, name, value)
#define PATH(path, name, value) V("GET " path " HTTP/1.1\r\n" REST, name, value)
	V(GET REST, "GATEWAY_INTERFACE", "CGI/1.1"),
	V(GET REST, "SERVER_PROTOCOL", "HTTP/1.1"),
	V(GET REST, "SERVER_SOFTWARE", "duplex"),
	V(GET REST, "REQUEST_METHOD", "GET"),
	V(GET REST, "REQUEST_URI", "/echo"),
	V(GET REST, "SCRIPT_NAME", "/echo"),
	V(GET REST, "PATH_INFO", ""),
	V(GET REST, "QUERY_STRING", ""),
	V(GET REST, "SERVER_NAME", "example.org"),
	V(GET REST, "SERVER_PORT", "80"),
	V(GET REST, "REMOTE_ADDR", NULL),
	V(GET REST, "HTTP_HOST", "example.org"),
	V(GET REST, "HTTP_UPGRADE", "websocket"),
	V(GET REST, "HTTP_SEC_WEBSOCKET_KEY", KEY_VALUE),
	V(GET REST, "HTTP", NULL),
	V(GET REST, "", NULL),
	V(GET REST, "HTTP_HOST=example", NULL),
	V("\r\n" GET REST, "SCRIPT_NAME", "/echo"),

	PATH("/echo?a=b&c=%20?d", "QUERY_STRING", "a=b&c=%20?d"),
	PATH("/echo?a=b&c=%20?d", "REQUEST_URI", "/echo?a=b&c=%20?d"),
	PATH("/echo?", "REQUEST_URI", "/echo?"),
	PATH("/echo?/x", "PATH_INFO", ""),
	PATH("/echo/", "SCRIPT_NAME", "/echo"),
	PATH("/echo/", "PATH_INFO", "/"),
	PATH("/echo/a/b%20c", "PATH_INFO", "/a/b c"),
	PATH("/echo/%C3%a9%25", "PATH_INFO", "/\xC3\xA9%"),
	PATH("/serialize/echo/", "SCRIPT_NAME", "/serialize/echo"),
	PATH("/serialize/echo/", "PATH_INFO", "/"),
	PATH("/tools/echo/echo/x", "SCRIPT_NAME", "/tools/echo"),
	PATH("/tools/echo/echo/x", "PATH_INFO", "/echo/x"),
	PATH("/%65ch%6F/x", "SCRIPT_NAME", "/echo"),
	PATH("/%65ch%6F/x", "PATH_INFO", "/x"),
	PATH("/%65ch%6F/x", "REQUEST_URI", "/%65ch%6F/x"),
	PATH("/echoes/xecho/ech", "SCRIPT_NAME", ""),
	PATH("/echoes/xecho/ech", "PATH_INFO", "/echoes/xecho/ech"),
	PATH("/a%2Fecho", "SCRIPT_NAME", "/a/echo"),
	PATH("/a%2Fecho", "PATH_INFO", ""),
	PATH("/echo%2Fx/echo/secret", "SCRIPT_NAME", "/echo"),
	PATH("/echo%2Fx/echo/secret", "PATH_INFO", "/x/echo/secret"),
	PATH("/echo%2fecho", "PATH_INFO", "/echo"),
	PATH("/ech/o%2Fechoes%2f", "SCRIPT_NAME", ""),
	PATH("/", "PATH_INFO", "/"),
	PATH("//echo//x", "SCRIPT_NAME", "//echo"),
	PATH("//echo//x", "PATH_INFO", "//x"),
	PATH("http://a.example:81/echo/x?y", "REQUEST_URI", "/echo/x?y"),
	PATH("http://a.example:81/echo/x?y", "SERVER_NAME", "a.example"),
	PATH("http://a.example:81/echo/x?y", "SERVER_PORT", "81"),
	PATH("http://a.example:81/echo/x?y", "HTTP_HOST", "example.org"),
	PATH("http://a.example", "REQUEST_URI", "/"),
	PATH("http://a.example", "PATH_INFO", "/"),
	PATH("http://a.example?x", "REQUEST_URI", "/?x"),
	PATH("http://a.example?x", "QUERY_STRING", "x"),
	PATH("http://a.example?x", "PATH_INFO", "/"),

	V(HOST_IS("a.example:8080"), "SERVER_NAME", "a.example"),
	V(HOST_IS("a.example:8080"), "SERVER_PORT", "8080"),
	V(HOST_IS("a.example:"), "SERVER_PORT", "80"),
	V(HOST_IS("[::1]:8080"), "SERVER_NAME", "[::1]"),
	V(HOST_IS("[::1]:8080"), "SERVER_PORT", "8080"),
	V(HOST_IS("[::1]"), "SERVER_PORT", "80"),

	V(FIELD("X-A: 1\r\nx-a:2\r\nX-B: 3\r\nX-a: 4"), "HTTP_X_A", "1, 2, 4"),
	V(FIELD("X-A: 1\r\nx-a:2\r\nX-B: 3\r\nX-a: 4"), "HTTP_X_B", "3"),
	V(FIELD("X: 1\r\nX:\r\nX: 2"), "HTTP_X", "1, , 2"),
	V(FIELD("X: 1\r\nX-A: 2"), "HTTP_X", "1"),
	V(FIELD("Cookie: a=1\r\nCookie: b=2"), "HTTP_COOKIE", "a=1; b=2"),
	V(FIELD("X-Empty:"), "HTTP_X_EMPTY", ""),
	V(FIELD("X: \xC3\xA9 \t a"), "HTTP_X", "\xC3\xA9 \t a"),
	V(FIELD("x9.$~: a"), "HTTP_X9.$~", "a"),
	V(FIELD("X_A: 1"), "HTTP_X_A", NULL),
	V(FIELD("X-A: 1\r\nX_A: 2"), "HTTP_X_A", "1"),
	V(FIELD("X_A: 2\r\nX-A: 1"), "HTTP_X_A", "1"),
	V(FIELD("Proxy: evil"), "HTTP_PROXY", NULL),
	V(FIELD("pROXY: evil"), "HTTP_PROXY", NULL),
	V(FIELD("Proxy-Authorization: x"), "HTTP_PROXY_AUTHORIZATION", "x"),

	V(FIELD("X-Forwarded-For: 192.0.2.1"), "REMOTE_ADDR", "192.0.2.1"),
	V(FIELD("X-Forwarded-For: 10.9.8.7, 192.0.2.1"), "REMOTE_ADDR", "192.0.2.1"),
	V(FIELD("X-Forwarded-For: 10.9.8.7,192.0.2.1 "), "REMOTE_ADDR", "192.0.2.1"),
	V(FIELD("X-Forwarded-For: 10.9.8.7\r\nX-FORWARDED-for: 192.0.2.1"), "REMOTE_ADDR",
	  "192.0.2.1"),
	V(FIELD("X-Forwarded-For: 2001:DB8:0::1"), "REMOTE_ADDR", "2001:db8::1"),
	V(FIELD("X-Forwarded-For: 192.0.2.1\r\nX_Forwarded_For: 10.9.8.7"), "REMOTE_ADDR",
	  "192.0.2.1"),
	V(FIELD("X_Forwarded_For: 10.9.8.7"), "REMOTE_ADDR", NULL),
	V(FIELD("X-Forwarded-For: 192.0.2.1, unix:"), "REMOTE_ADDR", NULL),
	V(FIELD("X-Forwarded-For: 192.0.2.1, example.org"), "REMOTE_ADDR", NULL),
	V(FIELD("X-Forwarded-For: 192.0.2.1, ,"), "REMOTE_ADDR", NULL),
	V(FIELD("X-Forwarded-For: 192.0.2.1,"), "REMOTE_ADDR", NULL),
	V(FIELD("X-Forwarded-For: 192.0.2.1 x"), "REMOTE_ADDR", NULL),
	V(FIELD("X-Forwarded-For: 192.0.2.256"), "REMOTE_ADDR", NULL),
	V(FIELD("X-Forwarded-For:"), "REMOTE_ADDR", NULL),
	V(FIELD("X-Remote-User: alice"), "REMOTE_USER", "alice"),
	V(FIELD("X_Remote_User: alice"), "REMOTE_USER", NULL),
	V(FIELD("Remote-User: alice"), "REMOTE_USER", NULL),
	V(FIELD("Authorization: Basic YWxpY2U6c2VjcmV0"), "REMOTE_USER", NULL),
	V(FIELD("Forwarded: remote_user=\"alice\""), "REMOTE_USER", "alice"),
	V(FIELD("Forwarded: remote_user=\"bob\"\r\nX-Remote-User: alice"), "REMOTE_USER", "alice"),
	{__LINE__, FIELD("X-Remote-User: alice"), "echo", "127.0.0.1", "REMOTE_USER", NULL},
	{__LINE__, FIELD("X-Remote-User: alice"), "echo", "127.0.0.1", "HTTP_X_REMOTE_USER",
	 "alice"},
	V(FIELD("X-Forwarded-For: 1111:2222:3333:4444:5555:6666:7777:8888:9999:0000:1111:2222"),
	  "REMOTE_ADDR", NULL),
	{__LINE__, FIELD("X-Forwarded-For: 10.9.8.7"), "echo", "192.0.2.1", "REMOTE_ADDR",
	 "192.0.2.1"},
	{__LINE__, FIELD("Remote-Addr: 10.9.8.7"), "echo", "::1", "HTTP_REMOTE_ADDR", "10.9.8.7"},
	{__LINE__, GET REST, "chat", NULL, "SCRIPT_NAME", ""},
	{__LINE__, GET REST, "chat", NULL, "PATH_INFO", "/echo"},
#undef PATH
#undef V
};

static char *variables_of(const char *request, const char *program, const char *address)
{
	struct handshake handshake = {0};
	size_t length = strlen(request);
	char *head = edge_copy(request, length);
	char *variables = NULL;

	if (handshake_parse(&handshake, head, length) == HANDSHAKE_COMPLETE)
		variables = handshake_variables(&handshake, head, program, address);
	edge_free(head, length);
	return variables;
}

static void check_variables(void)
{
	for (size_t i = 0; i < sizeof variables_table / sizeof *variables_table; i++) {
		const char *wanted = variables_table[i].value;
		char *block = variables_of(variables_table[i].request, variables_table[i].program,
					   variables_table[i].address);
		const char *value = block ? handshake_variable(block, variables_table[i].name)
					  : "?";
		if (!ok(value == NULL || wanted == NULL ? value == wanted
							: strcmp(value, wanted) == 0,
			"line %d: %s is %s", variables_table[i].line, variables_table[i].name,
			wanted ? wanted : "missing"))
			printf("# got %s\n", value ? value : "nothing");
		free(block);
	}
}

/* no name stands in a block twice */
static void check_names(void)
{
	char *block = variables_of(FIELD("X-A: 1\r\nX-B: 2\r\nx-a: 3\r\nX-A: 4"), "echo", NULL);
	bool right = true;
	int count = 0;

	for (const char *at = block; *at; at += strlen(at) + 1, count++) {
		char name[100] = "";
		memcpy(name, at, strcspn(at, "="));
		right &= handshake_variable(block, name) == at + strlen(name) + 1;
	}
	ok(right && count == 17, "each variable is there once, %d in all", count);
	free(block);
}

static void check_size(void)
{
	char *block = variables_of(GET REST, "echo", "::1");
	size_t size = variables_size(block);
	char *copy = edge_copy(block, size);

	ok(handshake_variable(copy, "NOTHING") == NULL,
	   "a variable that is missing is looked for in the %zu bytes of the block alone", size);
	edge_free(copy, size);
	free(block);
}

#define OFFER FIELD("Sec-WebSocket-Protocol: chat, superchat\r\nSec-WebSocket-Protocol:,a")

static void check_offers(void)
{
	static const char *const wrong[] = {"",    "cha", "chatt",    "CHAT", "chat, superchat",
					    "hat", "b",   "a\r\nX: y"};
	char *block = variables_of(OFFER, "echo", NULL);
	char *none = variables_of(GET REST, "echo", NULL);

	ok(handshake_is_offered(block, "chat") && handshake_is_offered(block, "superchat") &&
		   handshake_is_offered(block, "a"),
	   "subprotocols that are offered");
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
		ok(!handshake_is_offered(block, wrong[i]), "subprotocol %zu is not offered", i);
	ok(!handshake_is_offered(none, "chat"), "no subprotocol is offered");
	free(block);
	free(none);
}

#define SWITCHING \
	"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" \
	"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"

static void check_accept(void)
{
	char answer[HANDSHAKE_ANSWER_SIZE];
	char request[2000];
	char name[HANDSHAKE_MAX_PROTOCOL + 2];
	char *block = variables_of(OFFER, "echo", NULL);

	is(answer, handshake_accept(answer, block, NULL), SWITCHING "\r\n",
	   sizeof SWITCHING "\r\n" - 1, "the answer to the key of RFC 6455 1.3");
	is(answer, handshake_accept(answer, block, "superchat"),
	   SWITCHING "Sec-WebSocket-Protocol: superchat\r\n\r\n",
	   sizeof SWITCHING "Sec-WebSocket-Protocol: superchat\r\n\r\n" - 1,
	   "the answer with a subprotocol");
	ok(handshake_accept(answer, block, "other") == 0,
	   "no answer with a subprotocol that was not offered");
	free(block);
	memset(name, 'p', sizeof name);
	name[sizeof name - 1] = '\0';
	snprintf(request, sizeof request, GET FIELDS "Sec-WebSocket-Protocol: %s,%s\r\n\r\n", name,
		 name + 1);
	block = variables_of(request, "echo", NULL);
	ok(handshake_accept(answer, block, name) == 0,
	   "no answer with a subprotocol that is too long");
	size_t length = handshake_accept(answer, block, name + 1);
	ok(length > 255 && length < sizeof answer && strlen(answer) == length,
	   "the longest answer has %zu bytes", length);
	free(block);
}

/* how a refusal begins, and the fields that it must have besides */
static const struct {
	int status;
	const char *start;
	const char *field;
} refusals[] = {
	{400, "HTTP/1.1 400 Bad Request\r\n", ""},
	{401, "HTTP/1.1 401 Unauthorized\r\n", "\r\nWWW-Authenticate: "},
	{403, "HTTP/1.1 403 Forbidden\r\n", ""},
	{404, "HTTP/1.1 404 Not Found\r\n", ""},
	{405, "HTTP/1.1 405 Method Not Allowed\r\n", "\r\nAllow: GET\r\n"},
	{408, "HTTP/1.1 408 Request Timeout\r\n", ""},
	{410, "HTTP/1.1 410 Gone\r\n", ""},
	{426, "HTTP/1.1 426 Upgrade Required\r\n", "\r\nSec-WebSocket-Version: 13\r\n"},
	{426, "HTTP/1.1 426 Upgrade Required\r\n", "\r\nUpgrade: websocket\r\n"},
	{426, "HTTP/1.1 426 Upgrade Required\r\n", "\r\nConnection: close, Upgrade\r\n"},
	{429, "HTTP/1.1 429 Too Many Requests\r\n", "\r\nRetry-After: "},
	{431, "HTTP/1.1 431 Request Header Fields Too Large\r\n", ""},
	{500, "HTTP/1.1 500 Internal Server Error\r\n", ""},
	{503, "HTTP/1.1 503 Service Unavailable\r\n", "\r\nRetry-After: "},
	{511, "HTTP/1.1 511 Network Authentication Required\r\n", ""},
	{418, "HTTP/1.1 418 Client Error\r\n", ""},
	{451, "HTTP/1.1 451 Client Error\r\n", ""},
	{499, "HTTP/1.1 499 Client Error\r\n", ""},
	{599, "HTTP/1.1 599 Server Error\r\n", ""},
};

static void check_refusal(size_t i, const char *reason, size_t body)
{
	char answer[HANDSHAKE_ANSWER_SIZE];
	char length_field[64];
	int status = refusals[i].status;
	size_t length = handshake_refuse(answer, status, reason, false);
	const char *end = length > 0 ? strstr(answer, "\r\n\r\n") : NULL;

	snprintf(length_field, sizeof length_field, "\r\nContent-Length: %zu\r\n", body);
	ok(end && length < sizeof answer &&
		   strncmp(answer, refusals[i].start, strlen(refusals[i].start)) == 0 &&
		   strstr(answer, refusals[i].field) && strstr(answer, "\r\nConnection: close") &&
		   strstr(answer, length_field) && strlen(end + 4) == body &&
		   answer[length - 1] == '\n',
	   "a refusal with %d has its fields and its length: %s", status,
	   refusals[i].field + 2 * !!*refusals[i].field);
	size_t head = (size_t)(end + 4 - answer);
	char without[HANDSHAKE_ANSWER_SIZE];
	ok(handshake_refuse(without, status, reason, true) == head &&
		   memcmp(without, answer, head) == 0,
	   "a refusal with %d has the same head and no body for HEAD", status);
}

static void check_refusals(void)
{
	char answer[HANDSHAKE_ANSWER_SIZE];
	char long_reason[1000];
	struct handshake handshake = {0};

	memset(long_reason, 'r', sizeof long_reason);
	long_reason[sizeof long_reason - 1] = '\0';
	for (size_t i = 0; i < sizeof refusals / sizeof *refusals; i++) {
		size_t phrase = strlen(refusals[i].start) - strlen("HTTP/1.1 xxx \r\n");
		check_refusal(i, NULL, phrase + 1);
		check_refusal(i, "why", 4);
		check_refusal(i, long_reason, HANDSHAKE_MAX_REASON + 1);
	}
	for (int status = -1; status < 700; status++)
		if (status < 400 || status > 599)
			handshake.fields += handshake_refuse(answer, status, NULL, false) != 0;
	ok(handshake.fields == 0, "a status below 400 or above 599 refuses nothing");
	handshake = (struct handshake){0};
	handshake_parse(&handshake, "HEAD / HTTP/1.1\r\n", 17);
	ok(handshake.status == 405 && handshake.is_head, "HEAD is told apart");
}

int main(void)
{
	check_table();
	check_limits();
	check_once();
	check_variables();
	check_names();
	check_size();
	check_offers();
	check_accept();
	check_refusals();
	return done();
}
