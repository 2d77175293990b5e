#!/usr/bin/python3
""""make run" under each server, in both ways of running an endpoint, by an ordinary user."""
import asyncio
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile

sys.path.insert(0, f"{sys.path[0]}/../lib")
import frames
import hostile
import rfc6455
import served
import sites
import stack
import tap

stack.need("curl", "spawn-fcgi", "multiwatch", *(server.program for server in sites.SERVERS.values()))

REFUSED = r'duplex: .*127\.0\.0\.1: WebSocket refused[,:] .*Origin "(http://evil\.example|null)"'  # of what is tried here


def ask(site, path):
    return subprocess.run(["curl", "-s", site.url(path)], capture_output=True).stdout


def post(site, origin):
    """The status of what a page with this Origin posts in the chat."""
    command = ["curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "-H", f"Origin: {origin}", "-d", "message=hi", site.url("/chat")]
    return int(subprocess.run(command, capture_output=True).stdout)


def port_of_websocketd(site):
    sockets = subprocess.run(["ss", "-Hltnp"], capture_output=True, text=True).stdout.splitlines()
    return next(line.split()[3].rsplit(":", 1)[1] for line in sockets if f"pid={site.pid('websocketd')}," in line)


def seconds_to_keepalive(site):
    """When the server asks a silent client whether it is still there (tcp(7)), or None if it never does."""
    with socket.create_connection(("127.0.0.1", site.port)) as client:
        client.sendall(frames.HANDSHAKE)
        client.recv(4096)
        found = subprocess.run(["ss", "-Hton", f"sport = :{site.port} and dport = :{client.getsockname()[1]}"], capture_output=True, text=True).stdout
    timer = re.search(r"timer:\(keepalive,(?:(\d+)min)?(?:([\d.]+)sec)?", found)
    return timer and 60 * int(timer[1] or 0) + float(timer[2] or 0)


def shake_as(site, host):
    """The status of the handshake of a page that was reached by this name of the machine."""
    host = f"{host}:{site.port}"
    request = hostile.request(site, *hostile.SHAKE, f"Origin: http://{host}", host=host)
    return hostile.status_of(hostile.converse(site.port, request, lambda got: b"\r\n\r\n" in got))


def local_names():
    """The names that /etc/hosts has for loopback."""
    lines = subprocess.run(["getent", "hosts"], capture_output=True, text=True).stdout.splitlines()
    return {name for address, *names in map(str.split, lines) if address.startswith("127.") for name in names}


async def converse(site, path, origin=None, port=None):
    try:
        async with rfc6455.connect(f"ws://127.0.0.1:{port or site.port}{path}", origin=origin) as client:
            await client.send("hi")
            return await asyncio.wait_for(client.recv(), 60)
    except rfc6455.Refused as error:
        return error.status


def add_server(tree):
    """A further server, here nginx by another name, is a fragment and a folder."""
    shutil.copy(tree / "conf/nginx.conf", tree / "conf/further.conf")
    shutil.copytree(tree / "conf/run/nginx", tree / "conf/run/further")
    (tree / "conf/run/further/fragment").write_text("further.conf\n")


def check_further(tree):
    """What else knows a further server: make deps, and make install."""
    environment = {"PATH": os.environ["PATH"]}
    shutil.copy(stack.BUILD / "libwebsocket.a", tree / "build")
    output = subprocess.run(["make", "-s", "-C", tree, "deps", "SERVER=none"], env=environment, capture_output=True, text=True).stderr
    tap.ok("is not one of apache caddy further haproxy lighttpd nginx" in output, f"make deps lists a further server: {output.strip()}")
    subprocess.run(["make", "-s", "-C", tree, "--assume-old=all", "install", "DESTDIR=build/root"], env=environment, check=True)
    tap.ok((tree / "build/root/usr/local/etc/duplex/further.conf").exists(), "make install installs the fragment of a further server")


def check_both_ways(name, tree):
    for way in ("websocketd", "resident"):
        with stack.Stack(root=tree, build=tree / "build", user=stack.USER, SERVER=name, WS=way) as site:
            check_server(f"{name}, {way}", site)
            check_way(f"{name}, {way}", site, way)
            check_keepalive(name, site)
            # websocketd says the first for each handshake that it refuses
            stack.finish(site, "superfluous response.WriteHeader call", "the client sent a binary message", REFUSED)


def check_server(name, site):
    tap.equal(ask(site, "/echo?message=hi%00%0A"), b"hi\0\n", f"{name}: /echo over HTTP")
    tap.equal(ask(site, "/"), served.file("echo.html"), f"{name}: the page at /")
    tap.equal(ask(site, "/any/other/path"), b"Not Found\n", f"{name}: every path is ours")
    tap.equal(asyncio.run(converse(site, "/echo")), "hi", f"{name}: /echo over WebSocket")
    tap.equal(asyncio.run(converse(site, "/serialize/echo/", f"http://127.0.0.1:{site.port}")), "hi", f"{name}: a WebSocket from its own page")
    tap.equal(asyncio.run(converse(site, "/echo", "http://evil.example")), 403, f"{name}: none from another's")
    for host in sorted({*local_names(), "raspberrypi.local"}):
        tap.equal(shake_as(site, host), 101, f"{name}: a WebSocket from its own page, reached as {host}")
    tap.equal(asyncio.run(converse(site, "/nothing")), 404, f"{name}: none where there is no endpoint")
    own, evil = f"http://127.0.0.1:{site.port}", "http://evil.example"
    tap.equal((post(site, own), post(site, evil)), (202, 403), f"{name}: the chat takes what its own page posts, and not what another does")
    around = [asyncio.run(converse(site, "/echo", origin, port_of_websocketd(site))) for origin in (evil, own, "null", None)]
    tap.equal(around, [403] * 4, f"{name}: a page cannot go around the web server, to websocketd's port")


async def newline_and_binary(site, path):
    """What comes back for a text with a newline and then for a binary message: the first of each."""
    try:
        async with rfc6455.connect(f"ws://127.0.0.1:{site.port}{path}") as client:
            await client.send("a\nb")
            first = await asyncio.wait_for(client.recv(), 30)
            await client.send(b"binary")
            return first, await asyncio.wait_for(client.recv(), 30)
    except rfc6455.Closed as closed:
        return closed.code
    except rfc6455.Refused as refused:
        return refused.status


def check_keepalive(name, site):
    """nginx and HAProxy as the site says, Caddy by itself. Apache has the kernel's two hours, and lighttpd none."""
    if name in ("caddy", "haproxy", "nginx", "further"):
        seconds = seconds_to_keepalive(site)
        tap.ok(seconds is not None and seconds <= 30, f"{name}: a client that vanishes is asked for after {seconds} s")


def check_way(name, site, way):
    """The whole of RFC 6455 tells which of both serves a path: websocketd makes two messages of one with a newline."""
    whole, lines = ("a\nb", b"binary"), ("a", "b")
    for path in ("/echo", "/echo/", "/echo/x", "/serialize/echo/"):
        tap.equal(asyncio.run(newline_and_binary(site, path)), whole if way == "resident" else lines, f"{name}: {path} is served so")
    # HAProxy compares a path as it was sent, so its fragment refuses what is escaped without need
    wanted = 400 if name.startswith("haproxy") else whole if way == "resident" else lines
    tap.equal(asyncio.run(newline_and_binary(site, "/ech%6f")), wanted, f"{name}: /ech%6f is {'refused' if wanted == 400 else 'the same path'}")
    shutil.copy(site.root / "build/ws/echo", site.root / "build/ws/echoes")
    tap.equal(asyncio.run(newline_and_binary(site, "/echoes")), lines, f"{name}: what was added later is served by websocketd, though its name begins like another")
    (site.root / "build/ws/echoes").unlink()
    tap.equal(asyncio.run(chat(site)), "over HTTP", f"{name}: a client of /chat gets what is published over HTTP")


async def chat(site):
    async with rfc6455.connect(f"ws://127.0.0.1:{site.port}/chat") as client:
        await client.send("over WebSocket")
        while json.loads(await asyncio.wait_for(client.recv(), 30))["text"] != "over WebSocket":  # after the last 20
            pass
        command = ["curl", "-s", "-o", "/dev/null", "-d", "message=over HTTP", site.url("/chat")]
        await asyncio.to_thread(subprocess.run, command, check=True)
        return json.loads(await asyncio.wait_for(client.recv(), 30))["text"]


def check_everywhere(name, tree):
    """The resident echo at every path, also where another endpoint has its own."""
    with stack.Stack(root=tree, build=tree / "build", user=stack.USER, SERVER=name, WS="resident", WEBSOCKET_ACCEPT_ALL="1") as site:
        for path in ("/", "/echo", "/chat", "/serialize/echo/", "/any/other/path"):
            tap.equal(asyncio.run(newline_and_binary(site, path)), ("a\nb", b"binary"), f"{name}: with WEBSOCKET_ACCEPT_ALL=1 the resident echo is at {path}")
        stack.finish(site, REFUSED)


def check_kill(name, tree):
    with tempfile.TemporaryDirectory() as temporary:
        os.chmod(temporary, 0o777)
        with stack.Stack(root=tree, build=tree / "build", user=stack.USER, SERVER=name, TMPDIR=temporary) as site:
            everything = stack.descendants(site.launch.pid)
            site.launch.kill()
            stack.wait_until(lambda: not any(map(stack.is_alive, everything)) and not os.listdir(temporary), 15)
            left = [stack.name_of(pid) for pid in everything if stack.is_alive(pid)]
            tap.equal((left, os.listdir(temporary)), ([], []), f"{name}: SIGKILL to the launcher leaves no process and no file")


def check_complete(name, server):
    """What a server has beside its folder in conf/run."""
    for path in (f"conf/{server.fragment}", f"tests/conf/sites/{server.fragment}", f"tests/conf/server-{name}.t"):
        tap.ok((stack.ROOT / path).exists(), f"{name} has {path}")
    tap.ok(f"`{server.fragment}`" in (stack.ROOT / "conf/README.md").read_text(), f"conf/README.md tells of {server.fragment}")


for name, server in sites.SERVERS.items():
    check_complete(name, server)
with tempfile.TemporaryDirectory() as directory:
    tree = stack.copy_tree(directory, "fcgi", "ws")
    add_server(tree)
    for name in (*sites.SERVERS, "further"):
        check_both_ways(name, tree)
        check_everywhere(name, tree)
        check_kill(name, tree)
    check_further(tree)
tap.done()
