"""Subscribers of a channel, which keep what they get byte by byte, and many of whom read at once."""
import contextlib
import json
import resource
import selectors
import socket
import time

import frames

HARD = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (HARD, HARD))  # a thousand are as many as the usual limit
MOST_IN_VAIN = 20  # times that one comes back and has nothing more than before


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
        self.in_vain = 0        # how often in a row it had nothing more than before
        self.before = []        # the whole messages that it had then
        self.open(after, buffer)

    def open(self, after, buffer=None):
        self.socket = socket.socket(socket.AF_UNIX if isinstance(self.address, str) else socket.AF_INET)
        if buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        self.socket.settimeout(60)
        self.socket.connect(self.address)
        path = f"/chat/{self.channel}" if self.channel else "/chat"
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # it is over then, as whoever reads will see
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
        """As the page does: it waits a little longer each time, and goes on after what it has seen."""
        self.socket.close()
        time.sleep(min(0.2, 0.01 * self.returns))
        had, self.before = len(self.before), self.lines()
        self.returns += 1
        self.in_vain = self.in_vain + 1 if len(self.before) == had else 0
        self.open(json.loads(self.before[-1])["id"] if self.before else self.after)

    def publish(self, texts):
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # as above
            self.socket.sendall(b"".join(frames.text(text) for text in texts))


def read_until(subscribers, text, come_back=None, in_parts=False):
    """
    Reads until what ends with this is the last that each has; gives up when nothing has come for a minute. Who is sent away is
    given to come_back, or has what it has. A large message may come in parts, of which the last is empty.
    """
    line_ending = text[-8:] + b'"}'
    ending = line_ending + (b"\x80\x00" if in_parts else b"")

    def has_all(one):
        return one.got.endswith(ending) if one.got or not one.before else one.before[-1].endswith(line_ending)

    with selectors.DefaultSelector() as selector:
        for one in subscribers:
            if not has_all(one):
                selector.register(one.socket, selectors.EVENT_READ, one)
        while selector.get_map() and (events := selector.select(60)):
            for key, _ in events:
                one = key.data
                is_open = one.read()
                if is_open and not has_all(one):
                    continue
                selector.unregister(one.socket)
                if not is_open and come_back and one.in_vain < MOST_IN_VAIN:
                    come_back(one)
                    if not has_all(one):  # else it was the last before, or came with the answer to the handshake
                        selector.register(one.socket, selectors.EVENT_READ, one)


def close_all(subscribers):
    for one in subscribers:
        one.socket.close()
