#!/usr/bin/python3
"""
What "make bench" measures with: its generators find what a server does wrong, each by its name, and a short run of it
leaves tables and plots. What it measures is not judged here.
"""
import asyncio
import contextlib
import json
import os
import re
import subprocess
import sys
import tempfile
import threading

sys.path.insert(0, f"{sys.path[0]}/../lib")
import rfc6455
import stack
import tap

sys.path.insert(0, f"{stack.ROOT}/tests/bench")
import plots

BENCH = stack.BUILD / "bench"
PARTS = {"small": "MiB of memory of a whole site", "floors": "Messages/s behind the same websocketd", "http": "Requests/s behind the same lighttpd", "cpu": "Processor seconds",
         "peers": "Messages/s; p50, p99 in us: peers, behind the same lighttpd", "large": "64 messages of 1 MB", "wire": "Bytes on the wire", "start": "Instructions for a request"}
if stack.SANITIZED:  # what valgrind cannot run
    del PARTS["start"]
stack.need("wrk", "gnuplot", "valgrind")
if not (BENCH / "load").exists():
    tap.skip_all("libwslay-dev is not installed")


async def echo(socket, fault):
    """Every message comes back, but for what happens to the fifth."""
    number = 0
    held = []
    async for message in socket:
        number += 1
        answers = [message, *held]
        held = []
        if number == 5:
            if fault == "close":
                return
            answers = {"right": [message], "changed": [message[:-1] + "?"], "cut": [message[:-1]], "lost": [], "doubled": [message, message],
                       "swapped": [], "binary": [message.encode()]}[fault]
            held = [message] if fault == "swapped" else []
        for answer in answers:
            await socket.send(answer)


class Channel:
    """What anyone sends goes to all; of the subscribers that come in from the third on, one is treated as the fault says."""

    def __init__(self):
        self.members = []
        self.messages = 0

    async def serve(self, socket, fault):
        self.members.append(socket)
        async for message in socket:
            self.messages += 1
            for number, member in enumerate(self.members):
                with contextlib.suppress(rfc6455.Closed):
                    for _ in range(self.times(number, fault)):
                        await member.send(message)
                if number == 3 and self.messages == 6 and fault == "close":
                    self.closing = asyncio.create_task(member.close())

    def times(self, number, fault):
        struck = number == 3 and self.messages == 6
        return {"lost": 0, "doubled": 2}.get(fault, 1) if struck else 1


channels = {}


async def serve(socket, path):
    kind, fault = path.strip("/").split("/")
    with contextlib.suppress(rfc6455.Closed):
        await (echo(socket, fault) if kind == "echo" else channels.setdefault(fault, Channel()).serve(socket, fault))


class Server(threading.Thread):
    """The server whose faults are to be found, on a port of its own."""

    def __init__(self):
        super().__init__(daemon=True)
        self.is_up = threading.Event()
        self.start()
        self.is_up.wait()

    def run(self):
        asyncio.run(self.serve())

    async def serve(self):
        self.loop = asyncio.get_running_loop()
        self.is_over = asyncio.Event()
        async with rfc6455.serve(serve) as server:
            self.port = server.sockets[0].getsockname()[1]
            self.is_up.set()
            await self.is_over.wait()

    def stop(self):
        self.loop.call_soon_threadsafe(self.is_over.set)
        self.join()


def run(program, path, *options):
    """The exit status, and what it printed."""
    result = subprocess.run([BENCH / program, *options, f"ws://127.0.0.1:{server.port}/{path}"], capture_output=True, text=True)
    return result.returncode, json.loads(result.stdout), result.stderr


def check_found(program, path, error, *options):
    """The one kind of error that a generator reports; its exit status; a wrong message is shown."""
    status, found, said = run(program, path, *options)
    errors = [name for name, number in found["errors"].items() if number]
    tap.equal((status, errors, " is wrong: " in said), (1 if error else 0, [error] if error else [], error == "wrong"),
              f"{program}: {path}: {error or 'no error'}")
    return found


def check_generators():
    options = ["-c", "2", "-f", "3", "-n", "20", "-w", "0"]
    for size in ("12", "13", "200", "70000"):
        found = check_found("load", "echo/right", None, *options, "-s", size)
        tap.equal(found["messages"], 40, f"load counts all of 40 messages of {size} bytes")
    for fault in ("changed", "cut", "swapped", "doubled", "binary", "lost"):
        check_found("load", f"echo/{fault}", "wrong", *options)
    check_found("load", "echo/lost", "missing", *options, "-f", "1", "-g", "0.5")
    check_found("load", "echo/close", "closed", *options)
    options = ["-c", "5", "-n", "8"]
    tap.equal(check_found("fanout", "all/right", None, *options)["deliveries"], 40, "fanout counts all of 40 deliveries")
    for fault, error in (("lost", "missing"), ("doubled", "wrong"), ("close", "closed")):
        check_found("fanout", f"all/{fault}", error, *options, *(["-g", "0.5"] if error == "missing" else []))


def check_usage():
    for program in ("load", "fanout"):
        for arguments in ([], ["-c"], ["-c", "0", "ws://127.0.0.1:1/"], ["http://127.0.0.1/"]):
            result = subprocess.run([BENCH / program, *arguments], capture_output=True)
            tap.ok(result.returncode == 2 and result.stderr and not result.stdout, f"{program} {' '.join(arguments)} is refused as wrong usage")


def check_run():
    """All parts, as short as can be, without peers but for the resident way."""
    with tempfile.TemporaryDirectory() as output:
        environment = {**os.environ, "BENCH_OUTPUT": output, "BENCH_ROUNDS": "1", "BENCH_SECONDS": "0.1", "BENCH_PEERS": "resident",
                       "BENCH_PARTS": " ".join(PARTS)}
        result = subprocess.run([stack.ROOT / "tests/bench/run"], env=environment, capture_output=True, text=True)
        tap.equal((result.returncode, result.stderr), (0, ""), "a short run of make bench ends with 0 and says nothing")
        text, names = (open(f"{output}/results.md").read(), set(os.listdir(output))) if result.returncode == 0 else ("", set())
        for heading in ("What must hold", *PARTS.values()):
            tap.ok(f"\n## {heading}" in text, f"the results have the table {heading}")
        tap.ok("| 64 of 64 |" in text, "in the results every message of 1 MB came back")
        tap.ok({"results.json", "floors.svg", "http.svg", "peers-behind.svg"} <= names, f"the results have their plots: {' '.join(sorted(names))}")
        for name in ("floors", "peers-direct", "peers-behind"):
            picture = open(f"{output}/{name}.svg").read() if f"{name}.svg" in names else ""
            tap.ok("duplex, resident" in picture and "duplex, by websocketd" in picture, f"{name}.svg shows both ways")


def check_glance():
    """The picture of what the two ways are to Node, from figures that are made up."""
    rates = {"resident": [30, 40, 50], "duplex": [4, 5, 6], "Node + ws": [10, 10, 10], "libwebsockets": [10, 12, 14]}
    behind = {cell: {name: {"rate": rate, "opens": rate} for name, rate in rates.items()} for cell in plots.CELLS}
    with tempfile.TemporaryDirectory() as output:
        told = plots.plot({"peers": {"behind": behind}}, output)
        picture = open(f"{output}/glance.svg").read()
    tap.ok("(glance.svg)" in told, "the page of results shows it")
    tap.equal([picture.count(f">{number}<") for number in ("4.0", "0.50", "1.20")], [5, 5, 5], "each of five bars says how much it is, up for better and down for worse")


def check_readme():
    """The README has the ratios of the newest run that is published."""
    readme = (stack.ROOT / "README.md").read_text()
    newest = max(path for path in (stack.ROOT / "tests/bench/results").iterdir() if path.is_dir())
    found = re.search(r"^## In six ratios\n\n(.*?)\n\n", (newest / "results.md").read_text(), re.S | re.M)
    tap.ok(f"(tests/bench/results/{newest.name}/results.md)" in readme, f"the README names the newest run, {newest.name}")
    tap.ok(found and found[1] in readme, "the README has its six ratios")


check_readme()
server = Server()
check_generators()
server.stop()
check_usage()
check_glance()
check_run()
tap.done()
