#!/usr/bin/python3
"""
A client that floods the endpoint and one that never reads cost another client no message and no stall: its round-trip time
is measured alone and beside them, and what they cost in memory, in both ways of running an endpoint.
"""
import asyncio
import contextlib
import statistics
import sys
import time

sys.path.insert(0, f"{sys.path[0]}/../lib")
import frames
import rfc6455
import sites
import stack
import tap

ROUNDS = 500
SLOWEST = 5  # seconds, on a loaded machine


async def bare_websocket(site):
    reader, writer = await asyncio.open_connection("127.0.0.1", site.port)
    writer.write(frames.HANDSHAKE)
    await reader.readuntil(b"\r\n\r\n")
    return reader, writer


class Bad:
    """A client that sends as fast as it can, and reads either all that comes or nothing."""

    def __init__(self, site, reads):
        self.site = site
        self.reads = reads
        self.taken = 0  # bytes
        self.ended = 0  # connections, by the server

    async def run(self):
        """Connects again and again, since the queue's limit ends a connection with too much in flight."""
        while True:
            reader, writer = await bare_websocket(self.site)
            try:
                await asyncio.gather(self.read(reader, writer), self.write(writer))
            except OSError:
                self.ended += 1
            finally:
                writer.transport.abort()

    async def read(self, reader, writer):
        if not self.reads:
            writer.transport.pause_reading()
            return
        while await reader.read(1 << 18):
            pass
        raise ConnectionResetError

    async def write(self, writer):
        chunk = frames.text(b"x" * 4000) * 16
        while not writer.transport.is_closing():
            writer.write(chunk)
            await writer.drain()
            self.taken += len(chunk)
        raise ConnectionResetError


async def measure(client, name):
    """Measures the round-trip times of messages, one after another, in milliseconds."""
    times = []
    good = 0
    for number in range(ROUNDS):
        message = f"{name} {number}"
        begin = time.perf_counter()
        await client.send(message)
        good += await asyncio.wait_for(client.recv(), 30) == message
        times.append((time.perf_counter() - begin) * 1000)
    median, longest = statistics.median(times), max(times)
    print(f"# {name}: median {median:.2f} ms, longest {longest:.2f} ms")
    tap.equal(good, ROUNDS, f"{name}: every message comes back")
    tap.ok(longest < SLOWEST * 1000, f"{name}: none after more than {SLOWEST} s")
    return median


async def until_moving(flood, silent):
    """Waits until the flood runs and the client that never reads is held back."""
    before = None
    while before != silent.taken or flood.taken < 1_000_000:
        before = silent.taken
        await asyncio.sleep(0.3)  # without progress in it, it is held back


async def check_fair(site):
    async with rfc6455.connect(site.ws_url()) as client:
        await client.send("first")
        await client.recv()
        own = site.endpoints()  # none but by websocketd
        alone = await measure(client, "alone")
        flood, silent = Bad(site, True), Bad(site, False)
        tasks = [asyncio.create_task(bad.run()) for bad in (flood, silent)]
        try:
            await asyncio.wait_for(until_moving(flood, silent), 30)
            beside = await measure(client, "beside a flood and a client that never reads")
            check_memory(site, own)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
    print(f"# a factor of {beside / alone:.1f}; {flood.taken >> 20} MiB were taken of the flood, and {flood.ended} connections ended; "
          f"{silent.taken >> 20} MiB of the one that never reads, and {silent.ended}")


def check_memory(site, own):
    kib = []
    for pid in set(site.endpoints()) - set(own) or site.pids("echo"):
        with contextlib.suppress(OSError, TypeError):  # one that is just being ended
            kib.append(stack.memory(pid, "VmHWM", "status"))
    most = sites.WAYS[way]["queue"] * 1024 * (1 if sites.WAYS[way]["process"] else 2) + 3072
    tap.ok(kib and max(kib) < most or stack.SANITIZED, f"what serves a flooding client and one that never reads stays within the queue's limit, in KiB: {kib}")
    servers = {name: stack.memory(site.pid(name), "Rss") for name in ("lighttpd", "websocketd")}
    tap.ok(max(servers.values()) < 48 * 1024 or stack.SANITIZED, f"the servers' memory stays bounded beside a flood and a client that never reads, in KiB: {servers}")


for way in sites.WAYS:
    tap.prefix = f"{way}: "
    with stack.Stack(WS=way, DUPLEX_WORKERS="1") as site:
        asyncio.run(check_fair(site))
        tap.ok(stack.wait_until(lambda: not site.clients()), "nothing is left when the flooding client and the one that never reads are gone")
        stack.finish(site, r"echo: 127\.0\.0\.1: the client sent more than \d+ bytes ahead of what it read", *stack.GONE)
tap.done()
