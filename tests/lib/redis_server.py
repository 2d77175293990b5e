"""A Redis of the test's own, which can be killed and started anew: on a UNIX socket, or on a port with a password."""
import contextlib
import json
import pathlib
import socket
import subprocess
import tempfile

import stack

PASSWORD = "pass@word: of any bytes"


class Redis:
    def __init__(self, tcp=False, host="127.0.0.1", settings=(), directory=".", is_kept=False):
        stack.need("redis-server", "redis-cli")
        self.directory = tempfile.TemporaryDirectory()
        self.path = pathlib.Path(self.directory.name) / directory / "redis.sock"
        self.path.parent.mkdir(exist_ok=True)
        self.tcp = tcp
        self.host = host
        self.settings = settings  # a file of them
        self.keep = ["--appendonly", "yes", "--appendfsync", "always"] if is_kept else ["--appendonly", "no"]
        self.log = open(self.path.with_name("log"), "w+")
        self.port = 0
        while not self.start():
            self.port = 0

    @property
    def address(self):
        """The value of DUPLEX_REDIS for this Redis."""
        return f"{PASSWORD}@{self.host}:{self.port}" if self.tcp else str(self.path)

    def start(self):
        """Starts a Redis, which is empty unless it has kept what it took. Returns false if it ended, as it does if another process has its port."""
        if self.tcp:
            self.port = self.port or stack.free_port()
        where = ["--port", str(self.port), "--bind", self.host, "--requirepass", PASSWORD] if self.tcp else \
            ["--port", "0", "--unixsocket", self.path]
        self.path.unlink(missing_ok=True)
        self.process = subprocess.Popen(["redis-server", *self.settings, *where, "--dir", self.directory.name, "--save", "", *self.keep],
                                        stdout=self.log, stderr=self.log)
        stack.wait_until(lambda: self.process.poll() is not None or self.is_there())
        return self.process.poll() is None

    def is_there(self):
        with contextlib.suppress(OSError), socket.socket(socket.AF_INET if self.tcp else socket.AF_UNIX) as client:
            client.connect((self.host, self.port) if self.tcp else str(self.path))
            return stack.is_listening(self.port, self.process.pid) if self.tcp else True
        return False

    def ask(self, *command):
        """The answer to a command, as redis-cli prints it."""
        where = ["-h", self.host, "-p", str(self.port), "--no-auth-warning", "-a", PASSWORD] if self.tcp else ["-s", self.path]
        return subprocess.run(["redis-cli", *where, *command], capture_output=True, text=True, timeout=30).stdout.strip()

    def stream(self, channel):
        """All entries of a channel, each an id and its fields."""
        return json.loads(self.ask("--json", "XRANGE", f"duplex:{channel}", "-", "+"))

    def kill(self):
        self.process.kill()
        self.process.wait()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.kill()
        self.log.close()
        self.directory.cleanup()
