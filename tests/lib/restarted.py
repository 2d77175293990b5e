"""
"systemctl restart" of a resident endpoint (duplex-resident@.service) while clients come through a web server. The commands and
the signals are those of the unit; systemd itself does not run here.
"""
import asyncio
import collections
import contextlib
import itertools
import os
import signal
import subprocess
import time

import frames
import sites
import stack
import units

UNIT = stack.ROOT / "conf/systemd/duplex-resident@.service"
SOCKET = stack.ROOT / "conf/systemd/duplex-resident@.socket"
PATIENCE = 60  # seconds for a handshake, which waits until the workers have been replaced


class Service:
    """Runs the echo of a site as the unit does, in place of how the site has started it."""

    def __init__(self, site):
        self.site = site
        site.stop_endpoints()
        self.held = units.HeldSocket(site.socket("echo"), int(units.read(SOCKET)["Socket", "Backlog"][0]))
        self.command = [part.replace("$$", "$").replace("@libexecdir@/duplex/%i", str(site.directory / "ws/echo")) for part in units.command(UNIT)]
        self.patience = int(units.read(UNIT)["Service", "TimeoutStopSec"][0].rstrip("s"))
        self.killed = 0  # processes that did not end by themselves
        self.start()

    def start(self):
        self.site.processes["resident echo"] = self.held.start(self.command, env=self.site.environment(), stdout=self.site.log_file, stderr=self.site.log_file)

    def restart(self):
        """KillMode=mixed: SIGTERM for the first process, SIGKILL for whatever is left when it has ended or the time is over."""
        process = self.site.processes["resident echo"]
        everything = [process.pid, *stack.descendants(process.pid)]
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(self.patience)
        for pid in filter(stack.is_alive, everything):
            os.kill(pid, signal.SIGKILL)
            self.killed += 1
        process.wait()
        self.start()

    def close(self):
        self.held.close()


async def shake_hands(port):
    """The status of a handshake, or what went wrong; the client then goes."""
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            writer.write(frames.HANDSHAKE)
            answer = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), PATIENCE)
        finally:
            writer.transport.abort()
        return int(answer.split()[1])
    except (OSError, EOFError, asyncio.TimeoutError) as error:
        return repr(error)


class Restarts:
    """Restarts a service again and again until so many handshakes were made, by so many callers; others stay until they are told."""

    def __init__(self, site, service, handshakes, callers, guests):
        self.site = site
        self.service = service
        self.handshakes = handshakes
        self.left = itertools.islice(itertools.count(), handshakes)
        self.guests = guests
        self.callers = callers
        self.statuses = collections.Counter()
        self.codes = collections.Counter()
        self.waits = []   # seconds of each handshake
        self.times = 0    # restarts

    async def call(self):
        for _ in self.left:
            began = time.monotonic()
            self.statuses[await shake_hands(self.site.http)] += 1
            self.waits.append(time.monotonic() - began)

    async def come(self):
        """The guests, and in the first round the callers after them."""
        guests = [await sites.connect(self.site) for _ in range(self.guests)]
        if not self.times:
            self.tasks = [asyncio.create_task(self.call()) for _ in range(self.callers)]
        return guests

    async def run(self):
        while sum(self.statuses.values()) < self.handshakes:
            told = [asyncio.create_task(sites.code_at_end(guest, PATIENCE)) for guest in await self.come()]
            await asyncio.to_thread(self.service.restart)
            self.codes.update(await asyncio.gather(*told))
            self.times += 1
        await asyncio.gather(*self.tasks)
        waited = sum(wait > 0.5 for wait in self.waits)
        print(f"# {self.times} restarts; {waited} handshakes waited for more than half a second, {max(self.waits):.1f} s at most")
