#!/usr/bin/python3
"""
The commands of conf/README.md, as they stand there, from a fresh copy of the tree to a site that runs, behind
Apache and behind lighttpd as Debian configures them, and back. Only systemctl is the test's own (tests/lib/systemctl).
"""
import asyncio
import contextlib
import json
import os
import pathlib
import pwd
import re
import shutil
import signal
import subprocess
import sys
import tempfile

sys.path.insert(0, f"{sys.path[0]}/../lib")
import namespace
import rfc6455
import served
import stack
import tap

stack.need("apache2", "lighttpd", "websocketd", "multiwatch", "curl", "unshare", "systemd-socket-activate")
namespace.enter()


def commands(server):
    """The commands that conf/README.md has for this server."""
    text = (stack.ROOT / "conf/README.md").read_text()
    block = re.search(rf"Behind {server}\b.*?```sh\n(.*?)```", text, re.S)[1]
    return block.splitlines()


def shell(command, tree):
    environment = {"PATH": f"{tree.parent}/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C"}
    result = subprocess.run(["bash", "-c", command], cwd=tree, env=environment, stdin=subprocess.DEVNULL, capture_output=True)
    tap.ok(result.returncode == 0, command)
    if result.returncode != 0:
        print("".join(f"# {line}\n" for line in (result.stdout + result.stderr).decode().splitlines()[-20:]))


def ask(path, *arguments):
    output = subprocess.run(["curl", "-qs", "-m", "60", "-w", "%{http_code}", *arguments, f"http://localhost{path}"], capture_output=True).stdout
    return output[-3:], output[:-3]


async def converse(path, message="hi", **options):
    try:
        async with rfc6455.connect(f"ws://localhost{path}", **options) as client:
            await client.send(message)
            return await asyncio.wait_for(client.recv(), 60)
    except rfc6455.Refused as error:
        return error.status
    except OSError:
        return None  # the web server is being restarted


def log():
    """What was logged, but for what the servers and the stand-in always say, and Apache of a machine whose name it cannot look up."""
    ordinary = re.compile(r"server (started|stopped)|AH0055[78]|^Listening on .* as 3\.$|^Communication attempt on fd 3\.|^Execing |Unexpected error while reading STD(ERR|OUT) from process|^\d+:(C|M|signal-handler) ")
    return [line for line in pathlib.Path("/run/systemctl/log").read_text().splitlines() if not ordinary.search(line)]


def check_running():
    if not tap.ok(stack.wait_until(lambda: ask("/echo?message=hi") == (b"200", b"hi"), 60), "the site comes up"):
        print("".join(f"# {line}\n" for line in log()))
        tap.done()
    tap.equal(ask("/echo?message=Hello%2C+World%21"), (b"200", b"Hello, World!"), "/echo?message= comes back")
    tap.equal(ask("/echo"), (b"200", served.file("echo.html")), "the installed site has the page at /echo")
    tap.equal(ask("/serialize/echo/?message=hi"), (b"200", b"hi"), "the installed site answers /serialize/echo/")
    for path in ("/echo", "/serialize/echo/"):
        tap.equal(asyncio.run(converse(path)), "hi", f"the installed site answers {path} over WebSocket")
    tap.equal(asyncio.run(converse("/echo", origin="http://localhost")), "hi", "the installed site accepts a WebSocket from its own page")
    tap.equal(asyncio.run(converse("/echo", origin="http://evil.example")), 403, "the installed site refuses a WebSocket from another site's page")
    tap.equal(ask("/")[0], b"200", "the site's own / is as before")
    tap.equal(ask("/nothing")[0], b"404", "the site's own 404 is as before")


def chat_commands(fragment, service):
    """What conf/README.md has for /chat, behind this server in place of Apache."""
    block = re.search(r"```sh\n(sed [^\n]*chat.*?)```", (stack.ROOT / "conf/README.md").read_text(), re.S)[1]
    return block.replace("apache.conf", fragment).replace("apache2", service).splitlines()


def check_chat(server, service, tree):
    fragment = f"{server.lower()}.conf"
    path = pathlib.Path("/usr/local/etc/duplex", fragment)
    shipped = path.read_text()
    tap.equal(ask("/chat")[0], b"404", "/chat is the site's until it is claimed")
    for line in chat_commands(fragment, service):
        shell(line, tree)
    tap.ok(stack.wait_until(lambda: ask("/chat?after=-1")[0] == b"200", 60), "/chat is served")
    tap.ok(b"<title>Chat</title>" in ask("/chat")[1], "/chat is a page")
    tap.equal(ask("/chat", "--data-urlencode", "message=by HTTP")[0], b"202", "a message is posted to /chat")
    said = json.loads(asyncio.run(converse("/chat?after=-1", origin="http://localhost")))
    tap.equal(said["text"], "by HTTP", "a WebSocket gets what was published over HTTP")
    tap.equal(ask("/echo?message=hi"), (b"200", b"hi"), "/echo works as before beside /chat")
    shell("systemctl disable --now duplex-redis", tree)
    path.write_text(shipped)


def resident_commands(server):
    """What conf/README.md has for a resident endpoint: its commands, for lighttpd with the entry that duplex(7) has."""
    text = (stack.ROOT / "conf/README.md").read_text()
    lines = re.search(r"```sh\n(sed [^\n]*RESIDENT.*?)```", text, re.S)[1].splitlines()
    if server == "lighttpd":
        manual = (stack.ROOT / "conf/duplex.7").read_text()
        entry = re.search(r"^\.Li (var\.duplex_resident .*)$", manual, re.M)[1].replace(r"\(dq", '"').replace("echo chat", "echo")
        return [f"echo '{entry}' >>/etc/lighttpd/duplex-local.conf", lines[1], lines[2].replace("apache2", "lighttpd")]
    return lines


def check_resident(server, service, tree):
    newline = "a\nb"
    fragment = pathlib.Path("/usr/local/etc/duplex", f"{server.lower()}.conf")
    shipped = fragment.read_text()
    tap.equal(asyncio.run(converse("/echo", message=newline)), "a", "before that websocketd serves the echo, and makes two messages of one with a newline")
    for line in resident_commands(server):
        shell(line, tree)
    tap.ok(stack.wait_until(lambda: asyncio.run(converse("/echo", message=newline)) == newline, 60), "the echo is resident, and a text with a newline is one message")
    tap.equal(asyncio.run(converse("/serialize/echo/", message=newline)), newline, "/serialize/echo/ is served by the resident echo")
    tap.equal(asyncio.run(converse("/echo", origin="http://evil.example")), 403, "a resident endpoint too refuses a WebSocket from another site's page")
    socket = pathlib.Path("/run/duplex/ws/echo.sock").stat()
    tap.equal((pwd.getpwuid(socket.st_uid).pw_name, socket.st_mode & 0o777), ("www-data", 0o600), "only the web server may open the socket of a resident endpoint")
    shell("systemctl disable --now duplex-resident@echo.socket", tree)
    fragment.write_text(shipped)


def owner(pid):
    with contextlib.suppress(FileNotFoundError):  # an endpoint may end meanwhile
        return os.stat(f"/proc/{pid}").st_uid


def check_without_systemd(tree):
    """The same two sides, started by the commands that conf/README.md has for a machine without systemd."""
    block = re.search(r"^### Without systemd\n.*?```sh\n(.*?)```", (stack.ROOT / "conf/README.md").read_text(), re.S | re.M)[1]
    subprocess.run(["userdel", "duplex"], capture_output=True)
    shell("systemctl stop duplex-fcgi.socket duplex-ws", tree)
    with open("/run/systemctl/log", "a") as errors:
        script = subprocess.Popen(["bash", "-e", "-c", f"{block}wait"], cwd=tree, stdin=subprocess.DEVNULL, stdout=errors, stderr=errors)
    tap.ok(stack.wait_until(lambda: ask("/echo?message=hi") == (b"200", b"hi"), 60), "without systemd: the echo over HTTP works")
    tap.ok(stack.wait_until(lambda: asyncio.run(converse("/echo")) == "hi", 60), "without systemd: the echo over WebSocket works")
    users = {stack.name_of(pid): owner(pid) for pid in stack.descendants(script.pid)}
    programs = ("duplex-fcgi", "multiwatch", "websocketd")
    tap.equal([users.get(name) for name in programs], [pwd.getpwnam("duplex").pw_uid] * 3, "without systemd: all run as the user duplex")
    for pid in stack.children(script.pid):
        os.kill(pid, signal.SIGTERM)
    script.wait(30)
    shell("systemctl start duplex-fcgi.socket duplex-ws", tree)


def listening():
    output = subprocess.run(["ss", "-Hltn"], capture_output=True).stdout.decode()
    return [line.split()[3] for line in output.splitlines()]


def check_server(name, service):
    with tempfile.TemporaryDirectory() as directory:
        tree = stack.copy_tree(directory)
        (tree.parent / "bin").mkdir()
        (tree.parent / "bin/systemctl").symlink_to(stack.ROOT / "tests/lib/systemctl")
        lines = commands(name)
        tap.ok(len(lines) <= 8, f"{name}: with git and make, and the clone, ten commands at most")
        for line in lines:
            shell(line, tree)
        check_running()
        tap.equal([address for address in listening() if not address.endswith(":80")], ["127.0.0.1:9001"], "beside port 80 the site listens with websocketd on loopback only")
        shell("systemctl restart duplex-ws", tree)
        tap.ok(stack.wait_until(lambda: asyncio.run(converse("/echo")) == "hi", 60), "websocketd is restarted")
        check_without_systemd(tree)
        check_chat(name, service, tree)
        check_resident(name, service, tree)
        lines = log()
        refused = [line for line in lines if re.search(r'duplex-fcgi: \S+: WebSocket refused, .*: Origin "http://evil\.example", Host "localhost"$', line)]
        tap.equal((len(refused), [line for line in lines if line not in refused]), (2, []), "the log of the installed site has a line for each WebSocket that was refused, and no other")
        shell("systemctl disable --now duplex-fcgi.socket duplex-fcgi duplex-ws", tree)
        shell("make uninstall", tree)
        left = [path for path in pathlib.Path("/usr/local").rglob("*") if not path.is_dir() or "duplex" in path.name]
        tap.equal(left, [], "make uninstall leaves nothing")
        shell(f"systemctl stop {service}", tree)
        stack.wait_until(lambda: not listening())
        shutil.rmtree("/run/systemctl")


check_server("Apache", "apache2")
check_server("lighttpd", "lighttpd")
tap.done()
