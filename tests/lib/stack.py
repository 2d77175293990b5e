"""The whole stack as "make run" starts it, on a port that nobody else has, for one test."""
import contextlib
import os
import pathlib
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import tap
from ports import is_free
from processes import PATIENCE, children, descendants, wait_until

signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(1))  # so that a test that is given up cleans up after itself
ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
BUILD = pathlib.Path(os.environ.get("BUILD", ROOT / "build")).resolve()
SANITIZED = BUILD.name in ("asan", "valgrind", "qemu")  # where figures of memory and time mean nothing

ORIGIN = "https://duplex.invalid"  # the one that websocketd takes, which the fragments set

USER = 65534 if os.geteuid() == 0 else None  # an ordinary user to run as

# What lighttpd and websocketd say when all is well. websocketd 0.4.1 ends a connection without a close frame, which may be
# a reset for lighttpd; it sometimes reads a pipe that it has just closed; and when many clients leave at once it is late
# to notice that their processes are gone.
ORDINARY = re.compile(
    r"run: http://|:notice\]|\"level\":\"info\"|\| (INFO|ACCESS) +\||server (started|stopped)|Unexpected error while reading STD(ERR|OUT) from process"
    r"|read\(\) \d+ \d+: Connection reset by peer|SIG(INT|TERM|KILL) unsuccessful to \d+: os: process already finished"
    r"|ASan doesn't fully support makecontext")

# What else is said when Redis gets no processor for a second.
LATE = (r"Redis: no reply within a second", r"Redis can be reached again")

# When a client is gone while websocketd 0.4.1 writes to it, it panics, is recovered by Go's HTTP server, and prints the
# stack of that one connection
GONE = (r"connection was dropped after accept\(\)", r"http: panic serving 127\.0\.0\.1", r"^goroutine \d+ \[", r"^created by ", r"^panic\(",
        r"^[\w./*()-]+\(.*\)$", r"^\t/?[\w./@-]+:\d+ \+0x", r"^$")


def copy_tree(directory, *built):
    """A copy of the tree, and of what of the build is named, that an ordinary user can read; its name has a space."""
    tree = pathlib.Path(directory) / "a site"
    shutil.copytree(ROOT, tree, ignore=shutil.ignore_patterns("build*", ".git", "tests"))
    for part in built:
        shutil.copytree(BUILD / part, tree / "build" / part, symlinks=True)
    for path in (tree.parent, *tree.rglob("*")):
        path.chmod(0o755)
    return tree


def is_loaded():
    """Whether others take so much of the machine that times, and who gets how much, mean little."""
    return os.getloadavg()[0] > 1.5 * os.cpu_count()


def need(*programs):
    for program in programs:
        if shutil.which(program, path=os.environ["PATH"] + ":/usr/sbin:/sbin") is None:
            tap.skip_all(f"{program} is not installed")


def is_listening(port, pid):
    """Whether this process, or one that it has started, listens on the port."""
    output = subprocess.run(["ss", "-Hltnp", f"sport = :{port}"], capture_output=True).stdout.decode()
    return any(f"pid={one}," in output for one in (pid, *descendants(pid)))


def is_socket(path):
    """Whether a UNIX socket listens at the path: it is there a moment before it does, and another test may have its own /run."""
    return os.path.exists(path) and any(fields[3] == "00010000" and fields[-1] == str(path) for fields in unix_sockets())


def unix_sockets(pid="self"):
    """The lines of /proc/net/unix: of a connection the sixth field is 03, the seventh the number, and the last the path."""
    return [line.split() for line in pathlib.Path(f"/proc/{pid}/net/unix").read_text().splitlines()[1:]]


def count_connections(path, pid="self"):
    """How many connections there are to a UNIX socket."""
    return sum(fields[-1] == str(path) and fields[5] == "03" for fields in unix_sockets(pid))


def count_clients(pid):
    """How many connections there are to the socket of a resident endpoint, by one of its workers."""
    listening = os.readlink(f"/proc/{pid}/fd/0").strip("socket:[]")
    return count_connections(next(fields[-1] for fields in unix_sockets(pid) if fields[6] == listening), pid)


def name_of(pid):
    with contextlib.suppress(OSError):
        name = pathlib.Path(f"/proc/{pid}/comm").read_text().strip()
        if not name.startswith(("memcheck", "qemu-")):
            return name
        arguments = pathlib.Path(f"/proc/{pid}/cmdline").read_text().split("\0")  # of valgrind or qemu, with the program's name among them
        return next((pathlib.Path(argument).name for argument in arguments if argument.startswith(str(BUILD.parent))), name)
    return ""


def is_alive(pid):
    """Whether the process has not ended, to which all its threads belong: the first may have, while others still hold its descriptors."""
    with contextlib.suppress(OSError, IndexError):
        fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        return fields[0] != "Z" or int(fields[17]) > 1
    return False


def memory(pid, field, file="smaps_rollup"):
    """A figure in KiB from /proc/PID/smaps_rollup or status."""
    text = pathlib.Path(f"/proc/{pid}/{file}").read_text()
    return int(re.search(rf"^{field}:\s+(\d+) kB$", text, re.M)[1])


def free_port():
    """A port on which nobody listens, below those that the kernel gives to clients. Another test may still be quicker."""
    while not is_free(port := random.randrange(20000, 32000)):
        pass
    return port


class Answer:
    """What curl -i has printed."""

    def __init__(self, output):
        head, _, self.body = output.partition(b"\r\n\r\n")
        while re.match(rb"HTTP/[\d.]+ 100", head):
            head, _, self.body = self.body.partition(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        self.version = lines[0].split()[0] if head else None
        self.status = int(lines[0].split()[1]) if head else None
        self.headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines[1:])}


class Stack:
    def __init__(self, build=BUILD, root=ROOT, user=None, **environment):
        need("lighttpd", "websocketd")
        assert user is None or root != ROOT, "an ordinary user may not be able to read the tree where it lies: use copy_tree"
        self.root = root
        self.user = user
        self.environment = {**os.environ, "BUILD": str(build), "DUPLEX_MAX_PUBLISH": "0", **environment}
        for _ in range(20):
            self.log_file = tempfile.TemporaryFile("w+")  # a new one: what failed to start may write to the last still
            self.port = free_port()
            if self.start():
                return
        raise RuntimeError("no port is free")

    def start(self):
        self.launch = subprocess.Popen(
            [self.root / "conf/run/launch"], env={**self.environment, "PORT": str(self.port)}, user=self.user, cwd="/",
            stdin=subprocess.DEVNULL, stdout=self.log_file, stderr=self.log_file)
        wait_until(lambda: "run: http://" in self.log() or self.launch.poll() is not None, 60)
        if self.launch.poll() is None:
            wait_until(lambda: len(self.pids("duplex")) == 2)  # a worker that is just being started is not one yet
            return True
        if "in use" not in self.log():
            raise RuntimeError(f"the stack does not start:\n{self.log()}")
        return False

    def raw_log(self):
        return pathlib.Path(f"/proc/self/fd/{self.log_file.fileno()}").read_bytes()

    def log(self):
        return self.raw_log().decode(errors="backslashreplace")

    def told(self, text, count=1):
        """How often the log has this, waiting for so often: websocketd may pass it on after the client is told of the end."""
        wait_until(lambda: self.log().count(text) >= count)
        return self.log().count(text)

    def unexpected(self, *expected):
        """The lines of the log that are neither ordinary nor expected."""
        expected = (*expected, *GONE, *(LATE if is_loaded() else ()))
        return [line for line in self.log().splitlines()
                if not ORDINARY.search(line) and not any(re.search(pattern, line) for pattern in expected)]

    def url(self, path="/echo"):
        return f"http://127.0.0.1:{self.port}{path}"

    def ws_url(self, path="/echo"):
        return f"ws://127.0.0.1:{self.port}{path}"

    def pid(self, name):
        return next(pid for pid in descendants(self.launch.pid) if name_of(pid) == name)

    def pids(self, name):
        return [pid for pid in descendants(self.launch.pid) if name_of(pid) == name]

    def endpoints(self):
        """The processes of the WebSocket clients."""
        return [pid for pid in children(self.pid("websocketd")) if is_alive(pid)]

    def clients(self):
        """How many WebSockets /echo has."""
        if self.environment.get("WS") != "resident":
            return len(self.endpoints())
        return count_clients(self.pid("echo"))

    def stop(self, sig=signal.SIGTERM):
        """Ends the stack and returns its exit status; nothing of it may be left."""
        everything = descendants(self.launch.pid)
        with contextlib.suppress(ProcessLookupError):
            self.launch.send_signal(sig)
        status = self.launch.wait(30)
        wait_until(lambda: not any(is_alive(pid) for pid in everything), 10)
        self.left = [name_of(pid) for pid in everything if is_alive(pid)]
        return status

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        if self.launch.poll() is None:
            self.stop()
        if kind is not None:
            print("".join(f"# {line}\n" for line in self.log().splitlines()[-40:]))


def finish(stack, *expected):
    """The checks at the end of every test with a stack."""
    tap.equal(stack.stop(), 0, "the stack ends with status 0")
    tap.equal(stack.left, [], "when the stack has ended, no process is left")
    tap.equal(stack.unexpected(*expected), [], "nothing unexpected is in the log of the stack")
