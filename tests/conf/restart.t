#!/usr/bin/python3
"""
Replaced while it is used. The FastCGI service is stopped, gets a new binary and is started again, ten times during
20,000 requests, under each server that is held to it: not one request fails. A worker that is killed costs the request
in its hands and no more. An endpoint is replaced without a restart.
"""
import asyncio
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile

sys.path.insert(0, f"{sys.path[0]}/../lib")
import sites
import stack
import tap
import units

REQUESTS = 20000
TIMES = 10
stack.need("ab", "multiwatch")


class Service:
    """duplex-fcgi.socket and .service for a site: the command of the installed unit."""

    def __init__(self, prefix, site):
        self.binary = prefix / "sbin/duplex-fcgi"
        self.command = units.command(prefix / "lib/systemd/system/duplex-fcgi.service")
        site.stop("fastcgi")
        self.socket = units.HeldSocket(site.directory / "fcgi.sock")
        self.log = site.log_file
        self.start()

    def start(self):
        """Stops the service. multiwatch misses a worker that it is just starting; systemd would kill that one in the end."""
        self.process = self.socket.start(self.command, stdout=self.log, stderr=self.log)
        stack.wait_until(lambda: len(self.workers()) == 4)

    def restart(self):
        """Does what "make install" and "systemctl restart duplex-fcgi" do."""
        new = self.binary.with_name(".new")
        shutil.copy(self.binary, new)
        new.rename(self.binary)
        os.kill(self.process.pid, signal.SIGTERM)
        status = self.process.wait(30)
        self.start()
        return status

    def workers(self):
        """The workers that run, and are not just being started."""
        return [pid for pid in stack.children(self.process.pid) if stack.name_of(pid) == "duplex-fcgi"]

    def kill_one(self):
        stack.wait_until(self.workers)
        os.kill(self.workers()[0], signal.SIGKILL)
        return 0

    def are_new(self):
        """Whether all workers run the binary that is installed."""
        binary = self.binary.stat().st_ino
        return len(self.workers()) == 4 and all(os.stat(f"/proc/{pid}/exe").st_ino == binary for pid in self.workers())

    def stop(self):
        os.kill(self.process.pid, signal.SIGTERM)
        self.process.wait(30)
        self.socket.close()


def load(site, action):
    """Sends 20,000 requests, 32 at a time, with the action after each tenth of them but the last. Returns how many failed, and what the action returned."""
    results = [action()]
    command = ["ab", "-k", "-r", "-n", str(REQUESTS), "-c", "32", site.url("/echo?message=hi").replace("localhost", "127.0.0.1")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as ab:
        output = ""
        for line in ab.stdout:
            output += line
            if re.match(r"Completed \d+ requests", line) and len(results) < TIMES:
                results.append(action())
    figures = {name: int(number) for name, number in re.findall(r"^(\w[\w -]*):\s+(\d+)", output, re.M)}
    if figures.get("Complete requests") != REQUESTS:
        print("".join(f"# {line}\n" for line in output.splitlines()))
    return figures.get("Complete requests"), max(figures.get("Failed requests", 0), figures.get("Non-2xx responses", 0)), results


def check_replaced(name, prefix):
    with sites.Site(name, idle=60) as site:
        service = Service(prefix, site)
        tap.equal(load(site, service.restart), (REQUESTS, 0, [0] * TIMES),
                  f"{name}: none of {REQUESTS} requests fails while the program is replaced {TIMES} times")
        tap.ok(stack.wait_until(service.are_new), f"{name}: the workers run the last binary")
        done, failed, results = load(site, service.kill_one)
        tap.ok(done == REQUESTS and failed <= len(results), f"{name}: killing {len(results)} workers, one at a time, costs at most a request each: {failed} fail")
        tap.equal(load(site, lambda: 0)[:2], (REQUESTS, 0), f"{name}: no request fails after the workers were killed")
        service.stop()


async def check_endpoint(site):
    """Open connections keep the program that they have, the next ones get the new one."""
    async with sites.connect(site) as before:
        tap.equal(await sites.echo(before, "hi"), "hi", "an endpoint answers before it is replaced")
        new = site.directory / "ws/.new"
        new.write_text("#!/bin/sh\nwhile read -r _; do echo new; done\n")
        new.chmod(0o755)
        new.rename(site.directory / "ws/echo")
        async with sites.connect(site) as after:
            tap.equal(await sites.echo(after, "hi"), "new", "the next connection after an endpoint was replaced runs the new one")
        tap.equal(await sites.echo(before, "hi"), "hi", "a connection that was open when its endpoint was replaced keeps the old one")


with tempfile.TemporaryDirectory() as directory:
    prefix = pathlib.Path(directory)
    prefix.chmod(0o755)
    tap.equal(units.install("install", prefix), (0, "", ""), "make install ends with 0 and says nothing")
    for name in ("lighttpd", "apache", "nginx"):
        check_replaced(name, prefix)
with sites.Site("lighttpd", idle=60) as site:
    asyncio.run(check_endpoint(site))
tap.done()
