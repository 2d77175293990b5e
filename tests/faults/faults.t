#!/usr/bin/python3
"""
The system refuses what it can: each system call and each allocation of the endpoint and of the FastCGI program fails once, at
its first time, at its second, and so on until there is no such time (tests/faults/faults.c). Nothing is lost or doubled before
that, the exit is clean, and a line says why.
"""
import contextlib
import errno
import pathlib
import re
import socket
import subprocess
import sys
import tempfile
import threading

sys.path.insert(0, f"{sys.path[0]}/../lib")
import fcgi
import faulty
import stack
import tap
from faulty import PARTIAL

MESSAGES = [b"hello", b"", "\u00e9\U0001F600".encode(), b"x" * 100000, b"y" * 70000, *(b"%d" % number for number in range(50)), b"z" * 30000]
ECHOED = b"".join(message + b"\n" for message in MESSAGES)

# the call, the error, and what becomes of it: "goes on" as if nothing had been, "leaves" in silence as when the client is
# gone, or "fails" with a line in the log
ECHO = [
    ("read", errno.EINTR, "goes on"), ("read", errno.EAGAIN, "goes on"), ("read", PARTIAL, "goes on"), ("read", errno.EIO, "fails"),
    ("read", errno.ECONNRESET, "leaves"), ("read", errno.ENOMEM, "fails"),
    ("write", errno.EINTR, "goes on"), ("write", errno.EAGAIN, "goes on"), ("write", PARTIAL, "goes on"), ("write", errno.EPIPE, "leaves"),
    ("write", errno.EIO, "fails"), ("write", errno.ENOSPC, "fails"),
    ("poll", errno.EINTR, "goes on"), ("poll", errno.ENOMEM, "fails"),
    ("malloc", errno.ENOMEM, "fails"), ("realloc", errno.ENOMEM, "fails"),
    ("sigprocmask", errno.EINVAL, "fails"), ("signalfd", errno.EMFILE, "fails"),
]
ACCEPT = [
    (errno.EINTR, "goes on"), (errno.EAGAIN, "goes on"), (errno.ECONNABORTED, "goes on"), (errno.EMFILE, "goes on"), (errno.ENFILE, "goes on"),
    (errno.ENOMEM, "goes on"), (errno.ENOBUFS, "goes on"), (errno.EINVAL, "fails"),
]
FASTCGI = [
    ("getsockopt", errno.ENOTSOCK, "fails"), ("sigprocmask", errno.EINVAL, "fails"), ("sigaction", errno.EINVAL, "fails"), ("fcntl", errno.EBADF, "fails"),
    ("stat", errno.EIO, "fails or goes on"), ("open", errno.EMFILE, "fails or goes on"), ("open", errno.EACCES, "fails or goes on"),
    ("fstat", errno.EIO, "fails or goes on"), ("malloc", errno.ENOMEM, "loses one"), ("realloc", errno.ENOMEM, "loses one"), ("read", errno.EIO, "fails or goes on"),
    ("read", errno.EINTR, "goes on"), ("read", PARTIAL, "goes on"),
    ("signalfd", errno.EMFILE, "fails"), ("epoll_create1", errno.EMFILE, "fails"), ("epoll_ctl", errno.ENOMEM, "loses one"),
    ("epoll_wait", errno.EINTR, "goes on"), ("clock_gettime", errno.EINVAL, "goes on"), ("getsockname", errno.ENOBUFS, "goes on"),
    ("recv", errno.EAGAIN, "goes on"), ("recv", errno.EINTR, "goes on"), ("recv", errno.ECONNRESET, "loses one"),
    ("socketpair", errno.EMFILE, "loses one"), ("send", errno.EAGAIN, "loses one"),
    *(("accept4", error, outcome) for error, outcome in ACCEPT),
]
LIBFCGI = [  # on a TCP socket, where it accepts
    *(("accept", error, outcome) for error, outcome in ACCEPT),
    ("read", PARTIAL, "goes on"), ("read", errno.ECONNRESET, "loses one"), ("write", PARTIAL, "goes on"), ("write", errno.EPIPE, "loses one"),
]
ORDINARY = re.compile(rb"^duplex\S*: (\S+: serving the last copy: .+|accept: out of descriptors or memory, trying again)\n$")


def write_messages(pipe):
    """As websocketd does it: one write a message."""
    with contextlib.suppress(BrokenPipeError):
        for message in MESSAGES:
            pipe.write(message + b"\n")


def run_echo(environment):
    """Returns the endpoint's output, its exit status and its standard error. Nothing is read before all is written."""
    with subprocess.Popen([stack.BUILD / "faults/echo"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0,
                          env={**fcgi.INHERITED, "GATEWAY_INTERFACE": "websocketd-CGI/0.1", "REMOTE_ADDR": "192.0.2.1", **environment}) as process:
        writer = threading.Thread(target=write_messages, args=(process.stdin,))
        writer.start()
        writer.join()
        output = b""
        while len(output) < len(ECHOED) and (part := process.stdout.read(65536)):
            output += part
        process.stdin.close()
        return output + process.stdout.read(), process.wait(), process.stderr.read()


def judge_echo(outcome, output, status, said):
    """Returns what is wrong with this outcome, or None."""
    if not ECHOED.startswith(output):
        return "something is lost or doubled"
    if outcome == "goes on" and (output, status, said) != (ECHOED, 0, b""):
        return f"{len(output)} of {len(ECHOED)} bytes, status {status}, {said}"
    if outcome == "leaves" and (status, said) != (0, b""):
        return f"status {status}, {said}"
    if outcome == "fails" and (status != 1 or not re.fullmatch(rb"echo: [^\n]+\n", said)):
        return f"status {status}, {said}"
    return None


def check_echo():
    tap.equal(judge_echo("goes on", *run_echo({})), None, "echo: without a fault every message comes back")
    faulty.check("echo", ECHO, lambda outcome, environment: judge_echo(outcome, *run_echo(environment)))


def ask(workers, path, query=b""):
    """The body of an answer; None if there is none, or it is 503. A request with a query comes in two parts."""
    request = fcgi.BEGIN + fcgi.params(path, query) + fcgi.record(4) + fcgi.record(5)
    answer = fcgi.exchange(workers, *([request[:20], request[20:]] if query else [request]))
    return fcgi.body(answer) if fcgi.status(answer) not in (None, 503) else None


def run_fastcgi(program, page, family, environment):
    """The answers to some requests, with a file of the page changed between them; the exit status; what it had to say."""
    workers = fcgi.Workers(program=stack.BUILD / f"faults/{program}", page=page, family=family, **environment)
    answers = []
    for path, query in ((b"/echo", b"message=one"), (b"/echo/echo.css", b""), (b"/echo/echo.css", b""), (b"/nothing", b""), (b"/echo", b"message=two")):
        answers.append(ask(workers, path, query))
        style = page / "echo.css"
        style.write_bytes(style.read_bytes())
    return answers, *workers.stop()[0]


def judge_fastcgi(outcome, wanted, answers, status, said):
    lines = said.splitlines(keepends=True)
    lost = sum(answer is None for answer in answers)
    wrong = [answer for answer, right in zip(answers, wanted) if answer not in (None, right)]
    failed = status in (1, 2) and len(lines) == 1 and answers == [*wanted[:len(answers) - lost], *[None] * lost]
    lost_one = status == 0 and lost == 1 and not lines
    went_on = status == 0 and lost == 0 and all(ORDINARY.match(line) for line in lines)
    if wrong:
        return f"a wrong answer: {wrong}"
    right = {"fails": failed, "goes on": went_on, "fails or goes on": failed or went_on, "loses one": failed or went_on or lost_one}
    return None if right[outcome] else f"{lost} lost, status {status}, {said}"


def check_fastcgi(program, table, page, family):
    wanted, status, said = run_fastcgi(program, page, family, {})
    tap.equal((wanted[0], wanted[4], status, said), (b"one", b"two", 0, b""), f"{program}: without a fault every request is answered")
    faulty.check(program, table, lambda outcome, environment: judge_fastcgi(outcome, wanted, *run_fastcgi(program, page, family, environment)))


with tempfile.TemporaryDirectory() as directory:
    page = pathlib.Path(directory) / "html"
    page.mkdir()
    for file in (stack.ROOT / "html").iterdir():
        (page / file.name).write_bytes(file.read_bytes())
    check_echo()
    check_fastcgi("duplex", FASTCGI, page, socket.AF_UNIX)
    check_fastcgi("duplex-and-libraries", LIBFCGI, page, socket.AF_INET)
tap.done()
