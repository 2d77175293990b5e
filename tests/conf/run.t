#!/usr/bin/python3
""""make run" and its launcher: one clear line when it cannot start, and nothing left behind however it ends."""
import os
import pathlib
import random
import re
import signal
import socket
import subprocess
import sys
import tempfile

sys.path.insert(0, f"{sys.path[0]}/../lib")
import frames
import stack
import tap
from ports import is_free

stack.need("make", "curl", "ss", "nginx")
TMP = tempfile.TemporaryDirectory()


def launch(**environment):
    result = subprocess.run([stack.ROOT / "conf/run/launch"], capture_output=True, stdin=subprocess.DEVNULL, timeout=60,
                            env={**os.environ, "BUILD": str(stack.BUILD), "TMPDIR": TMP.name, **environment})
    return result.returncode, result.stdout.decode(), result.stderr.decode()


def check_refusal(name, wanted, **environment):
    status, output, errors = launch(**environment)
    tap.equal((status, output), (1, ""), f"{name}: status 1")
    tap.ok(re.fullmatch(rf"run: [^\n]*{wanted}[^\n]*\n", errors), f"{name}: one line says why: {errors.strip()}")
    tap.equal(os.listdir(TMP.name), [], f"{name}: no file is left")


def check_arguments():
    launcher = stack.ROOT / "conf/run/launch"
    version = re.search(r"^VERSION = (.*)$", (stack.ROOT / "Makefile").read_text(), re.M)[1]
    for arguments, wanted in ((["--version"], (0, f"run (duplex) {version}\n", "")), (["8080"], (2, "", "no arguments but")), (["--help", "x"], (2, "", "no arguments but"))):
        result = subprocess.run([launcher, *arguments], capture_output=True, text=True, stdin=subprocess.DEVNULL)
        tap.ok((result.returncode, result.stdout) == wanted[:2] and wanted[2] in result.stderr, f"conf/run/launch {' '.join(arguments)}: status {wanted[0]}")


def check_refusals():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        check_refusal("a port in use", f"port {port} of 127.0.0.1 is in use", PORT=port)
    for port in ("0", "x", "65536", "-1"):
        check_refusal(f"PORT={port}", "is not a port number", PORT=port)
    for bind in ("127.0.0.1; x", "a b", "*", "http://localhost"):
        check_refusal(f"BIND={bind}", "is not an address", BIND=bind)
    for bind in ("203.0.113.5", "2001:db8::5", "nothing.invalid"):
        check_refusal(f"BIND={bind}", f"BIND={bind} is not an address of this machine", BIND=bind)
    check_refusal("WEBSOCKET_MAX_MESSAGE=1M", "WEBSOCKET_MAX_MESSAGE", WEBSOCKET_MAX_MESSAGE="1M")
    check_refusal("DUPLEX_REDIS=x", "DUPLEX_REDIS is not a valid address", DUPLEX_REDIS="x")
    check_refusal("DUPLEX_REDIS_FILE=/nowhere/x", "DUPLEX_REDIS_FILE: /nowhere/x: No such file", DUPLEX_REDIS_FILE="/nowhere/x")
    for workers in ("x", "0", "-1"):
        check_refusal(f"DUPLEX_WORKERS={workers}", f"DUPLEX_WORKERS={workers} is not a number", WS="resident", DUPLEX_WORKERS=workers)
    for server in ("thttpd", "apache2", "../run", "lighttpd nginx", "*"):
        check_refusal(f"SERVER={server}", re.escape(f"SERVER={server} is not one of apache, caddy, haproxy, lighttpd, nginx"), SERVER=server)
    if os.geteuid() == 0:
        check_refusal("Apache as root", "Apache serves nothing as root", SERVER="apache")
    check_refusal("nothing built", "fcgi/duplex is not built", BUILD=TMP.name)
    with tempfile.TemporaryDirectory() as path:
        for program in pathlib.Path("/usr/bin").iterdir():
            if program.name != "websocketd":
                os.symlink(program, pathlib.Path(path) / program.name)
        check_refusal("a missing program", "websocketd is not installed", PATH=path)


def open_socket(site):
    """A WebSocket, so that there is a process of each kind."""
    client = socket.create_connection(("127.0.0.1", site.port))
    client.sendall(frames.HANDSHAKE)
    if not client.recv(4096).startswith(b"HTTP/1.1 101 "):
        raise RuntimeError(f"no WebSocket can be opened:\n{site.log()}")
    return client


EVERYTHING = ["duplex", "duplex", "echo", "guard", "lighttpd", "multiwatch", "redis-server", "sed", "websocketd"]


def names(site):
    return sorted(stack.name_of(pid) for pid in stack.descendants(site.launch.pid))


def check_signals():
    for sig in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        with stack.Stack(TMPDIR=TMP.name) as site, open_socket(site):
            tap.ok(stack.wait_until(lambda: names(site) == EVERYTHING), f"{sig.name}: before it, all programs run: {names(site)}")
            tap.equal(site.stop(sig), 0, f"{sig.name} ends it with status 0")
            tap.equal((site.left, os.listdir(TMP.name), site.unexpected()), ([], [], []), f"{sig.name} leaves no process, no file and no message")


def check_death(name):
    with stack.Stack(TMPDIR=TMP.name) as site, open_socket(site):
        everything = stack.descendants(site.launch.pid)
        os.kill(site.pid(name), signal.SIGKILL)
        tap.equal(site.launch.wait(30), 1, f"the launcher exits with 1 when {name} is killed")
        stack.wait_until(lambda: not any(map(stack.is_alive, everything)), 10)
        tap.equal(([stack.name_of(pid) for pid in everything if stack.is_alive(pid)], os.listdir(TMP.name)), ([], []), f"{name} is killed: no process and no file is left")
        tap.equal(site.unexpected(), [f"run: {name} ended with status 137"], f"{name} is killed: one line says why")


def check_worker_respawn():
    with stack.Stack(TMPDIR=TMP.name) as site:
        before = site.pids("duplex")
        for pid in before:
            os.kill(pid, signal.SIGKILL)

        def answers():
            return subprocess.run(["curl", "-s", "-m", "5", site.url("/echo?message=hi")], capture_output=True).stdout == b"hi"

        tap.ok(stack.wait_until(answers), "both FastCGI workers are killed: /echo is served again")
        tap.ok(not set(before) & set(site.pids("duplex")), "both FastCGI workers are killed: others serve it")
        site.stop()


def check_loopback():
    with stack.Stack(TMPDIR=TMP.name) as site:
        listening = subprocess.run(["ss", "-Hltnp"], capture_output=True, check=True).stdout.decode()
        pids = {site.pid("websocketd"), site.pid("lighttpd")}
        addresses = [line.split()[3] for line in listening.splitlines() if any(f"pid={pid}," in line for pid in pids)]
        tap.equal(len(addresses), 2, "websocketd and lighttpd listen on two ports")
        tap.ok(all(address.startswith("127.0.0.1:") for address in addresses), f"they listen on loopback alone: {addresses}")
        site.stop()


def check_websocketd_port():
    """A port that another program has is passed over without a word."""
    with tempfile.TemporaryDirectory() as directory:
        seed = pathlib.Path(directory, "seed.sh")  # read by each bash at its start
        while not all(map(is_free, ports := chosen_ports(seed))):
            pass
        with socket.create_server(("127.0.0.1", ports[0])), stack.Stack(TMPDIR=TMP.name, BASH_ENV=str(seed)) as site:
            tap.ok(stack.is_listening(ports[1], site.pid("websocketd")), "websocketd has the first port that is free")
            stack.finish(site)


def chosen_ports(seed):
    """The first two ports that the launcher chooses when it begins with a new seed."""
    seed.write_text(f"RANDOM={random.randrange(32768)}\n")
    command = ["bash", "-c", "echo $((20000 + RANDOM % 12000)) $((20000 + RANDOM % 12000))"]
    return [int(port) for port in subprocess.run(command, env={**os.environ, "BASH_ENV": str(seed)}, capture_output=True, check=True).stdout.split()]


def make(*arguments, **environment):
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS", "BUILD"))}
    return subprocess.Popen(["make", "-C", stack.ROOT, "--no-print-directory", "--assume-old=all", *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                            stderr=subprocess.STDOUT, env={**inherited, "TMPDIR": TMP.name, **environment})


def check_variables():
    """Whatever make run heeds is heard as an argument of make and in its environment, and the argument wins."""
    wanted = {"BUILD": str(stack.BUILD), "PORT": str(stack.free_port()), "BIND": "127.0.0.2", "SERVER": "nginx", "WEBSOCKET_ACCEPT_ALL": "1"}
    check_heard("as arguments", wanted, *(f"{name}={value}" for name, value in wanted.items()), PORT="1", SERVER="x")
    check_heard("in the environment", wanted, **wanted)
    for environment in ({"BUILD": "/nowhere"}, {"PORT": "x"}, {"BIND": "x y"}, {"SERVER": "iis"}, {"WEBSOCKET_MAX_MESSAGE": "x"}):
        (name, value), = environment.items()
        built = {} if name == "BUILD" else {"BUILD": str(stack.BUILD)}
        outputs = [process.communicate()[0].decode() for process in (make("run", f"{name}={value}", **built), make("run", **built, **environment))]
        tap.ok(value in outputs[0] or name in outputs[0], f"{name}={value} is refused: {outputs[0].splitlines()[0]}")
        tap.equal(outputs[1], outputs[0], f"{name}={value} in the environment is refused alike")


def check_heard(way, wanted, *arguments, **environment):
    with make("run", *arguments, **environment) as process:
        output = read_until(process, b"until Ctrl-C")
        tap.ok(f"http://127.0.0.2:{wanted['PORT']}/echo" in output, f"{way}: BIND and PORT are heard: {output.strip()}")
        names = [stack.name_of(pid) for pid in stack.descendants(process.pid)]
        tap.ok("nginx" in names, f"{way}: SERVER is heard: {names}")
        with socket.create_connection(("127.0.0.2", int(wanted["PORT"]))) as client:
            client.sendall(frames.HANDSHAKE.replace(b"/echo", b"/anything"))
            tap.ok(client.recv(4096).startswith(b"HTTP/1.1 101 "), f"{way}: WEBSOCKET_ACCEPT_ALL is heard")
        process.terminate()
        process.communicate()


def read_until(process, text):
    output = b""
    while text not in output and (part := os.read(process.stdout.fileno(), 4096)):
        output += part
    return output.decode()


def check_deps():
    """make deps knows the servers that make run knows."""
    for name in ("iis", "apache2", "../run", "lighttpd iis"):
        for process in (make("deps", f"SERVER={name}"), make("deps", SERVER=name)):
            output = process.communicate()[0].decode()
            tap.equal(process.returncode, 2, f"make deps with SERVER={name} is refused")
            tap.ok(f"SERVER={name} is not one of apache caddy haproxy lighttpd nginx" in output, f"make deps with SERVER={name} lists the servers: {output.strip()}")
    output = make("-n", "deps", "SERVER=apache").communicate()[0].decode()
    tap.ok(re.search(r" apache2\b", output) and "lighttpd" not in output, f"make deps SERVER=apache installs apache2: {output.strip()}")


check_arguments()
check_refusals()
check_signals()
check_death("websocketd")
check_death("lighttpd")
check_worker_respawn()
check_loopback()
check_websocketd_port()
check_variables()
check_deps()
tap.done()
