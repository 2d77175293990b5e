"""Which ports a program can listen on."""
import contextlib
import socket


def is_free(port):
    """True if nobody listens on this port of the loopback."""
    with socket.socket() as probe, contextlib.suppress(OSError):
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(("127.0.0.1", port))
        return True
    return False
