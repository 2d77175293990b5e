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
            tap.equal(ask(site, "/echo?message=hi%00%0A"), b"hi\0\n", f"{name}: /echo over HTTP")
            tap.equal(ask(site, "/"), (stack.ROOT / "html/echo.html").read_bytes(), "the page at /")
            tap.equal(ask(site, "/any/other/path"), b"Not Found\n", "every path is ours")
            tap.equal(asyncio.run(converse(site, "/echo")), "hi", "/echo over WebSocket")
            tap.equal(asyncio.run(converse(site, "/serialize/echo/", f"http://127.0.0.1:{site.port}")), "hi", "and from its own page")
            tap.equal(asyncio.run(converse(site, "/echo", "http://evil.example")), 403, "but not from another's")
            tap.equal(asyncio.run(converse(site, "/nothing")), 404, "nor where there is no endpoint")
            stack.finish(site)
tap.done()
