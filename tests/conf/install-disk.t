#!/usr/bin/python3
"""
"make install" onto a disk that fills up while it writes, at many points of it, with and without an older version there:
either all of it is installed, or nothing is changed.
"""
import pathlib
import re
import subprocess
import sys
import tempfile

sys.path.insert(0, f"{sys.path[0]}/../lib")
import namespace
import tap
import units

namespace.enter()


def tree(top):
    """Every path, with its kind and contents."""
    found = {}
    for path in sorted(top.rglob("*")):
        found[str(path)] = path.readlink() if path.is_symlink() else path.read_bytes() if path.is_file() else "a directory"
    return found


def kibibytes(path):
    return int(subprocess.run(["du", "-sk", path], check=True, capture_output=True, text=True).stdout.split()[0])


def older():
    """Makes what is installed an older version: other contents, and a page that the newer one does not have."""
    (disk / "local/libexec/duplex/echo").write_bytes(b"older")
    (disk / "local/etc/duplex/nginx.conf").write_bytes(b"edited")
    (disk / "local/share/duplex/html/gone.html").write_bytes(b"gone")
    with (disk / "local/share/duplex/installed").open("a") as installed:
        installed.write(f"file {disk}/local/share/duplex/html/gone.html\n")


def check_full(free, what):
    """With so much left on the disk."""
    before = tree(disk)
    subprocess.run(["mount", "-o", f"remount,{free}", disk], check=True)
    status, output, errors = units.install("install", disk / "local")
    # strip does not say that there is no space
    said = re.match(r"(install|strip|mkdir|ln|sed|sh|conf/install/files): .*\n(install: strip .*\n)?install: it failed, and nothing has been changed\n", errors)
    name = f"{what} on a disk with {free}"
    subprocess.run(["mount", "-o", "remount,size=64m,nr_inodes=10000", disk], check=True)
    if status != 0:
        if not tap.ok(said and output == "", f"{name} fails and says so"):
            print("".join(f"# {line}\n" for line in errors.splitlines()), end="")
        tap.ok(tree(disk) == before, f"{name} leaves everything as it was")
    return status == 0


with tempfile.TemporaryDirectory() as directory:
    disk = pathlib.Path(directory)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m,nr_inodes=10000", "tmpfs", disk], check=True)
    units.install("install", disk / "local")
    whole = kibibytes(disk)
    everything = tree(disk)
    inodes = len(everything)
    units.install("uninstall", disk / "local")
    for part in range(8, whole + 8, whole // 6):
        if check_full(f"size={part}k", "the first installation"):
            units.install("uninstall", disk / "local")
    for part in (5, 30, inodes // 2, inodes - 5):
        tap.ok(not check_full(f"nr_inodes={part}", "the first installation"), f"the first installation does not fit into {part} files")

    units.install("install", disk / "local")
    older()
    state = tree(disk)
    used, count = kibibytes(disk), len(state) + 1
    for part in range(8, whole, whole // 6):
        tap.ok(not check_full(f"size={used + part}k", "an upgrade"), f"an upgrade does not fit into {part} KiB")
    for part in (2, 30, inodes // 2):
        tap.ok(not check_full(f"nr_inodes={count + part}", "an upgrade"), f"an upgrade does not fit into {part} files")
    tap.ok(check_full("size=64m", "an upgrade"), "an upgrade works when there is space again")
    after = tree(disk)
    kept = {f"{disk}/local/etc/duplex/nginx.conf", f"{disk}/local/share/duplex/installed"}
    tap.equal([path for path in everything if after.get(path) != everything[path] and path not in kept], [], "an upgrade leaves every file as a new installation has it")
    tap.equal(sorted(set(after) - set(everything)), [], "an upgrade leaves no other file")
    subprocess.run(["umount", disk], check=True)
tap.done()
