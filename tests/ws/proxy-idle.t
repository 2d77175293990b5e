#!/usr/bin/python3
"""
A proxy in front that ends silent connections leaves a WebSocket open to which its resident endpoint sends pings, and ends one to
which it does not. The times are short here; tests/slow/idle.t has the usual ones.
"""
import asyncio
import contextlib
import socket
import sys

sys.path.insert(0, f"{sys.path[0]}/../lib")
import proxies
import rfc6455
import tap
from resident import Endpoint

PING, LIMIT, SILENCE = 2, 6, 15  # seconds


async def connect_all(fronts):
    return {one: await rfc6455.connect(f"ws://127.0.0.1:{one.port}/echo") for one in fronts}


async def check(pinged, silent):
    kept, lost = await connect_all(pinged), await connect_all(silent)
    await asyncio.sleep(SILENCE)  # the silence itself is what is tested
    for proxy, client in kept.items():
        tap.ok(client.close_code is None and client.pings >= 3, f"behind {proxy.name} with a limit of {LIMIT} s a WebSocket is open after {SILENCE} s with {client.pings} pings alone")
        await client.send("still there")
        tap.equal(await asyncio.wait_for(client.recv(), 30), "still there", f"a WebSocket that pings kept open behind {proxy.name} works")
        await client.close()
    for proxy, client in lost.items():
        tap.equal(client.close_code, 1006, f"{proxy.name} ends a WebSocket without pings")
        client.abort()


with contextlib.ExitStack() as everything:
    fronts = []
    for seconds in (PING, 0):
        endpoint = everything.enter_context(Endpoint(family=socket.AF_INET, WEBSOCKET_PING_SECONDS=str(seconds)))
        fronts.append([everything.enter_context(proxies.Proxy(name, endpoint.address[1], LIMIT)) for name in proxies.CONFIGURATIONS])
    asyncio.run(check(*fronts))
tap.done()
