#!/usr/bin/python3
"""
Slow POSTs through each web server: 64 that trickle and 64 that stop in the middle leave the answers of others as they are, and an
honest one that comes in 1,000 writes of a byte is answered. Apache and Caddy pass a body on as it comes, HAProxy does when it has
more of it than it can hold; lighttpd and nginx hold it back until it is whole.
"""
import contextlib
import socket
import sys
import tempfile
import threading
import time

sys.path.insert(0, f"{sys.path[0]}/../lib")
import stack
import tap

stack.need("apache2", "caddy", "haproxy", "lighttpd", "nginx", "redis-server", "spawn-fcgi", "multiwatch")
SOME = 64
ASKED = 40
PASS_ON = ("apache", "caddy", "haproxy")
FIRST = 30_000  # bytes, more than HAProxy holds


def open_post(site, length, first=0):
    client = socket.create_connection(("127.0.0.1", site.port), timeout=30)
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    client.sendall(b"POST /chat HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/x-www-form-urlencoded\r\n"
                   b"Content-Length: %d\r\n\r\nmessage=" % length + b"x" * first)
    return client


def trickle(site, clients, stop):
    """A byte a second from each; one that was ended begins anew."""
    while not stop.wait(1):
        for at, client in enumerate(clients):
            try:
                client.sendall(b"x")
            except OSError:
                client.close()
                with contextlib.suppress(OSError):
                    clients[at] = open_post(site, 50_000, FIRST)


def post_slowly(site):
    """The status of an honest POST of 1,000 writes."""
    with open_post(site, 1008) as client:
        for _ in range(1000):
            client.sendall(b"x")
            time.sleep(0.001)  # so that a write is not one with the next
        return client.recv(1000)[:12].split(b" ")[-1]


def worst_of_others(site):
    """The longest that one of some GETs takes; 99 if one is not answered."""
    worst = 0
    for _ in range(ASKED):
        began = time.monotonic()
        with socket.create_connection(("127.0.0.1", site.port), timeout=30) as client:
            client.sendall(b"GET /echo?message=hi HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            answer = b""
            while part := client.recv(4096):
                answer += part
        worst = max(worst, time.monotonic() - began if b"\r\n\r\nhi" in answer else 99)
        time.sleep(0.05)
    return worst


def sockets(site):
    """How many the workers have."""
    with contextlib.suppress(OSError):
        return sum(file.readlink().name.startswith("socket:") for pid in site.pids("duplex") for file in stack.pathlib.Path(f"/proc/{pid}/fd").iterdir())
    return 0


def check(server):
    with stack.Stack(root=tree, build=tree / "build", user=stack.USER, SERVER=server) as site:
        workers = site.pids("duplex")
        clients = [open_post(site, 50_000, FIRST) for _ in range(2 * SOME)]
        stop = threading.Event()
        trickling = clients[:SOME]
        thread = threading.Thread(target=trickle, args=(site, trickling, stop))
        thread.start()
        try:
            if server in PASS_ON:
                tap.ok(stack.wait_until(lambda: sockets(site) >= 2 * SOME), f"{server}: all wait at the workers")
            worst = worst_of_others(site)
            tap.ok(worst < 5, f"{server}: {ASKED} others are answered beside them, the slowest in {worst:.3f} s")
            tap.equal(post_slowly(site), b"202", f"{server}: an honest POST of 1,000 writes is answered 202")
        finally:
            stop.set()
            thread.join()
            for client in trickling + clients[SOME:]:
                client.close()
        tap.equal(site.pids("duplex"), workers, f"{server}: the workers are the same")


with tempfile.TemporaryDirectory() as directory:
    tree = stack.copy_tree(directory, "fcgi", "ws")  # which this user may read, wherever the tree itself lies
    for server in ("lighttpd", "apache", "nginx", "caddy", "haproxy"):
        check(server)
tap.done()
