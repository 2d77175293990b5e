#!/usr/bin/python3
"""
8,000 clients of a resident endpoint through lighttpd under "make run", with 20,000 descriptors a process: all are served.
"""
import os
import resource
import selectors
import socket
import sys
import time

sys.path.insert(0, f"{sys.path[0]}/../lib")
import frames
import stack
import tap

CLIENTS = int(os.environ.get("CLIENTS", "8000"))
AT_ONCE = 100  # handshakes
LEAST = 2 * CLIENTS + 1000  # descriptors: lighttpd has two for each client

soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
if hard < LEAST:
    tap.skip_all(f"only {hard} descriptors are allowed")
resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def take(client, wanted, seconds=60):
    """What comes, until it ends so."""
    client.settimeout(seconds)
    got = b""
    while not got.endswith(wanted) and (part := client.recv(4096)):
        got += part
    return got


def connect(site, count):
    """So many clients, some handshakes at once: those that were accepted."""
    clients = []
    while len(clients) < count:
        some = [socket.create_connection(("127.0.0.1", site.port), 60) for _ in range(min(AT_ONCE, count - len(clients)))]
        for client in some:
            client.sendall(frames.HANDSHAKE)
        clients += [client for client in some if take(client, b"\r\n\r\n").startswith(b"HTTP/1.1 101 ")]
    return clients


def talk(clients, word):
    """Each sends the word, all at once: how many get it back."""
    selector = selectors.DefaultSelector()
    answer = bytes([0x81, len(word)]) + word
    for client in clients:
        client.sendall(frames.text(word))
        selector.register(client, selectors.EVENT_READ)
    served = 0
    end = time.monotonic() + 120
    while selector.get_map() and time.monotonic() < end:
        for key, _ in selector.select(10):
            selector.unregister(key.fileobj)
            served += take(key.fileobj, word) == answer
    return served


def descriptors(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


def memory(pids):
    return sum(stack.memory(pid, "Pss") for pid in pids)


with stack.Stack(WS="resident", WEBSOCKET_MAX_PER_ADDRESS="0") as site:  # all clients have one address
    workers, lighttpd = site.pids("echo"), site.pid("lighttpd")
    tap.equal(talk(connect(site, 10), b"hi"), 10, "10 clients are served, before what each costs is measured")
    before = memory(workers), memory([lighttpd])
    began = time.monotonic()
    clients = connect(site, CLIENTS)
    took = time.monotonic() - began
    cost = [(after - then) / CLIENTS for after, then in zip((memory(workers), memory([lighttpd])), before)]
    print(f"# connected at {CLIENTS / took:.0f} a second; an idle client costs {cost[0]:.1f} KiB in the endpoint and {cost[1]:.1f} in lighttpd; "
          f"lighttpd has {descriptors(lighttpd)} descriptors, the workers {[descriptors(pid) for pid in workers]}")
    tap.equal(len(clients), CLIENTS, f"{CLIENTS} clients are accepted through lighttpd")
    tap.ok(sum(map(descriptors, workers)) > CLIENTS, "all clients are at the endpoint")
    tap.equal([talk(clients, word) for word in (b"hello", b"again")], [CLIENTS] * 2, "each client gets its messages back, all at once")
    tap.ok(cost[0] <= 6, "an idle client costs 6 KiB at most in the endpoint")
    for client in clients:
        client.close()
    tap.ok(stack.wait_until(lambda: all(descriptors(pid) < 50 for pid in (*workers, lighttpd)), 60), "when all clients have gone, nothing of them is left")
    tap.equal(site.pids("echo"), workers, "the workers are those of the beginning")
    stack.finish(site)
tap.done()
