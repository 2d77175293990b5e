"""Instructions of an endpoint from its start to its first read, and for a message, as callgrind counts them."""
import os
import pathlib
import re
import shutil
import subprocess
import tempfile

import systems

ENVIRONMENT = {"PATH": os.environ["PATH"], "GATEWAY_INTERFACE": "websocketd-CGI/0.1"}


def count(program, messages, *options):
    """Instructions in each part that callgrind wrote; every message is sent when the one before it is back."""
    with tempfile.TemporaryDirectory() as directory:
        output = pathlib.Path(directory) / "callgrind"
        command = ["valgrind", "-q", "--tool=callgrind", f"--callgrind-out-file={output}", *options, str(program)]
        with subprocess.Popen(command, env=ENVIRONMENT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
            for _ in range(messages):
                process.stdin.write(b"Hello, World!\n")
                process.stdin.flush()
                process.stdout.readline()
            process.stdin.close()
            process.wait(60)
        parts = sorted(pathlib.Path(directory).glob("callgrind*"))
        return [int(re.search(r"^(?:totals|summary): (\d+)", part.read_text(), re.M)[1]) for part in parts]


def to_first_read(program):
    """The part before the first call of the C library's read, by any of its names."""
    parts = count(program, 1, "--dump-before=read", "--dump-before=__read", "--dump-before=__libc_read")
    return parts[1] if len(parts) > 1 else None


def instructions():
    if shutil.which("valgrind") is None:
        return None
    found = {}
    for name, program in (("gcc -static", systems.BUILD / "ws/echo"), ("musl-gcc -static", systems.BUILD / "bench/echo-musl")):
        if program.exists():
            many, few = sum(count(program, 1100)), sum(count(program, 100))
            found[name] = {"to_first_read": to_first_read(program), "per_message": (many - few) / 1000, "bytes": program.stat().st_size}
    return found
