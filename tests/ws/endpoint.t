#!/usr/bin/python3
"""
A further endpoint is one file, its view another one and a line in the route table. The first examples of README.md and
ws/README.md are added to a copy of the tree, built by "make" and served, by an ordinary user and from a directory with a
space in its name.
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


DOCUMENTS = (stack.ROOT / "README.md").read_text() + (stack.ROOT / "ws/README.md").read_text()


def examples(folder):
    """The files that the documents tell a reader to write in this folder: the name and the source of each."""
    return re.findall(rf"`{folder}/(\w+)\.c`:\n\n```c\n(.*?)```", DOCUMENTS, re.S)


def libraries():
    """The command that names what the second endpoint is linked with."""
    return re.search(r"```sh\n(echo .* >ws/\w+\.libs)\n```", DOCUMENTS)[1]


def route():
    """The line for the route table."""
    return re.search(r"```c\n(GET\(.*\)\n)```", DOCUMENTS)[1]


def build(tree, what):
    result = subprocess.run(["make", "-s", "-C", tree], env={"PATH": os.environ["PATH"]}, capture_output=True)
    tap.equal((result.returncode, result.stdout, result.stderr), (0, b"", b""), f"make builds {what} without a warning")


async def converse(site, path, messages):
    async with rfc6455.connect(site.ws_url(path)) as client:
        answers = []
        for message in messages:
            await client.send(message)
            answers.append(await asyncio.wait_for(client.recv(), 60))
        return answers


def ask(site, path):
    """The status of an answer, and its body."""
    output = subprocess.run(["curl", "-s", "-w", "%{http_code}", site.url(path)], capture_output=True).stdout.decode()
    return int(output[-3:]), output[:-3]


def status(site, path):
    return ask(site, path)[0]


# an endpoint in two files: the second one lies in a folder of its name
PARTS = """#include "websocket.h"
const char *answer(void);
static void parts(struct websocket *ws)
{
	struct websocket_message message;
	while (websocket_wait(ws, &message, WEBSOCKET_FOREVER) == WEBSOCKET_MESSAGE)
		if (websocket_send(ws, answer(), 6) < 0)
			return;
}
int main(void)
{
	return websocket_run(parts);
}
"""
ANSWER = """const char *answer(void);
const char *answer(void)
{
	return "answer";
}
"""

(name, source), (pushing, pushing_source) = examples("ws")[:2]
[(view_name, view)] = examples("fcgi")
for example, text in ((name, source), (pushing, pushing_source)):
    short = len([line for line in text.splitlines() if line.strip() and line.strip() not in "{}"]) <= 12
    tap.ok(short, f"the example ws/{example}.c has at most 12 lines that say something")
with tempfile.TemporaryDirectory() as directory:
    tree = stack.copy_tree(directory)
    (tree / f"ws/{name}.c").write_text(source)
    (tree / f"ws/{pushing}.c").write_text(pushing_source)
    subprocess.run(["sh", "-c", libraries()], cwd=tree, check=True)
    (tree / "ws/parts.c").write_text(PARTS)
    (tree / "ws/parts").mkdir()
    (tree / "ws/parts/answer.c").write_text(ANSWER)
    build(tree, "three further endpoints")
    with stack.Stack(root=tree, build=tree / "build", user=stack.USER) as site:
        answers = asyncio.run(converse(site, f"/{name}", ["a message", ""]))
        tap.ok(len(answers) == 2 and all(answers), f"/{name} answers over WebSocket: {answers}")
        answers = asyncio.run(converse(site, f"/{pushing}", ["hi"])) + asyncio.run(converse(site, f"/{pushing}", ["again"]))
        tap.ok([json.loads(answer)["text"] for answer in answers] == ["hi", "hi"], f"/{pushing} publishes, and another client gets it")
        tap.equal(asyncio.run(converse(site, "/parts", ["hi"])), ["answer"], "an endpoint with a second source in ws/NAME/ works")
        tap.equal(asyncio.run(converse(site, "/echo", ["hi"])), ["hi"], "/echo works as before, beside further endpoints")
        tap.equal(status(site, f"/{name}"), 426, f"/{name} has no view yet, so plain HTTP to it is answered 426")
        tap.equal(status(site, f"/{name}/further"), 426, f"plain HTTP to a path under /{name} is answered 426")
        stack.finish(site)
    (tree / f"fcgi/{view_name}.c").write_text(view)
    with (tree / "fcgi/routes.h").open("a") as table:
        table.write(route())
    build(tree, "a further view")
    with stack.Stack(root=tree, build=tree / "build", user=stack.USER) as site:
        wanted = re.search(r'"(.*)\\n"', view)[1] + "\n"
        tap.equal(ask(site, f"/{view_name}"), (200, wanted), f"/{view_name} is answered by its view, after one file and one line in the table")
        tap.equal(ask(site, "/echo?message=hi"), (200, "hi"), "/echo?message= works as before, beside a further view")
        answers = asyncio.run(converse(site, f"/{name}", ["a message"]))
        tap.ok(len(answers) == 1 and all(answers), f"/{name} still answers over WebSocket, beside its view")
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
        tap.ok(ended and site.told("more than 10 bytes"), "WEBSOCKET_MAX_MESSAGE=10: eleven bytes end the connection")
        stack.finish(site, "more than 10 bytes")
tap.done()
