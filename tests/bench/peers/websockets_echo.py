"""python3-websockets; HTTP is a hook of the handshake, which closes the connection after each answer"""
import asyncio
import http
import sys
import urllib.parse

import websockets


async def echo(socket):
    async for message in socket:
        await socket.send(message)


async def answer(path, headers):
    if headers.get("Upgrade", "").lower() == "websocket":
        return None
    query = urllib.parse.parse_qs(urllib.parse.urlsplit(path).query)
    return http.HTTPStatus.OK, [("Content-Type", "text/plain; charset=utf-8")], query.get("message", [""])[-1].encode()


async def main():
    async with websockets.serve(echo, "127.0.0.1", int(sys.argv[1]), process_request=answer, compression=None):
        await asyncio.Future()


asyncio.run(main())
