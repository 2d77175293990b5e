"""The systemd units as "make install" leaves them, and what systemd would do with their sockets."""
import os
import pathlib
import re
import shlex
import socket
import subprocess

import stack


def install(target, prefix, *variables):
    """Runs "make install" or "make uninstall" with what the tests have built."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    result = subprocess.run(["make", "-s", "-C", stack.ROOT, "--assume-old=all", target, f"BUILD={stack.BUILD}", f"PREFIX={prefix}", *variables],
                            capture_output=True, env=environment)
    return result.returncode, result.stdout.decode(), result.stderr.decode()


def read(path):
    """A unit's settings: each name of a section, with its values in order."""
    settings = {}
    section = None
    for line in pathlib.Path(path).read_text().splitlines():
        if line.startswith("["):
            section = line.strip("[]")
        elif "=" in line and not line.startswith("#"):
            name, _, value = line.partition("=")
            settings.setdefault((section, name), []).append(value)
    return settings


def environment(path):
    """The variables that a unit sets."""
    return dict(setting.partition("=")[::2] for setting in read(path).get(("Service", "Environment"), []))


def command(path):
    """Its command, with ${NAME} expanded as systemd does, which takes "$$" for a dollar sign."""
    values = environment(path)
    text = re.sub(r"(?<!\$)\$\{(\w+)\}", lambda match: values.get(match[1], ""), read(path)["Service", "ExecStart"][0])
    return shlex.split(text)


def for_machines(page):
    """What duplex(7) says, under "Several machines", to write to files: by the name before each of them."""
    section = re.search(r"^\.Ss Several machines\n(.*?)^\.Ss", pathlib.Path(page).read_text(), re.S | re.M)[1]
    found = re.findall(r"^\.(?:Pa|Ic systemctl edit) (\S+)[^\n]*\n(?:[^.\n][^\n]*\n)*\.Bd -literal[^\n]*\n(.*?)^\.Ed", section, re.S | re.M)
    return {name: text.replace(r"\(dq", '"') for name, text in found}


class HeldSocket:
    """A listening socket that outlives the programs it is given to, as that of a .socket unit does."""

    def __init__(self, path, backlog=1024):
        self.path = pathlib.Path(path)
        self.path.unlink(missing_ok=True)
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(path))
        self.listener.listen(backlog)
        if stack.USER:
            os.chown(path, stack.USER, stack.USER)

    def start(self, arguments, **options):
        return subprocess.Popen(arguments, stdin=self.listener, user=stack.USER, start_new_session=True, **options)

    def close(self):
        self.listener.close()
        self.path.unlink(missing_ok=True)
