#!/usr/bin/python3
"""The man pages: without a warning, complete, in agreement with the header and --help, and with an example that works."""
import os
import pathlib
import re
import subprocess
import sys
import tempfile

sys.path.insert(0, f"{sys.path[0]}/../lib")
import stack
import tap

stack.need("mandoc")
PAGES = ("ws/lib/websocket.3", "ws/lib/websocket_subscribe.3", "conf/duplex.7", "fcgi/duplex-fcgi.8")


def rendered(page):
    output = subprocess.run(["mandoc", "-Tutf8", stack.ROOT / page], capture_output=True, check=True).stdout.decode()
    return re.sub(r".\x08", "", output)


def check_lint():
    for page in PAGES:
        output = subprocess.run(["mandoc", "-Tlint", "-Wstyle", stack.ROOT / page], capture_output=True).stdout.decode()
        # what a page refers to need not be installed here, and it names the version that it belongs to
        found = [line for line in output.splitlines() if "referenced manual not found" not in line and "operating system explicitly" not in line]
        tap.equal(found, [], f"mandoc finds nothing in {page}")


def check_functions(header, page, least):
    header = (stack.ROOT / header).read_text()
    header = re.sub(r"/\*.*?\*/", "", header, flags=re.S)
    prototypes = re.findall(r"^([a-z][^;{}()#]*?)\b((?:is_)?websocket\w*)\(((?:[^()]|\([^()]*\))*)\);", header, re.M)
    tap.ok(len(prototypes) >= least, f"{len(prototypes)} functions")
    text = (stack.ROOT / page).read_text()
    names = re.findall(r"^\.Nm (\w+)", text, re.M)
    tap.equal(sorted(names), sorted(name for _, name, _ in prototypes), f"{page} names each of them")
    synopsis = re.search(r"\.Sh SYNOPSIS\n(.*?)\.Sh", text, re.S)[1]
    for kind, name, arguments in prototypes:
        parts = " ".join(f'"{part.strip()}"' if " " in part.strip() else part.strip() for part in re.sub(r"\s+", " ", arguments).split(","))
        wanted = f".Ft {kind.strip()}\n.Fn {name} {parts}\n"
        tap.ok(wanted in synopsis, f"with its prototype: {name}") or print(f"# wanted {wanted!r}")
        tap.ok(re.search(rf"^\.Fn {name}\b", text.partition(".Sh DESCRIPTION")[2], re.M), "and what it does")


def check_values():
    header = (stack.ROOT / "ws/lib/websocket.h").read_text()
    text = (stack.ROOT / "ws/lib/websocket.3").read_text()
    values = re.findall(r"^\t(WEBSOCKET_\w+) = ", header, re.M)
    tap.ok(len(values) == 4 and all(f".It Dv {value}" in text for value in values), f"each value of the enum: {values}")
    errors = set(re.findall(r"^ \* +(E[A-Z0-9]+)  ", header, re.M)) | set(re.findall(r"^\t \* +(E[A-Z0-9]+)  ", header, re.M))
    tap.equal(set(re.findall(r"\.It Bq Er (\w+)", text)), errors, "and each errno")


def check_options():
    usage = subprocess.run([stack.BUILD / "fcgi/duplex", "--help"], capture_output=True).stdout.decode()
    options = set(re.findall(r"^  --(\w+)", usage, re.M))
    page = (stack.ROOT / "fcgi/duplex-fcgi.8").read_text()
    tap.equal(set(re.findall(r"^\.It Fl -(\w+)", page, re.M)), options, "duplex-fcgi(8) has the options of --help")


def example(page):
    return re.search(r"^ *(#include <.*?\n *int main\(void\)\n.*?\n *}\n)", rendered(page).partition("\nEXAMPLES\n")[2], re.S | re.M)[1]


def compile_example(page, program, *libraries):
    """The example of a page, compiled as it stands."""
    program.with_suffix(".c").write_text(example(page))
    sanitizers = ["-fsanitize=address,undefined"] if stack.SANITIZED else []
    result = subprocess.run(["cc", "-std=c11", "-Wall", "-Wextra", "-Wpedantic", "-Werror", *sanitizers, program.with_suffix(".c"), "-o", program,
                             "-I", stack.ROOT / "ws/lib", stack.BUILD / "libwebsocket.a", *libraries], capture_output=True)
    tap.equal((result.returncode, result.stderr.decode()), (0, ""), f"the example of {page} is compiled without a warning")


def check_example():
    """The example of websocket(3), asked as websocketd would."""
    with tempfile.TemporaryDirectory() as directory:
        program = pathlib.Path(directory) / "measure"
        compile_example("ws/lib/websocket_subscribe.3", pathlib.Path(directory) / "chat", "-lhiredis")
        compile_example("ws/lib/websocket.3", program)
        result = subprocess.run([program], input=b"abc\n\n", capture_output=True, env={**os.environ, "GATEWAY_INTERFACE": "websocketd-CGI/0.1"})
        tap.equal((result.returncode, result.stdout, result.stderr), (0, b"3 bytes\n0 bytes\n", b""), "and works")


check_lint()
check_functions("ws/lib/websocket.h", "ws/lib/websocket.3", 14)
check_functions("ws/lib/push.h", "ws/lib/websocket_subscribe.3", 2)
check_values()
check_options()
check_example()
tap.done()
