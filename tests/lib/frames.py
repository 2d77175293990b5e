"""Frames of a WebSocket client, made by hand (RFC 6455 5.2), for the tests that misbehave."""
import struct

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
HANDSHAKE = (b"GET /echo HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
             b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n")
MASK = b"\x37\xfa\x21\x3d"


def header(first, length, size, masked):
    """A frame's head (5.2), its length in the form of 1, 3 or 9 bytes, or the shortest."""
    size = size or (1 if length < 126 else 3 if length < 65536 else 9)
    if size == 1:
        return bytes([first, masked << 7 | length])
    return bytes([first, masked << 7 | (126 if size == 3 else 127)]) + length.to_bytes(size - 1, "big")


def frame(opcode, payload=b"", fin=True, rsv=0, mask=MASK, size=None):
    """A client's frame; mask None leaves the mask out."""
    head = header(fin << 7 | rsv << 4 | opcode, len(payload), size, mask is not None)
    if mask is None:
        return head + payload
    key = int.from_bytes((mask * (len(payload) // 4 + 1))[:len(payload)], "big")
    return head + mask + (int.from_bytes(payload, "big") ^ key).to_bytes(len(payload), "big")


def text(payload, **options):
    return frame(TEXT, payload, **options)


def fragments(*parts, opcode=TEXT, between=b""):
    """A message in so many frames (5.4), with other frames between them."""
    last = len(parts) - 1
    return between.join(frame(CONTINUATION if number else opcode, part, fin=number == last) for number, part in enumerate(parts))


def close(code=None, reason=b""):
    return frame(CLOSE, b"" if code is None else struct.pack("!H", code) + reason)
