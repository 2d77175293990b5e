#!/usr/bin/python3
"""
Many clients of a resident endpoint, most of whom misbehave: how they are spread over the workers, what they cost in memory,
and that whatever some of them do, the others are served.
"""
import os
import pathlib
import resource
import select
import signal
import struct
import sys

sys.path.insert(0, f"{sys.path[0]}/../lib")
import frames
import stack
import tap
from frames import CLOSE, TEXT
from resident import NO_LIMIT, Endpoint

soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
MANY = 1000 if hard >= 4096 else hard // 4


def check_served(client, name):
    """A client that is open still gets its message back."""
    client.send(frames.text(name.encode()))
    tap.equal(client.frame(), (TEXT, name.encode()), f"{name}: another client is served")


def check_spread():
    with Endpoint(workers=4, **NO_LIMIT) as echo:
        count = min(2000, 2 * MANY)
        clients = [echo.connect() for _ in range(count)]
        shares = []
        for process in echo.processes:
            shares.append(echo.figures(process)[0])
        tap.equal(sum(shares), count, f"{count} clients that come one by one are connected")
        # whichever worker runs when a client comes takes it, so a worker that others keep from running takes fewer
        least, most = (count / 100, count) if stack.is_loaded() else (count / 8, count * 3 / 8)
        tap.ok(all(least <= share <= most for share in shares), f"each of four workers has between {least:.0f} and {most:.0f} of {count} clients: {shares}")
        for client in clients:
            client.close()
        tap.ok(stack.wait_until(lambda: not any(echo.figures(process)[0] for process in echo.processes)), "the figures have no client when all have gone")
        tap.equal(echo.stop(), [0] * 4, "all four workers end with status 0")


def check_memory():
    with Endpoint(**NO_LIMIT) as echo:
        pid = echo.processes[0].pid
        first = echo.connect(after=frames.text(b"hi"))
        first.frame()
        before = stack.memory(pid, "Pss")
        clients = [echo.connect() for _ in range(MANY)]
        idle = (stack.memory(pid, "Pss") - before) / MANY
        for client in clients:
            client.send(frames.text(b"Hello, World!") * 20)
        for client in clients:
            client.texts(20)
        used = (stack.memory(pid, "Pss") - before) / MANY
        if not stack.SANITIZED:
            tap.ok(idle <= 6, f"an idle client costs {idle:.1f} KiB of memory, 6 at most")
            tap.ok(used <= max(6, 1.1 * idle), f"an idle client costs {used:.1f} KiB after 20 messages")
        check_served(first, f"{MANY} idle clients")


def check_huge_frame():
    with Endpoint() as echo:
        pid = echo.processes[0].pid
        other = echo.connect(after=frames.text(b"hi"))
        other.frame()
        before = stack.memory(pid, "VmHWM", "status")
        attacker = echo.connect(after=frames.header(0x82, 1 << 62, None, True) + frames.MASK)
        attacker.socket.setblocking(False)
        sent = 0
        while sent < 64 << 20:
            select.select([], [attacker.socket], [], 30)
            try:
                sent += attacker.socket.send(bytes(1 << 20))
            except BlockingIOError:
                continue
            except OSError:
                break
        attacker.socket.settimeout(30)
        tap.equal(attacker.frame()[1][:2], struct.pack("!H", 1009), "a frame of 4 EiB is ended with 1009")
        grown = stack.memory(pid, "VmHWM", "status") - before
        tap.ok(stack.SANITIZED or grown < 2048, f"frames that announce 4 EiB make memory grow by {grown} KiB, less than 2 MiB")
        check_served(other, "one huge frame")


def check_half_messages():
    """Each of many announces a message of the largest size, and stops half-way."""
    limit = 64 << 20
    with Endpoint(WEBSOCKET_MAX_MEMORY=str(limit), **NO_LIMIT) as echo:
        other = echo.connect()
        pid = echo.processes[0].pid
        before = stack.memory(pid, "VmHWM", "status")
        half = frames.header(0x82, 1 << 20, None, True) + frames.MASK + bytes(1 << 19)
        clients = [echo.connect(head=b"") for _ in range(MANY)]
        for client in clients:
            client.socket.setblocking(False)
            client.left = client.head("/echo") + half
        waiting = {client.socket: client for client in clients}
        while waiting:  # until each has sent its half, or was sent away
            for ready in select.select([], list(waiting), [], 30)[1] if len(waiting) < 500 else poll(waiting):
                client = waiting[ready]
                try:
                    client.left = client.left[ready.send(client.left):]
                except BlockingIOError:
                    continue
                except OSError:
                    client.left = b""
                if not client.left:
                    del waiting[ready]
        check_served(other, f"{MANY} halves of a message")
        grown = stack.memory(pid, "VmHWM", "status") - before
        tap.ok(stack.SANITIZED or grown < 2 * (limit >> 10), f"{MANY} halves of a message take {grown} KiB of memory, with a limit of {limit >> 10}")
        for client in clients:
            client.close()
        tap.ok(stack.wait_until(lambda: echo.figures()[:2] == [1, 0]), "when clients with half a message are gone, nothing of them is left")


def poll(waiting):
    poller = select.poll()
    by_number = {}
    for one in waiting:
        poller.register(one, select.POLLOUT)
        by_number[one.fileno()] = one
    return [by_number[number] for number, _ in poller.poll(30000)]


def check_slow_handshakes():
    with Endpoint(**NO_LIMIT) as echo:
        other = echo.connect()
        clients = [echo.connect(head=b"") for _ in range(2 * MANY)]
        head = clients[0].head("/echo")
        for at in range(len(head)):
            for client in clients:
                client.send(head[at:at + 1]) if at < 40 else None
            if at in (10, 30):
                check_served(other, f"{len(clients)} handshakes byte by byte, at byte {at}")
        for client in clients:
            client.send(head[40:])
        for client in clients:
            client.take_answer()
        tap.equal([client.status for client in clients], [101] * len(clients), f"{len(clients)} handshakes that come byte by byte are accepted in the end")


def check_descriptors():
    """At the limit of descriptors nobody who is connected notices, and others wait."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (40, hard))
    with Endpoint(**NO_LIMIT) as echo:
        resource.prlimit(echo.processes[0].pid, resource.RLIMIT_NOFILE, (40, 40))
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        first = echo.connect()
        clients = [echo.connect(head=b"") for _ in range(60)]
        for client in clients:
            client.send(client.head("/echo"))
        tap.ok(stack.wait_until(lambda: any("Too many open files" in line for line in echo.log())), "the log says that descriptors are short")
        check_served(first, "no descriptor is left")
        for client in clients:
            client.close()
        late = echo.connect()
        tap.equal(late.status, 101, "when descriptors are free again, a further client is accepted")
        tap.equal(sum("Too many open files" in line for line in echo.log()) < 5, True, "the log has few lines that say that descriptors are short")
        tap.equal(echo.stop(), [0], "a worker that had no descriptor left ends with status 0")


check_spread()
check_memory()
check_huge_frame()
check_half_messages()
check_slow_handshakes()
check_descriptors()
tap.done()
