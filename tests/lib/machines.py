"""
Several machines, each a network namespace: three hosts, which run "make run" each behind another web server, a front
between them and the clients, and Redis and the clients with the test itself. The addresses are those of conf/front, whose
files are used as they stand. For a test that has entered namespaces of its own (namespace.py), with which all of it goes.
"""
import contextlib
import ctypes
import http.server
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import urllib.parse

import stack

SITE, CLIENT = "192.0.2.1", "192.0.2.9"  # the front's address for clients, and theirs
FRONT, REDIS = "10.0.0.1", "10.0.0.2"    # on the network of the machines
CONF = stack.ROOT / "conf/front"

WHO = """#!/bin/sh
# tells each client who it is for the endpoint, and which host this is
printf '%s %s %s\\n' "$HTTP_X_FORWARDED_FOR" "$HTTP_X_FORWARDED_PROTO" "$(hostname -I)"
while read -r _; do :; done
"""

# what a host's site has beside that of "make run", by server: before which line, and what
BESIDE = {
    "lighttpd/lighttpd.conf.in": ('include "duplex.conf"\n', 'include "host-lighttpd.conf"\n'),
    "apache/apache.conf.in": ("<VirtualHost *>\n", 'LoadModule remoteip_module modules/mod_remoteip.so\nInclude "@RUN@/host-apache.conf"\n'),
    "nginx/nginx.conf.in": ("include duplex.conf;\n", "include host-nginx.conf;\n"),
}


def run(command):
    subprocess.run(command.split(), check=True, stdout=subprocess.DEVNULL)


def make_machine(name, address):
    """A namespace with this address on the network of the machines."""
    run(f"ip netns add {name}")
    run(f"ip link add {name} type veth peer name eth0 netns {name}")
    run(f"ip link set {name} master machines up")
    run(f"ip -n {name} addr add {address}/24 dev eth0")
    for device in ("eth0", "lo"):
        run(f"ip -n {name} link set {device} up")
    run(f"ip netns exec {name} sysctl -qw net.ipv4.ip_unprivileged_port_start=0")


def make_network():
    run("ip link add machines type bridge")
    run(f"ip addr add {REDIS}/24 dev machines")
    run("ip link set machines up")
    make_machine("front", FRONT)
    run("ip link add clients type veth peer name eth1 netns front")
    run(f"ip addr add {CLIENT}/24 dev clients")
    run(f"ip -n front addr add {SITE}/24 dev eth1")
    run("ip link set clients up")
    run("ip -n front link set eth1 up")


def make_tree(directory):
    """A copy of the tree where "make run" is a host behind the front, of a site that is called by the front's address."""
    tree = stack.copy_tree(directory, "fcgi", "ws")
    for name, (line, more) in BESIDE.items():
        template = tree / "conf/run" / name
        text = template.read_text()
        assert line in text
        template.write_text(text.replace(line, more + line))
        host = f"host-{template.parent.name}.conf"
        shutil.copy(CONF / host, template.parent / f"{host}.in")
    local = tree / "conf/run/lighttpd/duplex-local.conf.in"
    local.write_text(local.read_text().replace("@HOSTS@", re.escape(SITE)))
    (tree / "build/ws/who").write_text(WHO)
    (tree / "build/ws/who").chmod(0o755)
    return tree


def listener(name, port):
    """A listening socket in the namespace of this name, for the test itself."""
    found = []

    def listen():
        with open(f"/run/netns/{name}") as file:
            assert ctypes.CDLL(None).setns(file.fileno(), 0) == 0  # for this thread alone, which ends
        found.append(socket.create_server(("0.0.0.0", port)))

    thread = threading.Thread(target=listen)
    thread.start()
    thread.join()
    return found[0]


class Machine:
    """A program that runs in a namespace, and what it has logged."""

    def __init__(self, name):
        self.name = name
        self.log_file = tempfile.TemporaryFile("a+")
        self.process = None

    def spawn(self, *command, **environment):
        # all that it starts is in a namespace of processes, and is gone when the first of them is
        inside = ["nsenter", f"--net=/run/netns/{self.name}", "unshare", "--pid", "--fork", "--kill-child", "--mount-proc"]
        self.process = subprocess.Popen([*inside, *map(str, command)], cwd="/", env={**os.environ, **environment}, stdin=subprocess.DEVNULL,
                                        stdout=self.log_file, stderr=self.log_file)

    def log(self):
        return pathlib.Path(f"/proc/self/fd/{self.log_file.fileno()}").read_text(errors="backslashreplace")

    def said(self, pattern):
        return [line for line in self.log().splitlines() if re.search(pattern, line)]

    def pids(self, name):
        return [pid for pid in stack.descendants(self.process.pid) if stack.name_of(pid) == name and stack.is_alive(pid)]

    def crash(self):
        """Kills all processes at once: when the first process of a namespace is killed, the others are too."""
        self.end(signal.SIGKILL)

    def end(self, number):
        """Sends a signal to the first process, and returns the status with which it ends."""
        for pid in stack.children(self.process.pid):
            os.kill(pid, number)
        return self.process.wait(60)


class Host(Machine):
    def __init__(self, number, server, way, tree, redis):
        super().__init__(f"host-{number}")
        self.address = f"10.0.0.1{number}"
        self.server = server
        self.way = way
        self.tree = tree
        self.redis = redis
        make_machine(self.name, self.address)

    def start(self):
        self.starts = len(self.said("^run: http://"))
        self.spawn("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", self.tree / "conf/run/launch", SERVER=self.server, PORT="80",
                   BIND=self.address, BUILD=str(self.tree / "build"), DUPLEX_REDIS=self.redis, DUPLEX_MAX_PUBLISH="0", TMPDIR=tempfile.gettempdir(),
                   WS=self.way, WEBSOCKET_MAX_PER_ADDRESS="0")

    def is_up(self):
        return len(self.said("^run: http://")) > self.starts

    def clients(self):
        """Those of the chat."""
        pids = self.pids("chat")
        with contextlib.suppress(OSError, StopIteration):  # of a machine that is being ended
            return stack.count_clients(pids[0]) if pids and self.way == "resident" else len(pids)
        return 0

    def unplug(self):
        """Cuts the machine off: nothing reaches it or comes from it any more, not even the end of a connection."""
        run(f"ip link set {self.name} down")

    def plug(self):
        run(f"ip link set {self.name} up")

    def revive(self):
        self.plug()
        if self.process.poll() is not None:
            self.start()
        assert stack.wait_until(self.is_up, 60), self.log()


class Haproxy(Machine):
    """As Debian starts it: its own configuration, and ours."""

    def __init__(self):
        super().__init__("front")
        pathlib.Path("/run/haproxy").mkdir(exist_ok=True)
        self.spawn("haproxy", "-db", "-f", "/etc/haproxy/haproxy.cfg", "-f", CONF / "haproxy.cfg",
                   DUPLEX_HOST_1="10.0.0.11:80 send-proxy-v2-ssl check-send-proxy")

    def is_up(self, host, kind):
        """Whether the front takes the host to be up, for HTTP or for WebSockets."""
        with socket.socket(socket.AF_UNIX) as client:
            client.connect("/run/haproxy/admin.sock")
            client.sendall(b"show stat\n")
            lines = client.makefile().read().splitlines()
        rows = [dict(zip(lines[0].strip("# ").split(","), line.split(","))) for line in lines[1:] if line]
        return any(row["status"].startswith("UP") for row in rows if (row["pxname"], row["svname"]) == (f"hosts-{kind}", host.name))


class Apache(Machine):
    """As Debian starts it, with the commands that the file tells."""

    def __init__(self):
        super().__init__("front")
        text = (CONF / "apache.conf").read_text()
        run(re.search(r"a2enmod .*", text)[0])
        for setting in re.findall(r"net\.ipv4\.\w+ = \d+", text):
            run(f"ip netns exec front sysctl -qw {setting.replace(' ', '')}")
        site = pathlib.Path("/etc/apache2/sites-available/000-default.conf")
        site.write_text(site.read_text().replace("</VirtualHost>", f"Include {CONF}/apache.conf\n</VirtualHost>"))
        workers = pathlib.Path("/etc/apache2/mods-available/mpm_event.conf")
        workers.write_text(re.sub(r"(MaxRequestWorkers +)\d+", r"\g<1>400", workers.read_text()))
        pathlib.Path("/run/apache2").mkdir(exist_ok=True)
        self.spawn("bash", "-c", ". /etc/apache2/envvars && exec apache2 -DFOREGROUND")


class Thief:
    """Stands in for a host: it passes every check, takes each request, and breaks off without an answer."""

    def __init__(self, host):
        self.asked, self.posted = [], []
        thief = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                if self.headers["Upgrade"] or self.path == "/echo?message=":
                    self.send_response(101 if self.headers["Upgrade"] else 200)
                    self.end_headers()
                else:
                    thief.asked.append(self.path)

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                thief.posted += urllib.parse.parse_qs(body)["message"]

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("", 0), Handler, bind_and_activate=False)
        self.server.socket.close()
        self.server.socket = listener(host.name, 80)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()
