#!/usr/bin/python3
"""Every file of C has the one style of .clang-format. The versions 14 and 19 (Debian 12 and 13) agree on it."""
import re
import subprocess
import sys

sys.path.insert(0, f"{sys.path[0]}/../lib")
import stack
import tap

stack.need("clang-format")
version = re.search(r"version (\d+)", subprocess.run(["clang-format", "--version"], capture_output=True).stdout.decode())[1]
files = [path for path in sorted(stack.ROOT.rglob("*.[ch]")) if "build" not in path.relative_to(stack.ROOT).parts]
tap.ok(len(files) > 50, f"{len(files)} files of C are looked at by clang-format {version}")
for path in files:
    formatted = subprocess.run(["clang-format", path], capture_output=True, check=True).stdout
    tap.ok(formatted == path.read_bytes(), f"clang-format {version} would leave {path.relative_to(stack.ROOT)} as it is")
tap.done()
