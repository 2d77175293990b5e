"""
A machine of one's own for a test: it runs in namespaces where nothing listens, so that the ports that the shipped
configuration has are free, and where what it changes in /etc and the like is gone with it.
"""
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

import tap

PRIVATE = ("/etc", "/run", "/usr/local", "/var/cache/lighttpd", "/var/lib/apache2", "/var/lib/lighttpd", "/var/log")
INSIDE = "DUPLEX_TEST_NAMESPACE"


def enter():
    """Starts the calling test anew in namespaces of its own, and returns there."""
    if INSIDE in os.environ:
        copies = pathlib.Path(os.environ[INSIDE])
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
        for directory in PRIVATE:
            make_private(pathlib.Path(directory), copies / directory.strip("/").replace("/", "-"))
        pathlib.Path("/run/lock").mkdir()
        return
    if os.geteuid() != 0:
        tap.skip_all("only root can make namespaces, mounts and networks of its own")
    unshare = ["unshare", "--mount", "--net", "--pid", "--fork", "--kill-child", "--mount-proc"]
    probe = subprocess.run([*unshare, "true"], capture_output=True, text=True)
    if probe.returncode != 0:
        tap.skip_all(f"root cannot make namespaces, mounts and networks here: {probe.stderr.strip()}")
    with tempfile.TemporaryDirectory() as copies:
        result = subprocess.run([*unshare, sys.executable, *sys.argv], env={**os.environ, INSIDE: copies})
    sys.exit(result.returncode)


def make_private(directory, copy):
    """Puts a copy of the directory in its place; /run and /usr/local begin empty."""
    if directory.name in ("run", "local"):
        subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", directory], check=True)
    elif directory.exists():
        subprocess.run(["cp", "-a", directory, copy], check=True)
        subprocess.run(["mount", "--bind", copy, directory], check=True)
