#!/usr/bin/python3
"""
The log of "make run" under each server, in both ways of running an endpoint: it has a line for what an operator should know,
with the client's address and the reason, and none for a message or an ordinary connection. Whatever a client puts into a
request, it can neither forge a line nor command a terminal.
"""
import re
import socket
import sys
import tempfile

sys.path.insert(0, f"{sys.path[0]}/../lib")
import frames
import sites
import stack
import tap

stack.need("spawn-fcgi", "multiwatch", *(server.program for server in sites.SERVERS.values()))

ESCAPES = ("\x1b]0;forged\x07", "\x1b[2J", "\x9b2J", "\xc2\x9b2J", "\x7f", "\r\nforged: line", "\nforged: line", "%0aforged%1b[2J", "\u202eforged", "' | forged | '")


def handshake(path="/echo", **headers):
    """Makes a handshake, with another path or further headers if given."""
    further = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
    ours = frames.HANDSHAKE.replace(b"/echo", path.encode("latin-1", "ignore"), 1)
    return ours[:-2] + further.encode("latin-1", "ignore") + b"\r\n"


def send(port, *parts):
    """Sends each part when the one before was answered, and waits for the end. Returns the first answer."""
    answer = b""
    with socket.create_connection(("127.0.0.1", port)) as client:
        client.settimeout(5)
        try:
            for part in parts:
                client.sendall(part)
                answer = answer or client.recv(65536)
            client.shutdown(socket.SHUT_WR)
            while client.recv(65536):
                pass
        except OSError:
            pass  # cut off: that is an answer as well
    return answer


def hostile(port):
    """Sends requests with each escape in every place, and a message that is logged. Returns how many came as far as the message."""
    reached = 0
    for escape in ESCAPES:
        for request in (handshake(f"/echo?{escape}"), handshake(f"/echo/{escape}"), handshake(User_Agent=escape), handshake(Cookie=escape),
                        handshake(X_Forwarded_For=escape), handshake(X_Forwarded_For=f"1.2.3.4, {escape}"), handshake(Origin=escape),
                        handshake(Sec_WebSocket_Protocol=escape)):
            reached += send(port, request, frames.text(escape.encode("latin-1", "ignore") + b"\xff")).startswith(b"HTTP/1.1 101 ")
        for request in (f"GET /echo?message={escape}", f"GET /{escape}", f"{escape} /echo"):
            send(port, f"{request} HTTP/1.1\r\nHost: {escape}\r\nUser-Agent: {escape}\r\nConnection: close\r\n\r\n".encode("latin-1", "ignore"))
    return reached


def check_ordinary(site):
    for _ in range(3):
        send(site.port, handshake(), frames.text(b"hi"), frames.close())
    stack.wait_until(lambda: not site.endpoints())
    tap.equal(site.unexpected(), [], "connections, messages and ordinary ends leave no line in the log, but for faults of websocketd's own")


def told(raw, way):
    """How many lines there are of the echo about its clients, with those that it says it has left out."""
    lines = re.findall(sites.WAYS[way]["line"] + rb"(?!\d+ more lines)", raw, re.M)
    return len(lines) + sum(map(int, re.findall(rb"^echo: (\d+) more lines", raw, re.M)))


def check_server(name, way, tree):
    tap.prefix = f"{way}: "
    with stack.Stack(root=tree, build=tree / "build", user=stack.USER, SERVER=name, WS=way, WEBSOCKET_MAX_PER_ADDRESS="0") as site:
        tap.ok(True, f"{name} runs with duplex")
        check_ordinary(site)
        send(site.port, handshake(), frames.text(b"\xff"))
        wanted = r"echo: 127\.0\.0\.1: the client sent text that is not valid UTF-8$"
        tap.ok(stack.wait_until(lambda: re.search(wanted, site.log(), re.M)), f"{name}: a client that breaks a rule is logged, with its address and the reason")
        reached = hostile(site.port)
        tap.ok(reached >= 20, f"{name}: {reached} hostile handshakes come as far as the endpoint")
        stack.wait_until(lambda: not site.endpoints() and told(site.raw_log(), way) > reached)
        raw = site.raw_log()
        tap.equal(sorted(set(re.findall(rb"[^\n\t -~]+", raw))), [], f"{name}: the log has nothing but printable ASCII")
        tap.equal([line for line in raw.split(b"\n") if line.startswith(b"forged")], [], f"{name}: no line of the log is forged")
        tap.ok(told(raw, way) >= reached + (way == "resident"), f"{name}: the endpoint logs a line for each hostile handshake, or counts it: {told(raw, way)}")
        site.stop()


with tempfile.TemporaryDirectory() as directory:
    tree = stack.copy_tree(directory, "fcgi", "ws")
    for name in sites.SERVERS:
        for way in sites.WAYS:
            check_server(name, way, tree)
tap.done()
