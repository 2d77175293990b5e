"use strict";

/* What a message takes on the wire, in bytes, before TLS and TCP. */
const bytesIn = (text) => new TextEncoder().encode(text).length;

/* RFC 6455 5.2: a longer length takes 2 or 8 bytes more, the mask of a client 4. */
function frameBytes(length, masked) {
	return 2 + (length < 126 ? 0 : length < 65536 ? 2 : 8) + (masked ? 4 : 0) + length;
}

/* A script is not told what its browser sends: all send this much. */
const headBytes = (head) => bytesIn(head.replace(/\n/g, "\r\n"));
const client = `HTTP/1.1
Host: ${location.host}
User-Agent: ${navigator.userAgent}
Accept-Encoding: gzip, deflate
Accept-Language: ${navigator.languages.join(";q=0.9,")}`;

const requestBytes = (target) => headBytes(`GET ${target} ${client}
Connection: keep-alive
Accept: */*
Referer: ${location.href}
Sec-Fetch-Site: same-origin
Sec-Fetch-Mode: cors
Sec-Fetch-Dest: empty

`);

/* with the values of RFC 6455 1.3 */
const handshakeBytes = (target) => headBytes(`GET ${target} ${client}
Connection: Upgrade
Upgrade: websocket
Origin: ${location.origin}
Pragma: no-cache
Cache-Control: no-cache
Sec-WebSocket-Version: 13
Sec-WebSocket-Extensions: permessage-deflate
Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==

HTTP/1.1 101 Switching Protocols
Connection: Upgrade
Upgrade: websocket
Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=

`);

/* Resource Timing tells the size of the head, or 300 whatever it is: then its lines do. */
function responseBytes(response, text) {
	const timing = performance.getEntriesByName(response.url).pop();
	const body = timing?.encodedBodySize || bytesIn(text);
	const head = timing?.transferSize - body;
	const lines = Array.from(response.headers, (pair) => pair.join(": ") + "\n").join("");
	performance.clearResourceTimings();
	return body + (head > 0 && head !== 300 ? head : headBytes(`HTTP/1.1 ${response.status} ${response.statusText}\n${lines}\n`));
}
