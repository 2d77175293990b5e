#!/usr/bin/python3
"""A POST whose body comes in chunks (RFC 9112 7.1) is published behind each web server, however that tells its length, or does not."""
import contextlib
import socket
import sys
import tempfile

sys.path.insert(0, f"{sys.path[0]}/../lib")
import sites
import stack
import tap

HEAD = (b"POST /chat HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/x-www-form-urlencoded\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n")


def post(port, *chunks):
    """The status of the answer to a POST with these chunks."""
    with socket.create_connection(("127.0.0.1", port)) as client:
        client.settimeout(30)
        client.sendall(HEAD)
        with contextlib.suppress(OSError):  # it may have answered by then
            for chunk in (*chunks, b""):
                client.sendall(b"%x\r\n%s\r\n" % (len(chunk), chunk))
        answer = client.makefile("rb").readline()
    return int(answer.split()[1]) if answer else None


with tempfile.TemporaryDirectory() as directory:
    tree = stack.copy_tree(directory, "fcgi", "ws")  # for an ordinary user, because Apache refuses to run as root
    for name, server in sites.SERVERS.items():
        stack.need(server.program, "redis-server")
        with stack.Stack(root=tree, build=tree / "build", user=stack.USER, SERVER=name) as site:
            tap.equal(post(site.port, b"message=hi"), 202, f"{name}: a POST in one chunk is published")
            tap.equal(post(site.port, b"mess", b"age=", b"x" * 12000), 202, f"{name}: a POST in several chunks is published")
            wanted = 400 if name == "haproxy" else 413  # for FastCGI it takes no more in chunks than its buffer has room for
            tap.equal(post(site.port, b"message=" + b"x" * 60000), wanted, f"{name}: a POST in chunks that is too long is refused with {wanted}")
            refused = post(site.port)  # HAProxy 2.6 does not tell FastCGI that a body in chunks has ended if it was empty
            tap.ok(refused == 400 or refused == 408 and name == "haproxy", f"{name}: a POST in chunks without a message is refused: {refused}")
            stack.finish(site)
tap.done()
