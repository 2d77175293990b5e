#!/usr/bin/python3
"""
"make deb": what is in the packages, that lintian finds nothing, and that they are the same bytes wherever they are built. They
are installed, upgraded, removed and purged on this Debian with a layer of memory over it, which systemd has never seen.
"""
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, f"{sys.path[0]}/../lib")
import namespace
import packaged
import stack
import tap

stack.need("dpkg-buildpackage", "dh", "lintian", "websocketd", "multiwatch", "systemctl")
if stack.SANITIZED:
    tap.does_not_apply("a package is built as dpkg says, never with sanitizers")
namespace.enter()
VERSION = re.search(r"^VERSION = (.*)$", (stack.ROOT / "Makefile").read_text(), re.M)[1]
ARCHITECTURE = subprocess.run(["dpkg", "--print-architecture"], check=True, capture_output=True, text=True).stdout.strip()
NAMES = [f"{name}_{VERSION}_{ARCHITECTURE}.deb" for name in ("duplex", "duplex-dev", "duplex-dbgsym")]
FRAGMENTS = ("Caddyfile", "apache.conf", "haproxy.cfg", "lighttpd.conf", "nginx.conf", "front/apache.conf", "front/haproxy.cfg",
             "front/host-apache.conf", "front/host-lighttpd.conf", "front/host-nginx.conf")
NEXT = ('duplex: nothing runs yet: "systemctl enable --now duplex-fcgi.socket duplex-ws", and man duplex says what your web server includes')
LINKS = {"sockets.target.wants/duplex-fcgi.socket", "multi-user.target.wants/duplex-ws.service", "sockets.target.wants/duplex-resident@echo.socket"}


def run(*command, **options):
    result = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", **options)
    return result.returncode, result.stdout


def must(what, *command, **options):
    status, output = run(*command, **options)
    if not tap.equal(status, 0, what):
        print("".join(f"# {line}\n" for line in output.splitlines()[-30:]), end="")
    return output


def build(tree, output, **environment):
    variables = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS")) and name != "BUILD"}
    must(f"make deb builds in {tree}", "make", "-s", "-C", tree, "deb", f"BUILD={output}", env={**variables, **environment})
    tap.equal(sorted(path.name for path in output.glob("*.deb")), sorted(NAMES), "make deb leaves the packages")


def contents(package):
    output = subprocess.run(["dpkg-deb", "--fsys-tarfile", package], check=True, capture_output=True).stdout
    return subprocess.run(["tar", "-t"], input=output, check=True, capture_output=True).stdout.decode().splitlines()


def check_contents(output):
    paths = contents(output / NAMES[0])
    wanted = [f"./etc/duplex/{name}" for name in FRAGMENTS]
    wanted += [f"./usr/lib/systemd/system/duplex-{name}" for name in ("fcgi.socket", "fcgi.service", "ws.service", "redis.service", "resident@.socket", "resident@.service")]
    wanted += ["./usr/sbin/duplex-fcgi", "./usr/libexec/duplex/echo", "./usr/libexec/duplex/chat", "./usr/libexec/duplex/serialize/echo",
               "./usr/share/duplex/html/echo.html", "./usr/share/man/man7/duplex.7.gz", "./usr/share/man/man8/duplex-fcgi.8.gz", "./usr/share/doc/duplex/copyright"]
    tap.equal([path for path in wanted if path not in paths], [], "duplex has the programs, pages, fragments, units and man pages")
    paths += contents(output / NAMES[1])
    wanted = ["./usr/include/duplex/websocket.h", "./usr/include/duplex/push.h", "./usr/share/man/man3/websocket.3.gz", "./usr/share/man/man3/websocket_send.3.gz"]
    tap.equal([path for path in wanted if path not in paths], [], "duplex-dev has the headers and their manual")
    tap.equal([path for path in paths if path.startswith(("./usr/local/", "./var", "./run")) or path.endswith("duplex/installed")], [], "nothing is where a package has nothing")
    conffiles = run("dpkg-deb", "--info", output / NAMES[0], "conffiles")[1].split()
    tap.equal(sorted(conffiles), sorted(f"/etc/duplex/{name}" for name in FRAGMENTS), "dpkg keeps the fragments when they are edited")
    status, found = run("lintian", "--fail-on", "error,warning", *(output / name for name in NAMES))
    found = [line for line in found.splitlines() if "root privileges" not in line]
    tap.equal((status, found), (0, []), "lintian finds nothing")


def check_again(output, top):
    """From the tarball, elsewhere, and by somebody with other settings."""
    tree = top / "elsewhere" / f"duplex-{VERSION}"
    tree.parent.mkdir()
    subprocess.run(["tar", "-xzf", output / f"duplex-{VERSION}.tar.gz", "-C", tree.parent], check=True)
    build(tree, top / "again", TZ="Asia/Tokyo", LC_ALL="C", CFLAGS="-O0", PREFIX="/opt", DESTDIR="/nowhere")
    for name in (*NAMES, f"duplex-{VERSION}.tar.gz"):
        tap.ok((output / name).read_bytes() == (top / "again" / name).read_bytes(), f"{name} has the same bytes when it is built again elsewhere")


class System:
    """This Debian in a layer of memory, entered by chroot."""

    def __init__(self, directory):
        self.layer = directory / "upper"
        self.root = directory / "root"
        directory.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "tmpfs", directory], check=True)
        for name in ("upper", "work", "root"):
            (directory / name).mkdir()
        subprocess.run(["mount", "-t", "overlay", "overlay", "-o", f"lowerdir=/,upperdir={self.layer},workdir={directory}/work", self.root], check=True)
        for name in ("proc", "dev"):
            subprocess.run(["mount", "--rbind", f"/{name}", self.root / name], check=True)
        for name in ("run", "usr/local"):
            subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", self.root / name], check=True)

    def run(self, *command):
        return run("chroot", self.root, "/usr/bin/env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "DEBIAN_FRONTEND=noninteractive", "LC_ALL=C.UTF-8", *command)

    def stand_in(self):
        """Puts tests/lib/systemctl in systemd's place, which runs in no chroot."""
        tree = self.root / "mnt/tree"
        tree.mkdir()
        subprocess.run(["mount", "--bind", stack.ROOT, tree], check=True)
        for name in ("lock", "systemctl"):
            (self.root / "run" / name).mkdir(mode=0o777)
        local = self.root / "usr/local/bin/systemctl"
        local.parent.mkdir()
        local.write_text("#!/bin/sh\nPYTHONDONTWRITEBYTECODE=1 exec /usr/bin/python3 /mnt/tree/tests/lib/systemctl \"$@\"\n")
        local.chmod(0o755)

    def must(self, what, *command):
        status, output = self.run(*command)
        if not tap.equal(status, 0, what):
            print("".join(f"# {line}\n" for line in output.splitlines()[-30:]), end="")
        return [line for line in output.splitlines() if line.startswith("duplex: ")]

    def copy(self, *packages):
        for package in packages:
            shutil.copy(package, self.root / "run")

    def left(self):
        """What is there and was not before, but for what dpkg, man-db and the linker know of it."""
        own = ("var/lib/dpkg", "var/cache", "var/log", "run", "dev", "proc", "etc/ld.so.cache")
        found = [str(path.relative_to(self.layer)) for path in self.layer.rglob("*")]
        return [path for path in found if not path.startswith(own) and not os.path.lexists(f"/{path}")]

    def links(self):
        directory = self.root / "etc/systemd/system"
        return {str(path.relative_to(directory)) for path in directory.rglob("*duplex*")}


def newer(package, directory):
    """The same package of the next version, in which two fragments have changed."""
    tree = directory / "newer"
    subprocess.run(["dpkg-deb", "--raw-extract", package, tree], check=True)
    control = tree / "DEBIAN/control"
    control.write_text(control.read_text().replace(f"Version: {VERSION}\n", f"Version: {VERSION}.1\n"))
    for name in ("apache.conf", "nginx.conf"):
        path = tree / "etc/duplex" / name
        path.write_text(path.read_text() + "# newer\n")
    result = directory / "newer.deb"
    subprocess.run(["dpkg-deb", "--build", "--root-owner-group", tree, result], check=True, capture_output=True)
    return result


def check_life(output, directory):
    system = System(directory / "life")
    system.copy(*(output / name for name in NAMES), newer(output / NAMES[0], directory))
    said = system.must("the packages are installed", "dpkg", "-i", f"/run/{NAMES[0]}", f"/run/{NAMES[1]}")
    tap.equal(said, [NEXT], "installing says in one line what to do next")
    tap.equal(system.links(), set(), "installing enables nothing")
    for program in ("/usr/sbin/duplex-fcgi", "/usr/sbin/duplex-check", "/usr/libexec/duplex/echo", "/usr/libexec/duplex/chat"):
        tap.equal(system.run(program, "--version"), (0, f"{pathlib.Path(program).name} (duplex) {VERSION}\n"), f"{program} runs")
    answer = system.run("REQUEST_METHOD=GET", "SCRIPT_NAME=/echo", "QUERY_STRING=message=hi", "/usr/sbin/duplex-fcgi", "--page=/usr/share/duplex/html")
    tap.ok(answer[0] == 0 and answer[1].endswith("\nhi"), f"the installed duplex-fcgi answers: {answer}")
    tap.equal(system.run("pkg-config", "--modversion", "duplex", "duplex-push"), (0, f"{VERSION}\n{VERSION}\n"), "pkg-config finds the installed library")
    source = system.root / "run/hello.c"
    source.write_text("#include <websocket.h>\nstatic void hello(struct websocket *ws)\n{\n\twebsocket_close(ws);\n}\nint main(void)\n{\n\treturn websocket_run(hello);\n}\n")
    system.must("an endpoint is built with the installed library", "sh", "-c", "cc -o /run/hello /run/hello.c $(pkg-config --cflags --libs duplex)")
    tap.equal(system.run("grep", "-rl", "/usr/local", "/etc/duplex", "/usr/lib/systemd/system/duplex-fcgi.service", "/usr/lib/systemd/system/duplex-ws.service")[1], "",
              "the installed fragments and units say nothing of /usr/local")

    system.must("systemctl enables the units", "systemctl", "enable", "duplex-fcgi.socket", "duplex-ws", "duplex-resident@echo.socket")
    tap.equal(system.links() & LINKS, LINKS, "what an administrator enables is enabled")
    fragment = system.root / "etc/duplex/apache.conf"
    fragment.write_text(fragment.read_text() + "# mine\n")
    said = system.must("the package is upgraded", "dpkg", "--force-confdef", "--force-confold", "-i", "/run/newer.deb")
    tap.equal(said, [], "an upgrade has nothing to say")
    tap.ok(fragment.read_text().endswith("# mine\n") and fragment.with_name("apache.conf.dpkg-dist").exists(), "an upgrade keeps an edited fragment, and puts the new one beside it")
    tap.ok((system.root / "etc/duplex/nginx.conf").read_text().endswith("# newer\n"), "an upgrade replaces a fragment that was not edited")
    tap.equal(system.links() & LINKS, LINKS, "what was enabled is so after an upgrade")

    system.must("the packages are removed", "dpkg", "-r", "duplex", "duplex-dev")
    tap.ok(fragment.exists() and not (system.root / "usr/sbin/duplex-fcgi").exists(), "removing leaves the fragments alone")
    system.must("the packages are purged", "dpkg", "-P", "duplex", "duplex-dev")
    tap.equal(system.left(), [], "purging leaves nothing")
    tap.equal(system.links(), set(), "purging leaves no unit enabled")


def check_after_install(output, directory):
    """Where "make install" came before."""
    system = System(directory / "before")
    system.copy(output / NAMES[0])
    for name, text in (("lib/systemd/system/duplex-ws.service", "[Unit]\n"), ("share/duplex/conf/nginx.conf", "old\n"), ("etc/duplex/nginx.conf", "old, edited\n"),
                       ("share/duplex/conf/front/apache.conf", "old\n"), ("etc/duplex/front/apache.conf", "old\n")):
        path = system.root / "usr/local" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    said = system.must("the package is installed over make install", "dpkg", "-i", f"/run/{NAMES[0]}")
    tap.equal(sorted(said), sorted([NEXT,
        'duplex: units in /usr/local/lib/systemd/system, from "make install", hide those of the package until "make uninstall" removes them: duplex-ws.service',
        "duplex: /usr/local/etc/duplex/nginx.conf was edited: merge into /etc/duplex/nginx.conf what this shows: "
        "diff -u /usr/local/share/duplex/conf/nginx.conf /usr/local/etc/duplex/nginx.conf"]), "units of make install and an edited fragment are named")


PATH = "PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def check_way(system, server, section, wanted):
    lines = packaged.commands(system.root, section, server)
    tap.ok(2 <= len(lines) <= 3, f"behind {server} it takes {len(lines)} commands to {section.lower()}")
    if (server, section) == ("Apache", packaged.ENABLE):
        readme = (stack.ROOT / "README.md").read_text()
        tap.equal(re.search(r"Behind Apache:\n\n```sh\n(.*?)```", readme, re.S)[1].splitlines(), lines, "the README has the commands of the manual")
    for line in lines:
        system.must(f"behind {server}: {line}", "env", PATH, "sh", "-c", line)
    if not tap.ok(stack.wait_until(lambda: packaged.echo() == "Hello, World!" and packaged.message() == wanted, 60),
                  f"/echo answers both ways behind {server}, after the commands to {section.lower()}"):
        print("".join(f"# {line}\n" for line in (system.root / "run/systemctl/log").read_text().splitlines()), end="")


def check_site(output, directory, server):
    """The package and the commands of its manual, and /echo is there both ways, run by websocketd and then resident."""
    service = packaged.SERVICES[server]
    system = System(directory / service)
    system.copy(output / NAMES[0])
    system.must(f"the package is installed for {server}", "dpkg", "-i", f"/run/{NAMES[0]}")
    system.stand_in()
    check_way(system, server, packaged.ENABLE, "a")
    check_way(system, server, packaged.RESIDENT, "a\nb")
    system.must(f"{server} stops", "env", PATH, "systemctl", "stop", service, *packaged.UNITS)
    tap.ok(stack.wait_until(packaged.is_quiet), f"nothing is left of {server}")
    system.must(f"the package is purged behind {server}", "dpkg", "-P", "duplex")
    left = [path for path in system.left() if "duplex" in path and not path.startswith(("usr/local", "mnt", "tmp"))]
    tap.equal(left, [packaged.WRITTEN[server]], f"purging leaves nothing behind {server} but what the administrator has written")
    tap.ok(not (system.root / "run/duplex").exists(), f"purging leaves no socket behind {server}")
    system.must(f"{server} can start once the package is purged", *packaged.CHECKS[server].split())


with tempfile.TemporaryDirectory() as name:
    top = pathlib.Path(name)
    top.chmod(0o755)
    build(stack.ROOT, top / "built")
    check_contents(top / "built")
    check_again(top / "built", top)
    check_life(top / "built", top)
    check_after_install(top / "built", top)
    check_site(top / "built", top, "Apache")
    check_site(top / "built", top, "lighttpd")
    for mount in ("lighttpd", "apache2", "before", "life"):
        subprocess.run(["umount", "--recursive", "--lazy", top / mount], check=True)
tap.done()
