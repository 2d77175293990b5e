"""FastCGI spoken by hand: a request, and the program as workers on a listening socket of the test's own."""
import atexit
import contextlib
import fcntl
import itertools
import os
import pathlib
import re
import signal
import socket
import struct
import subprocess
import tempfile
import termios

import stack

INHERITED = {"DUPLEX_MAX_PUBLISH": "0", **{name: os.environ[name] for name in os.environ if name == "PATH" or name.endswith("SAN_OPTIONS")}}
directory = tempfile.TemporaryDirectory()


def blocks_sigterm(pid):
    blocked = re.search(r"^SigBlk:\s+(\w+)$", pathlib.Path(f"/proc/{pid}/status").read_text(), re.M)
    return bool(blocked and int(blocked[1], 16) >> (signal.SIGTERM - 1) & 1)


class Workers:
    """One or more processes of the program, on a listening socket of the test."""
    numbers = itertools.count()

    def __init__(self, count=1, program=stack.BUILD / "fcgi/duplex", page=stack.ROOT / "html", family=socket.AF_UNIX, **environment):
        self.command = [program, f"--page={page}"]
        self.environment = {**INHERITED, **environment}
        self.listener = socket.socket(family)
        self.listener.bind(f"{directory.name}/workers{next(self.numbers)}" if family == socket.AF_UNIX else ("127.0.0.1", 0))
        self.listener.listen(256)
        self.processes = []
        for _ in range(count):
            self.start()

    def start(self):
        process = subprocess.Popen(self.command, stdin=self.listener, env=self.environment, stderr=subprocess.PIPE)
        stack.wait_until(lambda: process.poll() is not None or blocks_sigterm(process.pid))
        atexit.register(process.kill)  # does nothing to one that has ended
        self.processes.append(process)

    def connect(self):
        client = socket.socket(self.listener.family)
        client.connect(self.listener.getsockname())  # which waits while the queue of the listening socket is full
        client.settimeout(30)
        return client

    def has_request(self):
        """Whether the oldest worker has a connection beside its listening socket."""
        sockets = 0
        for descriptor in pathlib.Path(f"/proc/{self.processes[0].pid}/fd").iterdir():
            with contextlib.suppress(FileNotFoundError):  # it may be closed meanwhile
                sockets += os.readlink(descriptor).startswith("socket:")
        return sockets > 1

    def stop_first(self, sig=signal.SIGTERM):
        """Ends the oldest worker. Returns its exit status and what it wrote to standard error."""
        with self.processes.pop(0) as process:
            process.send_signal(sig)
            return process.wait(30), process.stderr.read()

    def stop(self):
        endings = [self.stop_first() for _ in list(self.processes)]
        self.listener.close()
        return endings


def record(kind, content=b""):
    return struct.pack("!BBHHBB", 1, kind, 1, len(content), 0, 0) + content


def pair(name, value):
    return struct.pack("!II", len(name) | 1 << 31, len(value) | 1 << 31) + name + value


BEGIN = record(1, struct.pack("!HB5x", 1, 0))


def params(path, query=b""):
    return record(4, pair(b"REQUEST_METHOD", b"GET") + pair(b"SCRIPT_NAME", path) + pair(b"QUERY_STRING", query))


def form(method, path, query=b"", body=b""):
    """Makes a whole request with this body."""
    variables = {b"REQUEST_METHOD": method, b"SCRIPT_NAME": path, b"QUERY_STRING": query, b"CONTENT_LENGTH": b"%d" % len(body),
                 b"CONTENT_TYPE": b"application/x-www-form-urlencoded"}
    content = record(5, body) if body else b""
    return BEGIN + record(4, b"".join(pair(*both) for both in variables.items())) + record(4) + content + record(5)


PARAMS = params(b"/echo", b"message=whole")
REQUEST = BEGIN + PARAMS + record(4) + record(5)


def body(answer):
    """The body in the records of an answer."""
    output = b""
    while len(answer) >= 8:
        _, kind, _, length, padding, _ = struct.unpack("!BBHHBB", answer[:8])
        output += answer[8:8 + length] if kind == 6 else b""
        answer = answer[8 + length + padding:]
    return output.partition(b"\r\n\r\n")[2]


def status(answer):
    """The status in an answer, if there is one."""
    found = re.search(rb"Status: (\d+) ", answer)
    return int(found[1]) if found else None


def read_all(client):
    answer = b""
    while part := client.recv(65536):
        answer += part
    client.close()
    return answer


def is_taken(client):
    """Whether the worker has read all that was sent."""
    return struct.unpack("i", fcntl.ioctl(client, termios.TIOCOUTQ, bytes(4)))[0] == 0


def send_in_parts(workers, client, parts):
    """Sends each when the oldest worker has read those before it, or has ended."""
    for part in parts:
        client.sendall(part)
        stack.wait_until(lambda: is_taken(client) or workers.processes[0].poll() is not None)


def exchange(workers, *parts):
    """The answer of the only worker to a request in these parts; nothing if there is none, because it ended or broke off."""
    with workers.connect() as client:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            send_in_parts(workers, client, parts[:-1])
            client.sendall(parts[-1])
        client.settimeout(0.05)
        answer = b""
        while True:
            try:
                part = client.recv(65536)
            except TimeoutError:
                if workers.processes[0].poll() is not None:
                    return b""
                continue
            except ConnectionResetError:
                return b""
            if not part:
                return answer
            answer += part
