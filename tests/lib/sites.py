"""
One table of checks for every front server. Each is started privately, as an ordinary user, from a site of its own
(tests/conf/sites) that includes the shipped fragment as it stands.

What differs by the server, and by the way that an endpoint is run, stands in differences.py; nothing else asks for its name.
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

import rfc6455
import stack
import tap
from differences import DEFAULT, DIFFERENT, WAYS

IDLE = 2  # seconds, where a server's default is a minute or more; the fragment's own limit for a WebSocket is an hour

SITES = stack.ROOT / "tests/conf/sites"


class Server:
    """What conf/run says of a server."""

    def __init__(self, folder):
        self.package = (folder / "packages").read_text().split()[0]
        self.program = self.package
        self.fragment = (folder / "fragment").read_text().strip()
        self.start = folder / "start"


SERVERS = {path.parent.name: Server(path.parent) for path in sorted(stack.ROOT.glob("conf/run/*/packages"))}
FRAGMENT = "duplex.conf"  # what it is called in a site

class FastcgiProgram(threading.Thread):
    """A FastCGI program of the test's own, which answers each request with its variables as JSON, and keeps them."""

    def __init__(self, path):
        super().__init__(daemon=True)
        self.seen = []
        self.breaks_off = False  # in place of an answer
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(path))
        os.chmod(path, 0o666)
        self.listener.listen(64)
        self.start()

    def run(self):
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self.listener.accept()
                threading.Thread(target=self.answer, args=(connection,), daemon=True).start()

    def answer(self, connection):
        with connection, contextlib.suppress(OSError):
            stream = connection.makefile("rb")
            params = b""
            kind, length = 0, 1
            while (kind, length) != (5, 0):
                header = stream.read(8)
                if len(header) < 8:
                    return
                _, kind, _, length, padding, _ = struct.unpack("!BBHHBB", header)
                content = stream.read(length + padding)[:length]
                params += content if kind == 4 else b""
            variables = decode_params(params)
            self.seen.append(variables)
            if self.breaks_off:
                return
            body = b"Status: 200 OK\r\nContent-Type: application/json\r\n\r\n" + json.dumps(variables).encode()
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
    """A site in a directory of its own, with a front server, websocketd, FastCGI workers and, if that is the way, a resident echo."""

    def __init__(self, name, idle=IDLE, way="websocketd", files=1024, **environment):
        self.name = name
        self.way = way
        self.further = environment  # of the endpoints
        self.resident = ["echo"] if way == "resident" else []  # their names
        self.idle = idle
        self.files = files  # how many descriptors lighttpd may have
        self.server = SERVERS[name]
        stack.need(self.server.program)
        stack.need("websocketd", "curl", "spawn-fcgi", "multiwatch", "openssl", "ss")
        self.expect = {**DEFAULT, **DIFFERENT.get(name, {}), **WAYS[way]}
        self.websocketd = None
        self.processes = {}
        self.temporary = tempfile.TemporaryDirectory(prefix="duplex-")
        self.directory = pathlib.Path(self.temporary.name)
        self.log_file = tempfile.TemporaryFile("w+")
        try:
            self.fill()
            self.start_websocketd()
            for endpoint in self.resident:
                self.start_resident(endpoint)
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
        (d / "resident").mkdir()
        shutil.copy(stack.BUILD / "ws/echo", d / "ws/echo")
        (d / "ws/serialize/echo").symlink_to("../echo")
        (d / "who").mkdir()
        (d / "who/echo").write_text(WHO)
        shutil.copy(stack.BUILD / "fcgi/duplex", d / "duplex")
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
                "DUPLEX_WEBSOCKETD": f"127.0.0.1:{self.websocketd}", "DUPLEX_RESIDENT": "|".join(self.resident) or "none",
                "DUPLEX_SOCKETS": f"{self.directory}/resident", "WEBSOCKET_MAX_PER_ADDRESS": "0", **self.further,  # all clients have one address
                **{name: os.environ[name] for name in os.environ if name.endswith("SAN_OPTIONS")}}

    def start(self, name, *command, user=stack.USER):
        process = subprocess.Popen([str(part) for part in command], cwd=self.directory, env=self.environment(), stdin=subprocess.DEVNULL,
                                   stdout=self.log_file, stderr=self.log_file, start_new_session=True, user=user)
        self.processes[name] = process
        return process

    def start_on_port(self, name, *what, port=None):
        """Starts a websocketd for this, on a port that nobody else has, and returns the port."""
        while True:
            at = port or stack.free_port()
            process = self.start(name, "websocketd", "--address=127.0.0.1", f"--port={at}", *what)
            stack.wait_until(lambda: process.poll() is not None or stack.is_listening(at, process.pid))
            if process.poll() is None:
                return at

    def start_websocketd(self, directory="ws"):
        self.websocketd = self.start_on_port("websocketd", f"--origin={stack.ORIGIN}", f"--dir={self.directory / directory}", port=self.websocketd)

    def start_fastcgi(self):
        self.start_workers("fastcgi", self.directory / "fcgi.sock", self.directory / "duplex", f"--page={self.directory}/html", f"--endpoints={self.directory}/ws")

    def start_resident(self, name="echo", directory="ws"):
        self.start_workers(f"resident {name}", self.socket(name), self.directory / directory / name)

    def start_endpoints(self):
        """Starts what serves /echo over WebSocket."""
        self.start_resident() if self.resident else self.start_websocketd()

    def stop_endpoints(self):
        self.stop("resident echo" if self.resident else "websocketd")

    def start_workers(self, name, path, *command):
        path.unlink(missing_ok=True)
        self.start(name, "spawn-fcgi", "-n", "-s", path, "-M", "0600", "--", "/usr/bin/multiwatch", "-f", "2", "-r", "1000000", "-t", "1", "--", *command)
        stack.wait_until(path.exists)

    def socket(self, name):
        return self.directory / "resident" / f"{name}.sock"

    def start_server(self, user=stack.USER):
        """Starts the server on the ports of the site: whether it could have them."""
        process = self.start("server", self.directory / "start", self.directory, *self.expect["options"], user=user)
        stack.wait_until(lambda: process.poll() is not None or all(stack.is_listening(port, process.pid) for port in (self.http, self.https)))
        return process.poll() is None

    def configure(self, *edits):
        """Writes the site's files anew, and the fragment. An edit is a text that one of them has, and what stands there instead."""
        values = {"DIR": self.directory, "HTTP": self.http, "HTTPS": self.https, "WEBSOCKETD": self.websocketd, "OWN": self.own, "IDLE": self.idle, "FILES": self.files, "CONNECTIONS": self.files // 2,
                  "RESIDENT": " ".join(self.resident), "ALTERNATIVES": "|".join(self.resident) or "none"}
        texts = {FRAGMENT: (stack.ROOT / "conf" / self.server.fragment).read_text(),
                 **{name: (SITES / name).read_text() for name in (self.server.fragment, "duplex-local.conf")}}
        for old, new in (*edits, *self.resident_lines(texts[FRAGMENT])):
            name = next(name for name, text in texts.items() if old in text)
            texts[name] = texts[name].replace(old, new)
        for name, text in texts.items():
            (self.directory / name).write_text(re.sub(r"@([A-Z]+)@", lambda match: str(values[match[1]]), text))

    def resident_lines(self, fragment):
        """The edit that is for a fragment which has a line for each resident endpoint, and none for the others."""
        example = re.search(r"^\t#(server echo .*)\n", fragment, re.M)
        lines = [example[1].replace("/run/duplex/ws/echo", str(self.directory / "resident" / name)).replace("echo", name, 1) for name in self.resident] if example else []
        return [(example[0], "".join(f"\t{line}\n" for line in lines))] if lines else []

    def open(self):
        """Starts the server on ports that nobody else has."""
        for _ in range(20):
            self.http, self.https = random.sample(range(20000, 32000), 2)
            self.configure()
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

    def enlist(self, name):
        """Starts a program of ws/ resident, adds its name to the list of those that are, and starts the server anew."""
        self.start_resident(name)
        self.resident.append(name)
        self.configure()
        self.claim(name)

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
        """The processes that serve clients of /echo."""
        if self.resident:
            return [pid for pid in stack.descendants(self.processes["resident echo"].pid) if stack.name_of(pid) == "echo"]
        return [pid for pid in stack.children(self.processes["websocketd"].pid) if stack.is_alive(pid)]

    def clients(self):
        """How many clients of /echo there are: connections of a resident endpoint's socket, or processes."""
        if not self.resident:
            return len(self.endpoints())
        return stack.count_connections(self.socket("echo"))

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


async def echo(client, message):
    await client.send(message)
    return await asyncio.wait_for(client.recv(), 30)


async def code_at_end(client, seconds=30):
    """The code that a connection ends with, or None if it does not end within so many seconds or something else comes first."""
    try:
        await asyncio.wait_for(client.recv(), seconds)
    except rfc6455.Closed as closed:
        return closed.code
    except asyncio.TimeoutError:
        pass
    return None


async def talk(site, path, **options):
    async with connect(site, path, **options) as client:
        return await echo(client, "hi")
