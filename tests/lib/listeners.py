"""Subscribers of a channel, which keep what they get byte by byte, and many of whom read at once."""
import json
import selectors
import socket

import frames

MOST_RETURNS = 50


def split(got):
    """The whole messages in these frames, of which a large one may come in several, and the code of a close frame, or None."""
    lines, line, code, at = [], b"", None, 0
    while at + 2 <= len(got):
        opcode, length, start = got[at] & 15, got[at + 1], at + 2
        if length > 125:
            size = 2 if length == 126 else 8
            length, start = int.from_bytes(got[start:start + size], "big"), start + size
        if start + length > len(got):
            break
        at, payload = start + length, got[start:start + length]
        if opcode == frames.CLOSE:
            code = int.from_bytes(payload[:2], "big")
        elif opcode < 8:
            line += payload
            if got[start - (2 if length < 126 else 4 if length < 65536 else 10)] & 128:
                lines.append(bytes(line))
                line = b""
    return lines, code


class Subscriber:
    def __init__(self, address, after, channel="", buffer=None):
        self.address = address  # of a port, or the path of a UNIX socket
        self.channel = channel
        self.after = after      # where it begins
        self.returns = 0        # how often it had to come back
        self.before = []        # the whole messages that it had then
        self.open(after, buffer)

    def open(self, after, buffer=None):
        self.socket = socket.socket(socket.AF_UNIX if isinstance(self.address, str) else socket.AF_INET)
        if buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        self.socket.settimeout(60)
        self.socket.connect(self.address)
        path = f"/chat/{self.channel}" if self.channel else "/chat"
        self.socket.sendall(frames.HANDSHAKE.replace(b"/echo", f"{path}?after={after}".encode()))
        self.got = bytearray()
        while b"\r\n\r\n" not in self.got and self.read():
            pass
        self.got = self.got.partition(b"\r\n\r\n")[2]

    def read(self):
        """Some of what there is; nothing at the end, however that comes about."""
        try:
            part = self.socket.recv(1 << 20)
        except ConnectionResetError:
            part = b""
        self.got += part
        return part

    def lines(self):
        return self.before + split(self.got)[0]

    def texts(self):
        return [json.loads(line)["text"] for line in self.lines()]

    def code(self):
        """The code of the close frame that came, or None."""
        return split(self.got)[1]

    def come_back(self):
        """As the page does: it goes on after what it has seen."""
        self.socket.close()
        self.before = self.lines()
        self.returns += 1
        self.open(json.loads(self.before[-1])["id"] if self.before else self.after)

    def publish(self, texts):
        self.socket.sendall(b"".join(frames.text(text) for text in texts))


def read_until(subscribers, text, come_back=None, in_parts=False):
    """
    Reads until what ends with this is the last that each has; gives up when nothing has come for a minute. Who is sent away is
    given to come_back, or has what it has. A large message may come in parts, of which the last is empty.
    """
    ending = text[-8:] + b'"}' + (b"\x80\x00" if in_parts else b"")
    with selectors.DefaultSelector() as selector:
        for one in subscribers:
            if not one.got.endswith(ending):
                selector.register(one.socket, selectors.EVENT_READ, one)
        while selector.get_map() and (events := selector.select(60)):
            for key, _ in events:
                one = key.data
                is_open = one.read()
                if is_open and not one.got.endswith(ending):
                    continue
                selector.unregister(one.socket)
                if not is_open and come_back and one.returns < MOST_RETURNS:
                    come_back(one)
                    selector.register(one.socket, selectors.EVENT_READ, one)


def close_all(subscribers):
    for one in subscribers:
        one.socket.close()
