#!/usr/bin/python3
"""
Every way in which "make run" is stopped: signals to make alone and to all, terminals that go away, su, and SIGKILL. Each time
a WebSocket is open to an endpoint that heeds neither SIGTERM nor the end of its input. No process is left and no file.
"""
import contextlib
import fcntl
import os
import pathlib
import pty
import pwd
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import termios
import time

sys.path.insert(0, f"{sys.path[0]}/../lib")
import frames
import stack
import tap

stack.need("bash", "make", "su")

DEAF = """#!/bin/sh
trap '' TERM HUP INT
exec <&-
while :; do sleep 0.5; done
"""
KINDS = {"launch", "guard", "lighttpd", "multiwatch", "duplex", "websocketd", "sed", "redis-server", "deaf"}


def processes():
    """All that was started here: what has the folder of temporary files in its environment or its arguments."""
    found = {}
    for directory in pathlib.Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if TMP.encode() in (directory / "environ").read_bytes() + (directory / "cmdline").read_bytes():
                found[int(directory.name)] = stack.name_of(directory.name)
    return found


def pids(name):
    return [pid for pid, one in processes().items() if one == name]


def check_nothing_left(name, seconds=15):
    stack.wait_until(lambda: not processes() and not os.listdir(TMP), seconds)
    tap.equal((processes(), os.listdir(TMP)), ({}, []), f"{name}: no process and no file is left")


def kill_rest():
    """So that what one way leaves is not taken for another's."""
    for pid in processes():
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    for name in os.listdir(TMP):
        shutil.rmtree(f"{TMP}/{name}", ignore_errors=True)


class Terminal:
    """A terminal with a program as the leader of its session, as under ssh -t and xterm -e."""

    def __init__(self, *command):
        self.controller, terminal = pty.openpty()
        self.output = b""

        def lead():
            os.setsid()
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)

        self.process = subprocess.Popen(command, stdin=terminal, stdout=terminal, stderr=terminal, preexec_fn=lead, env=ENVIRONMENT, cwd=TREE)
        os.close(terminal)

    def has(self, text):
        """Whether the text is shown before the program ends."""
        with contextlib.suppress(OSError):  # the terminal's other end is closed
            while text not in self.output and (part := os.read(self.controller, 4096)):
                self.output += part
        return text in self.output

    def write(self, text):
        os.write(self.controller, text)

    def go_away(self):
        os.close(self.controller)
        self.controller = None

    def close(self):
        if self.controller is not None:
            self.has(b"\0")  # takes in the rest, which the program may wait for
            self.go_away()
        self.process.wait(30)


class Pipe:
    """No terminal at all, as under a service manager or cron."""

    def __init__(self, *command):
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                        start_new_session=True, env=ENVIRONMENT, cwd=TREE)
        self.controller = self.process.stdout.fileno()
        self.output = b""

    has = Terminal.has

    def close(self):
        self.has(b"\0")
        self.process.stdout.close()
        self.process.wait(30)


def make_run():
    """The command, with a port of its own; what is built here is not built again."""
    return ["make", "--no-print-directory", "--assume-old=all", "run", f"PORT={stack.free_port()}"]


@contextlib.contextmanager
def running(way, *command, typed=None):
    """One way to run it: started, and with a client."""
    run = way(*command)
    try:
        if typed:
            run.write(typed)
        if not run.has(b"until Ctrl-C"):
            raise RuntimeError(run.output.decode())
        port = int(re.search(rb"http://127\.0\.0\.1:(\d+)/", run.output)[1])
        with socket.create_connection(("127.0.0.1", port)) as client:
            client.sendall(frames.HANDSHAKE.replace(b"/echo", b"/deaf"))
            client.settimeout(30)
            complete = client.recv(4096).startswith(b"HTTP/1.1 101 ") and stack.wait_until(lambda: KINDS <= set(processes().values()))
            if not complete:
                tap.ok(False, f"everything runs: {sorted(processes().values())}, {run.output}")
            yield run
        kill_rest()
        run.close()
    finally:
        kill_rest()


def check_signals_to_make():
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT):
        with running(Pipe, *make_run()) as run:
            run.process.send_signal(number)
            check_nothing_left(f"{number.name} to make alone")


def check_signals_to_launcher():
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT):
        with running(Pipe, *make_run()):
            os.kill(*pids("launch"), number)
            check_nothing_left(f"{number.name} to the launcher alone")


def check_kill():
    with running(Pipe, *make_run()) as run:
        run.process.kill()
        check_nothing_left("SIGKILL to make")
    with running(Pipe, *make_run()):
        os.kill(*pids("launch"), signal.SIGKILL)
        check_nothing_left("SIGKILL to the launcher")
    with running(Pipe, *make_run()) as run:
        os.killpg(run.process.pid, signal.SIGKILL)
        check_nothing_left("SIGKILL to make and the launcher at once")


def check_terminal():
    with running(Terminal, *make_run()) as run:
        run.write(b"\x03")
        check_nothing_left("Ctrl-C in a terminal that make leads")
    with running(Terminal, *make_run()) as run:
        run.go_away()
        check_nothing_left("a terminal that make leads goes away")
    with running(Terminal, "sh", "-c", f"{shlex.join(make_run())}; true") as run:
        run.go_away()
        check_nothing_left("a terminal that a shell with this one command leads goes away")
    shell = ("bash", "--norc", "--noprofile", "-i")
    with running(Terminal, *shell, typed=f"{shlex.join(make_run())}\n".encode()) as run:
        run.write(b"\x03")
        check_nothing_left_but_shell("Ctrl-C in the terminal of a person's shell")
        run.write(b"exit\n")
    with running(Terminal, *shell, typed=f"{shlex.join(make_run())}\n".encode()) as run:
        run.go_away()
        check_nothing_left("the terminal of a person's shell goes away")


def check_nohup():
    """What is meant to outlive its terminal does."""
    with running(Terminal, "sh", "-c", f": >{TMP}/log; nohup {shlex.join(make_run())} >{TMP}/log 2>&1 & tail -f {TMP}/log") as run:
        run.go_away()
        run.process.wait(30)
        time.sleep(2)  # in which it would end
        tap.ok(KINDS <= set(processes().values()), f"under nohup it outlives its terminal: {sorted(processes().values())}")
        for pid in pids("launch"):
            os.kill(pid, signal.SIGTERM)
        stack.wait_until(lambda: not pids("launch"))
        os.unlink(f"{TMP}/log")
        check_nothing_left("SIGTERM under nohup")


def check_nothing_left_but_shell(name):
    stack.wait_until(lambda: set(processes().values()) == {"bash"} and not os.listdir(TMP), 15)
    tap.equal((list(processes().values()), os.listdir(TMP)), (["bash"], []), f"{name}: no process and no file is left")


def check_su():
    """su gives the command a session of its own, without the terminal, and SIGTERM for Ctrl-C."""
    if os.geteuid() != 0:
        tap.ok(True, "su asks for no password # SKIP needs root")
        return
    user = pwd.getpwuid(stack.USER).pw_name
    command = ["make", "-C", str(TREE), *make_run()[1:], f"TMPDIR={TMP}"]
    for login in ([], ["-"]):
        with running(Terminal, "su", *login, user, "-s", "/bin/sh", "-c", shlex.join(command)) as run:
            run.write(b"\x03")
            check_nothing_left(f"Ctrl-C under su{' -' * len(login)}")
        with running(Terminal, "su", *login, user, "-s", "/bin/sh", "-c", shlex.join(command)) as run:
            run.go_away()
            check_nothing_left(f"the terminal of su{' -' * len(login)} goes away")


def check_any_moment():
    """At moments of its start, which takes about 0.4 seconds: SIGTERM to make, and SIGINT to its process group, as for Ctrl-C."""
    for step in range(16):
        for kill, number in ((os.kill, signal.SIGTERM), (os.killpg, signal.SIGINT)):
            make = subprocess.Popen(make_run(), env=ENVIRONMENT, cwd=TREE, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                    stderr=subprocess.DEVNULL, start_new_session=True)
            with contextlib.suppress(subprocess.TimeoutExpired):
                make.wait(step * 0.04)
            with contextlib.suppress(ProcessLookupError):  # its port was somebody else's
                kill(make.pid, number)
            check_nothing_left(f"{number.name} {step * 40} ms after the start", 30)
            kill_rest()
            make.wait(30)


with tempfile.TemporaryDirectory() as directory:
    TREE = stack.copy_tree(directory, "fcgi", "ws")
    (TREE / "build/ws/deaf").write_text(DEAF)
    (TREE / "build/ws/deaf").chmod(0o755)
    TMP = f"{directory}/tmp"
    os.mkdir(TMP)
    os.chmod(TMP, 0o1777)
    ENVIRONMENT = {**{name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS", "BUILD"))}, "TMPDIR": TMP}
    check_signals_to_make()
    check_signals_to_launcher()
    check_kill()
    check_terminal()
    check_nohup()
    check_su()
    check_any_moment()
tap.done()
