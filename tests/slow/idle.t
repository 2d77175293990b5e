#!/usr/bin/python3
"""
A WebSocket over which nobody says anything for 150 seconds stays open under each server, whose own limits are at 60 seconds, in
both ways of running an endpoint; and a resident one behind a proxy with a limit of 60 seconds, too, because it sends pings.
"""
import asyncio
import contextlib
import sys

sys.path.insert(0, f"{sys.path[0]}/../lib")
import proxies
import rfc6455
import sites
import tap

SILENCE = 150
LIMIT = 60  # of the proxies
PINGS = {"websocketd": 0, "resident": 5}  # in that time: websocketd sends none, a resident endpoint one in 25 seconds


async def connect_all(everything):
    """Clients of each site, of each way and by each scheme, and through each proxy before it."""
    clients = {}
    for site in everything:
        for scheme in ("ws", "wss"):
            clients[f"{site.name}, {site.way}, {scheme}"] = site, await sites.connect(site, "/echo", scheme)
        for proxy in site.proxies:
            clients[f"{proxy.name} before {site.name}, {site.way}"] = site, await rfc6455.connect(f"ws://localhost:{proxy.port}/echo")
    return clients


async def check(everything):
    clients = await connect_all(everything)
    await asyncio.sleep(SILENCE)  # the silence itself is what is tested
    for name, (site, client) in clients.items():
        try:
            answer = await sites.echo(client, "still there")
        except rfc6455.Closed as error:
            answer = error.code
        if " before " in name and site.way == "websocketd":
            tap.equal(answer, 1006, f"{name}: a WebSocket without pings is closed within {SILENCE} s by a limit of {LIMIT}")
        else:
            tap.equal(answer, "still there", f"{name}: a WebSocket is open after {SILENCE} s of silence")
            tap.ok(client.pings >= PINGS[site.way], f"{name}: {client.pings} pings came meanwhile")
        await client.close()


with contextlib.ExitStack() as stack:
    everything = []
    for way in sites.WAYS:
        for name in sites.SERVERS:
            site = stack.enter_context(sites.Site(name, idle=60, way=way))
            before = proxies.CONFIGURATIONS if way == "resident" or name == "lighttpd" else ()
            site.proxies = [stack.enter_context(proxies.Proxy(proxy, site.http, LIMIT)) for proxy in before]
            everything.append(site)
    asyncio.run(check(everything))
tap.done()
