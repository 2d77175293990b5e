"""The files of html/ as fcgi/duplex serves them."""
import stack

NAMES = ("echo.js", "cost.js", "words.js", "language.js", "reconnecting-socket.js", "echo.css", "echo.svg", "chat.js", "chat-words.js", "chat.css")


def hash_of(data):
    """FNV-1a, 64 bits."""
    value = 14695981039346656037
    for byte in data:
        value = (value ^ byte) * 1099511628211 % 2**64
    return f"{value:016x}".encode()


def file(name, way=b""):
    """The file as it is served: a page has the way to the root of our paths in it, and the hashes of its files."""
    html = stack.ROOT / "html"
    text = (html / name).read_bytes()
    if name.endswith(".html"):
        for other in NAMES:
            text = text.replace(b"{%s}" % other.encode(), hash_of((html / other).read_bytes()))
        text = text.replace(b"{root}", way).replace(b"{source}", b"")
    return text
