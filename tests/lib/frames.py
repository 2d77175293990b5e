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


def apply(mask, payload):
    """Masks a payload, or unmasks it (5.3)."""
    key = int.from_bytes((mask * (len(payload) // 4 + 1))[:len(payload)], "big")
    return (int.from_bytes(payload, "big") ^ key).to_bytes(len(payload), "big")


def frame(opcode, payload=b"", fin=True, rsv=0, mask=MASK, size=None):
    """A client's frame; mask None leaves the mask out."""
    head = header(fin << 7 | rsv << 4 | opcode, len(payload), size, mask is not None)
    if mask is None:
        return head + payload
    return head + mask + apply(mask, payload)


def text(payload, **options):
    return frame(TEXT, payload, **options)


def fragments(*parts, opcode=TEXT, between=b""):
    """A message in so many frames (5.4), with other frames between them."""
    last = len(parts) - 1
    return between.join(frame(CONTINUATION if number else opcode, part, fin=number == last) for number, part in enumerate(parts))


def close(code=None, reason=b""):
    return frame(CLOSE, close_payload(code, reason))


def close_payload(code=None, reason=b""):
    return b"" if code is None else struct.pack("!H", code) + reason


def take(data, masked=False):
    """
    The first frame of a bytearray, out of which it is taken: opcode, whether it is the last of its message, and payload; None if it
    is not there whole. ValueError if it is against the RFC; whether it has to be masked says "masked": those of clients are.
    """
    if len(data) < 2:
        return None
    length = data[1] & 0x7F
    size = {126: 2, 127: 8}.get(length, 0)
    start = 2 + size + (4 if masked else 0)
    if data[0] & 0x70 or bool(data[1] & 0x80) != masked or data[0] & 8 and (length > 125 or not data[0] & 0x80):
        raise ValueError(f"a frame that begins with {bytes(data[:2]).hex()}")
    if size:
        length = int.from_bytes(data[2:2 + size], "big")
    if len(data) < start + length:
        return None
    opcode, fin, payload = data[0] & 15, bool(data[0] & 0x80), bytes(data[start:start + length])
    if masked:
        payload = apply(bytes(data[start - 4:start]), payload)
    del data[:start + length]
    return opcode, fin, payload
