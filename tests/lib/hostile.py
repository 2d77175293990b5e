"""
What hostile clients send to a site (sites.py), and what of it reached the programs behind the web server: nothing that a
client says of itself may come there as a variable that means something, and nothing may come that the server did not check.

The programs keep a journal: an endpoint that writes down its environment, a resident one that writes down the variables of a
connection (journal.c), and a FastCGI program that does the same.
"""
import collections
import concurrent.futures
import contextlib
import itertools
import posixpath
import random
import re
import shutil
import socket

import resident
import sites
import stack
import tap

FORGED = "6.6.6.6"
OURS = re.compile(r"/(echo(/.*)?|serialize/echo/?)", re.S)

# what a client may not say: each is set by the web server or is not there
NAMES = ("Forwarded", "Proxy", "Remote-User", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Origin", "X-Real-IP", "X-Remote-User")
ABSENT = ("HTTP_FORWARDED", "HTTP_PROXY", "HTTP_REMOTE_USER", "HTTP_X_REAL_IP", "HTTP_X_REMOTE_USER")

ASKED = ("localhost", "localhost:99999", "evil.example", "[::1]")  # other hosts that a request of ours asks for

JOURNAL = """#!/bin/sh
# tells the client, and a journal, all of its environment: in a file of its own, because it may take several writes
all=$(tr '\\0\\n' '\\1\\2' </proc/$$/environ)
printf '%s\\n' "$all" >>{journal}/$$
printf '%s\\n' "$all"
while read -r _; do :; done
"""


def variables_of(line):
    """The environment in a line of the journal; a variable that is there twice has both values."""
    values = {}
    for part in line.split("\1"):
        name, _, value = part.partition("=")
        values[name] = values[name] + " and " + value if name in values else value
    return values


class Journal:
    """The programs of a site replaced by those that keep a journal."""

    def __init__(self, site):
        self.site = site
        self.directory = site.directory / "journal"
        self.directory.mkdir()
        self.directory.chmod(0o777)
        for name in ("echo", "secret"):
            program = site.directory / "told" / name
            program.parent.mkdir(exist_ok=True)
            program.parent.chmod(0o755)
            program.write_text(JOURNAL.format(journal=self.directory))
            program.chmod(0o755)
        site.stop("websocketd")
        site.start_websocketd("told")
        if site.resident:
            self.replace_resident()
        site.stop("fastcgi")
        (site.directory / "fcgi.sock").unlink(missing_ok=True)
        self.fastcgi = sites.FastcgiProgram(site.directory / "fcgi.sock")
        stack.wait_until(lambda: handshake(site)[0] == 101 and sites.ask(site, "/echo").status == 200)

    def replace_resident(self):
        """websocketd's program keeps the same journal, so that what comes there is seen too."""
        program = self.site.directory / "told-resident/echo"
        program.parent.mkdir()
        program.parent.chmod(0o755)
        shutil.copy(stack.BUILD / "tests/journal", program)
        self.site.further["JOURNAL"] = str(self.directory / "resident")
        self.site.stop_endpoints()
        self.site.start_resident(directory=program.parent.name)

    def handshakes(self):
        """Of each the environment; of one that is just writing it down nothing."""
        texts = [file.read_bytes().decode(errors="backslashreplace") for file in self.directory.iterdir()]
        return [variables_of(line) for text in texts for line in text.split("\n")[:-1]]

    def requests(self):
        return list(self.fastcgi.seen)

    def forget(self):
        for file in self.directory.iterdir():
            file.unlink()
        self.fastcgi.seen.clear()


def differing(variables, truth, path):
    """The variables whose values are not among those that are true, and a path that is not ours."""
    found = [f"{name}={variables.get(name)}" for name, values in truth.items() if (variables.get(name) or "").lower() not in values]
    ours = any(OURS.fullmatch(form) for form in (path, posixpath.normpath("/" + path.lstrip("/")).lower()))
    return found if ours else [*found, f"path {path}"]


def lies(variables, site, scheme="http"):
    """What of an endpoint's variables is not the truth about a client of this test."""
    own = f"localhost:{site.http if scheme == 'http' else site.https}"
    hosts = ("", own, *ASKED)
    truth = {"HTTP_X_FORWARDED_FOR": ("127.0.0.1",), "HTTP_X_FORWARDED_PROTO": (scheme,), "HTTP_X_FORWARDED_HOST": hosts, "HTTP_X_HOST": hosts,
             "HTTP_ORIGIN": (stack.ORIGIN,), "HTTP_X_ORIGIN": ("", f"{scheme}://{own}", f"{scheme}://{variables['SERVER_NAME'].lower()}"), "REMOTE_USER": ("",), **{name: ("",) for name in ABSENT}}
    return differing(variables, truth, variables["SCRIPT_NAME"].rstrip("/") + variables["PATH_INFO"])


def lies_over_http(variables, site):
    """The same of a FastCGI program's variables, where the address is REMOTE_ADDR, and Origin is passed on."""
    hosts = ("", f"localhost:{site.http}", *ASKED)
    truth = {"REMOTE_ADDR": ("127.0.0.1",), "HTTP_X_FORWARDED_FOR": ("127.0.0.1", ""), "HTTP_X_FORWARDED_PROTO": ("http", ""), "REQUEST_SCHEME": ("http", ""),
             "HTTPS": ("", "off"), "HTTP_X_FORWARDED_HOST": hosts, "HTTP_X_ORIGIN": ((variables.get("HTTP_ORIGIN") or "").lower(), ""), "REMOTE_USER": ("",),
             "AUTH_TYPE": ("",), **{name: ("",) for name in ABSENT}}
    return differing(variables, truth, variables.get("SCRIPT_NAME", "") + variables.get("PATH_INFO", ""))


def spellings(name):
    """Each way to write a header's name that CGI takes for the same variable (RFC 3875 4.1.18)."""
    parts = name.split("-")
    for separators in itertools.product("-_", repeat=len(parts) - 1):
        spelled = "".join(itertools.chain(*zip(parts, (*separators, ""))))
        yield from dict.fromkeys((spelled, spelled.lower(), spelled.upper()))


def request(site, *headers, path="/echo", method="GET", version="1.1", host=None, port=None):
    lines = [f"{method} {path} HTTP/{version}", *([f"Host: {host or f'localhost:{port or site.http}'}"] if host != "" else []), *headers]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n"


SHAKE = ("Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==")


def converse(port, data, enough, more=b"", timeout=30):
    """What comes back until it is enough, or nothing comes any more; more is sent after the first answer that is not 101."""
    got = b""
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=timeout) as client:
        client.sendall(data)
        while not enough(got):
            part = client.recv(65536)
            if not part:
                break
            got += part
            if more and b"\r\n\r\n" in got and b" 101 " not in got[:20]:
                client.sendall(more)
                more = b""
    return got


def status_of(answer):
    return int(answer.split()[1]) if re.match(rb"HTTP/[\d.]+ \d\d\d ", answer) else None


def is_told(got):
    """Whether a refusal is whole, or the endpoint's line is."""
    head, separator, rest = got.partition(b"\r\n\r\n")
    if not separator:
        return False
    if status_of(head) != 101:
        return True
    size = 4 if len(rest) > 1 and rest[1] == 126 else 2
    return len(rest) >= size and len(rest) >= size + (int.from_bytes(rest[2:4], "big") if size == 4 else rest[1])


def handshake(site, *headers, port=None, **options):
    """The status of a handshake, and what its endpoint was told."""
    got = converse(port or site.http, request(site, *SHAKE, *headers, **options), is_told)
    head, _, rest = got.partition(b"\r\n\r\n")
    return status_of(head), variables_of(rest[4:].decode("latin-1"))


# parts of hostile requests
PATHS = ("/echo/", "/echo/x", "/secret", "/echo/../secret", "/echo/..%2fsecret", "/echo/%2e%2e/secret", "/echo%2f..%2fsecret", "/echo/..%5csecret", "/echo\\..\\secret",
         "/echo/..;/secret", "/echo;/../secret", "//secret", "/./secret", "/secret/../echo", "//echo", "/%65cho", "/ECHO", "/echo%00/../secret", "/echo%0a/secret",
         "/echo%0d%0aX-Forwarded-For:%206.6.6.6", "/echo%252f..%252fsecret", "/echo?/../secret", "/echo#/../secret", "/echo/%c0%ae%c0%ae/secret",
         "http://evil.example/echo", "http://evil.example/secret", "*", "echo", "", "/echo HTTP/1.1\r\nX-Forwarded-For: 6.6.6.6",
         "/serialize/echo/../../secret", "/serialize/echo/%2e%2e/%2e%2e/secret", "/echo/" + "../" * 50 + "secret", "/echo/" + "x" * 3000, "localhost:80", "/echo/\xff\xfe")
METHODS = ("POST", "POST", "HEAD", "PUT", "OPTIONS", "CONNECT", "TRACE", "get", "GET\t", "SECRET")
UPGRADES = ("WebSocket", "websocket, h2c", "h2c, websocket", "h2c", "websocket\r\nUpgrade: h2c", "WEBSOCKET ", "web socket", "websocket\0", "")
CONNECTIONS = ("upgrade", "keep-alive, Upgrade", "close, Upgrade", "Upgrade, HTTP2-Settings", "keep-alive", "Upgrade, X-Forwarded-For, X-Forwarded-Proto, Origin, X-Origin, Host",
               "Upgrade\r\nConnection: X-Forwarded-For, Origin")
VALUES = (FORGED, FORGED, FORGED, "", f"for={FORGED}", f"{FORGED}, 127.0.0.1", "https", "forged.example", "root", f"\t{FORGED}", "x" * 2000, f"{FORGED}\0")


class Generator:
    """Hostile requests from a seed: the same each time. Each has a few parts that are hostile, and is otherwise in order."""

    def __init__(self, site, seed):
        self.site = site
        self.random = random.Random(seed)
        own = f"localhost:{site.http}"
        self.origins = (f"http://{own}", f"http://{own}", f"HTTP://{own.upper()}", "http://evil.example", "null", "file://", f"http://{own}.evil.example",
                        f"http://evil.example#{own}", f"http://evil@{own}", stack.ORIGIN, "", f"http://{own}, http://evil.example", f"http://{own}\0", f"http://{own}/",
                        f"http://evil.example\r\nOrigin: http://{own}", f"http://{own}\r\nOrigin: http://evil.example")
        self.hosts = ("", "evil.example", own.upper(), "localhost", f"{own}\r\nHost: evil.example", f"{own}, evil.example", f"evil@{own}", "[::1]", "..", "localhost:99999")

    def headers(self):
        """Some of what a client may not say, in some spelling."""
        lines = []
        for _ in range(self.random.choice((0, 1, 1, 2, 3, 6))):
            name = self.random.choice(list(spellings(self.random.choice(NAMES))))
            name = self.random.choice((name,) * 40 + (name + " ", " " + name, name + "\t", name + "\0", name.replace("-", "\x2d\r\n "), name.replace("-", " ")))
            lines.append(f"{name}:{self.random.choice((' ', '', '  ', chr(9)))}{self.random.choice(VALUES)}")
        return lines

    def inner(self):
        """A request to be smuggled past the web server: had it passed, it would be told of without having been checked."""
        shake = SHAKE if self.random.random() < 0.6 else ()
        path = self.random.choice(("/secret", "/echo"))
        return request(self.site, *shake, f"Origin: {stack.ORIGIN}", f"X-Forwarded-For: {FORGED}", "X-Forwarded-Proto: https", f"Proxy: {FORGED}", path=path)

    def bodies(self):
        """Headers that disagree on where a request ends, and what is sent after them."""
        inner = self.inner()
        chunked = b"%x\r\n%s\r\n0\r\n\r\n" % (len(inner), inner)
        return (
            ((), inner),
            ((f"Content-Length: {len(inner)}",), inner),
            (("Content-Length: 0",), inner),
            (("Content_Length: 0", f"Content-Length: {len(inner)}"), inner),
            (("Content-Length: 0", f"Content-Length: {len(inner)}"), inner),
            ((f"Content-Length: {len(inner)}, 0",), inner),
            ((f"Content-Length: +{len(inner)}",), inner),
            ((f"Content-Length: 0x{len(inner):x}",), inner),
            (("Content-Length: -1",), inner),
            (("Transfer-Encoding: chunked",), chunked),
            (("Transfer-Encoding: chunked",), b"0\r\n\r\n" + inner),
            (("Transfer-Encoding: chunked", "Content-Length: 5"), b"0\r\n\r\n" + inner),
            ((f"Content-Length: {len(chunked)}", "Transfer-Encoding: chunked"), chunked),
            (("Transfer_Encoding: chunked", "Content-Length: 5"), b"0\r\n\r\n" + inner),
            (("Transfer-Encoding: xchunked", "Content-Length: 5"), b"0\r\n\r\n" + inner),
            (("Transfer-Encoding : chunked", "Content-Length: 5"), b"0\r\n\r\n" + inner),
            (("Transfer-Encoding:\x0bchunked", "Content-Length: 5"), b"0\r\n\r\n" + inner),
            (("X: y\nTransfer-Encoding: chunked", "Content-Length: 5"), b"0\r\n\r\n" + inner),
            (("Transfer-Encoding: identity, chunked", "Content-Length: 5"), b"0\r\n\r\n" + inner),
            (("Transfer-Encoding: chunked", "Transfer-Encoding: identity"), b"0\r\n\r\n" + inner),
            (("Transfer-Encoding: chunked",), b"5;x=\n\r\nhello\r\n0\r\n\r\n" + inner),
            (("Expect: 100-continue", f"Content-Length: {len(inner)}"), inner),
        )

    def sometimes(self, usual, hostile):
        return self.random.choice(hostile) if self.random.random() < 0.2 else usual

    def request(self, upgrade):
        """A hostile handshake, or request, and what is sent after its answer."""
        headers = self.headers()
        origin = self.sometimes(None, self.origins)
        if origin is not None:
            headers.append(f"{self.random.choice(('Origin', 'origin', 'ORIGIN'))}: {origin}")
        if upgrade:
            headers += [f"Connection: {self.sometimes('Upgrade', CONNECTIONS)}", f"Upgrade: {self.sometimes('websocket', UPGRADES)}",
                        f"Sec-WebSocket-Version: {self.sometimes('13', ('12', '', '13, 12'))}", SHAKE[3]]
        else:
            headers.append(f"Connection: {self.sometimes('keep-alive', ('close', 'X-Forwarded-For, Origin, Host', 'Upgrade'))}")
        more, body = self.sometimes(((), b""), self.bodies())
        self.random.shuffle(headers)
        options = {"path": self.sometimes("/echo", [*PATHS, f"http://localhost:{self.site.http}/echo"]), "method": self.sometimes("GET", METHODS),
                   "version": self.sometimes("1.1", ("1.1", "1.1", "1.0", "0.9", "2.0", "1.1 ")), "host": self.sometimes(None, self.hosts)}
        return request(self.site, *headers, *more, **options) + body, self.sometimes(b"", (self.inner(),))


def attack(site, seed, handshakes, requests):
    """Sends so many of each, 32 at a time: how many of them were answered with what status."""
    generator = Generator(site, seed)
    what = [generator.request(number < handshakes) for number in range(handshakes + requests)]
    with concurrent.futures.ThreadPoolExecutor(32) as pool:
        # two answers are enough where a second request is sent after the first
        answers = pool.map(lambda one: converse(site.http, one[0], lambda got: got.count(b"HTTP/1") > bool(one[1]) and is_told(got), one[1], timeout=1), what)
        statuses = [status_of(answer) for answer in answers]
    return statuses[:handshakes], statuses[handshakes:]


def check_spellings(site, journal):
    """Every spelling of everything that a client may not say, one by one, empty, and beside the usual one."""
    rows = [[f"{spelled}: {value}"] for name in NAMES for spelled in spellings(name) for value in (FORGED, "")]
    rows += [[f"{spelled}: {FORGED}" for spelled in spellings(name)] for name in NAMES for _ in range(4)]
    rows += [[f"{name}: {FORGED}", f"{name}: {FORGED}"] for name in NAMES]
    rows += [[f"Connection: {', '.join(NAMES)}", f"X-Forwarded-For: {FORGED}"], [f"Content_Length: {len(FORGED)}"]]
    rows += [[f"Authorization: {scheme} Ni42LjYuNjpzZWNyZXQ="] for scheme in ("Basic", "basic", "BASIC", "Digest", "Bearer")]  # of the user 6.6.6.6
    rows += [["Authorization: Bearer x, Basic Ni42LjYuNjpzZWNyZXQ="], ['Authorization: Digest username="6.6.6.6"']]
    found = []
    for headers in rows:
        status, variables = handshake(site, *headers)
        found += [f"{headers}: {lie}" for lie in (lies(variables, site) if status == 101 else [f"status {status}"])]
    tap.equal(found, [], f"{len(rows)} handshakes with other spellings of what is trusted: the endpoint is told the truth")
    before = len(journal.requests())
    statuses = {status_of(converse(site.http, request(site, "Connection: close", *headers), lambda got: False)) for headers in rows}
    found = [lie for variables in journal.requests()[before:] for lie in lies_over_http(variables, site)]
    tap.equal((statuses, len(journal.requests()) - before, found), ({200}, len(rows), []), f"{len(rows)} requests with other spellings: the FastCGI program is told the truth")
    ask = sites.ask(site, "/echo", "--http2", *(part for name in NAMES for spelled in spellings(name) for part in ("-H", f"{spelled}: {FORGED}")), scheme="https")
    tap.ok(ask.status == 200 and FORGED.encode() not in ask.body, f"over HTTP/2 the FastCGI program is told nothing else: {ask.status}")


def check_origin(site):
    """An endpoint has the Origin of the web server alone; the client's is beside it."""
    own = f"http://localhost:{site.http}"
    for origin in (own, None):
        status, variables = handshake(site, *([f"Origin: {origin}"] if origin else []), "X-Origin: http://evil.example")
        told = origin if site.expect["origin is told"] else None
        tap.equal((status, variables.get("HTTP_ORIGIN"), variables.get("HTTP_X_ORIGIN")), (101, stack.ORIGIN, told), f"Origin {origin}: the endpoint is told {told}")
    check_port(site, own) if site.expect["port"] else check_socket(site)


def check_port(site, own):
    """websocketd has a port, which a page in a browser of the machine can reach."""
    for origin in (None, "http://evil.example", "null", "file://", own, f"http://localhost:{site.websocketd}", stack.ORIGIN.replace("https", "http")):
        status, _ = handshake(site, *([f"Origin: {origin}"] if origin else []), port=site.websocketd)
        tap.equal(status, 403, f"at websocketd's own port, which a page can reach, Origin {origin} is refused")
    status, variables = handshake(site, f"Origin: {stack.ORIGIN}", f"X_Forwarded_For: {FORGED}", port=site.websocketd)
    tap.equal((status, bool(lies(variables, site))), (101, True), "a program of the machine is let in there with the server's own, and its lies are seen by this test")


def check_socket(site):
    client = resident.Client(str(site.socket("echo")), fields=[f"Origin: {stack.ORIGIN}", f"X-Forwarded-For: {FORGED}"])
    variables = variables_of(client.frame()[1].decode("latin-1"))
    tap.ok(lies(variables, site), "whoever may open the socket of a resident endpoint may lie, and its lies are seen by this test")
    client.close()


def check_attack(site, journal, seed, handshakes, requests):
    journal.forget()
    statuses = attack(site, seed, handshakes, requests)
    print(f"# {handshakes} handshakes: {dict(collections.Counter(statuses[0]))}; {requests} requests: {dict(collections.Counter(statuses[1]))}")
    tap.equal((handshake(site)[0], sites.ask(site, "/echo").status), (101, 200), f"after {handshakes} hostile handshakes and {requests} hostile requests the site is well")
    reached = journal.handshakes(), journal.requests()
    tap.ok(len(reached[0]) > handshakes / 10 and len(reached[1]) > requests / 10, f"{len(reached[0])} hostile handshakes came to an endpoint, and {len(reached[1])} hostile requests to the FastCGI program")
    tap.equal([lie for variables in reached[0] for lie in lies(variables, site)], [], "by hostile handshakes no endpoint was told a lie, or reached by another path")
    tap.equal([lie for variables in reached[1] for lie in lies_over_http(variables, site)], [], "by hostile requests the FastCGI program was told no lie, and not reached by another path")


def run(name):
    for way in sites.WAYS:
        tap.prefix = f"{way}: "
        with sites.Site(name, way=way) as site:
            journal = Journal(site)
            check_spellings(site, journal)
            check_origin(site)
            check_attack(site, journal, seed=1, handshakes=1000, requests=500)
    tap.done()
