#!/usr/bin/python3
"""
A further endpoint is one file: the README's own example is added to a copy of the tree, built by "make" and served, by
an ordinary user and from a directory with a space in its name.
"""
import asyncio
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile

sys.path.insert(0, f"{sys.path[0]}/../lib")
import rfc6455
import stack
import tap


def examples():
    """The endpoints in the README, which it tells to put into ws/NAME.c: the name and the source of each."""
    return re.findall(r"`ws/(\w+)\.c`:\n\n```c\n(.*?)```", (stack.ROOT / "README.md").read_text(), re.S)


def libraries():
    """The README's command that tells what the second of them is linked with."""
    return re.search(r"```sh\n(echo .* >ws/\w+\.libs)\n```", (stack.ROOT / "README.md").read_text())[1]


def build(tree):
    result = subprocess.run(["make", "-s", "-C", tree], env={"PATH": os.environ["PATH"]}, capture_output=True)
    tap.equal((result.returncode, result.stdout, result.stderr), (0, b"", b""), "make builds it without a warning")


async def converse(site, path, messages):
    async with rfc6455.connect(site.ws_url(path)) as client:
        answers = []
        for message in messages:
            await client.send(message)
            answers.append(await asyncio.wait_for(client.recv(), 10))
        return answers


def status(site, path):
    output = subprocess.run(["curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", site.url(path)], capture_output=True).stdout
    return int(output)


(name, source), (pushing, pushing_source) = examples()
for text in (source, pushing_source):
    tap.ok(len([line for line in text.splitlines() if line.strip() and line.strip() not in "{}"]) <= 12, "the example is short")
with tempfile.TemporaryDirectory() as directory:
    tree = stack.copy_tree(directory)
    (tree / f"ws/{name}.c").write_text(source)
    (tree / f"ws/{pushing}.c").write_text(pushing_source)
    subprocess.run(["sh", "-c", libraries()], cwd=tree, check=True)
    build(tree)
    with stack.Stack(root=tree, build=tree / "build", user=stack.USER) as site:
        answers = asyncio.run(converse(site, f"/{name}", ["a message", ""]))
        tap.ok(len(answers) == 2 and all(answers), f"/{name} answers over WebSocket: {answers}")
        answers = asyncio.run(converse(site, f"/{pushing}", ["hi"])) + asyncio.run(converse(site, f"/{pushing}", ["again"]))
        tap.ok([json.loads(answer)["text"] for answer in answers] == ["hi", "hi"], f"/{pushing} publishes, and another client gets it")
        tap.equal(asyncio.run(converse(site, "/echo", ["hi"])), ["hi"], "/echo as before")
        tap.equal(status(site, f"/{name}"), 426, f"/{name} over HTTP: 426")
        tap.equal(status(site, f"/{name}/further"), 426, "and what is under it")
        stack.finish(site)
    with stack.Stack(root=tree, build=tree / "build", user=stack.USER, WEBSOCKET_ACCEPT_ALL="1") as site:
        for path in ("/echo", "/", "/any/path"):
            tap.equal(asyncio.run(converse(site, path, ["hi"])), ["hi"], f"WEBSOCKET_ACCEPT_ALL=1: {path} echoes")
        stack.finish(site)
    with stack.Stack(root=tree, build=tree / "build", user=stack.USER, WEBSOCKET_MAX_MESSAGE="10") as site:
        tap.equal(asyncio.run(converse(site, "/echo", ["x" * 10])), ["x" * 10], "WEBSOCKET_MAX_MESSAGE=10: ten bytes pass")
        ended = False
        try:
            asyncio.run(converse(site, "/echo", ["x" * 11]))
        except rfc6455.Closed:
            ended = True
        tap.ok(ended and "more than 10 bytes" in site.log(), "eleven do not")
        stack.finish(site, "more than 10 bytes")
tap.done()
