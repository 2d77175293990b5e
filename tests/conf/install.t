#!/usr/bin/python3
"""
"make install" into a directory of its own: an endpoint from outside the tree is built with what it has installed and
served from there, an edited fragment is kept, and "make uninstall" leaves the directory as it was.
"""
import asyncio
import json
import os
import pathlib
import random
import re
import shlex
import subprocess
import sys
import tempfile

sys.path.insert(0, f"{sys.path[0]}/../lib")
import rfc6455
import stack
import tap
import units
from redis_server import Redis

stack.need("pkg-config", "websocketd")
HELLO = """#include <websocket.h>

static void hello(struct websocket *ws)
{
	struct websocket_message message;

	while (websocket_wait(ws, &message, WEBSOCKET_FOREVER) == WEBSOCKET_MESSAGE)
		if (websocket_send(ws, "hello", 5) < 0)
			return;
}

int main(void)
{
	return websocket_run(hello);
}
"""
EMPTY = ("bin", "etc", "games", "include", "lib", "sbin", "share/man", "src")  # Debian's /usr/local


def make(target, *variables):
    tap.equal(units.install(target, prefix, *variables), (0, "", ""), f"make {target} has nothing to say")


def tree(top):
    return sorted(str(path.relative_to(top)) for path in top.rglob("*"))


def build(directory, name, text, *words, sanitized=stack.SANITIZED):
    """A program built as the documents say, with what pkg-config answers to these words, in the endpoints directory."""
    source = directory / f"{name}.c"
    source.write_text(text)
    flags = subprocess.run(["pkg-config", "--cflags", "--libs", *words], capture_output=True, check=True,
                           env={**os.environ, "PKG_CONFIG_PATH": str(prefix / "lib/pkgconfig")}).stdout.decode()
    tap.equal("-static" in shlex.split(flags), "--static" in words, f"pkg-config {' '.join(words)} asks for a static program only with --static")
    program = prefix / "libexec/duplex" / name
    flags = shlex.split(flags)
    if sanitized:  # what is linked with the library needs what the library was built with, and cannot be static
        flags = ["-fsanitize=address,undefined", *(flag for flag in flags if flag != "-static")]
    result = subprocess.run(["cc", source, "-o", program, *flags], capture_output=True)
    tap.equal((result.returncode, result.stdout, result.stderr), (0, b"", b""), f"{name}.c is built outside the tree with {' '.join(words)}")
    dynamic = b"INTERP" in subprocess.run(["readelf", "-l", program], capture_output=True).stdout
    tap.equal(dynamic, "--static" not in words or sanitized, f"{name} is {'dynamic' if dynamic else 'static'}")
    return program


def check_endpoint(directory, *words):
    program = build(directory, "hello", HELLO, *words)
    for path in ("/echo", "/serialize/echo", "/hello"):
        tap.equal(asyncio.run(converse(path)), "hello" if path == "/hello" else "hi", f"{path} of an installed endpoint is served")
    program.unlink()


def check_pushing_endpoint(directory):
    """The documents' example of an endpoint that pushes."""
    text = "".join(path.read_text() for path in (stack.ROOT / "README.md", stack.ROOT / "ws/README.md") if path.exists())
    (source,) = re.findall(r"^```c\n(#include \"push\.h\"\n.*?)^```", text, re.S | re.M)
    program = build(directory, "board", source, "duplex-push")
    with Redis() as redis:
        tap.equal(json.loads(asyncio.run(converse("/board", DUPLEX_REDIS=redis.address)))["text"], "hi", "/board publishes")
    program.unlink()


async def converse(path, **environment):
    """Asks the installed endpoints by the command of the installed unit, on a port of its own."""
    while True:
        port = random.randrange(20000, 32000)
        command = [f"--port={port}" if part.startswith("--port=") else part for part in units.command(prefix / "lib/systemd/system/duplex-ws.service")]
        server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env={**os.environ, **environment})
        try:
            stack.wait_until(lambda: server.poll() is not None or stack.is_listening(port, server.pid))
            if server.poll() is None:
                async with rfc6455.connect(f"ws://127.0.0.1:{port}{path}", origin=stack.ORIGIN) as client:
                    await client.send("hi")
                    return await asyncio.wait_for(client.recv(), 10)
        finally:
            server.terminate()
            server.wait()


def check_versions():
    version = re.search(r"^VERSION = (.*)$", (stack.ROOT / "Makefile").read_text(), re.M)[1]
    for program in ("sbin/duplex-fcgi", "libexec/duplex/echo"):
        path = prefix / program
        result = subprocess.run([path, "--version"], capture_output=True)
        tap.equal((result.returncode, result.stdout, result.stderr), (0, f"{path.name} (duplex) {version}\n".encode(), b""), f"{path.name} --version prints the version of the Makefile")
    package = subprocess.run(["pkg-config", "--modversion", prefix / "lib/pkgconfig/duplex.pc"], capture_output=True).stdout.decode().strip()
    tap.equal(package, version, "duplex.pc has the version of the Makefile")
    for page in ("man3/websocket.3", "man3/websocket_subscribe.3", "man7/duplex.7", "man8/duplex-fcgi.8"):
        tap.ok(f'.Os "duplex {version}"' in (prefix / "share/man" / page).read_text(), page)
    first = re.search(r"^## (\S+)", (stack.ROOT / "CHANGELOG.md").read_text(), re.M)[1]
    tap.equal(first, version, "CHANGELOG.md begins with the version of the Makefile")


def check_contents():
    text = [path for path in prefix.rglob("*") if path.is_file() and b"\0" not in path.read_bytes()]
    tap.equal([path for path in text if re.search(r"@[A-Za-z]+dir@|@VERSION@", path.read_text())], [], "every name between at signs is filled in")
    wrong = [path for path in prefix.rglob("*") if not path.is_symlink() and path.stat().st_mode & 0o7777 not in (0o755, 0o644)]
    tap.equal(wrong, [], "everybody may read what is installed, and nobody else may write it")
    for name in re.findall(r"\b(is_websocket|websocket_\w+)\(", (stack.ROOT / "ws/lib/websocket.h").read_text() + (stack.ROOT / "ws/lib/push.h").read_text()):
        tap.ok((prefix / f"share/man/man3/{name}.3").exists(), f"man {name} is installed")


def check_edited():
    """What an operator has edited is neither replaced nor removed."""
    fragment = prefix / "etc/duplex/apache.conf"
    old = fragment.read_text()
    fragment.write_text(old + "# mine\n")
    status, output, errors = units.install("install", prefix)
    tap.equal((status, errors), (0, ""), "make install over an installation ends with 0")
    tap.ok(re.fullmatch(r"install: \S+/etc/duplex/apache.conf was edited, and stays as it is; the new one is \S+/share/duplex/conf/apache.conf\n", output),
           f"make install says that a fragment was edited, and where the new one is: {output.strip()}")
    tap.equal(fragment.read_text(), old + "# mine\n", "make install keeps an edited fragment")
    status, output, errors = units.install("uninstall", prefix)
    tap.ok(status == 0 and "was edited, and stays" in output and fragment.exists(), "make uninstall keeps an edited fragment, and says so")
    (prefix / "share/duplex/conf").mkdir(parents=True)
    (prefix / "share/duplex/conf/apache.conf").write_text("of an older version\n")
    fragment.write_text("of an older version\n")
    make("install")
    tap.equal(fragment.read_text(), old, "make install replaces an older fragment that was not edited")


with tempfile.TemporaryDirectory() as directory:
    top = pathlib.Path(directory)
    prefix = top / "local"
    for name in EMPTY:
        (prefix / name).mkdir(parents=True)
    before = tree(prefix)
    make("install")
    check_contents()
    check_versions()
    check_endpoint(top, "--static", "duplex")
    check_endpoint(top, "duplex")
    check_pushing_endpoint(top)
    check_edited()
    make("uninstall")
    tap.equal(tree(prefix), before, "make uninstall leaves what was there before")

    make("install", f"DESTDIR={top}/root", "sysconfdir=/etc")
    installed = [name for name in tree(top / "root") if (top / "root" / name).is_file()]
    own = f"{prefix}".lstrip("/")
    tap.ok(len(installed) > 20 and all(name.startswith((f"{own}/", "etc/duplex/")) for name in installed), "DESTDIR is put before every path, and sysconfdir is used")
    tap.equal(tree(prefix), before, "with DESTDIR nothing is installed elsewhere")
    make("uninstall", f"DESTDIR={top}/root", "sysconfdir=/etc")
    tap.equal([name for name in tree(top / "root") if not (top / "root" / name).is_dir()], [], "with DESTDIR make uninstall leaves no file")
tap.done()
