#!/usr/bin/python3
""""make run" and its launcher: one clear line when it cannot start, and nothing left behind however it ends."""
import fcntl
import os
import pathlib
import pty
import re
import signal
import socket
import subprocess
import sys
import tempfile
import termios

sys.path.insert(0, f"{sys.path[0]}/../lib")
import frames
import stack
import tap

TMP = tempfile.TemporaryDirectory()


def launch(**environment):
    result = subprocess.run([stack.ROOT / "conf/run/launch"], capture_output=True, stdin=subprocess.DEVNULL, timeout=60,
                            env={**os.environ, "BUILD": str(stack.BUILD), "TMPDIR": TMP.name, **environment})
    return result.returncode, result.stdout.decode(), result.stderr.decode()


def check_refusal(name, wanted, **environment):
    status, output, errors = launch(**environment)
    tap.equal((status, output), (1, ""), f"{name}: status 1")
    tap.ok(re.fullmatch(rf"run: [^\n]*{wanted}[^\n]*\n", errors), f"and one line: {errors.strip()}")
    tap.equal(os.listdir(TMP.name), [], "and no file is left")


def check_refusals():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        check_refusal("a port in use", f"port {port} of 127.0.0.1 is in use", PORT=port)
    for port in ("0", "x", "65536", "-1"):
        check_refusal(f"PORT={port}", "is no port number", PORT=port)
    check_refusal("a limit that is none", "WEBSOCKET_MAX_MESSAGE is no number", WEBSOCKET_MAX_MESSAGE="1M")
    check_refusal("a server that is none", "SERVER=thttpd is not one of", SERVER="thttpd")
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
    tap.ok(client.recv(4096).startswith(b"HTTP/1.1 101 "), "a WebSocket is open")
    return client


def check_signals():
    for sig in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        with stack.Stack(TMPDIR=TMP.name) as site, open_socket(site):
            tap.ok(stack.wait_until(lambda: len(stack.descendants(site.launch.pid)) == 7), "lighttpd, two workers, websocketd, its log, an echo and Redis")
            tap.equal(site.stop(sig), 0, f"{sig.name} ends it with status 0")
            tap.equal((site.left, os.listdir(TMP.name), site.unexpected()), ([], [], []), "no process, file or message is left")


def check_death(name):
    with stack.Stack(TMPDIR=TMP.name) as site, open_socket(site):
        everything = stack.descendants(site.launch.pid)
        os.kill(site.pid(name), signal.SIGKILL)
        tap.equal(site.launch.wait(30), 1, f"{name} is killed: status 1")
        stack.wait_until(lambda: not any(map(stack.is_alive, everything)), 1)
        tap.equal(([stack.name_of(pid) for pid in everything if stack.is_alive(pid)], os.listdir(TMP.name)), ([], []), "nothing is left")
        tap.equal(site.unexpected(), [f"run: {name} ended with status 137"], "and one line says why")


def check_kill_launcher():
    with stack.Stack(TMPDIR=TMP.name) as site, open_socket(site):
        everything = stack.descendants(site.launch.pid)
        site.launch.kill()
        site.launch.wait()
        tap.ok(stack.wait_until(lambda: not any(map(stack.is_alive, everything)), 5), "the launcher is killed: its children end")
        for directory in pathlib.Path(TMP.name).iterdir():
            subprocess.run(["rm", "-r", directory], check=True)


def check_worker_respawn():
    with stack.Stack(TMPDIR=TMP.name) as site:
        before = site.pids("duplex")
        for pid in before:
            os.kill(pid, signal.SIGKILL)

        def answers():
            return subprocess.run(["curl", "-s", "-m", "5", site.url("/echo?message=hi")], capture_output=True).stdout == b"hi"

        tap.ok(stack.wait_until(answers, 10), "both FastCGI workers are killed: lighttpd starts others")
        tap.ok(not set(before) & set(site.pids("duplex")), "which are others")
        site.stop()


def check_loopback():
    with stack.Stack(TMPDIR=TMP.name) as site:
        listening = subprocess.run(["ss", "-Hltnp"], capture_output=True, check=True).stdout.decode()
        pids = {site.pid("websocketd"), site.pid("lighttpd")}
        addresses = [line.split()[3] for line in listening.splitlines() if any(f"pid={pid}," in line for pid in pids)]
        tap.equal(len(addresses), 2, "two ports are listened on")
        tap.ok(all(address.startswith("127.0.0.1:") for address in addresses), f"on loopback alone: {addresses}")
        site.stop()


def check_ctrl_c():
    """"make run" in a terminal of its own, ended as a person does it."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    controller, terminal = pty.openpty()
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}

    def take_terminal():
        os.setsid()
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)

    make = subprocess.Popen(["make", "-C", stack.ROOT, "--no-print-directory", "run", f"BUILD={stack.BUILD}", f"PORT={port}"],
                            stdin=terminal, stdout=terminal, stderr=terminal, preexec_fn=take_terminal,
                            env={**environment, "TMPDIR": TMP.name})
    os.close(terminal)
    output = b""
    while b"until Ctrl-C" not in output:
        output += os.read(controller, 4096)
    everything = stack.descendants(make.pid)
    os.write(controller, b"\x03")
    try:
        while part := os.read(controller, 4096):
            output += part
    except OSError:
        pass  # the terminal's other end is closed
    make.wait(30)
    os.close(controller)
    stack.wait_until(lambda: not any(map(stack.is_alive, everything)), 2)
    tap.ok(len(everything) >= 5 and not any(map(stack.is_alive, everything)), "one Ctrl-C ends make run, and no process is left")
    tap.equal(os.listdir(TMP.name), [], "nor a file")


check_refusals()
check_signals()
check_death("websocketd")
check_death("lighttpd")
check_kill_launcher()
check_worker_respawn()
check_loopback()
check_ctrl_c()
tap.done()
