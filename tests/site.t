#!/usr/bin/python3
"""
conf/lighttpd.conf in a site that lives already: Debian's own lighttpd.conf with pages, a FastCGI path and a WebSocket of
its own, into which the fragment is included by one line, as it stands.
"""
import asyncio
import pathlib
import random
import subprocess
import tempfile

import stack
import tap

try:
    import websockets
except ImportError:
    tap.skip_all("python3-websockets is not installed")
stack.need("lighttpd", "websocketd", "curl", "spawn-fcgi")

SITE = """
server.modules = ( "mod_access", "mod_fastcgi", "mod_proxy" )
server.document-root = "{directory}/htdocs"
server.pid-file = "{directory}/lighttpd.pid"
server.port = {port}
server.bind = "127.0.0.1"
server.http-parseopts = (
  "header-strict" => "enable", "host-strict" => "enable", "host-normalize" => "enable",
  "url-normalize-unreserved" => "enable", "url-normalize-required" => "enable", "url-ctrls-reject" => "enable",
  "url-path-2f-decode" => "enable", "url-path-dotseg-remove" => "enable",
)
index-file.names = ( "index.html" )
url.access-deny = ( "~", ".inc" )
mimetype.assign = ( ".html" => "text/html" )
fastcgi.server = ( "/app" => (( "socket" => "{directory}/app.sock", "check-local" => "disable" )) )
$HTTP["url"] == "/own-socket" {{
    proxy.header = ( "upgrade" => "enable" )
    proxy.server = ( "" => (( "host" => "127.0.0.1", "port" => {own} )) )
}}
include "duplex.conf"
server.modules += ( "mod_staticfile" )
"""
LOCAL = """
var.duplex_fastcgi := ( "socket" => "{directory}/fcgi.sock" )
var.duplex_websocketd := ( "host" => "127.0.0.1", "port" => {websocketd} )
var.duplex_hosts := "example\\.org"
"""
processes = []


def start(*command):
    log = tempfile.TemporaryFile()
    processes.append(subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=stack.ROOT))
    return processes[-1]


def is_listening(port, pid):
    output = subprocess.run(["ss", "-Hltnp", f"sport = :{port}"], capture_output=True).stdout.decode()
    return f"pid={pid}," in output


def start_websocketd(*what):
    while True:
        port = random.randrange(20000, 32000)
        process = start("websocketd", "--address=127.0.0.1", f"--port={port}", *what)
        stack.wait_until(lambda: process.poll() is not None or is_listening(port, process.pid))
        if process.poll() is None:
            return port


def start_fastcgi(directory, name):
    start("spawn-fcgi", "-n", "-s", directory / name, "--", stack.BUILD / "fcgi/duplex", f"--page={stack.ROOT}/html",
          f"--endpoints={stack.BUILD}/ws")
    stack.wait_until((directory / name).exists)


def start_lighttpd(directory, **values):
    while True:
        port = random.randrange(20000, 32000)
        (directory / "lighttpd.conf").write_text(SITE.format(directory=directory, port=port, **values))
        process = start("/usr/sbin/lighttpd", "-D", "-f", directory / "lighttpd.conf")
        stack.wait_until(lambda: process.poll() is not None or (directory / "lighttpd.pid").exists())
        if process.poll() is None:
            return port


def ask(path, *arguments):
    output = subprocess.run(["curl", "-sS", "-w", "\n%{http_code}", *arguments, f"http://127.0.0.1:{port}{path}"],
                            capture_output=True, check=True).stdout
    body, _, status = output.rpartition(b"\n")
    return int(status), body


async def converse(path, message, origin=None):
    try:
        async with websockets.connect(f"ws://127.0.0.1:{port}{path}", origin=origin) as client:
            await client.send(message)
            return await asyncio.wait_for(client.recv(), 10)
    except websockets.InvalidStatusCode as error:
        return error.status_code


def check_site():
    tap.equal(ask("/"), (200, b"the site\n"), "the site's own /")
    tap.equal(ask("/echo.html"), (200, b"a page\n"), "a page whose name begins like ours")
    tap.equal(ask("/echoes/index.html"), (200, b"echoes\n"), "and a directory")
    tap.equal(ask("/serialize/"), (200, b"serialize\n"), "and what is beside ours")
    tap.equal(ask("/nothing")[0], 404, "the site's own 404")
    tap.equal(ask("/app"), (404, b"Not Found\n"), "the site's own FastCGI path goes to its own program")
    tap.equal(asyncio.run(converse("/own-socket", "hi")), "hi", "the site's own WebSocket, without a rule of ours")
    tap.equal(asyncio.run(converse("/own-socket", "hi", "http://evil.example")), "hi", "which our Origin rule does not touch")
    tap.ok(asyncio.run(converse("/elsewhere", "hi")) in (404, 403), "a WebSocket elsewhere is not ours")


def check_ours():
    tap.equal(ask("/echo?message=Hello%2C+World%21"), (200, b"Hello, World!"), "/echo over HTTP")
    tap.equal(ask("/echo"), (200, (stack.ROOT / "html/index.html").read_bytes()), "the page")
    tap.equal(ask("/echo/echo.js"), (200, (stack.ROOT / "html/echo.js").read_bytes()), "its script")
    tap.equal(ask("/echo/nothing"), (404, b"Not Found\n"), "our own 404")
    tap.equal(ask("/echo", "-d", "x")[0], 405, "POST")
    for path in ("/echo", "/serialize/echo/"):
        tap.equal(asyncio.run(converse(path, "hi")), "hi", f"{path} over WebSocket")
        tap.equal(asyncio.run(converse(path, "hi", "https://example.org")), "hi", "from a page of the site")
        for origin in ("http://evil.example", "https://example.org.evil.example", "https://exampleXorg", "null"):
            tap.equal(asyncio.run(converse(path, "hi", origin)), 403, f"from {origin}: refused")
    tap.equal(ask("/echo?message=%0A")[0], 400, "control characters are refused while the site's lighttpd.conf says so")


with tempfile.TemporaryDirectory() as name:
    directory = pathlib.Path(name)
    for page, text in (("index.html", "the site\n"), ("echo.html", "a page\n"), ("echoes/index.html", "echoes\n"),
                       ("serialize/index.html", "serialize\n")):
        (directory / "htdocs" / page).parent.mkdir(parents=True, exist_ok=True)
        (directory / "htdocs" / page).write_text(text)
    (directory / "duplex.conf").symlink_to(stack.ROOT / "conf/lighttpd.conf")
    try:
        start_fastcgi(directory, "fcgi.sock")
        start_fastcgi(directory, "app.sock")
        websocketd = start_websocketd(f"--dir={stack.BUILD}/ws")
        own = start_websocketd("cat")
        (directory / "duplex-local.conf").write_text(LOCAL.format(directory=directory, websocketd=websocketd))
        port = start_lighttpd(directory, own=own)
        check_site()
        check_ours()
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            process.wait(10)
tap.done()
