"""A client of the chat over both ways: a WebSocket by hand, which waits as long as a test says, and HTTP with every status."""
import json
import socket
import urllib.error
import urllib.parse
import urllib.request

import frames

PATIENCE = 30  # seconds for an answer that must come


class Client:
    def __init__(self, port, path, headers=b""):
        self.socket = socket.create_connection(("127.0.0.1", port), PATIENCE)
        self.socket.sendall(frames.HANDSHAKE.replace(b"/echo", path.encode()).replace(b"\r\n\r\n", b"\r\n" + headers + b"\r\n", 1))
        self.buffer = b""
        while b"\r\n\r\n" not in self.buffer and self.fill():
            pass
        head, _, self.buffer = self.buffer.partition(b"\r\n\r\n")
        self.status = int(head.split()[1]) if head else None

    def fill(self):
        """Reads more: False at the end, however that comes about."""
        try:
            part = self.socket.recv(1 << 20)
        except ConnectionResetError:
            part = b""
        self.buffer += part
        return bool(part)

    def take(self, length):
        while len(self.buffer) < length:
            if not self.fill():
                raise EOFError
        taken, self.buffer = self.buffer[:length], self.buffer[length:]
        return taken

    def read(self, seconds=PATIENCE):
        """The next message as text; None at the end; TimeoutError if nothing comes."""
        self.socket.settimeout(seconds)
        message, is_last = b"", False
        try:
            while not is_last:
                first, length = self.take(2)
                if length > 125:
                    length = int.from_bytes(self.take(2 if length == 126 else 8), "big")
                payload = self.take(length)
                if first & 15 == frames.CLOSE:
                    return None
                message += payload
                is_last = bool(first & 128)
        except EOFError:
            return None
        return message.decode()

    def send(self, text):
        self.socket.sendall(frames.text(text.encode()))

    def lines(self, number):
        """So many messages, as the JSON that they are; fewer at the end of the connection."""
        read = [self.read() for _ in range(number)]
        return [json.loads(line) for line in read if line is not None]

    def close(self):
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def request(url, form=None):
    """The status and the body of a GET, or of a POST with this form."""
    data = urllib.parse.urlencode(form).encode() if form is not None else None
    try:
        with urllib.request.urlopen(url, data, PATIENCE) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode(errors="replace")


def lines(body):
    return [json.loads(line) for line in body.splitlines()]
