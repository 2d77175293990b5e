#!/usr/bin/python3
"""
Asks the whole stack for what RFC 6455 demands of a server, row by row, with handshakes and frames made by hand, in both ways
of running an endpoint.

A row says what the RFC demands, which a resident endpoint meets behind each server. Behind websocketd 0.4.1 a few demands are
not met: their group says what comes instead, and why. Both are asserted, so that a change is noticed. Each group of rows is a
line of the table in ws/README.md, which says whether it holds.
"""
import base64
import contextlib
import hashlib
import os
import re
import signal
import socket
import sys
import tempfile

sys.path.insert(0, f"{sys.path[0]}/../lib")
import sites
import stack
import tap
from resident import NO_LIMIT, Endpoint
from frames import BINARY, CLOSE, CONTINUATION, MASK, PING, PONG, TEXT, close, fragments, frame, text

PROBE = b"the probe"
KEY = base64.b64encode(b"the sample nonce").decode()
HANDSHAKE = {"Host": "localhost", "Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Key": KEY, "Sec-WebSocket-Version": "13"}


class Client:
    """A bare socket with an open WebSocket."""

    def __init__(self):
        self.socket, answer = ask(HANDSHAKE)
        head, _, self.buffer = answer.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 101 "), head

    def read(self, size):
        while len(self.buffer) < size:
            more = self.socket.recv(65536)
            if not more:
                raise ConnectionResetError
            self.buffer += more
        data, self.buffer = self.buffer[:size], self.buffer[size:]
        return data

    def read_frame(self):
        """A frame of the server's: its opcode, whether it is the last of its message, and its payload."""
        first, second = self.read(2)
        length = int.from_bytes(self.read({126: 2, 127: 8}[second]), "big") if second > 125 else second
        payload = self.read(length)
        minimal = {126: length > 125, 127: length > 65535}.get(second, True)
        assert first & 0x70 == 0 and second & 0x80 == 0 and minimal, "no reserved bit, no mask, the shortest form of length (5.1, 5.2)"
        return first & 15, bool(first & 0x80), payload

    def read_message(self):
        """The next message or control frame, as (opcode, payload)."""
        opcode, fin, payload = self.read_frame()
        while not fin:
            following, fin, more = self.read_frame()
            assert following == CONTINUATION
            payload += more
        return opcode, payload


def ask(headers, request="GET /echo HTTP/1.1"):
    """A handshake by hand: the socket, and what came back, up to the end of the head at least."""
    client = socket.create_connection(address[:2], timeout=20)
    fields = [f"{name}: {value}" for name, values in headers.items() for value in ([values] if isinstance(values, str) else values)]
    client.sendall("\r\n".join([request, *fields, "", ""]).encode())
    answer = b""
    while b"\r\n\r\n" not in answer and (more := client.recv(65536)):
        answer += more
    return client, answer


def accept_of(key):
    return base64.b64encode(hashlib.sha1(key.encode() + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest()).decode()


def handshake(changes):
    """Returns the status of the answer and the fields of it that matter here, as if their names were in lower case."""
    changes = dict(changes)
    request = changes.pop("request", "GET /echo HTTP/1.1")
    client, answer = ask({name: value for name, value in {**HANDSHAKE, **changes}.items() if value}, request)
    client.close()
    lines = answer.partition(b"\r\n\r\n")[0].decode().split("\r\n")
    fields = [(name.lower(), value) for name, _, value in (line.partition(": ") for line in lines[1:])]
    told = [f"{name}: {value.lower() if name == 'connection' else value}" for name, value in fields if re.match("upgrade|sec-websocket|connection", name)]
    return [lines[0].split()[1], *sorted((field for field in told if field not in ("connection: close", "connection: keep-alive")), reverse=True)]


def shorten(payload):
    if len(payload) > 20 and payload == payload[:1] * len(payload):
        return f"{len(payload)} x {chr(payload[0])}"
    return payload.decode(errors="backslashreplace")


def describe(opcode, payload):
    if opcode == CLOSE:
        return f"close {int.from_bytes(payload[:2], 'big')}" if payload else "close"
    return {TEXT: "", BINARY: "binary ", PING: "ping ", PONG: "pong "}[opcode] + shorten(payload)


def collect(client, until=None):
    """Returns what comes before this message, or before the end of the connection."""
    got = []
    try:
        while (received := client.read_message()) != (TEXT, until):
            got.append(describe(*received))
    except TimeoutError:
        got.append("silence")
    except OSError:
        got.append("end")
    return got


def exchange(data, ends):
    """Sends the data and returns what comes back. Unless the connection is to end, it must echo one more message."""
    client = Client()
    with client.socket:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # it may be refused before all of it is sent
            client.socket.sendall(data if ends else data + text(PROBE))
        return collect(client, PROBE)


def group(section, title, rows, instead=None, why=None, since=None):
    """
    Rows that hold in both ways; or what comes instead behind websocketd, for all of them or for each by its name, and why; or
    from this Debian on the one, and before it the other. An answer may be one of several: "400 or 426".
    """
    GROUPS.append((section, title, rows, instead, why, since))


def sized(number):
    return f"{number} x x" if number > 20 else "x" * number


GROUPS = []
WAYS = (("websocketd", "lighttpd"), *(("resident", server) for server in sites.SERVERS))
FAILED = ["close 1002", "end"]  # "fail the connection", 7.1.7
ACCEPTED = ["101", "upgrade: websocket", f"sec-websocket-accept: {accept_of(KEY)}", "connection: upgrade"]
SIZES = (0, 1, 125, 126, 127, 65535, 65536)
OPCODES = (3, 4, 5, 6, 7, 11, 12, 13, 14, 15)
GOOD_CODES = (1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999)
BAD_CODES = (0, 999, 1004, 1005, 1006, 1015, 1016, 2000, 2999, 5000, 65535)
CONTROL = {"ping": PING, "pong": PONG, "close": CLOSE}
FIRST = frame(TEXT, b"a", fin=False)  # of a message in fragments
EMOJI = "\U0001F600".encode()

# Each group is a line of the table in ws/README.md. Its rows are what is sent and what must come back; a group that does
# not hold has what comes instead, and why.
group("4.2", "the handshake and its answer, which selects no subprotocol and no extension", {
    "as it should be": ({}, ACCEPTED),
    "Upgrade: WebSocket": ({"Upgrade": "WebSocket"}, ACCEPTED),
    "Connection: keep-alive, UPGRADE": ({"Connection": "keep-alive, UPGRADE"}, ACCEPTED),
    "the key of 1.3": ({"Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ=="}, ["101", "upgrade: websocket", "sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", "connection: upgrade"]),
    "subprotocols offered": ({"Sec-WebSocket-Protocol": "chat, superchat"}, ACCEPTED),
    "extensions offered": ({"Sec-WebSocket-Extensions": "permessage-deflate; client_max_window_bits"}, ACCEPTED),
    "another Origin (10.2)": ({"Origin": "http://evil.example"}, ["403"]),
    "another path": ({"request": "GET /nothing HTTP/1.1"}, ["404"]),
    "HTTP/1.0": ({"request": "GET /echo HTTP/1.0"}, ["400"]),
    "POST": ({"request": "POST /echo HTTP/1.1", "Content-Length": "0"}, ["405"]),
    "no Host": ({"Host": None}, ["400"]),
    "no key": ({"Sec-WebSocket-Key": None}, ["400"]),
    "no Upgrade, which makes it an ordinary request": ({"Upgrade": None}, ["200"]),
    "no Connection, the same, or a refusal": ({"Connection": None}, ["200 or 400 or 426"]),
    "Upgrade: other, websocket, which a server may ignore (RFC 9110 7.8)": ({"Upgrade": "other, websocket"}, ["200"]),
})
group("4.2.2", "another version is refused, and the answer names the right one", {  # by 426, or by 400 as in the example of 4.4
    f"version {version}": ({"Sec-WebSocket-Version": version}, ["400 or 426", "sec-websocket-version: 13"]) for version in (None, "0", "8", "12", "14", "130", "x")
})
group("4.2.1", "a key that is not 16 bytes in base64 is refused, and so are two keys", {
    "a key of 3 bytes": ({"Sec-WebSocket-Key": "AAAA"}, ["400"]),
    "a key that is not base64": ({"Sec-WebSocket-Key": "!" * 24}, ["400"]),
    "two keys (11.3.1)": ({"Sec-WebSocket-Key": [KEY, KEY]}, ["400"]),
}, ["101"], "websocketd accepts any key that is not empty", since="Debian 13")
group("4.2.1", "`Connection` must name `Upgrade`", {
    "Connection: keep-alive": ({"Connection": "keep-alive"}, ["400 or 403 or 426"]),
})
group("5.2", "text of every length", {
    **{f"{number} bytes": (text(b"x" * number), [sized(number)]) for number in SIZES},
    "1 MiB": (text(b"x" * 1048576), [sized(1048576)]),
})
LONGER = [(number, size) for size, sizes in ((3, SIZES[:3]), (9, SIZES[:6])) for number in sizes]
group("5.2", "a length is refused that is longer than needed, or of 2^63 and more", {
    **{f"{number} bytes, their length in {size}": (text(b"x" * number, size=size), FAILED) for number, size in LONGER},
    "a length of 2^63 and more": (bytes([0x81, 0xFF]) + b"\xFF" * 8 + MASK, FAILED),
}, {
    **{f"{number} bytes, their length in {size}": [sized(number)] for number, size in LONGER},
    "a length of 2^63 and more": ["end"],
}, "websocketd takes the longer ones, and ends for the other without a close frame")
group("5.2", "reserved bits and opcodes are refused", {
    **{f"RSV {rsv:03b} on text": (text(b"a", rsv=rsv), FAILED) for rsv in (4, 2, 1, 7)},
    **{f"RSV {rsv:03b} on a {name}": (frame(opcode, rsv=rsv), FAILED) for rsv in (4, 2, 1, 7) for name, opcode in CONTROL.items()},
    **{f"RSV {rsv:03b} on a continuation": (FIRST + frame(CONTINUATION, b"b", rsv=rsv), FAILED) for rsv in (4, 2, 1, 7)},
    **{f"opcode {opcode}": (frame(opcode), FAILED) for opcode in OPCODES},
    **{f"opcode {opcode} with a payload": (frame(opcode, b"a"), FAILED) for opcode in OPCODES},
})
group("5.3", "every mask is accepted, and a frame without one is refused", {
    **{f"mask {mask.hex()}": (text(b"abcdef", mask=mask), ["abcdef"]) for mask in (MASK, bytes(4), b"\xff" * 4, b"\0\0\0\1", b"\n\n\n\n", b"abcd")},
    "text without a mask": (text(b"a", mask=None), FAILED),
    **{f"a {name} without a mask": (frame(opcode, mask=None), FAILED) for name, opcode in CONTROL.items()},
})
group("5.4", "fragments, and control frames between them", {
    **{f"text in {number} fragments": (fragments(*[b"x"] * number), [sized(number)]) for number in (2, 3, 10, 1000)},
    "empty fragments": (fragments(b"", b"a", b"", b"b", b""), ["ab"]),
    "nothing but empty fragments": (fragments(b"", b""), [""]),
    "large fragments": (fragments(b"x" * 70000, b"x" * 70000), [sized(140000)]),
    "pings between fragments": (fragments(b"a", b"b", b"c", between=frame(PING, b"p")), ["pong p", "pong p", "abc"]),
    "pongs between fragments": (fragments(b"a", b"b", b"c", between=frame(PONG, b"p")), ["abc"]),
    "a close between fragments": (FIRST + close(1000), ["close 1000", "end"]),
    "a continuation of nothing": (frame(CONTINUATION, b"a"), FAILED),
    "the same, to be continued": (frame(CONTINUATION, b"a", fin=False), FAILED),
    "text within a message in fragments": (FIRST + text(b"b"), FAILED),
    "binary within a message in fragments": (FIRST + frame(BINARY, b"b"), FAILED),
})
group("5.5", "control frames: short, whole, and a pong for each ping", {
    "an empty ping": (frame(PING), ["pong "]),
    "a ping of any bytes": (frame(PING, b"\0\xff\n"), ["pong \0\\xff\n"]),
    "a ping of 125 bytes": (frame(PING, b"x" * 125), ["pong 125 x x"]),
    "20 pings": (b"".join(frame(PING, b"%d" % number) for number in range(20)), [f"pong {number}" for number in range(20)]),
    "a pong that nobody asked for": (frame(PONG, b"a"), []),
    "a pong of 125 bytes": (frame(PONG, b"x" * 125), []),
    **{f"a {name} of 126 bytes": (frame(opcode, b"\x03\xe8" + b"x" * 124), FAILED) for name, opcode in CONTROL.items()},
    **{f"a {name} in fragments": (frame(opcode, fin=False), FAILED) for name, opcode in CONTROL.items()},
})
group("5.5.1", "the closing handshake: the code comes back, then the end", {
    "an empty close": (close(), ["close", "end"]),
    **{f"code {code}": (close(code), [f"close {code}", "end"]) for code in GOOD_CODES},
    "code and reason": (close(1000, "caf\u00e9".encode()), ["close 1000", "end"]),
    "a reason of 123 bytes": (close(1000, b"x" * 123), ["close 1000", "end"]),
    "text and a ping after the close": (close(1000) + text(b"late") + frame(PING, b"late"), ["close 1000", "end"]),
    "a close after the close": (close(1000) + close(1001), ["close 1000", "end"]),
})
group("5.5.1", "a close frame with a body of one byte is refused", {
    "a body of 1 byte": (frame(CLOSE, b"\x03"), FAILED),
}, ["close", "end"], "websocketd answers it like an empty one")
group("7.4", "codes that nobody may send, and reasons that are not UTF-8, are refused", {
    **{f"code {code}": (close(code), FAILED) for code in BAD_CODES},
    "a reason that is not UTF-8": (close(1000, b"\xff"), ["close 1002 or close 1007", "end"]),
})
group("7.4.1", "a message over the limit is answered with code 1009", {
    "1 MiB and a byte": (text(b"x" * 1048577), ["close 1009", "end"]),
}, ["end"], "the connection ends at once, with code 1006, because websocketd sends no close frame")
group("8.1", "valid UTF-8, whole and split over fragments", {
    "2, 3 and 4 bytes": (text("\u00e9\u20ac\U0001F600\U0010FFFF".encode()), ["\u00e9\u20ac\U0001F600\U0010FFFF"]),
    "NUL and the other controls": (text(b"\0\1\r\x1b\x7f"), ["\0\1\r\x1b\x7f"]),
    **{f"4 bytes, split after {at}": (fragments(EMOJI[:at], EMOJI[at:]), [EMOJI.decode()]) for at in (1, 2, 3)},
    "byte by byte": (fragments(*[bytes([byte]) for byte in "\u00e9\u20ac\U0001F600".encode()]), ["\u00e9\u20ac\U0001F600"]),
    "a ping within a character": (fragments(EMOJI[:2], EMOJI[2:], between=frame(PING)), ["pong ", EMOJI.decode()]),
})
group("8.1", "invalid UTF-8 ends the connection with code 1007, and nothing is echoed", {
    name: (data + text(b"more"), ["close 1007", "end"]) for name, data in {
        "alone": text(b"\xff"),
        "first": text(b"\xffabc"),
        "in the middle": text(b"ab\xffcd"),
        "last": text(b"abc\xff"),
        "behind a valid character": text(EMOJI + b"\x80"),
        "cut at the end": text(b"abc" + EMOJI[:3]),
        "an overlong form": text(b"\xc0\xaf"),
        "a surrogate": text(b"\xed\xa0\x80"),
        "above U+10FFFF": text(b"\xf4\x90\x80\x80"),
        "in the first fragment": fragments(b"ab\xff", b"c"),
        "in the last fragment": fragments(b"ab", b"c\xff"),
        "split over fragments": fragments(b"\xe2", b"\x28\xa1"),
        "cut at the last of the fragments": fragments(b"a", EMOJI[:2]),
    }.items()
}, ["end"], "it ends at once and nothing is echoed, but with code 1006, because websocketd sends no close frame")
group("5.6", "a text message is one message, whatever it contains", {
    "a newline": (text(b"a\nb"), ["a\nb"]),
}, ["a", "b"], "websocketd takes a newline for the end of a message, so this is two")
group("5.6", "a binary message arrives as one", {
    "any bytes": (frame(BINARY, b"a\n\xff"), ["binary a\n\\xff"]),
    "an empty one": (frame(BINARY), ["binary "]),
    "in fragments": (fragments(b"a", b"b", opcode=BINARY), ["binary ab"]),
}, [], "websocketd does not mark it as binary, and the endpoint ends the connection where it can tell")  # check_binary
group("5.5.1", "when the endpoint ends, it sends a close frame", {}, [], "websocketd sends none, and the client sees code 1006")  # check_end_by_endpoint


def check_group(section, title, rows, instead, why, since):
    if instead == []:
        return  # it has a check of its own
    data, wanted = next(iter(rows.values()))
    if since and is_as(handshake(data), wanted):
        instead = None
    for name, (data, wanted) in rows.items():
        if instead is None:
            check_row(data, wanted, f"{section} {title}: {name}")
        else:
            wanted = instead[name] if isinstance(instead, dict) else instead
            check_row(data, wanted, f"{section} {title}: not so: {why}: {name}")


def is_as(got, wanted):
    """Whether it is what is wanted. Of the fields of a refusal only those count that are wanted."""
    if got[:1] not in ([], ["101"]) and got[0].isdigit():
        got = [got[0], *[field for field in got[1:] if field in wanted]]
    return len(got) == len(wanted) and all(one in other.split(" or ") for one, other in zip(got, wanted))


def check_row(data, wanted, name):
    got = handshake(data) if isinstance(data, dict) else exchange(data, wanted[-1:] == ["end"])
    if wanted == ["101"]:
        got = got[:1]
    if not tap.ok(is_as(got, wanted), name):
        print(f"# got {got}\n# wanted {wanted}")


# What a web server answers otherwise than the others do, with the reason.
DIFFERENT = {
    "haproxy": {
        "Upgrade: other, websocket, which a server may ignore (RFC 9110 7.8)": ACCEPTED,  # it heeds it
    },
}
# What a resident endpoint answers on its own socket where a web server before it has another answer.
DIRECT = {
    "another path": ACCEPTED,
    "no Upgrade, which makes it an ordinary request": ["426"],
    "Upgrade: other, websocket, which a server may ignore (RFC 9110 7.8)": ACCEPTED,
}


def check_readme():
    """ws/README.md has a line for each group, and says of the same ones that they hold."""
    table = re.findall(r"^\| ([\d.]+) \| (.*) \| (.*) \| yes \|$", (stack.ROOT / "ws/README.md").read_text(), re.M)
    wanted = [(section, title, f"since {since}; before it no: {why}" if since else f"no: {why}" if why else "yes")
              for section, title, _, _, why, since in GROUPS]
    tap.equal(table, sorted(wanted, key=lambda row: row[0]), "the table of RFC 6455 in ws/README.md is the one that is tested here")


def check_end_by_endpoint():
    stack.wait_until(lambda: not site.endpoints())
    client = Client()
    client.socket.sendall(text(PROBE))
    tap.equal(client.read_message(), (TEXT, PROBE), "5.5.1 the endpoint that is about to be ended runs")
    os.kill(site.endpoints()[0], signal.SIGTERM)
    tap.equal(collect(client), ["end"], "5.5.1 when the endpoint ends, it sends a close frame: not so: websocketd sends none")
    client.socket.close()


def check_binary():
    """
    websocketd in its text mode hands a binary message to the endpoint without a newline. The ping is answered when the
    message has been handed over. The test then waits for the endpoint, because text that comes before it looks is joined.
    """
    for name, data, joined in (("one", frame(BINARY, b"a"), ["end"]), ("in fragments", fragments(b"a", b"b", opcode=BINARY), ["end"]),
                               ("an empty one", frame(BINARY), ["the probe"]), ("one with a newline at its end", frame(BINARY, b"a\n"), ["a", "the probe"])):
        stack.wait_until(lambda: not site.endpoints())
        client = Client()
        with client.socket:
            client.socket.sendall(data + frame(PING))
            tap.equal(client.read_message(), (PONG, b""), f"5.6 a binary message, {name}: it was handed over before the ping is answered")
            if joined == ["end"]:
                stack.wait_until(lambda: not site.endpoints())
            else:
                client.socket.sendall(text(PROBE) + text(b"end"))
            tap.equal(collect(client, b"end"), joined, f"5.6 a binary message, {name}: what comes back is {joined}")


def check_websocketd():
    for one in GROUPS:
        check_group(*one)
    check_binary()
    check_end_by_endpoint()


def check_resident(workers, different):
    for section, title, rows, *_ in GROUPS:
        for name, (data, wanted) in rows.items():
            check_row(data, different.get(name, wanted), f"{section} {title}: {name}")
    client = Client()
    with client.socket:
        for pid in workers():
            os.kill(pid, signal.SIGTERM)
        tap.equal(collect(client), ["close 1001", "end"], "5.5.1 when the endpoint ends, it sends a close frame")


with tempfile.TemporaryDirectory() as directory:
    tree = stack.copy_tree(directory, "fcgi", "ws")  # which this user may read, wherever the tree itself lies
    for way, server in WAYS:
        tap.prefix = f"{way} behind {server}, "
        with stack.Stack(root=tree, build=tree / "build", user=stack.USER, WS=way, SERVER=server, WEBSOCKET_MAX_PER_ADDRESS="0") as site:
            address = "127.0.0.1", site.port
            check_websocketd() if way == "websocketd" else check_resident(lambda: site.pids("echo"), DIFFERENT.get(server, {}))
            # websocketd reports a handshake that it refuses, and an endpoint a connection that it ends
            stack.finish(site, r"duplex: .*127\.0\.0\.1: WebSocket refused[,:] ", *(("superfluous response.WriteHeader", r"echo: 127\.0\.0\.1: the client sent") if way == "websocketd" else [r"^echo: 127\.0\.0\.1: ", "^Child.* respawn$", "lines were left out within a second"]))
tap.prefix = "resident on its own socket, "
with Endpoint(family=socket.AF_INET, **NO_LIMIT) as endpoint:
    address = endpoint.address
    check_resident(lambda: [process.pid for process in endpoint.processes], DIRECT)
tap.prefix = ""
check_readme()
tap.done()
