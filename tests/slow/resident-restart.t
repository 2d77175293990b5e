#!/usr/bin/python3
"""
20,000 handshakes through lighttpd while a resident endpoint is restarted by the commands of its unit, again and again: none is
refused, and each client that is there is told 1001.
"""
import asyncio
import os
import sys

sys.path.insert(0, f"{sys.path[0]}/../lib")
import restarted
import sites
import tap

HANDSHAKES = int(os.environ.get("HANDSHAKES", "20000"))
CALLERS = 2000  # at once: as many wait in the socket's backlog while no worker takes them
GUESTS = 100

with sites.Site("lighttpd", idle=60, way="resident", files=16384) as site:
    service = restarted.Service(site)
    restarts = restarted.Restarts(site, service, HANDSHAKES, CALLERS, GUESTS)
    asyncio.run(restarts.run())
    tap.equal(dict(restarts.statuses), {101: HANDSHAKES}, f"none of {HANDSHAKES} handshakes is refused during {restarts.times} restarts")
    tap.equal(dict(restarts.codes), {1001: GUESTS * restarts.times}, "every client of a worker that stops is told 1001")
    tap.equal(service.killed, 0, "all processes of the service end by themselves, in time")
    service.close()
tap.done()
