#!/usr/bin/python3
"""
"make install" into a directory of its own: an endpoint from outside the tree is built with what it has installed and
served from there, an older version is replaced while it runs, an edited fragment is kept, a directory that cannot be
used is refused, and "make uninstall" leaves the directory as it was.
"""
import asyncio
import json
import os
import pathlib
import random
import re
import shlex
import shutil
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
        port = stack.free_port()
        command = [f"--port={port}" if part.startswith("--port=") else part for part in units.command(prefix / "lib/systemd/system/duplex-ws.service")]
        server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env={**os.environ, **environment})
        try:
            stack.wait_until(lambda: server.poll() is not None or stack.is_listening(port, server.pid))
            if server.poll() is None:
                async with rfc6455.connect(f"ws://127.0.0.1:{port}{path}", origin=stack.ORIGIN) as client:
                    await client.send("hi")
                    return await asyncio.wait_for(client.recv(), 60)
        finally:
            server.terminate()
            server.wait()


def check_versions():
    version = re.search(r"^VERSION = (.*)$", (stack.ROOT / "Makefile").read_text(), re.M)[1]
    for program in ("sbin/duplex-fcgi", "sbin/duplex-check", "libexec/duplex/echo", "libexec/duplex/chat"):
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
    """What an operator has edited is neither replaced nor removed, and the changes that it lacks are told."""
    fragment = prefix / "etc/duplex/apache.conf"
    shipped = prefix / "share/duplex/conf/apache.conf"
    changes = prefix / "share/duplex/conf/apache.conf.diff"
    new = fragment.read_text()
    kept = f"install: {fragment} was edited, and stays as it is"
    fragment.write_text(new + "# mine\n")
    tap.equal(units.install("install", prefix), (0, f"{kept}\n", ""), "an edited fragment of this version is kept, and there is nothing to merge")

    old = new.replace("/echo", "/old")
    shipped.write_text(old)
    fragment.write_text(old + "# mine\n")
    for count in (1, 2):
        tap.equal(units.install("install", prefix), (0, f"{kept}; what to merge into it is in {changes}\n", ""),
                  f"an edited fragment of an older version is kept, and the changes are named, time {count}")
    tap.equal((fragment.read_text(), shipped.read_text()), (old + "# mine\n", new), "the edited fragment is as it was, and the new one is beside its changes")
    merged = subprocess.run(["patch", "--silent", "--output=-", fragment, changes], capture_output=True, text=True)
    tap.equal((merged.returncode, merged.stdout), (0, new + "# mine\n"), "patch merges the changes")

    status, output, errors = units.install("uninstall", prefix)
    tap.equal((status, output, errors, fragment.exists()), (0, f"uninstall: {fragment} was edited, and stays\n", "", True), "uninstall keeps an edited fragment")
    tap.equal(units.install("install", prefix), (0, f"{kept}; compare it with the new one, {shipped}\n", ""), "a fragment from nowhere is kept")
    fragment.write_text(new)
    make("install")
    shipped.write_text("of an older version\n")
    fragment.write_text("of an older version\n")
    make("install")
    tap.equal(fragment.read_text(), new, "an older fragment that was not edited is replaced")
    tap.ok(not changes.exists(), "there is nothing to merge into a fragment that was not edited")


def install_first_version():
    """What 0.1.0 installed, which kept no list of it: its paths, and the endpoint a program that runs."""
    folders = {"sbindir": "sbin", "libdir": "lib", "libexecdir": "libexec", "includedir": "include", "datadir": "share", "mandir": "share/man",
               "sysconfdir": "etc", "unitdir": "lib/systemd/system"}
    lines = (stack.ROOT / "conf/install/files-of-0.1.0").read_text().splitlines()
    paths = [prefix / re.sub(r"@(\w+)@", lambda name: folders[name[1]], line.split()[1]) for line in lines if not line.startswith("directory ")]
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("0.1.0\n")
    echo = prefix / "libexec/duplex/echo"
    shutil.copy("/bin/sleep", echo)
    return paths, subprocess.Popen([echo, "600"])


def check_upgrade():
    paths, echo = install_first_version()
    page, fragment = prefix / "share/duplex/html/index.html", prefix / "etc/duplex/nginx.conf"
    tap.ok(len(paths) == 62 and {page, fragment} <= set(paths), "0.1.0 installed 62 files, an index.html among them")
    fragment.write_text("0.1.0, edited\n")
    status, output, errors = units.install("install", prefix)
    tap.equal((status, errors), (0, ""), f"0.1.0 is upgraded: {output.strip()}")
    tap.ok(output.count("\n") == 1 and output.startswith(f"install: {fragment} was edited") and f" {fragment.name}.diff" in output.replace("/", " "),
           "the fragment that was edited in 0.1.0 is named, with what to merge")
    tap.equal(fragment.read_text(), "0.1.0, edited\n", "the fragment that was edited in 0.1.0 is kept")
    tap.equal([path for path in paths if path.exists() and path != fragment and path.read_bytes() == b"0.1.0\n"], [], "nothing else of 0.1.0 is left")
    tap.ok(not page.exists() and (prefix / "share/duplex/html/echo.html").exists(), "the page has its new name alone")
    tap.ok(echo.poll() is None, "an endpoint that runs is not disturbed")
    version = subprocess.run([prefix / "libexec/duplex/echo", "--version"], capture_output=True).stdout
    tap.ok(version.startswith(b"echo (duplex) "), "the endpoint that ran is replaced")
    echo.kill()
    echo.wait()

    gone = prefix / "share/duplex/html/gone.html"
    gone.write_text("a page that the version before this one had\n")
    with (prefix / "share/duplex/installed").open("a") as installed:
        installed.write(f"file {gone}\n")
    fragment.unlink()
    make("install")
    tap.ok(not gone.exists(), "what a version with a list of its files had, and this one has not, is removed")
    make("uninstall")
    tap.equal(tree(prefix), before, "make uninstall leaves nothing after an upgrade")

    _, echo = install_first_version()
    echo.kill()
    echo.wait()
    make("uninstall")
    tap.equal(tree(prefix), before, "make uninstall removes 0.1.0 as well")


def check_stripped():
    make("install", "STRIP=")
    sizes = {name: (prefix / name).stat().st_size for name in ("sbin/duplex-fcgi", "libexec/duplex/echo")}
    make("install")
    for name, size in sizes.items():
        tap.ok((prefix / name).stat().st_size < size, f"{name} is without what a debugger needs: {(prefix / name).stat().st_size} bytes, with STRIP= {size}")


def check_refused(directory):
    """Directories that units, pkg-config files or a shell would read as something else."""
    refused = [("PREFIX=local", "sbindir=local/sbin does not begin with /"), ("PREFIX=./local", "sbindir=./local/sbin does not begin with /"),
               ("sysconfdir=etc", "sysconfdir=etc does not begin with /"), ("unitdir=", "unitdir= does not begin with /")]
    for character in " &|'\";%@\\:,*?<>(){}[]!^`=\t":
        path = f"{directory}/a{character}b"
        refused.append((f"datadir={path}", f"datadir={path} may have only letters, digits and /._+~- in it"))
    for variable, message in refused:
        status, output, errors = units.install("install", prefix, variable)
        said = [line for line in errors.splitlines() if not line.startswith("make: ***")]
        tap.equal((status != 0, output, said), (True, "", [f"install: {message}"]), f"{variable!r} is refused")
    status, output, errors = units.install("uninstall", prefix, "PREFIX=local")
    tap.ok(status != 0 and errors.startswith("uninstall: sbindir=local/sbin does not begin with /\n"), "make uninstall refuses PREFIX=local")
    tap.equal(tree(prefix), before, "what is refused leaves nothing")
    (prefix / "libexec/duplex/echo").mkdir(parents=True)
    status, output, errors = units.install("install", prefix)
    tap.ok(status != 0 and errors.startswith(f"install: {prefix}/libexec/duplex/echo is a directory\n"), "a directory in the place of a program is refused")
    shutil.rmtree(prefix / "libexec")
    tap.equal(tree(prefix), before, "a directory in the place of a program leaves nothing else")


def check_destination(directory):
    """DESTDIR is before everything, whatever characters are in it."""
    own = f"{prefix}".lstrip("/")
    for name in ("root", "a b", "a&b|c'd\\e%f;g", "new/of/root"):
        root = directory / name
        make("install", f"DESTDIR={root}", "sysconfdir=/etc")
        installed = [name for name in tree(root) if (root / name).is_file()]
        tap.ok(len(installed) > 20 and all(name.startswith((f"{own}/", "etc/duplex/")) for name in installed), f"DESTDIR={root} is before everything, and sysconfdir is heeded")
        tap.equal([name for name in installed if f"{root}".encode() in (root / name).read_bytes()], [], f"no file names {root}")
        make("uninstall", f"DESTDIR={root}", "sysconfdir=/etc")
        tap.equal(tree(root), [], f"nothing is left in {root}")
    relative = os.path.relpath(directory / "relative", stack.ROOT)
    make("install", f"DESTDIR={relative}")
    tap.ok((directory / "relative" / own / "sbin/duplex-fcgi").exists(), "DESTDIR may be relative")
    tap.equal(tree(prefix), before, "with DESTDIR nothing is elsewhere")


def check_spellings():
    """The same directory by another spelling is the same: nothing is taken for a file of an older version."""
    make("install")
    wanted = tree(prefix)
    make("install", f"PREFIX={prefix}//./")
    tap.equal(tree(prefix), wanted, "an installation by another spelling of PREFIX is the same")
    (prefix / "libexec64").symlink_to("libexec")
    make("install", f"libexecdir={prefix}/libexec64")
    (prefix / "libexec64").unlink()
    tap.ok((prefix / "libexec/duplex/echo").exists(), "what is installed by another name of a directory stays")
    shutil.rmtree(prefix / "libexec")
    make("uninstall")


with tempfile.TemporaryDirectory() as directory:
    top = pathlib.Path(directory)
    prefix = top / "local"
    usual = os.umask(0o022)
    for name in EMPTY:
        (prefix / name).mkdir(parents=True)
    os.umask(usual)
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

    check_upgrade()
    check_stripped()
    check_spellings()
    tap.equal(tree(prefix), before, "make uninstall leaves nothing of an installation by other names")
    check_refused(top)
    check_destination(top)
tap.done()
