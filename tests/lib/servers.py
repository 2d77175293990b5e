"""
One table of checks for every front server. Each is started privately, as an ordinary user, from a site of its own
(tests/conf/sites) that includes the shipped fragment as it stands.

What a server itself answers differently stands in DIFFERENT, with the reason; nothing else asks for its name.
"""
import asyncio
import contextlib
import json
import os
import pathlib
import random
import re
import shutil
import signal
import socket
import ssl
import struct
import subprocess
import tempfile
import threading
import time

import frames
import rfc6455
import stack
import tap

IDLE = 2  # seconds, where a server's default is a minute or more; the fragment's own limit for a WebSocket is an hour



class Server:
    """What conf/run says of a server."""

    def __init__(self, folder):
        self.package = (folder / "packages").read_text().split()[0]
        self.program = self.package
        self.fragment = (folder / "fragment").read_text().strip()
        self.start = folder / "start"


SERVERS = {path.parent.name: Server(path.parent) for path in sorted(stack.ROOT.glob("conf/run/*/packages"))}
FRAGMENT = "duplex.conf"  # what it is called in a site

DEFAULT = {
    "options": (),               # what it is started with besides
    "upgrade header": True,      # 426 comes with Upgrade: websocket
    "long URL": {414},           # 64 KiB of query
    "many headers": {400, 431},  # 128 headers of 600 bytes
    "NUL in path": {400, 404},
    "raw query": True,           # a query that is not a URI is passed on
    "down": {502, 503},          # FastCGI or websocketd is stopped
    "waits": False,              # a request may wait for it instead
    "back": 1.5,                 # it is served again within so many seconds
    "slow": {400, 408, None},    # a request that never ends; None: cut off without an answer
    "slow request": True,        # a client that sends a byte now and then is cut off
    "reload": "kill -USR1 {p}",  # how it reads its configuration again
    "sockets survive": True,     # a reload leaves WebSockets open
}
DIFFERENT = {
    "lighttpd": {
        "upgrade header": False,   # it takes Upgrade out of what FastCGI answers
        "long URL": {431},
        "back": 2.5,               # it looks once a second
        "slow request": False,     # its limit is for silence; such a client costs a descriptor and no more
        "sockets survive": False,  # it ends them after 8 seconds
    },
    "nginx": {
        "reload": "kill -HUP {p}",
    },
    "caddy": {
        "upgrade header": False,     # it takes Upgrade out of what FastCGI answers
        "long URL": {200},           # it takes a megabyte
        "many headers": {200, 431},
        "NUL in path": {500},        # by its own file server: the path is not one of ours
        "waits": True,
        "reload": "env DUPLEX_FASTCGI=unix/{d}/fcgi.sock caddy reload --force --config {d}/Caddyfile --adapter caddyfile --address unix/{d}/admin.sock",
        "sockets survive": False,    # it closes them at once
    },
    "haproxy": {
        "options": ("-W",),          # only a master process reloads
        "long URL": {400, 414},
        "raw query": False,          # it answers 400 to bytes that a URI must escape
        "waits": True,
        "reload": "kill -USR2 {p}",
    },
}


class FastcgiProgram(threading.Thread):
    """A FastCGI program of the test's own, which answers each request with its variables as JSON."""

    def __init__(self, path):
        super().__init__(daemon=True)
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(path))
        os.chmod(path, 0o666)
        self.listener.listen(16)
        self.start()

    def run(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            with connection:
                self.answer(connection)

    def answer(self, connection):
        stream = connection.makefile("rb")
        params = b""
        while header := stream.read(8):
            _, kind, _, length, padding, _ = struct.unpack("!BBHHBB", header)
            content = stream.read(length + padding)[:length]
            if kind == 4:
                params += content
            if kind == 5 and length == 0:
                break
        body = b"Status: 200 OK\r\nContent-Type: application/json\r\n\r\n" + json.dumps(decode_params(params)).encode()
        records = ((6, body), (6, b""), (3, bytes(8)))
        connection.sendall(b"".join(struct.pack("!BBHHBB", 1, kind, 1, len(content), 0, 0) + content for kind, content in records))

    def close(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()


def decode_params(data):
    values = {}
    at = 0
    while at < len(data):
        lengths = []
        for _ in range(2):
            size = 4 if data[at] & 0x80 else 1
            lengths.append(int.from_bytes(data[at:at + size], "big") & 0x7FFFFFFF)
            at += size
        name, value = data[at:at + lengths[0]], data[at + lengths[0]:at + sum(lengths)]
        values[name.decode("latin-1")] = value.decode("latin-1")
        at += sum(lengths)
    return values


WHO = """#!/bin/sh
# tells each client what the handshake said
printf '%s|%s|%s:%s\\n' "$HTTP_X_FORWARDED_FOR" "$HTTP_X_FORWARDED_PROTO" "$SERVER_NAME" "$SERVER_PORT"
while read -r _; do :; done
"""


class Site:
    """A site in a directory of its own, with a front server, websocketd and FastCGI workers."""

    def __init__(self, name, idle=IDLE):
        self.name = name
        self.idle = idle
        self.server = SERVERS[name]
        stack.need(self.server.program)
        stack.need("websocketd", "curl", "spawn-fcgi", "multiwatch", "openssl", "ss")
        self.expect = {**DEFAULT, **DIFFERENT.get(name, {})}
        self.websocketd = None
        self.processes = {}
        self.temporary = tempfile.TemporaryDirectory(prefix="duplex-")
        self.directory = pathlib.Path(self.temporary.name)
        self.log_file = tempfile.TemporaryFile("w+")
        try:
            self.fill()
            self.start_websocketd()
            self.own = self.start_on_port("own", "cat")
            self.start_fastcgi()
            self.app = FastcgiProgram(self.directory / "app.sock")
            self.open()
        except BaseException:
            self.close()
            raise

    def fill(self):
        d = self.directory
        shutil.copytree(stack.ROOT / "html", d / "html")
        pages = {"index.html": "the site\n", "echo.html": "a page\n", "echoes/index.html": "echoes\n"}
        for page, text in pages.items():
            (d / "htdocs" / page).parent.mkdir(parents=True, exist_ok=True)
            (d / "htdocs" / page).write_text(text)
        (d / "ws/serialize").mkdir(parents=True)
        (d / "tmp").mkdir()
        shutil.copy(stack.BUILD / "ws/echo", d / "ws/echo")
        (d / "ws/serialize/echo").symlink_to("../echo")
        (d / "who").mkdir()
        (d / "who/echo").write_text(WHO)
        shutil.copy(stack.BUILD / "fcgi/duplex", d / "duplex")
        shutil.copy(stack.ROOT / "conf" / self.server.fragment, d / FRAGMENT)
        shutil.copy(self.server.start, d / "start")
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj",
                        "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-keyout", d / "key.pem", "-out", d / "crt.pem"],
                       check=True, capture_output=True)
        (d / "site.pem").write_text((d / "crt.pem").read_text() + (d / "key.pem").read_text())
        for path in (d, *d.rglob("*")):
            if not path.is_symlink():
                path.chmod(0o755)
            if stack.USER:
                os.chown(path, stack.USER, stack.USER, follow_symlinks=False)

    def environment(self):
        return {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": str(self.directory),
                "DUPLEX_WEBSOCKETD": f"127.0.0.1:{self.websocketd}",
                **{name: os.environ[name] for name in os.environ if name.endswith("SAN_OPTIONS")}}

    def start(self, name, *command):
        process = subprocess.Popen([str(part) for part in command], cwd=self.directory, env=self.environment(), stdin=subprocess.DEVNULL,
                                   stdout=self.log_file, stderr=self.log_file, start_new_session=True, user=stack.USER)
        self.processes[name] = process
        return process

    def start_on_port(self, name, *what, port=None):
        """Starts a websocketd for this, on a port that nobody else has, and returns the port."""
        while True:
            at = port or random.randrange(20000, 32000)
            process = self.start(name, "websocketd", "--address=127.0.0.1", f"--port={at}", *what)
            stack.wait_until(lambda: process.poll() is not None or stack.is_listening(at, process.pid))
            if process.poll() is None:
                return at

    def start_websocketd(self, directory="ws"):
        self.websocketd = self.start_on_port("websocketd", f"--dir={self.directory / directory}", port=self.websocketd)

    def start_fastcgi(self):
        path = self.directory / "fcgi.sock"
        path.unlink(missing_ok=True)
        self.start("fastcgi", "spawn-fcgi", "-n", "-s", path, "-M", "0600", "--", "/usr/bin/multiwatch", "-f", "2", "-r", "1000000", "-t", "1", "--",
                   self.directory / "duplex", f"--page={self.directory}/html", f"--endpoints={self.directory}/ws")
        stack.wait_until(path.exists)

    def start_server(self):
        """Starts the server on the ports of the site: whether it could have them."""
        process = self.start("server", self.directory / "start", self.directory, *self.expect["options"])
        stack.wait_until(lambda: process.poll() is not None or all(stack.is_listening(port, process.pid) for port in (self.http, self.https)))
        return process.poll() is None

    def open(self):
        """Starts the server on ports that nobody else has."""
        templates = stack.ROOT / "tests/conf/sites"
        for _ in range(20):
            self.http, self.https = random.sample(range(20000, 32000), 2)
            values = {"DIR": self.directory, "HTTP": self.http, "HTTPS": self.https, "WEBSOCKETD": self.websocketd, "OWN": self.own, "IDLE": self.idle}
            for template in (templates / self.server.fragment, templates / "duplex-local.conf"):
                text = re.sub(r"@(\w+)@", lambda match: str(values[match[1]]), template.read_text())
                (self.directory / template.name).write_text(text)
            if self.start_server():
                return
        raise RuntimeError(f"{self.name} does not start:\n{self.log()}")

    def reload(self):
        command = self.expect["reload"].format(d=self.directory, p=self.processes["server"].pid)
        subprocess.run(command.split(), check=True, capture_output=True, env=self.environment())

    def claim(self, path):
        """Adds a path to the list of those that are ours, as an operator does, and starts the server anew."""
        changed = 0
        for file in {self.directory / FRAGMENT, self.directory / self.server.fragment}:
            text = file.read_text()
            text, count = re.subn(r"^([^#\n]*serialize/echo/)([)}])", lambda m: m[1] + {")": f"|{path})", "}": f" /{path}}}"}[m[2]], text, flags=re.M)
            file.write_text(text)
            changed += count
        self.stop("server")
        self.start_server()
        return changed

    def stop(self, name):
        """Ends a program and what it has started."""
        process = self.processes.pop(name)
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(20)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    def close(self):
        for name in list(self.processes):
            self.stop(name)
        self.temporary.cleanup()

    def log(self):
        return pathlib.Path(f"/proc/self/fd/{self.log_file.fileno()}").read_text(errors="backslashreplace")

    def endpoints(self):
        return [pid for pid in stack.children(self.processes["websocketd"].pid) if stack.is_alive(pid)]

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        self.app.close()
        self.close()
        if kind is not None:
            print("".join(f"# {line}\n" for line in self.log().splitlines() if not stack.ORDINARY.search(line)))

    def url(self, path, scheme="http"):
        return f"{scheme}://localhost:{self.https if scheme in ('https', 'wss') else self.http}{path}"


def ask(site, path, *arguments, scheme="http", timeout=20):
    command = ["curl", "-qsS", "-i", "-k", "--path-as-is", "--globoff", "--max-time", str(timeout), *arguments, site.url(path, scheme)]
    return stack.Answer(subprocess.run(command, capture_output=True).stdout)


def connect(site, path="/echo", scheme="ws", **options):
    if scheme == "wss":
        options["ssl"] = ssl._create_unverified_context()
    return rfc6455.connect(site.url(path, scheme), **options)


def check_site(site):
    tap.equal(ask(site, "/").body, b"the site\n", "the site's own / is as before")
    tap.equal(ask(site, "/echo.html").body, b"a page\n", "a page of the site whose name begins like ours is the site's")
    tap.equal(ask(site, "/echoes/index.html").body, b"echoes\n", "a directory of the site whose name begins like ours is the site's")
    tap.equal(ask(site, "/nothing").status, 404, "the site's own 404 is as before")
    variables = json.loads(ask(site, "/app").body)
    tap.equal((variables["REQUEST_METHOD"], variables["REQUEST_URI"]), ("GET", "/app"), "the site's own FastCGI path goes to its own program")
    tap.equal(asyncio.run(talk(site, "/own-socket")), "hi", "the site's own WebSocket goes to its own program")
    tap.equal(asyncio.run(talk(site, "/own-socket", origin="http://evil.example")), "hi", "the site's own WebSocket is not held to our rule on Origin")


def check_http(site):
    table = [
        ("GET", "/echo?message=Hello%2C+World%21", 200, b"Hello, World!"),
        ("GET", "/serialize/echo/?message=hi", 200, b"hi"),
        ("GET", "/echo?message=", 200, b""),
        ("GET", "/echo?message", 200, b""),
        ("GET", "/echo?message=%0A%0D%0A%00%22%3Cb%3E%F0%9F%98%80", 200, b"\n\r\n\0\"<b>" + "\U0001F600".encode()),
        ("GET", "/echo?message=1&message=2", 200, b"2"),
        ("GET", "/echo?message=%zz%4%", 200, b"%zz%4%"),
        ("GET", "/echo?message=a%2Fb%2F..%2Fc+d", 200, b"a/b/../c d"),
        ("GET", "/echo?message=%ff", 400, b"message is not valid UTF-8 at byte 0\n"),
        ("GET", "/echo/nothing", 404, b"Not Found\n"),
        ("GET", "/echo/echo.html", 404, b"Not Found\n"),
        ("HEAD", "/echo?message=hi", 200, b""),
        ("HEAD", "/echo", 200, b""),
        ("POST", "/echo", 405, b"Method Not Allowed\n"),
        ("PUT", "/echo", 405, b"Method Not Allowed\n"),
        ("DELETE", "/echo?message=hi", 405, b"Method Not Allowed\n"),
        ("OPTIONS", "/echo", 405, b"Method Not Allowed\n"),
    ]
    for method, path, status, body in table:
        arguments = ["-I"] if method == "HEAD" else ["-X", method] if method != "GET" else []
        answer = ask(site, path, *arguments, *(["-d", "x"] if method in ("POST", "PUT") else []))
        tap.equal((answer.status, answer.body), (status, body), f"{method} {path} is answered {status}")
        if status == 405:
            tap.equal(answer.headers.get("allow"), "GET, HEAD", f"{method} {path} is answered with Allow")
    answer = ask(site, "/echo?message=hi")
    names = ("content-type", "content-length", "x-content-type-options", "cache-control")
    tap.equal([answer.headers.get(name) for name in names], ["text/plain; charset=utf-8", "2", "nosniff", "no-store"], "an echo over HTTP has its headers")
    answer = ask(site, "/echo?message=caf\u00e9")
    wanted = (200, "caf\u00e9".encode()) if site.expect["raw query"] else (400, answer.body)
    tap.equal((answer.status, answer.body), wanted, "raw UTF-8 in the query is answered as it should be")
    tap.ok(ask(site, "/echo%00x?message=hi").status in site.expect["NUL in path"], "a NUL in the path is refused")


def check_page(site):
    scripts = ("echo.js", "cost.js", "words.js", "reconnecting-socket.js")
    types = {"echo.html": "text/html; charset=utf-8", **{name: "text/javascript; charset=utf-8" for name in scripts},
             "echo.css": "text/css; charset=utf-8", "echo.svg": "image/svg+xml"}
    paths = {"/echo": "echo.html", "/serialize/echo/": "echo.html", **{f"/echo/{name}": name for name in types if name != "echo.html"}}
    for path, name in paths.items():
        answer = ask(site, path)
        tap.equal((answer.status, answer.body, answer.headers["content-type"]), (200, (stack.ROOT / "html" / name).read_bytes(), types[name]), f"{path} is {name}")
        again = ask(site, path, "-H", f"If-None-Match: {answer.headers['etag']}")
        tap.equal((again.status, again.body), (304, b""), f"{path} is answered 304 the second time")
    tap.ok("default-src 'none'" in ask(site, "/echo").headers["content-security-policy"], "the page has its policy")


async def echo(client, message):
    await client.send(message)
    return await asyncio.wait_for(client.recv(), 30)


async def check_websocket(site, scheme):
    for path in ("/echo", "/serialize/echo/"):
        async with connect(site, path, scheme) as client:
            for message in ("hi", "", "\0", "\U0001F600", "x" * 65536, "y" * 1048576):
                tap.ok(await echo(client, message) == message, f"{scheme} {path}: {len(message)} characters come back")
            for number in range(64):
                await client.send(f"message {number}")
            answers = [await asyncio.wait_for(client.recv(), 30) for _ in range(64)]
            tap.equal(answers, [f"message {number}" for number in range(64)], f"{scheme} {path}: 64 messages in flight come back in order")
        tap.equal(client.close_code, 1000, f"{scheme} {path}: the client closes with code 1000")
    tap.ok(stack.wait_until(lambda: not site.endpoints(), 2), "when the clients are gone, no process is left")
    async with connect(site, "/echo", scheme) as client:
        await echo(client, "hi")
        for pid in site.endpoints():
            os.kill(pid, 15)
        ended = False
        try:
            await asyncio.wait_for(client.recv(), 5)
        except rfc6455.Closed:
            ended = True
        except asyncio.TimeoutError:
            pass
        tap.ok(ended, "a close by the endpoint reaches the client")


def check_vanish(site):
    """Clients that go in the middle of a message: its last bytes and the end of the connection arrive as one."""
    data = frames.text(b"x" * 1000)[:500]
    for _ in range(50):
        with socket.create_connection(("127.0.0.1", site.http), timeout=10) as client:
            client.sendall(frames.HANDSHAKE)
            answer = b""
            while b"\r\n\r\n" not in answer:
                answer += client.recv(4096)
            client.sendall(data)
    tap.ok(stack.wait_until(lambda: not site.endpoints(), 2), f"50 clients go in the middle of a message: {len(site.endpoints())} processes are left")


async def status_of(site, scheme, **options):
    try:
        async with connect(site, "/echo", scheme, **options) as client:
            return 101 if await echo(client, "hi") == "hi" else 0
    except rfc6455.Refused as error:
        return error.status


async def check_origin(site):
    for scheme, port, web in (("ws", site.http, "http"), ("wss", site.https, "https")):
        tap.equal(await status_of(site, scheme), 101, f"{scheme}: a handshake without an Origin is accepted")
        tap.equal(await status_of(site, scheme, origin=f"{web}://localhost:{port}"), 101, f"{scheme}: a handshake with the site's own Origin is accepted")
    count = site.log().count("| CONNECT")
    for scheme, port, web in (("ws", site.http, "http"), ("wss", site.https, "https")):
        for origin in ("http://evil.example", f"{web}://localhost.evil.example:{port}", f"{web}://evil.localhost:{port}", f"{web}://localhost:1", "null", "file://",
                       f"{web}://evil#localhost:{port}", f"{web}://localhost:{port}.evil.example"):
            tap.equal(await status_of(site, scheme, origin=origin), 403, f"{scheme}: a handshake with the Origin {origin} is refused")
    tap.equal(site.log().count("| CONNECT"), count, "handshakes with a foreign Origin are refused before websocketd sees them")


def hang(site, data, seconds):
    """A bare connection that sends this and then nothing: the status of the answer, or None; how long it lasted."""
    begin = time.monotonic()
    with socket.create_connection(("127.0.0.1", site.http)) as client:
        client.settimeout(seconds)
        client.sendall(data)
        try:
            answer = client.recv(65536)
        except (TimeoutError, ConnectionResetError) as error:
            answer = b"" if isinstance(error, ConnectionResetError) else None
    status = answer and int(answer.split()[1])
    return (status or None), time.monotonic() - begin, answer is not None


async def check_idle(site):
    """A WebSocket outlives the server's limit for silence; a request that never ends does not."""
    async with connect(site) as client:
        await echo(client, "hi")
        status, lasted, ended = await asyncio.to_thread(hang, site, b"GET /echo HTTP/1.1\r\nHost: localhost\r\nX-Slow: ", 4 * IDLE + 4)
        tap.ok(ended and status in site.expect["slow"] and lasted < 4 * IDLE + 4, f"a request that never ends is cut off: {status} after {lasted:.1f} s")
        await asyncio.sleep(max(0, 2.5 * IDLE - lasted))  # the silence itself is what is tested
        tap.equal(await echo(client, "still there"), "still there", "a WebSocket that was silent for longer than the server's own limit is open")


def check_slow(site):
    """A client that sends a byte now and then is cut off, and others are served meanwhile."""
    begin = time.monotonic()
    cut = False
    worst = 0
    with socket.create_connection(("127.0.0.1", site.http)) as client:
        client.settimeout(0.5)
        for byte in b"GET /echo HTTP/1.1\r\nHost: localhost\r\nX-Slow: " + b"x" * 12 * IDLE:
            try:
                client.sendall(bytes([byte]))
                client.recv(1000)
                cut = True
            except TimeoutError:
                pass
            except OSError:
                cut = True
            if cut:
                break
            asked = time.monotonic()
            if ask(site, "/echo?message=hi").body != b"hi":
                worst = 99
            worst = max(worst, time.monotonic() - asked)
    return cut, worst, time.monotonic() - begin


async def who(site, scheme, **options):
    async with connect(site, "/echo", scheme, **options) as client:
        return await asyncio.wait_for(client.recv(), 10)


def check_forwarded(site):
    """What the programs are told of the client is the truth, whatever the client says."""
    site.stop("websocketd")
    site.start_websocketd("who")
    forged = {"X-Forwarded-For": "6.6.6.6", "X-Forwarded-Proto": "gopher"}

    def ask_who(scheme):
        try:
            return asyncio.run(who(site, scheme, headers=forged))
        except OSError:
            return None

    for scheme, web, port in (("ws", "http", site.http), ("wss", "https", site.https)):
        stack.wait_until(lambda: ask_who(scheme) is not None, 5)
        tap.equal(ask_who(scheme), f"127.0.0.1|{web}|localhost:{port}", f"{scheme}: the endpoint sees the client's address, the scheme and the host")
    site.stop("websocketd")
    site.start_websocketd()
    site.stop("fastcgi")
    (site.directory / "fcgi.sock").unlink(missing_ok=True)
    program = FastcgiProgram(site.directory / "fcgi.sock")
    stack.wait_until(lambda: ask(site, "/echo").status == 200, 5)
    variables = json.loads(ask(site, "/echo?a=1", "-H", "X-Forwarded-For: 6.6.6.6").body)
    tap.equal((variables["REMOTE_ADDR"], variables.get("QUERY_STRING")), ("127.0.0.1", "a=1"), "the FastCGI program sees the client's address and the query")
    tap.ok(variables["HTTP_HOST"].startswith("localhost"), "the FastCGI program sees the host")
    tap.ok("6.6.6.6" not in variables.get("HTTP_X_FORWARDED_FOR", "").rpartition(",")[2], "the FastCGI program sees no forged address in the last place")
    for scheme in ("http", "https"):
        variables = json.loads(ask(site, "/echo", "-H", "X-Forwarded-Proto: gopher", scheme=scheme).body)
        tap.equal(scheme_of(variables), scheme, f"the FastCGI program sees the scheme: {scheme}")
    program.close()
    (site.directory / "fcgi.sock").unlink(missing_ok=True)
    site.start_fastcgi()
    stack.wait_until(lambda: ask(site, "/echo?message=hi").body == b"hi", 5)


def scheme_of(variables):
    """What a CGI program takes for the scheme (RFC 3875 leaves it open)."""
    return "https" if variables.get("HTTPS") == "on" else variables.get("REQUEST_SCHEME", "http")


def timed(action):
    begin = time.monotonic()
    return action(), time.monotonic() - begin


def check_down(site):
    """A program that is stopped is noticed, and served again when it is back."""
    ways = (("fastcgi", site.start_fastcgi, lambda: ask(site, "/echo?message=hi", timeout=8).status, 200),
            ("websocketd", site.start_websocketd, lambda: shake_hands(site, 8), 101))
    for name, begin_again, answer, wanted in ways:
        site.stop(name)
        if site.expect["waits"]:
            results = []
            waiting = threading.Thread(target=lambda: results.append(answer()))
            waiting.start()
            time.sleep(0.5)  # the outage itself
            begin_again()
            waiting.join()
            tap.ok(set(results) <= {wanted} | site.expect["down"], f"while {name} is stopped a request waits or is refused: {results}")
        else:
            answers = [timed(answer) for _ in range(3)]
            tap.ok({status for status, _ in answers} <= site.expect["down"], f"while {name} is stopped a request is refused: {[status for status, _ in answers]}")
            tap.ok(min(lasted for _, lasted in answers) < 1, f"while {name} is stopped a request is refused within a second")
            begin_again()
        back, lasted = timed(lambda: stack.wait_until(lambda: answer() == wanted, 10))
        tap.ok(back and lasted < site.expect["back"], f"when {name} is back it serves after {lasted:.1f} s")


def shake_hands(site, timeout):
    """A handshake by hand: the status of its answer, or None."""
    with socket.create_connection(("127.0.0.1", site.http)) as client:
        client.settimeout(timeout)
        client.sendall(frames.HANDSHAKE)
        with contextlib.suppress(OSError):
            answer = client.recv(4096)
            return int(answer.split()[1]) if answer else None


def check_tls(site):
    answer = ask(site, "/echo?message=hi", "--http1.1", scheme="https")
    tap.equal((answer.status, answer.body, answer.version), (200, b"hi", "HTTP/1.1"), "https over HTTP/1.1 is answered")
    answer = ask(site, "/echo?message=hi", "--http2", scheme="https")
    tap.equal((answer.status, answer.body, answer.version), (200, b"hi", "HTTP/2"), "https over HTTP/2 is answered")
    tap.equal(ask(site, "/echo", "--http2", "-X", "DELETE", scheme="https").status, 405, "https over HTTP/2 passes on a 405")


def check_browser(site):
    """HTTP/2 for the page and a WebSocket beside it, in one session of Chromium."""
    stack.need("chromium", "chromedriver")
    import browser
    with browser.start("--ignore-certificate-errors") as driver:
        driver.get(site.url("/echo", "https"))
        protocol = driver.execute_script("return performance.getEntriesByType('navigation')[0].nextHopProtocol")
        tap.equal(protocol, "h2", "Chromium gets the page over HTTP/2")
        driver.find_element("id", "connect").click()
        state = driver.find_element("id", "state")
        tap.ok(stack.wait_until(lambda: state.get_attribute("data-state") == "open"), "the page over HTTP/2 opens a WebSocket")
        driver.find_element("id", "send").click()
        driver.find_element("id", "http").click()
        items = "return Array.from(document.querySelectorAll('#received li'), li => li.className + ' ' + li.querySelector('bdi').textContent).sort()"
        wanted = ["HTTP Hello, World!", "WebSocket Hello, World!"]
        tap.ok(stack.wait_until(lambda: driver.execute_script(items) == wanted), "the page over HTTP/2 gets answers both ways")


def check_limits(site):
    tap.ok(ask(site, "/echo?message=" + "x" * 65536).status in site.expect["long URL"], "64 KiB of query are answered or refused")
    headers = [part for number in range(128) for part in ("-H", f"X-Header-{number}: " + "x" * 600)]
    status = ask(site, "/echo?message=hi", *headers).status
    tap.ok(status in site.expect["many headers"], f"128 headers of 600 bytes are answered or refused: {status}")
    workers = [pid for pid in stack.descendants(site.processes["fastcgi"].pid) if stack.name_of(pid) == "duplex"]
    with tempfile.NamedTemporaryFile() as upload:
        upload.truncate(20_000_000)
        answer = ask(site, "/echo", "-H", "Expect:", "--data-binary", f"@{upload.name}")
    tap.ok(answer.status in (405, 413), f"POST with 20 MB is refused: {answer.status}")
    peak = max(stack.memory(pid, "VmHWM", "status") for pid in workers)
    tap.ok(peak < 8192 or stack.SANITIZED, f"a POST with 20 MB is not held in the program's memory: {peak} KiB")
    tap.equal(ask(site, "/echo?message=hi").body, b"hi", "the request after a POST with 20 MB is answered")


def check_further_endpoint(site):
    """One more word in the list of paths: a path with a WebSocket program and no view."""
    shutil.copy(site.directory / "ws/echo", site.directory / "ws/tool")
    tap.equal(ask(site, "/tool").status, 404, "a path that is not in the fragment's list is the site's")
    tap.equal(site.claim("tool"), 1, "the fragment has one list for one more path")
    answer = ask(site, "/tool")
    tap.equal((answer.status, answer.body), (426, b"Upgrade Required\n"), "one more path in the list is ours, and answered 426 over HTTP")
    if site.expect["upgrade header"]:
        tap.equal(answer.headers.get("upgrade"), "websocket", "the 426 of one more path has Upgrade")
    tap.equal(asyncio.run(talk(site, "/tool")), "hi", "one more path in the list answers over WebSocket")
    tap.equal(ask(site, "/echo?message=hi").body, b"hi", "/echo is as before beside one more path")


async def talk(site, path, **options):
    async with connect(site, path, **options) as client:
        return await echo(client, "hi")


async def check_reload(site):
    """What a reload does to open WebSockets; requests are answered before and after it."""
    async with connect(site) as client:
        await echo(client, "hi")
        await asyncio.to_thread(site.reload)
        ended = False
        try:
            await asyncio.wait_for(client.recv(), 2 if site.expect["sockets survive"] else 15)
        except asyncio.TimeoutError:
            pass
        except rfc6455.Closed:
            ended = True
        tap.equal(not ended, site.expect["sockets survive"], f"a reload leaves WebSockets open as the server's entry says: {not ended}")
        if not ended:
            tap.equal(await echo(client, "after"), "after", "a WebSocket that survived a reload works")
    back = await asyncio.to_thread(stack.wait_until, lambda: ask(site, "/echo?message=hi", timeout=2).body == b"hi", 15)
    tap.ok(back, "requests are answered after a reload")


def run(name):
    with Site(name) as site:
        check_site(site)
        check_http(site)
        check_page(site)
        asyncio.run(check_websocket(site, "ws"))
        asyncio.run(check_websocket(site, "wss"))
        check_vanish(site)
        asyncio.run(check_origin(site))
        check_tls(site)
        check_limits(site)
        check_forwarded(site)
        check_down(site)
        asyncio.run(check_idle(site))
        cut, worst, lasted = check_slow(site)
        tap.equal(cut, site.expect["slow request"], f"a client that sends a byte at a time is cut off as the server's entry says: {cut}, after {lasted:.1f} s")
        tap.ok(worst < 5, f"other requests are served beside a client that sends a byte at a time, in {worst:.2f} s at most")
        check_browser(site)
        check_further_endpoint(site)
        asyncio.run(check_reload(site))
    tap.done()
