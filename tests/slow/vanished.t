#!/usr/bin/python3
"""
A client of a resident endpoint that vanishes without a word is gone from it within a minute, behind each web server and with
its usual settings: one whose machine answers that there is no such connection, and one from which nothing comes
any more. tests/conf/resident-sites.t has it with shorter settings.
"""
import contextlib
import socket
import sys
import time

sys.path.insert(0, f"{sys.path[0]}/../lib")
import frames
import sites
import stack
import tap

CLIENTS = 5
TCP_REPAIR = 19  # a socket that is closed in this state tells the other side nothing (tcp(7) of Linux; it takes CAP_NET_ADMIN)


def connect(site):
    client = socket.create_connection(("127.0.0.1", site.http), timeout=60)
    client.sendall(frames.HANDSHAKE)
    assert b" 101 " in client.recv(4096)
    return client


with contextlib.ExitStack() as everything:
    left = [everything.enter_context(sites.Site(name, idle=60, way="resident")) for name in sites.SERVERS]
    clients = [connect(site) for site in left for _ in range(CLIENTS)]
    silent = [connect(site) for site in left for _ in range(CLIENTS)]
    tap.equal([site.clients() for site in left], [2 * CLIENTS] * len(left), f"{2 * CLIENTS} clients are connected behind each web server")
    began = time.monotonic()
    for client in clients:
        with contextlib.suppress(PermissionError):  # it stays silent then, as the others do
            client.setsockopt(socket.IPPROTO_TCP, TCP_REPAIR, 1)
            client.close()
    times = {}

    def look():
        for site in left:
            if site.name not in times and site.clients() == 0:
                times[site.name] = time.monotonic() - began
        return len(times) == len(left)

    stack.wait_until(look, 90)
    for site in left:
        tap.ok(times.get(site.name, 90) <= 60, f"behind {site.name} {2 * CLIENTS} of {2 * CLIENTS} that vanished are gone after {times.get(site.name, 90):.0f} s")
tap.done()
