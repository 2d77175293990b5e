"""What is measured, all started at once on ports of their own: websocketd, one lighttpd in front of everything, and the peers."""
import contextlib
import os
import pathlib
import random
import resource
import shutil
import signal
import socket
import subprocess
import tempfile

import figures
from ports import is_free

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
BUILD = pathlib.Path(os.environ.get("BUILD", ROOT / "build")).resolve()
os.environ["PATH"] += ":/usr/sbin:/sbin"

PYTHON = "/usr/bin/python3"
RESIDENT = "resident-echo"  # the path of the resident echo behind lighttpd, where /echo is by websocketd
PEERS = {  # the command before the port, and what shows that it is installed
    "resident": (["sh", "-c", f'exec spawn-fcgi -n -a 127.0.0.1 -p "$1" -- /usr/bin/multiwatch -f 2 -- {BUILD}/ws/echo', "resident"],
                 ["sh", "-c", "command -v spawn-fcgi && command -v multiwatch"]),
    "libwebsockets": ([BUILD / "bench/libwebsockets"], [BUILD / "bench/libwebsockets", "--help"]),
    "Node + ws": (["node", HERE / "peers/node-ws.js"], ["node", "-e", "require('ws')"]),
    "aiohttp": ([PYTHON, HERE / "peers/aiohttp_echo.py"], [PYTHON, "-c", "import aiohttp"]),
    "websockets": ([PYTHON, HERE / "peers/websockets_echo.py"], [PYTHON, "-c", "import websockets"]),
    "Channels": ([PYTHON, "-m", "daphne", "-v", "0", "-b", "127.0.0.1", "channels_echo:application", "-p"], [PYTHON, "-c", "import channels, daphne"]),
}
RESIDENT_CHAT = ["sh", "-c", f'exec spawn-fcgi -n -a 127.0.0.1 -p "$2" -- /usr/bin/multiwatch -f "$1" -- {BUILD}/ws/chat', "resident"]
PUSH_PEERS = {  # the same for what is published through Redis
    "resident chat": ([*RESIDENT_CHAT, "2"], PEERS["resident"][1]),
    "resident chat with 4 workers": ([*RESIDENT_CHAT, "4"], PEERS["resident"][1]),
    "ws + node-redis": (["node", HERE / "peers/node-push.js"], ["node", "-e", "require('ws'), require('redis')"]),
    "Channels + channels_redis": ([PYTHON, "-m", "daphne", "-v", "0", "-b", "127.0.0.1", "channels_push:application", "-p"],
                                  [PYTHON, "-c", "import channels, channels_redis.core, daphne"]),
}
BEHIND = ", behind lighttpd"  # after the name of one that is reached through it
FASTCGI = '\tfastcgi.server = ( "/" => ( ( "socket" => "@RUN@/smallest.sock", "bin-path" => "@RUN@/smallest-fcgi", "max-procs" => 2, ' \
          '"check-local" => "disable", "disable-time" => 0 ) ) )\n'
STATIC = '\tfastcgi.server = ()\n'
PROXY = '\tfastcgi.server = ()\n\tproxy.header = ( "upgrade" => "enable" )\n' \
        '\tproxy.server = ( "" => ( ( "host" => "127.0.0.1", "port" => @TO@, "disable-time" => 0 ) ) )\n'


def raise_limit(wanted=65536):
    """Allows descriptors for 4,000 clients, each of which takes four in websocketd and more at its start. Returns their number."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(wanted, hard), max(wanted, hard)))
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def is_installed(check):
    try:
        environment = {**os.environ, "NODE_PATH": "/usr/share/nodejs"}
        return check[-1] == "--help" and check[0].exists() or \
            check[-1] != "--help" and subprocess.run(check, env=environment, capture_output=True).returncode == 0
    except OSError:
        return False


class Systems:
    def __init__(self, peers=(*PEERS, *PUSH_PEERS)):
        self.run = pathlib.Path(tempfile.mkdtemp(prefix="duplex-bench."))
        self.processes = {}
        self.started = {}  # how each was started, and where it listens
        self.ports = self.free_ports()
        self.files = raise_limit()
        self.log = open(self.run / "log", "w+b")
        installed = [name for name in peers if is_installed({**PEERS, **PUSH_PEERS}[name][1])]
        self.peers = [name for name in installed if name in PEERS]
        self.push_peers = [name for name in installed if name in PUSH_PEERS]
        self.missing = [name for name in peers if name not in installed]
        self.direct = {}
        self.behind = {}
        self.push = {}
        try:
            self.start_all()
        except BaseException:
            self.stop()
            raise

    @staticmethod
    def free_ports():
        """Below those that the kernel gives to clients."""
        return filter(is_free, random.sample(range(12000, 32000), 2000))

    def start(self, name, command, where):
        environment = {"PATH": os.environ["PATH"], "NODE_PATH": "/usr/share/nodejs", "PYTHONPATH": str(HERE / "peers"), "PYTHONDONTWRITEBYTECODE": "1",
                       "DUPLEX_REDIS": str(self.run / "redis.sock"), "WEBSOCKET_MAX_PER_ADDRESS": "0", "DUPLEX_MAX_PUBLISH": "0"}
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log, env=environment)
        self.processes[name] = process
        self.started[name] = (command, where)
        if not figures.wait_until(lambda: self.is_open(where) or process.poll() is not None, 20) or process.poll() is not None:
            self.log.seek(0)
            raise RuntimeError(f"{name} does not start:\n{self.log.read().decode(errors='replace')[-2000:]}")

    @staticmethod
    def is_open(where):
        """A port, or the path of a socket."""
        is_port = isinstance(where, int)
        with socket.socket(socket.AF_INET if is_port else socket.AF_UNIX) as probe:
            return probe.connect_ex(("127.0.0.1", where) if is_port else str(where)) == 0

    def start_all(self):
        port = next(self.ports)
        (self.run / "ws").mkdir()
        for name, program in (("echo", BUILD / "ws/echo"), ("chat", BUILD / "ws/chat"), ("cat", "/bin/cat"), ("echo-musl", BUILD / "bench/echo-musl")):
            (self.run / "ws" / name).symlink_to(program)
        self.start_websocketd(port)
        self.direct.update({name: f"127.0.0.1:{port}/{path}" for name, path in (("duplex", "echo"), ("cat", "cat"), ("musl", "echo-musl"))})
        for name in self.peers:
            self.direct[name] = f"127.0.0.1:{(peer := next(self.ports))}/echo"
            self.start(name, [*PEERS[name][0], str(peer)], peer)
        if "resident" in self.peers:
            self.start_resident()
        self.start_lighttpd(port)
        if shutil.which("redis-server"):
            self.start_push(port)

    def start_websocketd(self, port):
        self.start("websocketd", ["websocketd", "--address=127.0.0.1", f"--port={port}", "--loglevel=fatal", "--passenv=DUPLEX_REDIS,DUPLEX_MAX_PUBLISH",
                                  f"--dir={self.run}/ws"], port)

    def start_resident(self):
        """Two workers of the echo on a UNIX socket, as the fragment has it; those on a port are for those who come directly."""
        (self.run / "resident").mkdir()
        (self.run / RESIDENT).symlink_to(BUILD / "ws/echo")
        where = self.run / f"resident/{RESIDENT}.sock"
        self.start(f"resident{BEHIND}", ["spawn-fcgi", "-n", "-s", str(where), "--", "/usr/bin/multiwatch", "-f", "2", "--", str(self.run / RESIDENT)], where)

    def restart(self, name):
        """It keeps the memory of the clients that it once had."""
        self.processes[name].terminate()
        self.processes[name].wait(10)
        figures.wait_until(lambda: not self.is_open(self.started[name][1]), 10)
        self.start(name, *self.started[name])

    def start_push(self, websocketd):
        """Redis, and what publishes through it: by address, and what a subscriber asks for to be told when it is one."""
        self.start("redis-server", ["redis-server", "--port", "0", "--unixsocket", str(self.run / "redis.sock"), "--dir", str(self.run),
                                    "--save", "", "--appendonly", "no"], self.run / "redis.sock")
        self.push["duplex"] = f"127.0.0.1:{websocketd}/chat?after=-1"
        self.push[f"duplex{BEHIND}"] = self.behind["duplex"].replace("/echo", "/chat?after=-1")
        for name, port in self.push_ports.items():
            path = "chat?after=-1" if name.startswith("resident") else "chat"
            self.push[name] = f"127.0.0.1:{port}/{path}"
            self.push[f"{name}{BEHIND}"] = f"{self.behind[name].partition('/')[0]}/{path}"
            self.start(name, [*PUSH_PEERS[name][0], str(port)], port)
            if name.startswith("resident"):
                command = [str(word).replace('-a 127.0.0.1 -p "$2"', '-s "$2"') for word in PUSH_PEERS[name][0]]
                self.start(f"{name}{BEHIND}", [*command, str(self.socket_of(name))], self.socket_of(name))

    def socket_of(self, name):
        """Of a resident chat behind lighttpd, where it is on a UNIX socket, as it is installed, and not the process that is reached directly."""
        return self.run / f"{name.replace(' ', '-').replace(',', '')}.sock"

    def proxy_for(self, name):
        return PROXY.replace('"127.0.0.1", "port" => @TO@', f'"{self.socket_of(name)}"') if name.startswith("resident") else PROXY

    def start_lighttpd(self, websocketd):
        port = next(self.ports)
        sockets = ""
        self.push_ports = {name: next(self.ports) for name in self.push_peers}
        proxied = [(name, PROXY) for name in self.peers if name != "resident"] + [(name, self.proxy_for(name)) for name in self.push_peers]
        for name, content in (("smallest", FASTCGI), ("static", STATIC), *proxied):
            self.behind[name] = f"127.0.0.1:{(front := next(self.ports))}/echo"
            to = str(self.push_ports.get(name) or self.direct.get(name, ":/").split(":")[1].split("/")[0])
            sockets += f'$SERVER["socket"] == "127.0.0.1:{front}" {{\n{content.replace("@TO@", to)}}}\n'
        self.behind["duplex"] = f"127.0.0.1:{port}/echo"
        if "resident" in self.peers:
            self.behind["resident"] = f"127.0.0.1:{port}/{RESIDENT}"
        text = (HERE / "lighttpd.conf").read_text().replace("@SOCKETS@", sockets)
        for at, value in (("RUN", self.run), ("PORT", port), ("FILES", self.files), ("CONNECTIONS", self.files // 2)):
            text = text.replace(f"@{at}@", str(value))
        (self.run / "lighttpd.conf").write_text(text)
        (self.run / "duplex-local.conf").write_text(
            f'var.duplex_paths := "^/(echo|chat|{RESIDENT})$"\n'
            f'var.duplex_resident := "{RESIDENT}"\nvar.duplex_sockets := "{self.run}/resident"\nvar.duplex_websocketd := ( "host" => "127.0.0.1", "port" => {websocketd} )\n'
            f'var.duplex_fastcgi := ( "socket" => "{self.run}/fcgi.sock", "bin-path" => "{self.run}/duplex --page={self.run}/html", "max-procs" => 2 )\n')
        for name, to in (("duplex.conf", ROOT / "conf/lighttpd.conf"), ("duplex", BUILD / "fcgi/duplex"), ("html", ROOT / "html"),
                         ("smallest-fcgi", BUILD / "bench/smallest-fcgi")):
            (self.run / name).symlink_to(to)
        (self.run / "static").mkdir()
        (self.run / "static/echo").write_text("Hello, World!")
        self.start("lighttpd", ["lighttpd", "-D", "-f", str(self.run / "lighttpd.conf")], port)

    def http_peers(self):
        """Those that answer HTTP too."""
        return [name for name in self.peers if name != "resident"]

    def pid(self, name):
        """Of the process that a WebSocket client of this system meets first."""
        if name not in self.processes:
            name = name.removesuffix(BEHIND)
        return self.processes["websocketd" if self.is_ours(name) else name].pid

    def is_ours(self, name):
        return name.removesuffix(BEHIND) not in (*self.peers, *self.push_peers)

    def push_pids(self, name):
        """Of all that a message passes through."""
        others = ["redis-server", "lighttpd"] if name.endswith(BEHIND) else ["redis-server"]
        return figures.family(self.pid(name)) + [self.processes[other].pid for other in others]

    def log_text(self):
        return (self.run / "log").read_text(errors="replace")

    def quiet(self):
        """Waits until no client's process is left."""
        return figures.wait_until(lambda: not figures.children(self.processes["websocketd"].pid), 30)

    def end_clients(self):
        """Those that hang do not end when their clients go: websocketd waits for them for ever."""
        if not figures.wait_until(lambda: not figures.children(self.processes["websocketd"].pid), 2):
            for pid in figures.children(self.processes["websocketd"].pid):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)

    def stop(self):
        for process in reversed(list(self.processes.values())):
            process.terminate()
        for process in self.processes.values():
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self.log.close()
        shutil.rmtree(self.run, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()
