"""What a small device needs: the memory of the whole stack of make run, by program, and the size of the programs on disk."""
import contextlib
import os
import pathlib
import random
import re
import subprocess
import tempfile
import time

import figures
import systems

LOAD = systems.BUILD / "bench/load"
COUNTS = (0, 10, 100)
PROGRAMS = ("lighttpd", "multiwatch", "duplex", "websocketd", "echo")
INSTALLED = {"duplex-fcgi": "fcgi/duplex", "echo": "ws/echo", "chat": "ws/chat"}


def processes(launcher, way):
    """Those of an installed site that has /echo alone. The launcher has a shell and resident endpoints besides, and websocketd in either way."""
    found = []
    for pid in figures.family(launcher):
        with contextlib.suppress(OSError):
            name = figures.name_of(pid)
            of_another = name == "multiwatch" and "chat" in map(figures.name_of, figures.children(pid))
            if name in PROGRAMS and not of_another and (way, name) != ("resident", "websocketd"):
                found.append((pid, name))
    return found


def mappings(pid):
    """Of each mapping of a process: its file, the place in it, KiB of that file's pages, and KiB of the process's own."""
    text = pathlib.Path(f"/proc/{pid}/smaps").read_text()
    for head, body in re.findall(r"^([0-9a-f]+-[0-9a-f]+ .*)\n((?:[A-Z]\w*:.*\n)+)", text, re.M):
        _, _, offset, device, inode, *_ = head.split()
        field = {name: int(kib) for name, kib in re.findall(r"^(\w+):\s+(\d+) kB$", body, re.M)}
        yield (device, inode, offset), field["Rss"] - field["Anonymous"], field["Anonymous"]


def snapshot(launcher, way):
    """
    KiB by program, of its own pages. Those of files, such as its code and the C library, count once for all of them, under
    "files": it does not matter what else runs on this machine.
    """
    kib, files = {}, {}
    for pid, name in processes(launcher, way):
        with contextlib.suppress(OSError):
            for place, of_file, own in mappings(pid):
                kib[name] = kib.get(name, 0) + own
                files[place] = max(files.get(place, 0), of_file)
    return {**kib, "files": sum(files.values())}


@contextlib.contextmanager
def clients(port, count):
    """So many clients that have had a message there and back, and are silent since."""
    if count == 0:
        yield
        return
    with subprocess.Popen([LOAD, "-o", "-c", str(count), "-n", "1", f"ws://127.0.0.1:{port}/echo"], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        if not process.stdout.readline():
            raise RuntimeError(f"load cannot open {count} connections")
        yield
        process.stdin.close()


@contextlib.contextmanager
def launched(way):
    """make run with lighttpd and without Redis, on a port that is free."""
    for _ in range(20):
        port = random.randrange(12000, 32000)
        environment = {**os.environ, "PORT": str(port), "WS": way, "BUILD": str(systems.BUILD), "SERVER": "lighttpd", "DUPLEX_REDIS": "/nonexistent"}
        with tempfile.TemporaryFile("w+") as log:
            process = subprocess.Popen([systems.ROOT / "conf/run/launch"], env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
            figures.wait_until(lambda: "run: http" in said(log) or process.poll() is not None, 60)
            if process.poll() is None:
                try:
                    yield process.pid, port
                finally:
                    process.terminate()
                    process.wait(60)
                return
            if "in use" not in said(log):
                raise RuntimeError(f"make run does not start: {said(log)}")
    raise RuntimeError("no port is free")


def said(log):
    return pathlib.Path(f"/proc/self/fd/{log.fileno()}").read_text()


def hold(launcher, port, way, count):
    with clients(port, count):
        time.sleep(0.5)
        return snapshot(launcher, way)


def size_of(program):
    """Bytes of it as make install leaves it."""
    with tempfile.NamedTemporaryFile() as file:
        subprocess.run(["strip", "-o", file.name, systems.BUILD / program], check=True)
        return os.stat(file.name).st_size


def measure():
    kib = {}
    for way in ("websocketd", "resident"):
        with launched(way) as (launcher, port):
            kib[way] = {str(count): hold(launcher, port, way, count) for count in COUNTS}
    return {"KiB": kib, "bytes": {name: size_of(program) for name, program in INSTALLED.items()}}
