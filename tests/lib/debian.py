"""
A bare Debian of any release, for a test that plays its first user: made by debootstrap in a file system in memory, with
processes and a network of its own. It is entered by pivot_root and not by chroot, inside of which no namespace can be made.
Whatever ends the test, nothing is left: mounts, processes and files go with the namespaces.
"""
import ctypes
import http.server
import os
import pathlib
import queue
import re
import shutil
import socket
import subprocess
import tempfile
import threading
import time
import urllib.error
import urllib.request

import stack

CACHE = pathlib.Path(os.environ.get("XDG_CACHE_HOME", pathlib.Path.home() / ".cache"), "duplex/packages")
UNUSED = 30 * 86400  # seconds after which a package leaves the cache
PORT = 3142          # of the packages, within
ROOMS = pathlib.Path("/mnt")  # exists on every Debian; within the namespace it is the file system in memory
CLONE_NEWNS, CLONE_NEWNET = 0x00020000, 0x40000000

ENTER = """
cd "$1"
mount --bind . .
cd "$1"
hostname -F etc/hostname
mount -t proc proc proc
mount --rbind /sys sys
mount -t devpts -o newinstance,ptmxmode=666,mode=620,gid=5 devpts dev/pts
ln -sf pts/ptmx dev/ptmx
mount -t tmpfs -o mode=1777 shm dev/shm
mount -t tmpfs -o mode=755 run run
mkdir -m 1777 run/lock
mkdir old
pivot_root . old
umount -l old
rmdir old
trap '' CHLD  # so that the kernel buries orphans
exec sleep infinity
"""


def mirrors():
    """The archives that apt uses on this machine: their addresses, by name."""
    lines = subprocess.run(["apt-get", "indextargets", "--format", "$(LABEL) $(REPO_URI)", "Created-By: Packages", "Origin: Debian"],
                           check=True, capture_output=True, text=True).stdout.splitlines()
    found = dict(line.split() for line in lines)
    if "Debian" not in found:
        raise RuntimeError("apt knows no archive of Debian here: apt-get update comes first")
    return {name: found[label].rstrip("/") for label, name in (("Debian", "debian"), ("Debian-Security", "debian-security")) if label in found}


def registry():
    """The registry that npm uses on this machine: its address, by name; nothing where npm is not installed."""
    if not shutil.which("npm"):
        return {}
    result = subprocess.run(["npm", "config", "get", "registry"], check=True, capture_output=True, text=True)
    return {"npm": result.stdout.strip().rstrip("/")}


class Packages(http.server.BaseHTTPRequestHandler):
    """The machine's archives and npm's registry, for those who have no other way out; packages are kept from run to run."""
    protocol_version = "HTTP/1.1"
    archives = {}

    def do_GET(self):
        path = self.path.lstrip("/")
        kept = CACHE / path
        if ".." in kept.parts or path.split("/")[0] not in self.archives:
            self.send_error(404)
            return
        try:
            with open(kept, "rb") if kept.is_file() else self.bring(path, kept) as file:
                self.send_response(200)
                self.send_header("Content-Length", str(os.fstat(file.fileno()).st_size))
                self.end_headers()
                shutil.copyfileobj(file, self.wfile)
        except urllib.error.HTTPError as error:
            self.send_error(error.code)
        except (ConnectionError, urllib.error.URLError, TimeoutError):
            self.close_connection = True

    def bring(self, path, kept):
        """The file from its archive, which is kept if it will never change."""
        archive, _, rest = path.partition("/")
        is_package = rest.startswith("pool/") or rest.endswith(".tgz")
        file = tempfile.NamedTemporaryFile(dir=CACHE, delete=False)
        try:
            with urllib.request.urlopen(f"{self.archives[archive]}/{rest}", timeout=60) as source:
                if archive == "npm" and not is_package:  # what npm is told of a package names the addresses of its files
                    file.write(source.read().replace(self.archives["npm"].encode(), address("npm").encode()))
                else:
                    shutil.copyfileobj(source, file)
            if is_package:
                kept.parent.mkdir(parents=True, exist_ok=True)
                os.link(file.name, kept)
        except FileExistsError:
            pass  # another request has brought it meanwhile
        except BaseException:
            file.close()
            raise
        finally:
            os.unlink(file.name)
        file.seek(0)
        return file

    def log_message(self, *_):
        pass


def drop_unused():
    for path in CACHE.rglob("*"):
        if path.is_file() and time.time() - path.stat().st_mtime > UNUSED:
            path.unlink()


def address(archive):
    """Where this archive is reached within."""
    return f"http://127.0.0.1:{PORT}/{archive}"


def serve(listeners):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Packages, bind_and_activate=False)
    server.socket = listeners.get()
    server.serve_forever()


def leave_machine():
    """From here on this process, but not the thread that brings packages, has a network and mounts of its own."""
    Packages.archives = mirrors() | registry()
    CACHE.mkdir(parents=True, exist_ok=True)
    drop_unused()
    listeners = queue.Queue()
    threading.Thread(target=serve, args=(listeners,), daemon=True).start()
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNS | CLONE_NEWNET) < 0:
        raise OSError(ctypes.get_errno(), "a network and mounts of its own (unshare) take root, and the right to make them")
    for command in ("ip link set lo up", "mount --make-rprivate /", f"mount -t tmpfs -o mode=755 tmpfs {ROOMS}"):
        subprocess.run(command.split(), check=True)
    listeners.put(socket.create_server(("127.0.0.1", PORT), backlog=64))


def bootstrap(suite, packages):
    """A directory with this release and these packages, and nothing else."""
    root = ROOMS / suite
    archives = {name: address(name) for name in Packages.archives}
    result = subprocess.run(["debootstrap", "--variant=minbase", f"--include={','.join(packages)}", suite, root, archives["debian"]],
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if result.returncode:
        raise RuntimeError(f"debootstrap:\n{result.stdout}")
    sources = [f"deb {archives['debian']} {suite} main", f"deb {archives['debian']} {suite}-updates main"]
    if "debian-security" in archives:
        sources.append(f"deb {archives['debian-security']} {suite}-security main")
    (root / "etc/apt/sources.list").write_text("\n".join(sources) + "\n")
    settings = subprocess.run(["apt-config", "dump"], check=True, capture_output=True, text=True).stdout
    (root / "etc/apt/apt.conf.d/80archives").write_text("".join(re.findall(r"^Acquire::Check-.*\n", settings, re.M)))
    if "npm" in archives:
        (root / "etc/environment").write_text(f"npm_config_registry={archives['npm']}/\n")
    (root / "etc/hostname").write_text("fresh\n")
    (root / "etc/hosts").write_text("127.0.0.1\tlocalhost\n127.0.1.1\tfresh\n::1\tlocalhost ip6-localhost ip6-loopback\n")
    return root


class Debian:
    """A copy of such a directory, entered; its first process only waits."""

    def __init__(self, base):
        self.root = base.with_name(f"{base.name}-entered")
        subprocess.run(["cp", "-a", base, self.root], check=True)
        self.unshare = subprocess.Popen(["setpriv", "--pdeathsig", "KILL", "unshare", "--mount", "--pid", "--ipc", "--uts", "--fork", "--kill-child",
                                         "sh", "-euc", ENTER, "enter", self.root], stdin=subprocess.DEVNULL)
        entered = stack.wait_until(lambda: any(stack.name_of(pid) == "sleep" for pid in stack.children(self.unshare.pid)), 60)
        if not entered:
            raise RuntimeError(f"cannot enter {self.root}")
        (self.first,) = stack.children(self.unshare.pid)
        self.inside = ["nsenter", "-t", str(self.first), "--mount", "--pid", "--ipc", "--uts"]

    def run(self, command, user="root"):
        """The exit status of a command and what it printed."""
        result = subprocess.run([*self.inside, "su", "-", user, "-c", command], stdin=subprocess.DEVNULL,
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace")
        return result.returncode, result.stdout

    def must(self, command):
        status, output = self.run(command)
        if status:
            raise RuntimeError(f"{command}: {status}\n{output}")
        return output

    def put(self, source, files, directory, owner):
        """Copies these files into a directory of this user's."""
        target = self.root / directory.lstrip("/")
        target.mkdir()
        subprocess.run(["tar", "-C", source, "-c", "--null", "-T", "-", "-f", target.with_suffix(".tar")], input="\0".join(files).encode(), check=True)
        subprocess.run(["tar", "-C", target, "-xf", target.with_suffix(".tar")], check=True)
        target.with_suffix(".tar").unlink()
        self.must(f"chown -R {owner} {directory}")

    def processes(self):
        """The names of what runs, the first process left out."""
        space = os.readlink(f"/proc/{self.first}/ns/pid")
        found = []
        for process in pathlib.Path("/proc").glob("[0-9]*"):
            try:
                if os.readlink(process / "ns/pid") == space and int(process.name) != self.first and stack.is_alive(process.name):
                    found.append(stack.name_of(process.name))
            except OSError:
                pass  # it has just ended
        return sorted(found)

    def files(self):
        """Every path, but for those of the kernel."""
        return set(self.must(r"find / \( -path /proc -o -path /sys -o -path /dev/pts \) -prune -o -print").splitlines())

    def close(self):
        self.unshare.kill()
        self.unshare.wait()
        shutil.rmtree(self.root)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class Terminal:
    """A terminal in such a Debian with somebody's interactive shell, whose prompt says how the last command ended."""

    def __init__(self, debian, user):
        self.text = ""
        self.seen = 0  # how much of it has been waited for
        self.process = subprocess.Popen([*debian.inside, "script", "-qfc", f"su - {user}", "/dev/null"], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        threading.Thread(target=self.read, daemon=True).start()
        self.type("PS1='prompt:$?:'\n")
        self.status(60)

    def read(self):
        while part := os.read(self.process.stdout.fileno(), 65536):
            self.text += part.decode(errors="replace")

    def type(self, text):
        self.process.stdin.write(text.encode())
        self.process.stdin.flush()

    def wait_for(self, pattern, seconds):
        """The match, in what has come since the last one; None if it does not come."""
        stack.wait_until(lambda: re.search(pattern, self.text[self.seen:]), seconds)
        match = re.search(pattern, self.text[self.seen:])
        if match:
            self.seen += match.end()
        return match

    def status(self, seconds):
        """The exit status of what was typed; None if it does not end."""
        match = self.wait_for(r"prompt:(\d+):", seconds)
        return match and int(match[1])

    def close(self):
        self.type("exit\n")
        self.process.wait(60)
