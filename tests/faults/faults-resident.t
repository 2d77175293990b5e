#!/usr/bin/python3
"""
The system refuses a resident endpoint what it can: each system call and each allocation fails once, at its first time, at its
second, and so on (tests/faults/faults.c). At most the client whose call it was is lost, the others are served, and the
process ends as it should.
"""
import errno
import re
import signal
import subprocess
import sys

sys.path.insert(0, f"{sys.path[0]}/../lib")
import faulty
import frames
import stack
import tap
from faulty import PARTIAL
from frames import PING, PONG, TEXT
from resident import Endpoint

MESSAGES = [(TEXT, b"hello"), (TEXT, b""), (TEXT, b"y" * 40000), (TEXT, b"x" * 200000), *((TEXT, b"%d" % number) for number in range(20))]
CLIENTS = 5

# "goes on" as if nothing had been, "loses one" client at most, perhaps with a line, or "fails" with a line: at the start, or for good
TABLE = [
    ("read", errno.EINTR, "goes on"), ("read", errno.EAGAIN, "goes on"), ("read", PARTIAL, "goes on"), ("read", errno.ECONNRESET, "loses one"),
    ("read", errno.EIO, "loses one"),
    ("write", errno.EINTR, "goes on"), ("write", errno.EAGAIN, "goes on"), ("write", PARTIAL, "goes on"), ("write", errno.EPIPE, "loses one"),
    ("write", errno.EIO, "loses one"), ("write", errno.ENOBUFS, "loses one"),
    ("malloc", errno.ENOMEM, "loses one"), ("realloc", errno.ENOMEM, "loses one or fails"), ("calloc", errno.ENOMEM, "fails"),
    ("mmap", errno.ENOMEM, "loses one"), ("mprotect", errno.ENOMEM, "loses one"), ("sigaltstack", errno.ENOMEM, "goes on"),
    ("sigaction", errno.EINVAL, "goes on"), ("getrlimit", errno.EINVAL, "goes on"), ("setrlimit", errno.EPERM, "goes on"),
    ("sigprocmask", errno.EINVAL, "fails"), ("signalfd", errno.EMFILE, "fails"), ("getsockname", errno.ENOBUFS, "fails"), ("fcntl", errno.EBADF, "fails"),
    ("getsockopt", errno.ENOTSOCK, "fails"), ("epoll_create1", errno.EMFILE, "loses one or fails"), ("epoll_ctl", errno.ENOMEM, "loses one or fails"),
    ("epoll_wait", errno.EINTR, "goes on"), ("epoll_wait", errno.ENOMEM, "fails"), ("clock_gettime", errno.EINVAL, "goes on"),
    ("poll", errno.ENOMEM, "loses one"), ("shutdown", errno.ENOTCONN, "goes on"),
    *(("accept4", error, "goes on") for error in (errno.EINTR, errno.EAGAIN, errno.ECONNABORTED, errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EINVAL)),
]


def ask(endpoint, path, data, wanted):
    """True if the client gets just that, False if it is lost before. A wrong answer is an error."""
    try:
        client = endpoint.connect(path, after=data)
        if client.status != wanted[0]:
            return False if client.status in (None, 503) else f"status {client.status}"
        while client.status >= 400 and client.receive():
            pass  # the server ends the connection
        for expected in wanted[1:]:
            found = client.frame()
            if found is None or found[0] == frames.CLOSE:
                return False
            if found != expected:
                return f"a wrong message {found}"[:200]
        client.close()
        return True
    except (BrokenPipeError, ConnectionResetError, ConnectionRefusedError):
        return False
    except TimeoutError:
        return "no answer"


def run(environment):
    """What became of the clients, the exit status, and the log."""
    echoed = [(PONG, b"p"), *MESSAGES]
    data = frames.frame(PING, b"p") + b"".join(frames.frame(opcode, payload) for opcode, payload in MESSAGES)
    with Endpoint(stack.BUILD / "faults/views", **environment) as views:
        views.listener.close()  # so that a client of a process that has ended does not wait for another
        process = views.processes[0]
        found = []
        for path, sent, wanted in [("/views/echo", data, [101, *echoed]), ("/views/refuse?403", b"", [403]),
                                   ("/views/poll", frames.text(b"x"), [101]), ("/views/time", b"", [101, (TEXT, b"time 0")]),
                                   ("/views/echo", data, [101, *echoed])]:
            if process.poll() is not None:
                break
            found.append(ask(views, path, sent, wanted))
            if found[-1] is False:
                stack.wait_until(lambda: process.poll() is not None, 0.2)  # if that is why
        process.send_signal(signal.SIGUSR2)
        process.send_signal(signal.SIGTERM)
        try:
            status = process.wait(30)
        except subprocess.TimeoutExpired:
            status = "it does not end"
        return found, status, [line for line in views.log() if " clients, " not in line]


def judge(outcome, environment):
    """What is wrong with this, or None."""
    found, status, log = run(environment)
    wrong = [answer for answer in found if not isinstance(answer, bool)]
    lost = found.count(False)
    all_came = len(found) == CLIENTS
    lines = [line for line in log if not re.fullmatch(r"views: accept: .+", line)]
    went_on = all_came and lost == 0 and status == 0 and not lines
    lost_one = all_came and lost <= 1 and status == 0 and len(lines) <= 1
    failed = status in (1, 2) and len(log) == 1 and re.fullmatch(r"views: .+", log[0]) and lost <= 1
    right = {"goes on": went_on, "loses one": lost_one, "fails": failed, "loses one or fails": lost_one or failed}
    return None if right[outcome] and not wrong else f"{found}, status {status}, {log}"


tap.equal(judge("goes on", {}), None, "without a fault all is answered")
faulty.check("views", TABLE, judge)
tap.done()
