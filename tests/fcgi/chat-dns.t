#!/usr/bin/python3
"""
The host of Redis has a name, and the name server does not answer: /chat is 503, and nothing else waits for it. In a network
of the test's own.
"""
import pathlib
import socket
import subprocess
import sys
import threading
import time

sys.path.insert(0, f"{sys.path[0]}/../lib")
import fcgi
import namespace
import stack
import tap
from redis_server import Redis

NAME = "redis.internal"
RESOLVER_SECONDS = 20  # how long the resolver tries, unless it is told otherwise


def ask(workers, path, query):
    with workers.connect() as client:
        client.sendall(fcgi.form(b"GET", path, query))
        return fcgi.status(fcgi.read_all(client))


def said(output, times):
    return output == b"duplex: Redis at %s:6379: the name is still being looked up\n" % NAME.encode() * times


def check_cgi():
    began = time.monotonic()
    result = subprocess.run([stack.BUILD / "fcgi/duplex"], cwd=stack.ROOT, env={**fcgi.INHERITED, "REQUEST_METHOD": "GET", "SCRIPT_NAME": "/chat", "QUERY_STRING": "after=-1",
                            "DUPLEX_REDIS": f"{NAME}:6379"}, capture_output=True, timeout=60)
    took = time.monotonic() - began
    tap.ok(result.stdout.startswith(b"Status: 503 ") and said(result.stderr, 1), "by CGI /chat is 503, with one line that says why")
    tap.ok(took < RESOLVER_SECONDS / 2, f"by CGI the answer comes after {took:.1f} s, and not when the resolver gives up")


def check_endpoint():
    began = time.monotonic()
    result = subprocess.run([stack.BUILD / "ws/chat"], stdin=subprocess.DEVNULL, capture_output=True, timeout=60, env={
        **fcgi.INHERITED, "GATEWAY_INTERFACE": "websocketd-CGI/0.1", "REMOTE_ADDR": "192.0.2.1", "DUPLEX_REDIS": f"{NAME}:6379"})
    took = time.monotonic() - began
    tap.equal((result.returncode, result.stdout), (1, b""), "without an address a WebSocket to /chat ends")
    tap.ok(result.stderr.count(b"\n") == 1 and b"192.0.2.1: Redis at redis.internal:6379: the name is still" in result.stderr, "one line says why the WebSocket ended")
    tap.ok(took < RESOLVER_SECONDS / 2, f"the WebSocket ends after {took:.1f} s, and not when the resolver gives up")


def check_workers():
    """Two workers, and more requests for /chat than that: /echo is answered between them."""
    workers = fcgi.Workers(2, DUPLEX_REDIS=f"{NAME}:6379")
    statuses = []
    askers = [threading.Thread(target=lambda: statuses.append(ask(workers, b"/chat", b"after=-1"))) for _ in range(20)]
    began = time.monotonic()
    for asker in askers:
        asker.start()
    echo = ask(workers, b"/echo", b"message=hi")
    for asker in askers:
        asker.join()
    took = time.monotonic() - began
    tap.equal((statuses, echo), ([503] * 20, 200), "20 requests for /chat are 503 and /echo is 200")
    tap.ok(took < RESOLVER_SECONDS / 2, f"two workers answer 21 requests in {took:.1f} s")
    tap.ok(all(status == 0 and (output == b"" or said(output, 1)) for status, output in workers.stop()), "a worker has one line at most")


def check_known(redis):
    """Once the name has an address, /chat is served."""
    workers = fcgi.Workers(DUPLEX_REDIS=redis.address.replace("127.0.0.1", NAME), RES_OPTIONS="timeout:1 attempts:1")
    tap.equal(ask(workers, b"/chat", b"after=-1"), 503, "before the name has an address: 503")
    hosts = pathlib.Path("/etc/hosts")
    hosts.write_text(f"{hosts.read_text()}\n127.0.0.1 {NAME}\n")
    tap.ok(stack.wait_until(lambda: ask(workers, b"/chat", b"after=-1") == 200), "once the name has an address: 200")
    workers.stop()


namespace.enter()
subprocess.run(["cp", "--remove-destination", "/dev/null", "/etc/resolv.conf"], check=True)  # it may be a link to a file that is not private
pathlib.Path("/etc/resolv.conf").write_text("nameserver 127.0.0.53\n")
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as dead:
    dead.bind(("127.0.0.53", 53))
    check_cgi()
    check_endpoint()
    check_workers()
    with Redis(tcp=True) as redis:
        check_known(redis)
tap.done()
