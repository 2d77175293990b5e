#!/usr/bin/python3
"""
A resident endpoint behind each web server, where things go wrong: a message that never ends, a client that vanishes, and workers
that are replaced while clients come, one by one and all at once.
"""
import asyncio
import os
import signal
import socket
import sys
import threading

sys.path.insert(0, f"{sys.path[0]}/../lib")
import frames
import restarted
import servers
import sites
import stack
import tap

OTHERS = 50
HANDSHAKES = 200


def attack(site):
    """Announces a message of 255 MiB and sends it for as long as it is taken: the frames that come back."""
    size = 255 << 20
    with socket.create_connection(("127.0.0.1", site.http), timeout=60) as client:
        client.sendall(frames.HANDSHAKE)
        arrived = b""
        while b"\r\n\r\n" not in arrived:
            arrived += client.recv(4096)
        arrived = bytearray(arrived.partition(b"\r\n\r\n")[2])
        try:
            client.sendall(frames.header(0x81, size, None, True) + frames.MASK)
            while (frame := frames.take(arrived)) is None:
                more = client.recv(4096)
                if not more:
                    return None
                arrived += more
            return frame
        except OSError as error:
            return error


async def check_attack(site):
    clients = [await sites.connect(site) for _ in range(OTHERS)]
    frame = await asyncio.to_thread(attack, site)
    tap.equal((frame[0], frame[2][:2]), (frames.CLOSE, (1009).to_bytes(2, "big")), "a message of 255 MiB is answered with 1009 from its header on")
    answers = [await sites.echo(client, "still here") for client in clients]
    tap.equal(answers, ["still here"] * OTHERS, f"{OTHERS} others notice nothing of a message of 255 MiB")
    for client in clients:
        await client.close()
    tap.ok(await asyncio.to_thread(stack.wait_until, lambda: site.clients() == 0, 30), "clients that have closed are gone from the endpoint")


def check_vanished(site):
    """A client that has vanished answers no ping, and sends no end of the connection either."""
    bare = []
    for _ in range(5):
        client = socket.create_connection(("127.0.0.1", site.http), timeout=60)
        client.sendall(frames.HANDSHAKE)
        assert b" 101 " in client.recv(4096)
        bare.append(client)
    tap.equal(site.clients(), 5, "5 clients are connected")
    tap.ok(stack.wait_until(lambda: site.clients() == 0, 60), "5 clients that answer no ping are gone, though they say nothing")
    for client in bare:
        client.close()


async def check_pinged(site):
    """A client that answers pings stays, though the server's own limit for silence is shorter."""
    async with sites.connect(site) as client:
        await asyncio.sleep(3 * sites.IDLE)  # the silence itself is what is tested
        tap.equal(await sites.echo(client, "hi"), "hi", "a client that only answers pings stays connected")


async def check_replaced(site):
    """Each worker is told to stop, and replaced, while handshakes come."""
    clients = [await sites.connect(site) for _ in range(20)]
    statuses = []
    thread = threading.Thread(target=lambda: statuses.extend(servers.shake_hands(site, 60) for _ in range(HANDSHAKES)))
    thread.start()
    before = site.endpoints()
    for pid in before:
        os.kill(pid, signal.SIGTERM)
    codes = {await sites.code_at_end(client) for client in clients}
    await asyncio.to_thread(thread.join)
    tap.equal(codes, {1001}, "each client of a worker that stops is told 1001")
    tap.equal({status: statuses.count(status) for status in set(statuses)}, {101: HANDSHAKES}, f"none of {HANDSHAKES} handshakes is refused while workers are replaced")
    # A worker is still a process for a moment after its clients have gone.
    tap.ok(await asyncio.to_thread(stack.wait_until, lambda: not set(before) & set(site.endpoints()), 30), "other workers have taken the place of those that stopped")


def check_restarted(site):
    """The whole service is restarted; tests/slow/resident-restart.t does it with 20,000 handshakes."""
    service = restarted.Service(site)
    restarts = restarted.Restarts(site, service, HANDSHAKES, callers=20, guests=20)
    asyncio.run(restarts.run())
    tap.equal(dict(restarts.statuses), {101: HANDSHAKES}, f"none of {HANDSHAKES} handshakes is refused while the service is restarted by its unit's commands")
    tap.equal((dict(restarts.codes), service.killed), ({1001: 20 * restarts.times}, 0), "each client is told 1001 at a restart, and every process ends by itself")
    service.close()


for name in sites.SERVERS:
    tap.prefix = f"{name}: "
    with sites.Site(name, idle=60, way="resident") as site:  # a handshake may wait for seconds, until the workers have ended
        asyncio.run(check_attack(site))
        asyncio.run(check_replaced(site))
        check_restarted(site)
    with sites.Site(name, way="resident", WEBSOCKET_PING_SECONDS="1") as site:
        check_vanished(site)
        asyncio.run(check_pinged(site))
tap.done()
