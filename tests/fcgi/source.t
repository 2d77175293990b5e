#!/usr/bin/python3
"""The pages link to the source if the build was given its address, and to nothing otherwise."""
import os
import re
import subprocess
import sys
import tempfile

sys.path.insert(0, f"{sys.path[0]}/../lib")
import stack
import tap

ADDRESS = "https://example.org/duplex"


def page(program, path):
    """What the program prints for the path, as a CGI program."""
    return subprocess.run([program, f"--page={stack.ROOT}/html"], capture_output=True,
                          env={"REQUEST_METHOD": "GET", "SCRIPT_NAME": path, "QUERY_STRING": ""}).stdout.decode()


with tempfile.TemporaryDirectory() as build:
    environment = {name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL")}
    made = subprocess.run(["make", "-s", "-C", stack.ROOT, f"BUILD={build}", f"SOURCE_URL={ADDRESS}", f"{build}/fcgi/duplex"], capture_output=True, env=environment)
    tap.equal((made.returncode, made.stderr.decode()), (0, ""), "make takes the address of the source")
    for path in ("/echo", "/chat"):
        links = re.findall(r'<nav>.*</nav>', page(f"{build}/fcgi/duplex", path))
        tap.ok(len(links) == 1 and f'<a href="{ADDRESS}" data-word="source">Source</a></nav>' in links[0], f"{path} links to it")
        text = page(stack.BUILD / "fcgi/duplex", path)
        tap.ok("<nav>" in text and "Source" not in text and "{source}" not in text, f"{path} has no such link without an address")
tap.done()
