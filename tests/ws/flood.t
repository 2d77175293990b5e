#!/usr/bin/python3
"""
Floods of messages, in both ways of running an endpoint, and why the library exists. websocketd moves both directions of a
connection in one loop with blocking writes: an endpoint that waits until its output is taken, and does not take in its input
meanwhile, hangs the connection for ever. The echo must not hang; cat, in its place, must be seen to. And a client that never
reads must cost no more than the limits say.
"""
import asyncio
import contextlib
import os
import pathlib
import socket
import sys
import tempfile
import time

sys.path.insert(0, f"{sys.path[0]}/../lib")
import frames
import rfc6455
import sites
import stack
import tap

BIG = [chr(ord("A") + number % 26) * 1_000_000 for number in range(64)]
SMALL = [f"{number:08d}" + "x" * 4088 for number in range(5000)]


def connect(site):
    return rfc6455.connect(site.ws_url())


async def pump(client, messages, in_flight):
    """Sends all messages with so many in flight while it reads. Returns how many came back equal and in order."""
    slots = asyncio.Semaphore(in_flight)
    good = 0

    async def send():
        for message in messages:
            await slots.acquire()
            await client.send(message)

    sending = asyncio.create_task(send())
    try:
        for message in messages:
            good += await client.recv() == message
            slots.release()
        await sending
    finally:
        sending.cancel()
    return good


async def check_echo(site):
    async with connect(site) as client:
        tap.equal(await asyncio.wait_for(pump(client, BIG, 16), 120), 64, "64 messages of 1,000,000 bytes with 16 in flight come back, equal and in order")
        peak = stack.memory(endpoint(site), "VmHWM", "status")
        tap.ok(peak < 20480 or stack.SANITIZED, f"64 messages of 1,000,000 bytes need at most 20 MiB of the endpoint: {peak} KiB")
    async with connect(site) as client:
        tap.equal(await asyncio.wait_for(pump(client, SMALL, 5000), 120), 5000, "5,000 pipelined messages of 4 KiB come back, equal and in order")


async def check_cat_hangs(site):
    """It gets a few seconds only, because it would never end. A message is larger than all that the pipes hold."""
    client = await connect(site)
    hung = False
    try:
        await asyncio.wait_for(pump(client, BIG, 16), 4)
    except asyncio.TimeoutError:
        hung = True
    tap.ok(hung, "64 messages of 1,000,000 bytes hang when cat stands in for the endpoint: this is why there is a library")
    client.abort()


async def check_vanish(site):
    """The client vanishes while messages are in every buffer on the way."""
    client = await connect(site)
    with contextlib.suppress(asyncio.TimeoutError):
        await asyncio.wait_for(pump(client, BIG, 16), 0.3)
    tap.equal(site.clients(), 1, "a client is connected, in the middle of sending 64 MB")
    client.abort()
    tap.ok(await asyncio.to_thread(stack.wait_until, lambda: not site.clients(), 1), "a client that vanishes in the middle of 64 MB is gone after a second, with its process")


def endpoint(site):
    """The process that serves the one client."""
    return (site.pids("echo") if site.way == "resident" else site.endpoints())[0]


def handshake(site):
    """A bare socket with an open WebSocket, to misbehave with, and the process behind it."""
    others = site.endpoints()
    client = socket.create_connection(("127.0.0.1", site.port))
    client.sendall(frames.HANDSHAKE)
    answer = b""
    while not answer.endswith(b"\r\n\r\n"):
        answer += client.recv(1)
    tap.ok(answer.startswith(b"HTTP/1.1 101 "), "a handshake made by hand is answered 101")

    if site.way == "resident":
        return client, endpoint(site)

    def started():
        return [pid for pid in site.endpoints() if pid not in others and stack.name_of(pid) == "echo"]

    stack.wait_until(started)
    return client, started()[0]


def in_memory(site):
    pids = [*(site.pid(name) for name in ("lighttpd", "websocketd")), endpoint(site)]
    return {pid: stack.memory(pid, "Rss") for pid in pids}


def check_never_reads(site):
    client, _ = handshake(site)
    before = in_memory(site)
    message = frames.text(b"x" * 4096)
    client.settimeout(2)
    sent = 0
    try:
        while sent < 500_000_000:
            sent += client.send(message)
    except TimeoutError:
        pass
    tap.ok(sent < 64_000_000, f"a client that never reads is held back by TCP, after {sent} bytes")
    growth = {stack.name_of(pid): kib - before[pid] for pid, kib in in_memory(site).items()}
    tap.ok(growth["echo"] < sites.WAYS[site.way]["queue"] * 1024 and growth["lighttpd"] < 8192 and growth["websocketd"] < 24 * 1024 or stack.SANITIZED,
           f"a client that never reads costs bounded memory, in KiB: {growth}")
    client.close()
    tap.ok(stack.wait_until(lambda: not site.clients()), "when a client that never read is gone, nothing of it is left")


def check_limit_memory(site):
    """For one message over the limit the process holds at most the limit and 1 MiB."""
    client, pid = handshake(site)
    size = 64 * 1048576
    header = bytes([0x81, 0xFF]) + size.to_bytes(8, "big") + bytes(4)
    client.sendall(header)
    peak = 0
    chunk = b"y" * 1048576
    with contextlib.suppress(OSError):  # it is refused before all of it is sent
        for _ in range(64):
            client.sendall(chunk)
    client.settimeout(30)
    while True:
        with contextlib.suppress(OSError, TypeError):
            peak = max(peak, stack.memory(pid, "VmHWM", "status"))
        client.settimeout(0.001)
        try:
            if client.recv(1) == b"":
                break
        except TimeoutError:
            continue
        except ConnectionResetError:
            break
    tap.ok(0 < peak <= 2048 or stack.SANITIZED, f"a message of 64 MiB is refused with at most 2 MiB in use: {peak} KiB")
    tap.ok(stack.wait_until(lambda: not site.clients()), "when a message of 64 MiB was refused, nothing of its client is left")


def check_idle_memory(site):
    """Measures what a connection adds: with a second one open, the pages of the program itself are shared."""
    other, _ = handshake(site)
    client, pid = handshake(site)
    for socket_ in (other, client):
        socket_.sendall(frames.text(b"Hello"))
        tap.equal(socket_.recv(100), b"\x81\x05Hello", "a small message comes back over a connection made by hand")
    private = stack.memory(pid, "Private_Dirty") + stack.memory(pid, "Private_Clean")
    tap.ok(private <= 64 or stack.SANITIZED, f"an idle connection has at most 64 KiB of private memory: {private} KiB")
    client.close()
    other.close()
    tap.ok(stack.wait_until(lambda: not site.endpoints()), "when an idle client is gone, its process is gone")


for way in sites.WAYS:
    tap.prefix = f"{way}: "
    with stack.Stack(WS=way, DUPLEX_WORKERS="1") as site:
        site.way = way
        if sites.WAYS[way]["process"]:
            check_idle_memory(site)  # of an idle client of a resident endpoint resident-crowd.t has it
        check_limit_memory(site)
        asyncio.run(check_echo(site))
        asyncio.run(check_vanish(site))
        check_never_reads(site)
        stack.finish(site, r"echo: 127\.0\.0\.1: the client sent a message of more than 1048576 bytes", *stack.GONE)
tap.prefix = ""

with tempfile.TemporaryDirectory() as directory:
    for name in ("fcgi", "html"):
        os.symlink(stack.BUILD / name, pathlib.Path(directory) / name)
    os.mkdir(pathlib.Path(directory) / "ws")
    os.symlink("/bin/cat", pathlib.Path(directory) / "ws/echo")
    with stack.Stack(build=directory) as site:
        asyncio.run(check_cat_hangs(site))
        stack.finish(site, *stack.GONE)
tap.done()
