#!/usr/bin/python3
"""A WebSocket that is silent for 150 seconds stays open under each server, whose own limits are at 60 seconds."""
import asyncio
import contextlib
import pathlib
import sys

sys.path.insert(0, f"{sys.path[0]}/../lib")
import rfc6455
import sites
import tap

SILENCE = 150


async def main(sites):
    clients = {}
    for site in sites:
        for scheme in ("ws", "wss"):
            clients[f"{site.name}, {scheme}"] = await sites.connect(site, "/echo", scheme)
    await asyncio.sleep(SILENCE)  # the silence itself is what is tested
    for name, client in clients.items():
        try:
            answer = await sites.echo(client, "still there")
        except rfc6455.Closed as error:
            answer = error
        tap.equal(answer, "still there", f"{name}: a WebSocket is open after {SILENCE} s of silence")
        await client.close()


with contextlib.ExitStack() as stack:
    asyncio.run(main([stack.enter_context(sites.Site(name, idle=60)) for name in sites.SERVERS]))
tap.done()
