#!/usr/bin/python3
"""What the repository says of itself is so: shell scripts are clean, and documents, help and source agree."""
import re
import subprocess
import sys

sys.path.insert(0, f"{sys.path[0]}/../lib")
import stack
import tap

stack.need("shellcheck")
MADE = {"build/bench/", "build/check/", "build/fuzz/crash-*"}  # by a command that the document names


def tracked():
    """The files of the repository; of a copy without .git, those that are not built."""
    files = [path for path in stack.ROOT.rglob("*") if path.is_file() and not {".git", "build", "__pycache__"} & set(path.relative_to(stack.ROOT).parts)]
    return {path: path.read_bytes() for path in files}


def check_shell(files):
    scripts = [path for path, content in files.items() if path.suffix == ".sh" or re.match(rb"#!/bin/(ba)?sh", content)]
    tap.ok(len(scripts) >= 3, f"{len(scripts)} shell scripts")
    result = subprocess.run(["shellcheck", "-x", *scripts], capture_output=True, cwd=stack.ROOT)
    tap.equal((result.returncode, result.stdout.decode()), (0, ""), "shellcheck finds nothing in the shell scripts")


def check_text(files):
    binary = (".png", ".svg")
    texts = {path: content.decode() for path, content in files.items() if path.suffix not in binary and "corpus" not in path.parts}
    trailing = [f"{path}:{number}" for path, text in texts.items()
                for number, line in enumerate(text.split("\n"), 1) if re.search(r"[ \t]$", line)]
    tap.equal(trailing, [], "no white space at the end of a line")
    tap.equal([str(path) for path, text in texts.items() if text and not text.endswith("\n")], [], "each file ends with a newline")
    long = [f"{path}:{number}" for path, text in texts.items() if path.suffix in (".c", ".h")
            for number, line in enumerate(text.split("\n"), 1) if len(line.expandtabs(8)) > 100]
    tap.equal(long, [], "no line of C is longer than 100 columns")


def check_documents(files):
    """What the documents name exists: targets of make, files, and places in other documents."""
    documents = {path: content.decode() for path, content in files.items() if path.suffix == ".md" and "results" not in path.parts}
    tap.ok(len(documents) >= 6, f"{len(documents)} documents")
    makefile = (stack.ROOT / "Makefile").read_text() + (stack.ROOT / "tests/tests.mk").read_text()
    targets = set(re.findall(r"^([a-z0-9-]+):.*## ", makefile, re.M))
    for path, text in documents.items():
        name = path.relative_to(stack.ROOT)
        words = {word for words in re.findall(r"`(?:\w+=\w+ )*make ([a-z][a-z0-9 -]*)", text) for word in words.split()}
        tap.equal(words - targets, set(), f"{name}: every make target that it names exists")
        paths = {one for one in re.findall(r"`((?:conf|ws|fcgi|html|tests|build)/[\w./-]+)`", text) if "NAME" not in one}
        missing = {one for one in paths if not (stack.ROOT / one).exists() and not (stack.BUILD / one.removeprefix("build/")).exists()}
        written = set(re.findall(r"(?:Write|write|>) ?`?((?:ws|fcgi)/\w+\.\w+)", text))
        tap.equal(missing - written - MADE, set(), f"{name}: every file that it names exists, but for those that it tells to write")
        links = re.findall(r"\]\(([^)#:]+)\)", text)
        tap.equal([link for link in links if not (path.parent / link).exists()], [], f"{name}: every link to a file of the repository leads there")


def check_packages(files):
    makefile = (stack.ROOT / "Makefile").read_text() + (stack.ROOT / "tests/tests.mk").read_text()
    lists = re.findall(r"^DEPS_RUN += (.*)$", makefile, re.M) + [path.read_text() for path in stack.ROOT.glob("conf/run/*/packages")]
    packages = {word for line in lists for word in line.split()}
    tap.ok(len(packages) > 8, f"{len(packages)} packages to run with")
    reasons = (stack.ROOT / "conf/README.md").read_text()
    tap.equal({package for package in packages if f"`{package}`" not in reasons}, set(), "conf/README.md has a reason for every package that running needs")


def check_readme(files):
    lines = (stack.ROOT / "README.md").read_text().splitlines()
    tap.ok(120 <= len(lines) <= 150, f"README.md has 120 to 150 lines: {len(lines)}")
    text = "\n".join(lines)
    for command in ("make deps run", "make deps-check check"):
        tap.ok(f"```sh\n{command}\n```" in text, f"README.md has the command {command} in a block of its own")


def check_help(files):
    usage = subprocess.run([stack.BUILD / "fcgi/duplex", "--help"], capture_output=True).stdout.decode()
    source = (stack.ROOT / "fcgi/main.c").read_text()
    options = set(re.findall(r'\{"([a-z-]+)", (?:required|no)_argument', source))
    tap.equal(set(re.findall(r"^  --([a-z-]+)", usage, re.M)), options, "--help names every option")


files = tracked()
check_shell(files)
check_text(files)
check_documents(files)
check_packages(files)
check_readme(files)
check_help(files)
tap.done()
