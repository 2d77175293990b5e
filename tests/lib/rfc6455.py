"""
A WebSocket client of the tests' own (RFC 6455), which needs nothing but Python, so that the tests hold on every Debian.

    async with rfc6455.connect("ws://127.0.0.1:8080/echo", origin=None, headers={}) as client:
        await client.send("text, or bytes for a binary message")
        answer = await client.recv()

A handshake that is refused raises Refused, with the status; recv() and send() raise Closed after the end of the connection.
Messages in fragments are put together and pings are answered, also while nobody waits in recv(). What a server may not send
ends the connection with the code that the RFC has for it. serve() is the other side, for the tests of clients.
"""
import asyncio
import base64
import contextlib
import hashlib
import os
import ssl as tls
import urllib.parse

import frames

OPEN_TIMEOUT = 60   # seconds, for the handshake
CLOSE_TIMEOUT = 30  # seconds, for the server's close frame and its end of the connection


class Refused(ConnectionError):
    """The answer to the handshake is not 101, or not one that a client may accept."""

    def __init__(self, status, headers, why=""):
        super().__init__(f"HTTP {status} {why}".rstrip())
        self.status = status
        self.headers = headers


class Closed(ConnectionError):
    """The connection has ended, with this code: 1005 if the close frame has none, 1006 without a close frame."""

    def __init__(self, code, reason=""):
        super().__init__(f"closed with code {code} {reason}".rstrip())
        self.code = code
        self.reason = reason


class Violation(Exception):
    """What the other side sent is against the RFC; the code to end with and why."""


def accept_of(key):
    return base64.b64encode(hashlib.sha1(key.encode() + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest()).decode()


def read_head(head):
    """The first line of a request or an answer, and its fields by their names in lower case."""
    first, *lines = head.decode("latin-1").split("\r\n")
    fields = {}
    for line in lines:
        name, _, value = line.partition(":")
        name = name.lower()
        fields[name] = f"{fields[name]}, {value.strip()}" if name in fields else value.strip()
    return first, fields


class Connection(asyncio.Protocol):
    """One end of a connection, from the answer to the handshake on."""
    mask = frames.MASK  # what our frames are masked with; None at a server

    def __init__(self):
        self.arrived = bytearray()
        self.head = asyncio.get_running_loop().create_future()  # of the other side's part of the handshake
        self.is_upgraded = False         # frames follow it
        self.messages = asyncio.Queue()  # those not yet taken, and None after the last
        self.pings = 0                   # that have come
        self.parts = None                # of a message in fragments: its opcode, and what has come
        self.may_write = asyncio.Event()
        self.may_write.set()
        self.lost = asyncio.Event()
        self.close_code = None           # as soon as the other side has closed, or the connection is lost
        self.close_reason = ""
        self.has_sent_close = False

    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        self.arrived += data
        try:
            if not self.head.done():
                self.take_head()
            while self.is_upgraded and self.close_code is None and (frame := frames.take(self.arrived, self.mask is None)):
                self.take_frame(*frame)
        except (Violation, ValueError) as error:
            code, reason = error.args if isinstance(error, Violation) else (1002, str(error))
            self.end(code, reason)
            self.send_close(code)
            self.transport.abort()

    def take_head(self):
        head, end, rest = bytes(self.arrived).partition(b"\r\n\r\n")
        if end:
            self.arrived = bytearray(rest)
            self.is_upgraded = self.mask is None or head.startswith(b"HTTP/1.1 101 ")
            self.head.set_result(read_head(head))

    def take_frame(self, opcode, fin, payload):
        if opcode == frames.CLOSE:
            self.take_close(payload)
        elif opcode == frames.PING:
            self.pings += 1
            self.write(frames.frame(frames.PONG, payload, mask=self.mask))
        elif opcode in (frames.TEXT, frames.BINARY, frames.CONTINUATION):
            if (opcode == frames.CONTINUATION) != (self.parts is not None):
                raise Violation(1002, "a fragment that continues nothing, or a message within another")
            if opcode != frames.CONTINUATION:
                self.parts = (opcode, [])
            self.parts[1].append(payload)
            if fin:
                self.take_message()
        elif opcode != frames.PONG:
            raise Violation(1002, f"opcode {opcode}")

    def take_message(self):
        opcode, parts = self.parts
        self.parts = None
        message = b"".join(parts)
        try:
            self.messages.put_nowait(message.decode() if opcode == frames.TEXT else message)
        except UnicodeDecodeError:
            raise Violation(1007, "text that is not UTF-8") from None

    def take_close(self, payload):
        if len(payload) == 1:
            raise Violation(1002, "a close frame of one byte")
        self.end(int.from_bytes(payload[:2], "big") if payload else 1005, payload[2:].decode())
        self.send_close(None if self.close_code == 1005 else self.close_code)
        if self.mask is None:
            self.transport.close()  # the server ends the connection (7.1.1)

    def end(self, code, reason=""):
        if self.close_code is None:
            self.close_code = code
            self.close_reason = reason
            self.messages.put_nowait(None)

    def connection_lost(self, error):
        self.end(1006)
        if not self.head.done():
            self.head.set_exception(ConnectionResetError("the connection ended before the answer to the handshake"))
            self.head.exception()  # whether or not somebody waits for it
        self.may_write.set()
        self.lost.set()

    def pause_writing(self):
        self.may_write.clear()

    def resume_writing(self):
        self.may_write.set()

    def write(self, data):
        if not self.transport.is_closing():
            self.transport.write(data)

    def send_close(self, code, reason=""):
        if not self.has_sent_close:
            self.has_sent_close = True
            self.write(frames.frame(frames.CLOSE, frames.close_payload(code, reason.encode()), mask=self.mask))

    async def send(self, message):
        opcode, payload = (frames.TEXT, message.encode()) if isinstance(message, str) else (frames.BINARY, bytes(message))
        await self.send_bytes(frames.frame(opcode, payload, mask=self.mask))

    async def send_bytes(self, data):
        """Sends bytes that are not looked at: frames of the test's own making."""
        if self.close_code is not None:
            raise Closed(self.close_code, self.close_reason)
        self.write(data)
        await self.may_write.wait()

    async def recv(self):
        message = await self.messages.get()
        if message is None:
            self.messages.put_nowait(None)  # for whoever asks again
            raise Closed(self.close_code, self.close_reason)
        return message

    def __aiter__(self):
        return self

    async def __anext__(self):
        try:
            return await self.recv()
        except Closed:
            raise StopAsyncIteration from None

    async def close(self, code=1000, reason=""):
        """The closing handshake (7.1.2); a server that does not do its part in time is left."""
        self.send_close(code, reason)
        try:
            await asyncio.wait_for(self.lost.wait(), CLOSE_TIMEOUT)
        except asyncio.TimeoutError:
            self.abort()

    def abort(self):
        """Goes without a word."""
        self.transport.abort()


class ServerConnection(Connection):
    mask = None


class connect:
    """Opens a WebSocket: await it, or use it in "async with", which closes it at the end."""

    def __init__(self, url, origin=None, headers=None, subprotocols=(), ssl=None, open_timeout=OPEN_TIMEOUT):
        self.url = urllib.parse.urlsplit(url)
        self.key = base64.b64encode(os.urandom(16)).decode()
        self.fields = {"Host": self.url.netloc, "Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13",
                       "Sec-WebSocket-Key": self.key}
        if origin is not None:
            self.fields["Origin"] = origin
        if subprotocols:
            self.fields["Sec-WebSocket-Protocol"] = ", ".join(subprotocols)
        self.fields.update(headers or {})
        self.ssl = ssl or (tls.create_default_context() if self.url.scheme == "wss" else None)
        self.open_timeout = open_timeout

    async def open(self):
        port = self.url.port or (443 if self.ssl else 80)
        _, connection = await asyncio.get_running_loop().create_connection(Connection, self.url.hostname, port, ssl=self.ssl)
        try:
            target = f"{self.url.path or '/'}{'?' if self.url.query else ''}{self.url.query}"
            lines = [f"GET {target} HTTP/1.1", *(f"{name}: {value}" for name, value in self.fields.items()), "", ""]
            connection.write("\r\n".join(lines).encode())
            self.check(connection, *await connection.head)
        except BaseException:
            connection.abort()
            raise
        return connection

    def check(self, connection, first, fields):
        status = int(first.split()[1])
        if status != 101:
            raise Refused(status, fields)
        if fields.get("upgrade", "").lower() != "websocket" or "upgrade" not in fields.get("connection", "").lower():
            raise Refused(status, fields, "without Upgrade: websocket and Connection: upgrade")
        if fields.get("sec-websocket-accept") != accept_of(self.key):
            raise Refused(status, fields, "with a Sec-WebSocket-Accept of another key")
        if "sec-websocket-extensions" in fields:
            raise Refused(status, fields, "with an extension that was not offered")
        connection.headers = fields
        connection.subprotocol = fields.get("sec-websocket-protocol")

    def __await__(self):
        return asyncio.wait_for(self.open(), self.open_timeout).__await__()

    async def __aenter__(self):
        self.connection = await self
        return self.connection

    async def __aexit__(self, *_):
        await self.connection.close()


@contextlib.asynccontextmanager
async def serve(handler):
    """A server on a port of its own, for "async with": it runs handler(connection, path) for each client."""
    running = {}

    async def handle(connection):
        with contextlib.suppress(ConnectionError):
            first, fields = await connection.head
            connection.write(f"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                             f"Sec-WebSocket-Accept: {accept_of(fields['sec-websocket-key'])}\r\n\r\n".encode())
            await handler(connection, first.split()[1])
        await connection.close()

    def start():
        connection = ServerConnection()
        task = asyncio.get_running_loop().create_task(handle(connection))
        running[task] = connection
        task.add_done_callback(running.pop)
        return connection

    server = await asyncio.get_running_loop().create_server(start, "127.0.0.1", 0)
    try:
        yield server
    finally:
        server.close()
        for connection in list(running.values()):
            connection.abort()
        await asyncio.gather(*running, return_exceptions=True)
