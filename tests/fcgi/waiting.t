#!/usr/bin/python3
"""
Requests that do not come at once, straight to a worker: they wait beside others, whose answers do not change, and their
number, memory and time are bounded. What is not a request, or one that libfcgi would not survive, ends its connection alone.
"""
import contextlib
import os
import pathlib
import random
import re
import resource
import select
import signal
import socket
import struct
import sys
import tempfile
import time

sys.path.insert(0, f"{sys.path[0]}/../lib")
import fcgi
import stack
import tap

SOME = 64
DESCRIPTORS = min(4096, resource.getrlimit(resource.RLIMIT_NOFILE)[1])  # of this test
POST = {b"REQUEST_METHOD": b"POST", b"SCRIPT_NAME": b"/echo"}
START = fcgi.BEGIN + fcgi.record(4, b"".join(fcgi.pair(*pair) for pair in POST.items())) + fcgi.record(4)
NO_VARIABLES = fcgi.record(4) + fcgi.record(5)
HUGE = b"\xff\xff\xff\xff"  # a length of 2^31 - 1


def management(kind, content=b""):
    return struct.pack("!BBHHBB", 1, kind, 0, len(content), 0, 0) + content


def answers(workers, seconds=5):
    """Whether a whole request is answered, and soon."""
    began = time.monotonic()
    return fcgi.body(fcgi.exchange(workers, fcgi.REQUEST)) == b"whole" and time.monotonic() - began < seconds


def finish(workers, what):
    tap.ok(answers(workers), f"{what}: the worker still answers")
    tap.equal(workers.stop(), [(0, b"")], f"{what}: the worker ends and writes nothing")


def check_parts(family):
    workers = fcgi.Workers(family=family)
    wrong = []
    for at in range(1, len(fcgi.REQUEST)):
        if fcgi.body(fcgi.exchange(workers, fcgi.REQUEST[:at], fcgi.REQUEST[at:])) != b"whole":
            wrong.append(at)
    tap.equal(wrong, [], f"{family.name}: a request in every two parts is answered")
    answer = fcgi.exchange(workers, *(bytes([byte]) for byte in fcgi.REQUEST))
    tap.equal(fcgi.body(answer), b"whole", f"{family.name}: a request that comes byte by byte is answered")
    finish(workers, "parts")


def check_slow(family):
    """Those that trickle and those that stop; then those that trickle come to their end, and the others do not."""
    workers = fcgi.Workers(family=family)
    trickling = [workers.connect() for _ in range(SOME)]
    stopped = [workers.connect() for _ in range(SOME)]
    silent = [workers.connect() for _ in range(SOME)]
    for client in trickling + stopped:
        client.sendall(START)
    worst = 0
    for _ in range(10):
        for client in trickling:
            client.sendall(fcgi.record(5, b"x"))
        asked = time.monotonic()
        served = answers(workers)
        worst = max(worst, time.monotonic() - asked if served else 99)
    tap.ok(worst < 5, f"{family.name}: beside {SOME} requests that trickle, {SOME} that stop and {SOME} that never begin others are answered, in {worst:.3f} s")
    for client in trickling:
        client.sendall(fcgi.record(5))
    tap.equal([fcgi.status(fcgi.read_all(client)) for client in trickling], [405] * SOME, "of the requests beside these, those that come to their end are answered")
    return workers, stopped, silent


def check_slow_ends(workers, stopped, silent):
    """The rest of check_slow, after the time that a request has."""
    tap.equal([fcgi.status(fcgi.read_all(client)) for client in stopped], [408] * SOME, "of the requests beside these, those that stop are answered 408")
    tap.equal([fcgi.read_all(client) for client in silent], [b""] * SOME, "connections on which no request begins are closed")
    finish(workers, "time")


def check_number():
    """More than may wait: the oldest are given up, of which one line tells."""
    workers = fcgi.Workers()
    clients = []
    for _ in range(600):
        clients.append(workers.connect())
        fcgi.send_in_parts(workers, clients[-1], [fcgi.REQUEST[:40]])
    descriptors = len(os.listdir(f"/proc/{workers.processes[0].pid}/fd"))
    tap.ok(descriptors < 530, f"of 600 unfinished requests not all are held: {descriptors} descriptors")
    tap.ok(answers(workers), "others are answered beside 600 unfinished requests")
    given_up = [fcgi.status(fcgi.read_all(client)) for client in clients[:600 - 512]]
    tap.equal(set(given_up), {503}, "the oldest of 600 unfinished requests are answered 503")
    for client in clients[-500:]:
        client.sendall(fcgi.REQUEST[40:])
    tap.equal({fcgi.body(fcgi.read_all(client)) for client in clients[-500:]}, {b"whole"}, "500 of 600 unfinished requests can come to their end")
    for client in clients[600 - 512:-500]:
        client.close()
    (status, said), = workers.stop()
    tap.equal((status, said.count(b"\n"), b"too many requests" in said), (0, 1, True), "one line says that there were too many requests")


def check_few_descriptors():
    """With few descriptors fewer may wait, so that there are some to answer with."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    workers = fcgi.Workers()
    resource.setrlimit(resource.RLIMIT_NOFILE, (DESCRIPTORS, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    clients = []
    for _ in range(100):
        clients.append(workers.connect())
        fcgi.send_in_parts(workers, clients[-1], [fcgi.REQUEST[:40]])
    tap.equal(fcgi.status(fcgi.read_all(clients[0])), 503, "a worker with 64 descriptors: the oldest of 100 unfinished requests is answered 503")
    tap.equal(fcgi.body(fcgi.exchange(workers, fcgi.REQUEST[:30], fcgi.REQUEST[30:])), b"whole", "a worker with 64 descriptors: one more request, in two parts, is answered")
    for client in clients[1:]:
        client.close()
    tap.equal(workers.stop()[0][0], 0, "a worker with 64 descriptors ends with status 0")


def check_memory():
    workers = fcgi.Workers()
    answers(workers)
    before = stack.memory(workers.processes[0].pid, "VmRSS", "status")
    clients = []
    for _ in range(400):
        clients.append(workers.connect())
        fcgi.send_in_parts(workers, clients[-1], [START + fcgi.record(5, b"x" * 60000)])
    more = stack.memory(workers.processes[0].pid, "VmRSS", "status") - before
    tap.ok(more < 20 * 1024 or stack.SANITIZED, f"400 unfinished requests of 60 KB, 24 MB in all, are not all held: {more} KiB")
    tap.equal(fcgi.status(fcgi.read_all(clients[0])), 503, "the oldest of 400 large requests is answered 503")
    clients[-1].sendall(fcgi.record(5))
    tap.equal(fcgi.status(fcgi.read_all(clients[-1])), 405, "the newest of 400 large requests comes to its end")
    for client in clients[1:-1]:
        client.close()
    tap.ok(answers(workers), "others are answered beside 400 large requests")
    tap.equal(workers.stop()[0][0], 0, "a worker that met 400 large requests ends with status 0")


def read_while_sending(client, part, seconds=30):
    """Sends this again and again, as a web server that looks for an answer meanwhile: the answer, and whether the worker closed."""
    answer = b""
    end = time.monotonic() + seconds
    client.setblocking(False)
    while time.monotonic() < end:
        readable, writable, _ = select.select([client], [client], [], 1)
        try:
            if readable and (got := client.recv(65536)):
                answer += got
            if writable:
                client.send(part)
        except (BrokenPipeError, ConnectionResetError):
            return answer, True
    return answer, False


def check_long():
    workers = fcgi.Workers()
    answers(workers)
    before = stack.memory(workers.processes[0].pid, "VmHWM", "status")
    client = workers.connect()
    for _ in range(40):
        client.sendall(fcgi.record(5, b"x" * 50000) if _ else START)
    client.sendall(fcgi.record(5))
    tap.equal(fcgi.status(fcgi.read_all(client)), 405, "a body of 2 MB is answered")
    client = workers.connect()
    client.sendall(START)
    answer, closed = read_while_sending(client, fcgi.record(5, b"x" * 50000))
    tap.equal((fcgi.status(answer), closed), (405, True), "a body without an end is answered, and then its connection is closed")
    more = stack.memory(workers.processes[0].pid, "VmHWM", "status") - before
    tap.ok(more < 2048 or stack.SANITIZED, f"neither a body of 2 MB nor one without an end is held in memory: {more} KiB")
    client = workers.connect()
    client.sendall(fcgi.BEGIN)
    answer, closed = read_while_sending(client, fcgi.record(4, fcgi.pair(b"A", b"x" * 50000)))
    tap.equal((fcgi.status(answer), closed), (431, True), "variables without an end are answered 431, and the connection is closed")
    large = fcgi.BEGIN + b"".join(fcgi.record(4, fcgi.pair(b"HTTP_X_%d" % i, b"x" * 50000)) for i in range(5)) + fcgi.PARAMS + NO_VARIABLES
    tap.equal(fcgi.body(fcgi.exchange(workers, large)), b"whole", "250 KB of variables are taken")
    finish(workers, "long requests")


def check_refused():
    """What is refused, at once and in parts: the connection is closed and nothing else happens."""
    workers = fcgi.Workers()
    refused = {
        "a name of 2^31 - 1 bytes": fcgi.BEGIN + fcgi.record(4, HUGE + b"\x01") + NO_VARIABLES,
        "a value of 2^31 - 1 bytes": fcgi.BEGIN + fcgi.record(4, b"\x01" + HUGE + b"A") + NO_VARIABLES,
        "both": fcgi.BEGIN + fcgi.record(4, HUGE + HUGE) + NO_VARIABLES,
        "lengths whose sum is 2^31 - 2": fcgi.BEGIN + fcgi.record(4, b"\xbf\xff\xff\xff" * 2) + NO_VARIABLES,
        "a value of 1 GiB": fcgi.BEGIN + fcgi.record(4, b"\x01\xc0\x00\x00\x00A") + NO_VARIABLES,
        "a value longer than the variables": fcgi.BEGIN + fcgi.record(4, b"\x01\x7fA") + NO_VARIABLES,
        "FCGI_GET_VALUES that asks fifty times": management(9, fcgi.pair(b"FCGI_MAX_CONNS", b"") * 50) + fcgi.REQUEST,
        "FCGI_GET_VALUES with a length of 2^31 - 1": management(9, HUGE * 2) + fcgi.REQUEST,
        "an unknown management record": management(100) + fcgi.REQUEST,
        "a record of another request": START + struct.pack("!BBHHBB", 1, 5, 2, 0, 0, 0) + fcgi.record(5),
        "FCGI_ABORT_REQUEST": fcgi.BEGIN + fcgi.PARAMS + fcgi.record(2),
        "FCGI_ABORT_REQUEST in the body": START + fcgi.record(5, b"x") + fcgi.record(2),
        "HTTP": b"GET /echo?message=whole HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "zeros": bytes(1000),
        "a role that does not exist": fcgi.record(1, struct.pack("!HB5x", 9, 0)) + fcgi.PARAMS + NO_VARIABLES,
    }
    for name, request in refused.items():
        got = [fcgi.exchange(workers, request), fcgi.exchange(workers, request[:17], request[17:])]
        tap.equal((got, workers.processes[0].poll()), ([b""] * 2, None), f"{name}: the connection is closed, and no more")
    finish(workers, "what is refused")


def check_accepted():
    """What a web server might do and does not: the request is answered, and the connection closed."""
    workers = fcgi.Workers()
    question = management(9, b"\x0e\x00FCGI_MAX_CONNS\x0f\x00FCGI_MPXS_CONNS")
    second = struct.pack("!BBHHBB", 1, 1, 2, 8, 0, 0) + struct.pack("!HB5x", 1, 0)
    accepted = {
        "FCGI_KEEP_CONN": (fcgi.record(1, struct.pack("!HB5x", 1, 1)) + fcgi.REQUEST[16:], b""),
        "FCGI_GET_VALUES before it": (question + fcgi.REQUEST, b"FCGI_MPXS_CONNS0"),
        "two requests, one after another": (fcgi.REQUEST * 2, b""),
        "a second request in the first": (fcgi.BEGIN + second + fcgi.REQUEST[16:], b"\x01\x03\x00\x02"),
    }
    for name, (request, said) in accepted.items():
        for way, parts in (("at once", [request]), ("in parts", [request[:17], request[17:]])):
            answer = fcgi.exchange(workers, *parts)
            tap.ok(b"\r\n\r\nwhole" in answer and said in answer, f"{name}, {way}: answered, and closed")
    finish(workers, "what is accepted")


def check_garbage():
    """Requests with bytes changed, taken out and doubled: whatever comes of them, the next one is answered."""
    chance = random.Random(20)
    workers = fcgi.Workers()
    for _ in range(500):
        request = bytearray(fcgi.form(b"POST", b"/echo", b"a=b", b"message=hi") + management(9, b"\x01\x00A"))
        for _ in range(chance.randrange(1, 6)):
            at = chance.randrange(len(request))
            if chance.random() < 0.6:
                request[at] = chance.choice([0, 1, 4, 5, 8, 127, 128, 255, chance.randrange(256)])
            else:
                request[at:at + chance.randrange(9)] = request[at:at + chance.randrange(1, 20)] if chance.random() < 0.5 else b""
        at = chance.randrange(len(request) + 1)
        with workers.connect() as client, contextlib.suppress(BrokenPipeError, ConnectionResetError):
            client.sendall(request[:at])
            client.sendall(request[at:])
    tap.equal(workers.processes[0].poll(), None, "500 broken requests end no worker")
    finish(workers, "garbage")


def check_readers():
    """Clients that do not read their answers, which are large: they get them when they do, and keep nobody from an answer."""
    with tempfile.TemporaryDirectory() as directory:
        page = pathlib.Path(directory)
        for file in (stack.ROOT / "html").iterdir():
            (page / file.name).write_bytes(file.read_bytes())
        (page / "echo.js").write_bytes(b"x" * 230_000)
        workers = fcgi.Workers(page=page)
        clients = [workers.connect() for _ in range(SOME)]
        began = time.monotonic()
        for client in clients:
            client.sendall(fcgi.BEGIN + fcgi.params(b"/echo/echo.js") + NO_VARIABLES)
        tap.ok(answers(workers, 30) and time.monotonic() - began < 30, f"{SOME} clients that do not read 230 KB each: others are answered")
        tap.equal([len(fcgi.body(fcgi.read_all(client))) for client in clients], [230_000] * SOME, "slow readers get all of their answers when they read")
        finish(workers, "slow readers")


def watches_listener(pid):
    """Whether its epoll descriptor has standard input in it."""
    return any(re.search(r"^tfd: +0 ", file.read_text(), re.M) for file in pathlib.Path(f"/proc/{pid}/fdinfo").iterdir())


def check_sigterm():
    workers = fcgi.Workers()
    completed, stopped = (workers.connect() for _ in range(2))
    for client in (completed, stopped):
        fcgi.send_in_parts(workers, client, [START])
    began = time.monotonic()
    workers.processes[0].terminate()
    tap.ok(stack.wait_until(lambda: not watches_listener(workers.processes[0].pid)), "SIGTERM: a worker in which requests wait takes no further ones")
    completed.sendall(fcgi.record(5, b"x") + fcgi.record(5))
    tap.equal(fcgi.status(fcgi.read_all(completed)), 405, "a request that comes to its end after SIGTERM is answered")
    tap.equal(fcgi.status(fcgi.read_all(stopped)), 503, "a request that does not come to its end after SIGTERM is answered 503")
    tap.equal(workers.stop_first(), (0, b""), "the worker that got SIGTERM exits 0 without a line")
    tap.ok(time.monotonic() - began < 9, f"the worker that got SIGTERM has ended after {time.monotonic() - began:.1f} s, before systemd would kill it")


def check_blocked_alarm():
    """A parent that has blocked SIGALRM would have taken the worker's deadline away."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGALRM})
    workers = fcgi.Workers()
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGALRM})
    status = pathlib.Path(f"/proc/{workers.processes[0].pid}/status")

    def is_blocked():
        return int(re.search(r"^SigBlk:\s+(\w+)$", status.read_text(), re.M)[1], 16) >> (signal.SIGALRM - 1) & 1

    tap.ok(stack.wait_until(lambda: not is_blocked()), "SIGALRM that a parent has blocked is unblocked")
    finish(workers, "SIGALRM")


check_few_descriptors()
slow = [check_slow(family) for family in (socket.AF_UNIX, socket.AF_INET)]
check_parts(socket.AF_UNIX)
check_parts(socket.AF_INET)
check_number()
check_memory()
check_long()
check_refused()
check_accepted()
check_garbage()
check_readers()
check_sigterm()
check_blocked_alarm()
for kept in slow:
    check_slow_ends(*kept)
tap.done()
