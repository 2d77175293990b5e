#!/usr/bin/python3
"""The WebSocket endpoint through lighttpd and websocketd."""
import asyncio
import fcntl
import sys

sys.path.insert(0, f"{sys.path[0]}/../lib")
import frames
import rfc6455
import stack
import tap

CLIENTS = {"asan": 200, "valgrind": 20, "qemu": 50}.get(stack.BUILD.name, 1000)


def connect(path="/echo", **options):
    return rfc6455.connect(site.ws_url(path), open_timeout=60, **options)


async def echo(socket, message):
    await socket.send(message)
    return await asyncio.wait_for(socket.recv(), 60)


async def check_messages():
    async with connect() as socket:
        for length in (0, 1, 125, 126, 4090, 8180, 65535, 65536, 1048576):
            message = ("0123456789" * (length // 10 + 1))[:length]
            tap.equal(await echo(socket, message), message, f"a message of {length} bytes comes back")
        for message in ("\0", "a\0b", "\U0001F600\U0010FFFF", "\u00e9" * 5000, "<b>&amp;", "a\rb", "abc\r", "\r", "\r\r", " ", "\t"):
            tap.equal(await echo(socket, message), message, f"the message {message[:10]!r} comes back")
        await socket.send("a\nb")
        tap.equal([await socket.recv(), await socket.recv()], ["a", "b"], "a message with a newline arrives as two")
        tap.equal(await echo(socket, "end"), "end", "a message with a newline does not arrive as more than two")
    async with connect("/serialize/echo/") as socket:
        tap.equal(await echo(socket, "hi"), "hi", "a message to /serialize/echo/ comes back")


async def status_of_handshake(path, **options):
    try:
        async with connect(path, **options):
            return 101
    except rfc6455.Refused as error:
        return error.status


async def check_handshake():
    tap.equal(await status_of_handshake("/nothing"), 404, "a handshake at a path without an endpoint is answered 404")
    tap.equal(await status_of_handshake("/"), 404, "a handshake at / is answered 404")
    tap.equal(await status_of_handshake("/echo", origin=f"http://127.0.0.1:{site.port}"), 101, "a handshake with our own Origin is accepted")
    tap.equal(await status_of_handshake("/echo", origin=f"http://localhost:{site.port}"), 101, "a handshake with our own Origin by another name of the host is accepted")
    for origin in ("http://evil.example", "http://127.0.0.1.evil.example", "http://evil.example/?127.0.0.1", "null", "file://"):
        tap.equal(await status_of_handshake("/echo", origin=origin), 403, f"Origin {origin} is refused")
        line = f'duplex: 127.0.0.1: WebSocket refused, its Origin is not one of ours: Origin "{origin}", Host "127.0.0.1:{site.port}"'
        tap.ok(stack.wait_until(lambda: site.log().splitlines().count(line) == 1), f"the log has one line for the refused Origin {origin}")


async def ending_of(socket):
    """Returns what comes before the connection is closed, and the code."""
    received = []
    try:
        while True:
            received.append(await asyncio.wait_for(socket.recv(), 60))
    except rfc6455.Closed:
        return received, socket.close_code


async def check_invalid_utf8():
    table = {"a lone continuation": b"\x80", "an overlong form": b"\xc0\xaf", "an overlong NUL": b"\xe0\x80\x80", "a surrogate": b"\xed\xa0\x80",
             "above U+10FFFF": b"\xf4\x90\x80\x80", "a cut sequence": b"abc\xe2\x82", "behind a long text": b"x" * 100000 + b"\xff"}
    for name, payload in table.items():
        async with connect() as socket:
            tap.equal(await echo(socket, "good"), "good", f"before {name}, which is not UTF-8, the connection works")
            await socket.send_bytes(frames.text(payload))
            await socket.send_bytes(frames.text(b"more"))
            tap.equal(await ending_of(socket), ([], 1006), f"{name}, which is not UTF-8, ends the connection with no output")
    tap.equal(site.told("echo: 127.0.0.1: the client sent text that is not valid UTF-8", len(table)), len(table),
              "the log has a line for each text that was not UTF-8, with the client's address")


async def check_limit():
    async with connect() as socket:
        tap.equal(len(await echo(socket, "x" * 1048576)), 1048576, "a message as long as the limit comes back")
        pid = site.endpoints()[0]
        await socket.send("x" * 1048577)
        tap.equal(await ending_of(socket), ([], 1006), "a message one byte longer than the limit ends the connection")
    tap.equal(site.told("the client sent a message of more than 1048576 bytes (WEBSOCKET_MAX_MESSAGE)"), 1, "the log says that a message was longer than the limit")
    tap.ok(stack.wait_until(lambda: not stack.is_alive(pid)), "the process of a client that broke the limit is gone")


def half_a_pipe():
    """How much the pipe of the newest endpoint takes, by half. A user who has many pipes gets small ones: pipe(7), pipe-user-pages-soft."""
    with open(f"/proc/{max(site.endpoints())}/fd/0", "rb") as pipe:
        return fcntl.fcntl(pipe, fcntl.F_GETPIPE_SZ) // 2


async def check_binary():
    for payload in (b"\0", b"BIN", b"valid text", None):
        async with connect() as socket:
            tap.equal(await echo(socket, "good"), "good", "before a binary message the connection works")
            payload = payload or b"x" * (half_a_pipe() - 1)
            await socket.send(payload)
            tap.equal(await ending_of(socket), ([], 1006), f"a binary message of {len(payload)} bytes ends the connection")
    tap.equal(site.told("echo: 127.0.0.1: the client sent a binary message", 4), 4, "the log has a line for each binary message")


async def check_many():
    opening = asyncio.Semaphore(50)

    async def client(number, opened, release):
        async with opening:
            socket = await connect()
        answer = await echo(socket, f"client {number}")
        opened.release()
        await release.wait()
        await socket.close()
        return answer == f"client {number}"

    opened = asyncio.Semaphore(0)
    release = asyncio.Event()
    tasks = [asyncio.create_task(client(number, opened, release)) for number in range(CLIENTS)]
    for _ in tasks:
        await asyncio.wait_for(opened.acquire(), 120)
    tap.equal(len(site.endpoints()), CLIENTS, f"{CLIENTS} connections open at once")
    release.set()
    tap.ok(all(await asyncio.gather(*tasks)), f"each of {CLIENTS} clients got its own message back")
    tap.ok(stack.wait_until(lambda: not site.endpoints()), f"when {CLIENTS} clients are gone, no process is left")


async def main():
    await check_messages()
    await check_handshake()
    await check_invalid_utf8()
    await check_limit()
    await check_binary()
    await check_many()


with stack.Stack() as site:
    asyncio.run(main())
    stack.finish(site, r"echo: 127\.0\.0\.1: the client sent", "WebSocket refused, its Origin is not one of ours: Origin ")
tap.done()
