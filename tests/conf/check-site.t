#!/usr/bin/python3
"""
conf/check-site finds nothing wrong with a site behind each of the web servers, by HTTP and HTTPS and under a prefix, and names
what is wrong with a site that misbehaves in one way: a server of this test's own, which is right but for that.
"""
import concurrent.futures
import contextlib
import http
import os
import pathlib
import re
import socket
import subprocess
import sys
import tempfile
import threading
import urllib.parse

sys.path.insert(0, f"{sys.path[0]}/../lib")
import frames
import rfc6455
import sites
import stack
import tap

stack.need("curl")
PROGRAM = stack.ROOT / "conf/check-site"
PAGE = b'<!DOCTYPE html>\n<link rel="stylesheet" href="echo/echo.css">\n<script src="echo/echo.js" defer></script>\n'
PAGES = {
    "another page": b"<p>Welcome",
    "pattern": PAGE + b'<script src="/etc/passw*"></script>',
    "local file": PAGE + b'<script src="file:///etc/passwd"></script>',
    "other host": PAGE + b'<script src="//127.0.0.1/echo.js"></script>',
    "many files": PAGE + b'<script src="echo/echo.js"></script>\n' * 5000,
    "large page": PAGE + b"<p>Welcome" * (1 << 20),
}


def check(url, *options, **variables):
    result = subprocess.run([PROGRAM, *options, url], stdin=subprocess.DEVNULL, capture_output=True, env={"PATH": os.environ["PATH"], "LC_ALL": "C", **variables})
    return result.returncode, result.stdout.decode(), result.stderr.decode()


def check_usage():
    for arguments in ((), ("--nothing",), ("localhost",), ("ftp://localhost/",), ("http://localhost/?a",), ("http://a/", "http://b/"), ("--idle=x", "http://a/"),
                      ("--log=/nothing/there", "http://a/")):
        result = subprocess.run([PROGRAM, *arguments], capture_output=True)
        tap.ok(result.returncode == 2 and result.stdout == b"" and b"--help" in result.stderr, f"usage: {' '.join(arguments) or 'nothing'} is refused with status 2")
    result = subprocess.run([PROGRAM, "--help"], capture_output=True)
    tap.ok(result.returncode == 0 and result.stdout.startswith(b"usage: duplex-check ") and result.stderr == b"", "--help prints the usage")
    result = subprocess.run([PROGRAM, "--version"], capture_output=True)
    tap.ok(result.returncode == 0 and result.stdout.startswith(b"duplex-check (duplex) ") and result.stderr == b"", "--version prints the version")


class Fake(threading.Thread):
    """A site that is right but for one fault. It is at /tools/echo."""

    def __init__(self, fault, log):
        super().__init__(daemon=True)
        self.fault = fault
        self.log = log
        self.first = None
        self.pongs = []
        self.has_lost = False
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}/tools/echo"
        self.start()

    def run(self):
        with contextlib.suppress(OSError):
            while True:
                threading.Thread(target=self.serve, args=(self.listener.accept()[0],), daemon=True).start()

    def serve(self, client):
        with client, contextlib.suppress(OSError, EOFError):
            stream = client.makefile("rb")
            head = b""
            while not head.endswith(b"\r\n\r\n"):
                head += stream.readline() or exit_thread()
            first, fields = rfc6455.read_head(head.removesuffix(b"\r\n\r\n"))
            method, target, _ = first.split()
            if "upgrade" in fields and self.shake_hands(client, stream, fields, target):
                return
            stream.read(int(fields.get("content-length", 0)))
            status, headers, body = self.answer(method, target)
            name = "fake/1\x9b\x1b31mred" if self.fault == "escapes" and method == "POST" else "fake/1"  # in UTF-8, as terminals heed it
            lines = [f"HTTP/1.1 {status} {http.HTTPStatus(status).phrase}", f"Server: {name}", "Connection: close", f"Content-Length: {len(body)}",
                     *(f"{name}: {value}" for name, value in headers.items())]
            client.sendall("\r\n".join(lines).encode() + b"\r\n\r\n" + body)

    def answer(self, method, target):
        path, _, query = target.partition("?")
        message = urllib.parse.parse_qs(query, keep_blank_values=True).get("message")
        text = {"Content-Type": "text/plain; charset=utf-8", "Cache-Control": "no-store"}
        for status in (404, 502):
            if self.fault == f"HTTP {status}":
                return status, text, b"sorry\n"
        if self.fault == "login":
            return 401, text, b"who?\n"
        if method == "POST":
            return {"POST": 200, "escapes": 404}.get(self.fault, 405), text, b"\n"
        if path == "/tools/echo" and message:
            return self.answer_echo(text, message[0].encode())
        if path == "/tools/echo":
            return 200, {"Content-Type": "text/html"}, PAGES.get(self.fault, PAGE)
        if path.startswith("/tools/echo/") and self.fault != "files":
            return 200, {"Content-Type": "text/html" if self.fault == "types" else "text/css" if path.endswith("css") else "text/javascript"}, b""
        return 404, text, b"not here\n"

    def answer_echo(self, headers, message):
        if self.fault == "cache":
            message = self.first = self.first or message
        if self.fault == "storing":
            headers = {**headers, "Cache-Control": "max-age=3600"}
        if self.fault == "front controller":
            message = b"<p>Welcome"
        return 200, headers, message.replace(b'"', b"&quot;") if self.fault == "bytes" else message

    def shake_hands(self, client, stream, fields, target):
        """Whether the connection has become a WebSocket, or was answered as the fault says."""
        host = fields["host"]
        origin = fields.get("origin")
        refusals = {"swallowed": None, "no program": (404, b"404 Not Found\n"), "no Connection": (404, b"404 page not found\n"), "the site's 404": (404, b"sorry\n"),
                    "WebSocket 502": (502, b"sorry\n"), "426": (426, b"Upgrade Required\n"), "400": (400, b"Bad Request\n"), "429": (429, b"\n"), "redirect": (301, b"\n")}
        if self.fault == "swallowed":
            return False
        refusal = refusals.get(self.fault)
        if origin and origin != f"http://{host}" and self.fault != "foreign Origin" or origin == f"http://{host}" and self.fault == "own Origin":
            refusal = (403, b"Forbidden\n")
        if refusal:
            client.sendall(b"HTTP/1.1 %d Sorry\r\nServer: fake/1\r\nContent-Length: %d\r\n\r\n%s" % (refusal[0], len(refusal[1]), refusal[1]))
            return True
        key = "0" * 28 if self.fault == "key" else rfc6455.accept_of(fields["sec-websocket-key"])
        client.sendall(f"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: {key}\r\n\r\n".encode())
        if self.fault != "program ends":
            self.echo(client, stream, fields.get("x-forwarded-for", "127.0.0.1") if self.fault == "address" else "127.0.0.1")
        return True

    def echo(self, client, stream, address):
        if self.fault == "ping":
            client.sendall(b"\x89\x03\x00%s")
        while True:
            kind, length = stream.read(2) or exit_thread()
            stream.read(4)
            payload = stream.read(length & 127)
            if kind & 15 == frames.CLOSE:
                return
            if payload == b"\xff":
                if self.fault == "lost line" and not self.has_lost:
                    self.has_lost = True
                    return
                with self.log.open("a") as log:
                    log.write(f"echo: {address}: the client sent text that is not valid UTF-8\n")
                return
            if kind & 15 == 10 and payload:  # one without a payload is sent now and then, and answers nothing
                self.pongs.append(payload)
            if kind & 15 == 1:
                client.sendall(bytes((0x81, len(payload))) + (payload.upper() if self.fault == "frame" else payload))
                if self.fault == "silence":
                    return

    def close(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()


def exit_thread():
    raise EOFError


# What misbehaves, and the lines that say so and what to do.
FAULTS = {
    None: [],
    "ping": [],
    "lost line": [],
    "HTTP 404": [r"the echo over HTTP is answered 404 by fake/1: the path is not in the fragment's list", r"the page is answered 404", r"a POST is answered 404"],
    "HTTP 502": [r"the echo over HTTP is answered 502 by fake/1: start the FastCGI program", r"the page is answered 502", r"a POST is answered 502 .*: start the FastCGI program"],
    "login": [r"answered 401 .*: give the user and the password", r"the page is answered 401", r"a POST is answered 401 .*: give the user and the password"],
    "front controller": [r"answered by another part of the site, fake/1: another rule of the site"],
    "cache": [r"has an older answer: a cache does not look at the query"],
    "storing": [r"has lost \"Cache-Control: no-store\": a rule"],
    "bytes": [r"changes bytes on the way: a filter"],
    "another page": [r"the page at .* is another one: another rule"],
    "pattern": [r"/etc/passw\*, which the page needs, is answered 404 by fake/1"],
    "local file": [r"the page at .* names files of another site: another rule"],
    "other host": [r"the page at .* names files of another site: another rule"],
    "many files": [r"the page at .* is another one: another rule"],
    "escapes": [r"^a POST is answered 404 by fake/1\?\?31mred, and not 405: another part"],
    "large page": [r"the page is answered 000"],
    "files": [r"/tools/echo/echo\.(css|js), which the page needs, is answered 404 .*: a rule of the site for files"] * 2,
    "types": [r"/tools/echo/echo\.(css|js), which the page needs, has the type \"text/html\": another part"] * 2,
    "POST": [r"a POST is answered 200 by fake/1, and not 405: another part"],
    "swallowed": [r"Upgrade is swallowed: the handshake is answered 200 by fake/1: the header Upgrade was lost before the fragment"],
    "400": [r"Upgrade is swallowed: the handshake is answered 400 by fake/1: the fragment was not asked"],
    "426": [r"Upgrade is swallowed: the handshake is answered 426 by fake/1: the header Upgrade was lost before the fragment"],
    "no program": [r"the handshake is answered 404 by fake/1: websocketd has no program of that name"],
    "no Connection": [r"the handshake is answered 404 by fake/1: websocketd was asked without \"Connection: Upgrade\""],
    "the site's 404": [r"the handshake is answered 404 by fake/1: the path is not in the fragment's list where WebSockets"],
    "WebSocket 502": [r"the handshake is answered 502 by fake/1: start the WebSocket side"],
    "429": [r"the handshake is answered 429 by fake/1: as many clients"],
    "redirect": [r"the handshake is answered 301 by fake/1: a WebSocket does not follow a redirect"],
    "key": [r"answered 101 with another key"],
    "program ends": [r"the WebSocket is closed before a message comes back: the endpoint ends"],
    "frame": [r"a WebSocket message comes back changed"],
    "foreign Origin": [r"a WebSocket from a page of another site, http://foreign\.example, is let in: every page"],
    "own Origin": [r"a WebSocket from a page of the site itself, http://127\.0\.0\.1:\d+, is refused: a proxy in front .* pass on Host"],
    "silence": [r"a WebSocket that is silent for 1 seconds is closed: raise the limit"],
    "address": [r"a client can forge its address: .* 203\.0\.113\.77"],
}


def check_fault(fault, directory):
    log = directory / f"{str(fault).replace(' ', '-')}.log"
    log.touch()
    site = Fake(fault, log)
    result = check(site.url, f"--log={log}", *(["--idle=1"] if fault in ("silence", "ping") else []))
    site.close()
    return fault, result, site.pongs


def check_faults():
    with tempfile.TemporaryDirectory() as directory, concurrent.futures.ThreadPoolExecutor(4) as pool:
        for fault, (status, output, errors), pongs in pool.map(lambda fault: check_fault(fault, pathlib.Path(directory)), FAULTS):
            wrong = re.findall(r"^wrong: (.*)$", output, re.M)
            wanted = FAULTS[fault]
            right = len(wrong) == len(wanted) and all(re.search(pattern, line) for pattern, line in zip(wanted, wrong))
            if not tap.ok(right, f"{fault or 'a site that is right'}: it is told, and nothing else"):
                print("".join(f"# {line}\n" for line in output.splitlines()))
            tap.equal((status, errors), (1 if wanted else 0, ""), f"{fault or 'a site that is right'}: the status is {1 if wanted else 0}, and standard error is empty")
            tap.equal(set(pongs), {b"\x00%s"} if fault == "ping" else set(), f"{fault or 'a site that is right'}: each ping is answered with its payload, and nothing else is")
            if not wanted:
                tap.ok("skipped" not in output, f"{fault or 'a site that is right'}: nothing is skipped")


def check_unreachable():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    status, output, _ = check(f"http://127.0.0.1:{port}/echo")
    tap.ok(status == 1 and "nothing listens at" in output and "start the web server" in output, f"a site that does not run: {output.splitlines()[0]}")
    status, output, _ = check("http://nothing.invalid/echo")
    tap.ok(status == 1 and "is not known" in output, "a name that is not known is told")


def check_right(name):
    """A site as operators have it, behind this server."""
    with sites.Site(name) as site:
        log = f"/proc/{os.getpid()}/fd/{site.log_file.fileno()}"
        for scheme in ("http", "https"):
            status, output, errors = check(site.url("/echo", scheme), "--idle=1", f"--log={log}", CURL_CA_BUNDLE=str(site.directory / "crt.pem"))
            wrong = [line for line in output.splitlines() if line.startswith("wrong")]
            tap.equal((status, wrong, errors), (0, [], ""), f"{name}: nothing is wrong with a site by {scheme}")
            tap.equal(output.count("\nok: "), 9, f"{name}: nine further things are asked for by {scheme}")


def check_certificate():
    with sites.Site("nginx") as site:
        status, output, _ = check(site.url("/echo", "https"))
        tap.ok(status == 1 and "certificate of localhost" in output and "CURL_CA_BUNDLE" in output, "a certificate that nobody trusts is told")


check_usage()
check_unreachable()
check_faults()
for name in sites.SERVERS:
    check_right(name)
check_certificate()
tap.done()
