#!/usr/bin/python3
"""
200 clients, of whom fewer than half behave, while programs are killed beneath them, in both ways of running an endpoint.

A client that behaves gets every echo, equal and in order, as long as its connection lives. If that ends, a program was killed,
and the next connection works. At the end no process and no descriptor is left, and no memory has grown.
CHAOS_SECONDS sets how long it lasts: two minutes for each way.
"""
import asyncio
import collections
import contextlib
import os
import pathlib
import random
import signal
import sys
import time

sys.path.insert(0, f"{sys.path[0]}/../lib")
import frames
import rfc6455
import sites
import stack
import tap

SECONDS = float(os.environ.get("CHAOS_SECONDS", "120"))
PATIENCE = 20    # seconds without an answer on a connection that lives: a stall
AFTERMATH = 5    # seconds after a kill in which a failure is its consequence
WAYS = {
    "websocketd": {
        "weights": (6, 18, 1),    # how often a worker of HTTP, an endpoint and websocketd are killed, in proportion
        "accepts": "websocketd",  # the program whose end a handshake may meet
        "costs": {"endpoints": 1, "websocketds": 80},  # how many of the clients that behave a kill may cost their connection
    },
    "resident": {
        "weights": (18, 4, 1),    # each endpoint has half of all clients
        "accepts": "endpoint",
        "costs": {"endpoints": 80, "websocketds": 0},
    },
}
INVALID = (b"\xff", b"abc\xe2\x82", b"\xed\xa0\x80", b"\xc0\xaf" * 1000, b"x" * 5000 + b"\xf4\x90\x80\x80")


class Chaos:
    """Counts what happened, and keeps what should not have happened and when each program was last killed."""

    def __init__(self, site):
        self.site = site
        self.end = 0
        self.counts = collections.Counter()
        self.faults = []
        self.killed = {}

    def fault(self, what):
        self.faults.append(what)

    def excuse(self, program, what):
        """Counts a failure that a kill explains, and takes any other for a fault."""
        if time.monotonic() - self.killed.get(program, 0) < AFTERMATH:
            self.counts[what] += 1
        else:
            self.fault(f"{what}, and no {program} was killed before it")


# The behaviours. Each does its worst once, on one connection, and is called again until the end.

def some_text():
    letters = random.choice(("x", "\u00e9", "\U0001F600", "\0", "a\rb "))
    return f"{random.random()} " + letters * random.choice((0, 1, 10, 100, 1000, 5000))


async def talk(chaos, client):
    while time.monotonic() < chaos.end:
        messages = [some_text() for _ in range(random.randint(1, 8))]
        for message in messages:
            await client.send(message)
        for message in messages:
            if await asyncio.wait_for(client.recv(), PATIENCE) != message:
                chaos.fault("an echo is not what was sent, or not in order")
            chaos.counts["echoes"] += 1
        await asyncio.sleep(random.uniform(0, 0.2))  # its pace


async def behave(chaos):
    client = None
    try:
        client = await asyncio.wait_for(sites.connect(chaos.site, open_timeout=None), PATIENCE)
        await talk(chaos, client)
        await asyncio.wait_for(client.close(), PATIENCE)
        chaos.counts["connections to the end"] += 1
    except asyncio.TimeoutError:
        chaos.fault("a stall")
    except rfc6455.Closed:
        chaos.counts["connections ended"] += 1
    except OSError as error:
        chaos.excuse(WAYS[chaos.site.way]["accepts"], f"a handshake that failed: {error}")
        await asyncio.sleep(0.1)  # its pace
    finally:
        if client:
            client.abort()


@contextlib.asynccontextmanager
async def connection(chaos):
    """A bare connection, which is cut off at the end."""
    reader, writer = await asyncio.open_connection("127.0.0.1", chaos.site.http)
    try:
        yield reader, writer
    finally:
        writer.transport.abort()


@contextlib.asynccontextmanager
async def bare_websocket(chaos):
    async with connection(chaos) as (reader, writer):
        writer.write(frames.HANDSHAKE)
        answer = await reader.readuntil(b"\r\n\r\n")
        if not answer.startswith(b"HTTP/1.1 101 "):
            raise ConnectionRefusedError
        yield reader, writer


async def wait_for_end(reader, seconds):
    """Whether the other side ends the connection within so many seconds."""
    async def read():
        while await reader.read(65536):
            pass

    try:
        await asyncio.wait_for(read(), seconds)
    except asyncio.TimeoutError:
        return False
    return True


async def ask(chaos):
    """HTTP, beside the WebSockets."""
    word = f"{random.random()}".encode() * random.choice((1, 10, 100))
    async with connection(chaos) as (reader, writer):
        writer.write(b"GET /echo?message=" + word + b" HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        answer = await asyncio.wait_for(reader.read(), PATIENCE)
    head, _, body = answer.partition(b"\r\n\r\n")
    if head.startswith(b"HTTP/1.1 200 ") and body == word:
        chaos.counts["HTTP answers"] += 1
    elif head.startswith(b"HTTP/1.1 5"):
        chaos.excuse("worker", f"HTTP {head[9:12].decode()}")
    else:
        chaos.fault(f"HTTP: {answer[:100]}")
    await asyncio.sleep(random.uniform(0, 0.1))  # its pace


async def vanish(chaos):
    """Goes in the middle of a message, or with echoes on their way."""
    async with bare_websocket(chaos) as (_, writer):
        data = frames.text(b"x" * random.randint(1, 200000))
        writer.write(data[:random.randint(1, len(data))])
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(writer.drain(), random.uniform(0, 0.5))


async def never_read(chaos):
    async with bare_websocket(chaos) as (_, writer):
        writer.transport.pause_reading()
        chunk = frames.text(b"x" * 4000) * 16
        with contextlib.suppress(asyncio.TimeoutError):
            while True:
                writer.write(chunk)
                await asyncio.wait_for(writer.drain(), random.uniform(1, 5))


async def send_garbage(chaos):
    async with (bare_websocket if random.random() < 0.7 else connection)(chaos) as (reader, writer):
        writer.write(random.randbytes(random.randint(1, 3000)))
        await wait_for_end(reader, random.uniform(0, 1))


async def stay_half_open(chaos):
    """A connection that says nothing, or never comes to the end of its handshake or first frame."""
    async with (connection if random.random() < 0.7 else bare_websocket)(chaos) as (reader, writer):
        writer.write(random.choice((b"", b"GET /echo", frames.HANDSHAKE[:-2], b"\x81", b"\x81\xff\0")))
        await wait_for_end(reader, random.uniform(1, 5))


async def send_too_much(chaos):
    """A message over the limit in fragments, which ends the connection; or the start of one of a gigabyte."""
    chunk = b"x" * 65536
    async with bare_websocket(chaos) as (reader, writer):
        if random.random() < 0.5:
            writer.write(frames.header(0x81, 2 ** 30, None, True) + bytes(4) + chunk * 40)
            await writer.drain()
            return
        for fragment in [frames.frame(frames.TEXT, chunk, fin=False), *[frames.frame(0, chunk, fin=False)] * 39, frames.frame(0)]:
            writer.write(fragment)
            await writer.drain()
        if not await wait_for_end(reader, PATIENCE):
            chaos.fault("a message over the limit does not end the connection")


async def send_invalid_utf8(chaos):
    async with bare_websocket(chaos) as (reader, writer):
        writer.write(frames.text(b"good") + frames.text(random.choice(INVALID)) + frames.text(b"more"))
        if not await wait_for_end(reader, PATIENCE):
            chaos.fault("invalid UTF-8 does not end the connection")


async def storm(chaos):
    """Connects and goes, again and again."""
    async with bare_websocket(chaos) as (reader, writer):
        if random.random() < 0.5:
            writer.write(frames.text(b"hi"))
            await reader.readexactly(4)


BEHAVIOURS = {behave: 80, ask: 20, vanish: 20, never_read: 10, send_garbage: 15, stay_half_open: 20, send_too_much: 10, send_invalid_utf8: 15, storm: 10}
RECKLESS = {vanish, never_read, send_garbage, stay_half_open, send_too_much, send_invalid_utf8, storm}  # to whom anything may happen


async def client(chaos, behaviour):
    while time.monotonic() < chaos.end:
        chaos.counts[behaviour.__name__] += 1
        try:
            await behaviour(chaos)
        except (OSError, EOFError) as error:
            if behaviour not in RECKLESS:
                chaos.fault(f"{behaviour.__name__}: {error!r}")
            await asyncio.sleep(0.05)  # its pace, while there is nobody to talk to


# The killer.

def workers(site):
    return [pid for pid in stack.descendants(site.processes["fastcgi"].pid) if stack.name_of(pid) == "duplex"]


def kill_one(chaos, kind, pids):
    if pids:
        chaos.killed[kind] = time.monotonic()
        chaos.counts[f"{kind}s killed"] += 1
        with contextlib.suppress(ProcessLookupError):  # of a client that has just gone
            os.kill(random.choice(pids), random.choice((signal.SIGKILL, signal.SIGTERM)))


async def kill_websocketd(chaos):
    process = chaos.site.processes["websocketd"]
    if process.poll() is not None:
        chaos.fault(f"websocketd ended by itself, with status {process.returncode}")
    chaos.killed["websocketd"] = time.monotonic()
    chaos.counts["websocketds killed"] += 1
    process.kill()
    process.wait()
    await asyncio.to_thread(chaos.site.start_websocketd)
    chaos.killed["websocketd"] = time.monotonic()


async def kill(chaos):
    while time.monotonic() < chaos.end:
        await asyncio.sleep(random.uniform(0.1, 0.5))  # its pace
        (what,) = random.choices(("worker", "endpoint", "websocketd"), WAYS[chaos.site.way]["weights"])
        if what == "worker":
            kill_one(chaos, what, workers(chaos.site))
        elif what == "endpoint":
            kill_one(chaos, what, chaos.site.endpoints())
        else:
            await kill_websocketd(chaos)


# What is left.

def endpoints(site):
    """All processes of the endpoint, whoever their parent is by now."""
    found = []
    for process in pathlib.Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if os.readlink(process / "exe") == f"{site.directory}/ws/echo":
                found.append(int(process.name))
    return found


def figures(site):
    pids = {"lighttpd": site.processes["server"].pid, "websocketd": site.processes["websocketd"].pid, "multiwatch": site.processes["fastcgi"].pid}
    descriptors = {name: len(os.listdir(f"/proc/{pid}/fd")) for name, pid in pids.items()}
    kib = {name: stack.memory(pid, "Rss") for name, pid in pids.items()}
    kib["workers"] = sum(stack.memory(pid, "Rss") for pid in workers(site))
    if site.resident:
        descriptors["endpoints"] = sum(len(os.listdir(f"/proc/{pid}/fd")) for pid in site.endpoints())
        kib["endpoints"] = sum(stack.memory(pid, "Rss") for pid in site.endpoints())
    return {"descriptors": descriptors, "KiB": kib, "endpoints": len(endpoints(site)), "workers": len(workers(site))}


def settle(site, wanted):
    """The figures when all clients are gone, as soon as nothing but memory differs from what is wanted, or after 20 seconds."""
    def settled():
        with contextlib.suppress(OSError, TypeError):  # of a worker that is just being replaced
            now.update(figures(site))
            return all(now[key] == wanted[key] for key in ("descriptors", "endpoints", "workers"))

    now = {}
    stack.wait_until(settled, 20)
    return now


async def round_of(chaos, seconds):
    chaos.end = time.monotonic() + seconds
    clients = [client(chaos, behaviour) for behaviour, count in BEHAVIOURS.items() for _ in range(count)]
    await asyncio.gather(kill(chaos), *clients)


def check_left(name, now, before, allowed):
    for key in ("descriptors", "endpoints", "workers"):
        tap.equal(now[key], before[key], f"{name}: {key} as before")
    growth = {program: kib - before["KiB"][program] for program, kib in now["KiB"].items()}
    tap.ok(all(kib <= allowed[program] for program, kib in growth.items()) or stack.SANITIZED, f"{name}: growth in KiB, of {allowed} at most: {growth}")


def check_alive(site):
    tap.ok(all(process.poll() is None for process in site.processes.values()), "no program has ended by itself")
    tap.equal(sites.ask(site, "/echo?message=hi").body, b"hi", "after the chaos HTTP is answered")
    tap.equal(asyncio.run(sites.talk(site, "/echo")), "hi", "after the chaos a WebSocket is answered")


def check(site):
    chaos = Chaos(site)
    check_alive(site)
    before = settle(site, figures(site))
    asyncio.run(round_of(chaos, SECONDS / 2))
    between = settle(site, before)
    asyncio.run(round_of(chaos, SECONDS / 2))
    after = settle(site, before)
    for name, now in (("before", before), ("half-way", between), ("after", after)):
        print(f"# {name}: {now}")
    for name, count in sorted(chaos.counts.items()):
        print(f"# {count} {name}")
    tap.equal(chaos.faults, [], "nothing went wrong that should not")
    tap.ok(chaos.counts["echoes"] > 100 * SECONDS and chaos.counts["HTTP answers"] > 10 * SECONDS, "the chaos was large enough: echoes and HTTP answers")
    kills = sum(cost * chaos.counts[f"{program} killed"] for program, cost in WAYS[site.way]["costs"].items())
    tap.ok(chaos.counts["connections ended"] <= kills, f"no more connections ended than were killed: {chaos.counts['connections ended']} of {kills}")
    tap.ok(chaos.counts["HTTP 500"] + chaos.counts["HTTP 503"] <= chaos.counts["workers killed"], "no more requests failed than workers were killed")
    check_left("half-way", between, before, {"lighttpd": 32768, "websocketd": 65536, "multiwatch": 512, "workers": 2048, "endpoints": 65536})
    check_left("after", after, between, {"lighttpd": 8192, "websocketd": 32768, "multiwatch": 256, "workers": 1024, "endpoints": 65536})
    check_alive(site)


for way in WAYS:
    tap.prefix = f"{way}: "
    with sites.Site("lighttpd", way=way) as site:
        check(site)
tap.done()
