"use strict";

/* What a message takes on the wire, in bytes, before TLS and TCP. */
const bytesIn = (text) => new TextEncoder().encode(text).length;

/* RFC 6455 5.2: a longer length takes 2 or 8 bytes more, the mask of a client 4. */
const frameBytes = (length, masked) => 2 + (length < 126 ? 0 : length < 65536 ? 2 : 8) + (masked ? 4 : 0) + length;

/* A script is not told what its browser sends: all send this, and lines that are always the same. */
const client = location.host + navigator.userAgent + navigator.languages.join(";q=0.9,");
const requestBytes = (target) => bytesIn(target + client + location.href) + 212;

/* with the lines of RFC 6455 1.3, and 129 bytes of response */
const handshakeBytes = (target) => bytesIn(target + client + location.origin) + 302 + 129;

/* Resource Timing tells the size of the head, or 300 whatever it is: then its lines do. */
function responseBytes(response, text) {
	const timing = performance.getEntriesByName(response.url).pop();
	const body = timing?.encodedBodySize || bytesIn(text);
	const head = timing?.transferSize - body;
	const lines = [`HTTP/1.1 ${response.status} ${response.statusText}`, ...Array.from(response.headers, (pair) => pair.join(": ")), "", ""];
	performance.clearResourceTimings();
	return body + (head > 0 && head !== 300 ? head : bytesIn(lines.join("\r\n")));
}
