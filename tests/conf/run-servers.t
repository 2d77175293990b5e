#!/usr/bin/python3
""""make run" under each server, by an ordinary user."""
import asyncio
import os
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, f"{sys.path[0]}/../lib")
import rfc6455
import served
import sites
import stack
import tap

stack.need("curl", "spawn-fcgi", "multiwatch", *(server.program for server in sites.SERVERS.values()))


def ask(site, path):
    return subprocess.run(["curl", "-s", site.url(path)], capture_output=True).stdout


def post(site, origin):
    """The status of what a page with this Origin posts in the chat."""
    command = ["curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "-H", f"Origin: {origin}", "-d", "message=hi", site.url("/chat")]
    return int(subprocess.run(command, capture_output=True).stdout)


def port_of_websocketd(site):
    sockets = subprocess.run(["ss", "-Hltnp"], capture_output=True, text=True).stdout.splitlines()
    return next(line.split()[3].rsplit(":", 1)[1] for line in sockets if f"pid={site.pid('websocketd')}," in line)


async def converse(site, path, origin=None, port=None):
    try:
        async with rfc6455.connect(f"ws://127.0.0.1:{port or site.port}{path}", origin=origin) as client:
            await client.send("hi")
            return await asyncio.wait_for(client.recv(), 10)
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


def check_server(name, tree):
    with stack.Stack(root=tree, build=tree / "build", user=stack.USER, SERVER=name) as site:
        tap.equal(ask(site, "/echo?message=hi%00%0A"), b"hi\0\n", f"{name}: /echo over HTTP")
        tap.equal(ask(site, "/"), served.file("echo.html"), f"{name}: the page at /")
        tap.equal(ask(site, "/any/other/path"), b"Not Found\n", f"{name}: every path is ours")
        tap.equal(asyncio.run(converse(site, "/echo")), "hi", f"{name}: /echo over WebSocket")
        tap.equal(asyncio.run(converse(site, "/serialize/echo/", f"http://127.0.0.1:{site.port}")), "hi", f"{name}: a WebSocket from its own page")
        tap.equal(asyncio.run(converse(site, "/echo", "http://evil.example")), 403, f"{name}: none from another's")
        tap.equal(asyncio.run(converse(site, "/nothing")), 404, f"{name}: none where there is no endpoint")
        own, evil = f"http://127.0.0.1:{site.port}", "http://evil.example"
        tap.equal((post(site, own), post(site, evil)), (202, 403), f"{name}: the chat takes what its own page posts, and not what another does")
        around = [asyncio.run(converse(site, "/echo", origin, port_of_websocketd(site))) for origin in (evil, own, "null", None)]
        tap.equal(around, [403] * 4, f"{name}: a page cannot go around the web server, to websocketd's port")
        stack.finish(site, "superfluous response.WriteHeader call")  # what websocketd says for each handshake that it refuses


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
        check_server(name, tree)
        check_kill(name, tree)
    check_further(tree)
tap.done()
