"""aiohttp"""
import sys

from aiohttp import WSMsgType, web


async def echo(request):
    if request.headers.get("Upgrade", "").lower() != "websocket":
        return web.Response(text=request.query.get("message", ""))
    socket = web.WebSocketResponse(compress=False)
    await socket.prepare(request)
    async for message in socket:
        if message.type == WSMsgType.TEXT:
            await socket.send_str(message.data)
    return socket


application = web.Application()
application.add_routes([web.get("/echo", echo)])
web.run_app(application, host="127.0.0.1", port=int(sys.argv[1]), print=None, access_log=None)
