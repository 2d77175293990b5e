#!/usr/bin/python3
""""make run" under each server, by an ordinary user."""
import asyncio
import subprocess
import sys
import tempfile

sys.path.insert(0, f"{sys.path[0]}/../lib")
import rfc6455
import servers
import stack
import tap

stack.need("curl", "spawn-fcgi", "multiwatch", *(server[0] for server in servers.SERVERS.values()))


def ask(site, path):
    return subprocess.run(["curl", "-s", site.url(path)], capture_output=True).stdout


async def converse(site, path, origin=None):
    try:
        async with rfc6455.connect(site.ws_url(path), origin=origin) as client:
            await client.send("hi")
            return await asyncio.wait_for(client.recv(), 10)
    except rfc6455.Refused as error:
        return error.status


with tempfile.TemporaryDirectory() as directory:
    tree = stack.copy_tree(directory, "fcgi", "ws")
    for name in servers.SERVERS:
        with stack.Stack(root=tree, build=tree / "build", user=stack.USER, SERVER=name) as site:
            tap.equal(ask(site, "/echo?message=hi%00%0A"), b"hi\0\n", f"{name}: /echo answers over HTTP")
            tap.equal(ask(site, "/"), (stack.ROOT / "html/echo.html").read_bytes(), f"{name}: / is the page")
            tap.equal(ask(site, "/any/other/path"), b"Not Found\n", f"{name}: every other path is ours, and answered 404")
            tap.equal(asyncio.run(converse(site, "/echo")), "hi", f"{name}: /echo answers over WebSocket")
            tap.equal(asyncio.run(converse(site, "/serialize/echo/", f"http://127.0.0.1:{site.port}")), "hi", f"{name}: /serialize/echo/ answers over WebSocket from its own page")
            tap.equal(asyncio.run(converse(site, "/echo", "http://evil.example")), 403, f"{name}: a WebSocket from another site's page is refused")
            tap.equal(asyncio.run(converse(site, "/nothing")), 404, f"{name}: a WebSocket to a path without an endpoint is answered 404")
            stack.finish(site)
tap.done()
