#!/usr/bin/python3
"""What the repository says of itself is so: shell scripts are clean, and README, help and source agree."""
import re
import subprocess
import sys

sys.path.insert(0, f"{sys.path[0]}/../lib")
import stack
import tap

stack.need("shellcheck")


def tracked():
    """The files of the repository; of a copy without .git, those that are not built."""
    files = [path for path in stack.ROOT.rglob("*") if path.is_file() and not {".git", "build", "__pycache__"} & set(path.relative_to(stack.ROOT).parts)]
    return {path: path.read_bytes() for path in files}


def check_shell(files):
    scripts = [path for path, content in files.items() if path.suffix == ".sh" or re.match(rb"#!/bin/(ba)?sh", content)]
    tap.ok(len(scripts) >= 3, f"{len(scripts)} shell scripts")
    result = subprocess.run(["shellcheck", "-x", *scripts], capture_output=True, cwd=stack.ROOT)
    tap.equal((result.returncode, result.stdout.decode()), (0, ""), "shellcheck finds nothing")


def check_text(files):
    binary = (".png", ".svg")
    texts = {path: content.decode() for path, content in files.items() if path.suffix not in binary and "corpus" not in path.parts}
    trailing = [f"{path}:{number}" for path, text in texts.items()
                for number, line in enumerate(text.split("\n"), 1) if re.search(r"[ \t]$", line)]
    tap.equal(trailing, [], "no white space at the end of a line")
    tap.equal([str(path) for path, text in texts.items() if text and not text.endswith("\n")], [], "each file ends with a newline")
    long = [f"{path}:{number}" for path, text in texts.items() if path.suffix in (".c", ".h")
            for number, line in enumerate(text.split("\n"), 1) if len(line.expandtabs(4)) > 130]
    tap.equal(long, [], "no line of C is longer than 130 columns")


def functions(text):
    """Each function in a file of C and its number of lines."""
    start = None
    for number, line in enumerate(text.split("\n"), 1):
        if line == "{":
            start = number
        elif line == "}" and start:
            yield number - start - 1
            start = None


def check_functions(files):
    lengths = sorted(length for path, content in files.items() if path.suffix == ".c" and "tests" not in path.parts
                     for length in functions(content.decode()))
    tap.ok(len(lengths) > 50 and lengths[len(lengths) // 2] <= 15, f"{len(lengths)} functions, of which half have {lengths[len(lengths) // 2]} lines at most")
    tap.ok(lengths[-1] <= 50, f"and none more than 50: {lengths[-1]}")


def check_readme(files):
    readme = (stack.ROOT / "README.md").read_text()
    makefile = (stack.ROOT / "Makefile").read_text() + (stack.ROOT / "tests/tests.mk").read_text()
    targets = set(re.findall(r"^([a-z-]+):.*## ", makefile, re.M))
    named = set(re.findall(r"`make ([a-z][a-z -]*)", readme))
    used = {word for words in named for word in words.split()}
    tap.equal(used - targets, set(), "every make target in the README exists")
    lists = re.findall(r"^DEPS_RUN += (.*)$", makefile, re.M) + [path.read_text() for path in stack.ROOT.glob("conf/run/*/packages")]
    packages = {word for line in lists for word in line.split()}
    tap.ok(len(packages) > 8, f"{len(packages)} packages to run with")
    tap.equal({package for package in packages if f"`{package}`" not in readme}, set(), "every package that running needs has its reason")
    paths = set(re.findall(r"`((?:conf|ws|fcgi|html|tests)/[\w./-]+)`", readme))
    missing = {path for path in paths if not (stack.ROOT / path).exists() and not (stack.BUILD / path).exists()}
    tap.equal(missing - {"ws/greet.c", "ws/board.c"}, set(), "every file that it names exists, but for those that it tells to write")


def check_help(files):
    usage = subprocess.run([stack.BUILD / "fcgi/duplex", "--help"], capture_output=True).stdout.decode()
    source = (stack.ROOT / "fcgi/main.c").read_text()
    options = set(re.findall(r'\{"([a-z-]+)", (?:required|no)_argument', source))
    tap.equal(set(re.findall(r"^  --([a-z-]+)", usage, re.M)), options, "--help names every option")


files = tracked()
check_shell(files)
check_text(files)
check_functions(files)
check_readme(files)
check_help(files)
tap.done()
