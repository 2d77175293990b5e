"""A resident endpoint for a test, on a UNIX socket that the test holds, and bare clients of it."""
import base64
import contextlib
import os
import pathlib
import re
import signal
import socket
import subprocess
import tempfile

import frames
import stack

# for many clients that answer no ping, though a busy machine may let them wait for long
NO_LIMIT = {"WEBSOCKET_MAX_PER_ADDRESS": "0", "WEBSOCKET_PING_SECONDS": "0", "DUPLEX_MAX_PUBLISH": "0"}
KEY = base64.b64encode(b"the sample nonce").decode()
ASAN = re.compile(r"WARNING: ASan doesn't fully support makecontext/swapcontext")


def takes_signals(pid):
    for file in pathlib.Path(f"/proc/{pid}/fd").glob("*"):
        with contextlib.suppress(OSError):
            if "signalfd" in os.readlink(file):
                return True
    return False


class Endpoint:
    """So many workers of a program on one socket."""

    def __init__(self, program=None, workers=1, family=socket.AF_UNIX, backlog=1024, **environment):
        self.program = pathlib.Path(program or stack.BUILD / "ws/echo")
        self.directory = tempfile.TemporaryDirectory()
        self.listener = socket.socket(family)
        self.listener.bind(f"{self.directory.name}/socket" if family == socket.AF_UNIX else ("127.0.0.1", 0) if family == socket.AF_INET else ("::1", 0))
        self.listener.listen(backlog)
        self.address = self.listener.getsockname()
        self.log_file = open(f"{self.directory.name}/log", "a+b")
        inherited = {name: value for name, value in os.environ.items() if name.startswith(("ASAN", "UBSAN", "FAULT"))}
        self.environment = {**inherited, **environment}
        self.processes = [self.start() for _ in range(workers)]

    def start(self):
        """A worker that has begun to take signals, or has ended."""
        process = subprocess.Popen([self.program], stdin=self.listener, stdout=subprocess.DEVNULL, stderr=self.log_file, env=self.environment)
        stack.wait_until(lambda: process.poll() is not None or takes_signals(process.pid))
        return process

    def log(self):
        lines = (pathlib.Path(self.directory.name) / "log").read_text().splitlines()
        return [line for line in lines if not ASAN.search(line)]

    def figures(self, process=None):
        """The numbers of the line that SIGUSR2 asks for: clients, bytes that wait, then refusals and endings."""
        def told():
            return [line for line in self.log() if " clients, " in line]

        before = len(told())
        (process or self.processes[0]).send_signal(signal.SIGUSR2)
        stack.wait_until(lambda: len(told()) > before)
        return [int(number) for number in re.findall(r"\d+", told()[-1].partition(": ")[2])]

    def connect(self, path="/echo", **options):
        return Client(self.address, path, **options)

    def stop(self, sig=signal.SIGTERM):
        """Ends every worker and returns their exit statuses."""
        for process in self.processes:
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(sig)
        return [process.wait(30) for process in self.processes]

    def __enter__(self):
        return self

    def __exit__(self, *problem):
        if stack.BUILD.name == "coverage":
            self.stop()  # a process that is killed does not tell what it has run
        for process in self.processes:
            process.kill()
            process.wait()
        self.listener.close()
        self.log_file.close()
        self.directory.cleanup()


class Client:
    """A bare socket, with an open WebSocket if the handshake was accepted."""

    def __init__(self, address, path="/echo", head=None, fields=(), after=b"", timeout=30):
        self.socket = socket.socket(socket.AF_UNIX if isinstance(address, str) else socket.AF_INET6 if len(address) == 4 else socket.AF_INET)
        self.socket.connect(address)  # waits for room in the queue of the listening socket
        self.socket.settimeout(timeout)
        self.arrived = bytearray()
        self.status = None
        if head != b"":
            self.send((head or self.head(path, fields)) + after)
            self.take_answer()

    @staticmethod
    def head(path, fields=()):
        lines = [f"GET {path} HTTP/1.1", "Host: localhost", "Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13",
                 f"Sec-WebSocket-Key: {KEY}", *fields, "", ""]
        return "\r\n".join(lines).encode()

    def take_answer(self):
        while b"\r\n\r\n" not in self.arrived and self.receive():
            pass
        self.answer, _, rest = bytes(self.arrived).partition(b"\r\n\r\n")
        self.arrived = bytearray(rest)
        self.status = int(self.answer.split()[1]) if self.answer else None

    def send(self, data):
        self.socket.sendall(data)

    def receive(self):
        try:
            more = self.socket.recv(262144)
        except ConnectionResetError:
            return False
        self.arrived += more
        return bool(more)

    def frame(self):
        """The next frame, as (opcode, payload); None at the end of the connection. The server makes no fragments."""
        while (frame := frames.take(self.arrived)) is None:
            if not self.receive():
                return None
        opcode, fin, payload = frame
        assert fin
        return opcode, payload

    def texts(self, count):
        return [self.frame()[1].decode() for _ in range(count)]

    def end(self):
        """What comes until the end of the connection: the frames."""
        found = []
        while (frame := self.frame()) is not None:
            found.append(frame)
        return found

    def close(self):
        self.socket.close()
