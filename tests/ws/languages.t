#!/usr/bin/python3
"""
The endpoints in other languages that ws/README.md shows, as they stand there, under "make run"; what becomes of the processes
of a pipeline; that a program that ends with a status leaves a line; and what of the environment they see.
"""
import asyncio
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, f"{sys.path[0]}/../lib")
import rfc6455
import stack
import tap

SECTION = re.search(r"^## Endpoints in other languages\n(.*?)^## ", (stack.ROOT / "ws/README.md").read_text(), re.S | re.M)[1]
INTERPRETERS = {"sh": "sh", "Python": "/usr/bin/python3", "Perl": "perl", "Node": "/usr/bin/node", "Lua": "/usr/bin/lua5.4"}
ENVIRONMENT = "#!/usr/bin/env mylang\nwhile read -r name; do eval \"echo \\\"\\${$name-unset}\\\"\"; done\n"


def examples():
    """The program of each language."""
    return dict(re.findall(r"^(\w+):\n\n```\w+\n(#!.*?)```", SECTION, re.S | re.M))


def indented(language):
    """The program of this language that is a part of a list."""
    text = re.search(rf"^  ```{language}\n(.*?)^  ```", SECTION, re.S | re.M)[1]
    return re.sub(r"^  ", "", text, flags=re.M)


def add(build, name, text):
    path = build / "ws" / name
    path.write_text(text)
    path.chmod(0o755)


async def converse(site, path, *messages):
    async with rfc6455.connect(site.ws_url(path)) as client:
        answers = []
        for message in messages:
            await client.send(message)
            answers.append(await asyncio.wait_for(client.recv(), 30))
        return answers


async def ends(site, path):
    """Sends a message and waits for the end of the connection."""
    async with rfc6455.connect(site.ws_url(path)) as client:
        await client.send("hi")
        try:
            await asyncio.wait_for(client.recv(), 30)
        except rfc6455.Closed:
            return True
    return False


def check_languages(site):
    programs = examples()
    tap.equal(set(programs), set(INTERPRETERS), "ws/README.md has an endpoint in each of the languages")
    for language, program in programs.items():
        lines = [line for line in program.splitlines() if line.strip() and line.strip() not in ("}", "done", "end")]
        tap.ok(len(lines) <= 5, f"{language}: at most five lines that say something")
        if shutil.which(INTERPRETERS[language]) is None:
            tap.ok(os.environ.get("CI") != "true", f"{language}: skipped, as {INTERPRETERS[language]} is not installed")
            continue
        answers = asyncio.run(converse(site, f"/{language}", "a message", "", "caf\u00e9 \U0001F600"))
        tap.equal(answers, ["You said a message", "You said ", "You said caf\u00e9 \U0001F600"], f"{language}: each message is answered at once")


async def check_pipeline(site, file):
    async with rfc6455.connect(site.ws_url("/pipeline")) as client:
        processes = []

        def has_begun():
            processes[:] = [pid for pid in stack.descendants(site.pid("websocketd")) if stack.name_of(pid) in ("tail", "grep")]
            return len(processes) == 2

        tap.ok(await asyncio.to_thread(stack.wait_until, has_begun, 30), "the pipeline of the document begins")
        line = asyncio.ensure_future(client.recv())
        while not line.done():
            with file.open("a") as log:
                log.write("an error\n")
            await asyncio.wait([line], timeout=1)
        tap.equal(line.result(), "an error", "the pipeline of the document sends what it finds")
    tap.ok(await asyncio.to_thread(stack.wait_until, lambda: not any(stack.is_alive(pid) for pid in processes), 30),
           "when the client is gone, no process of the pipeline is left")


def check_names():
    for names in ("A B", "A;B", "1A", ",A", "A=b", "--dir=/"):
        result = subprocess.run([stack.ROOT / "conf/run/launch"], env={**os.environ, "BUILD": str(stack.BUILD), "PASSENV": names}, stdin=subprocess.DEVNULL, capture_output=True)
        tap.equal((result.returncode, result.stderr.decode()), (1, f"run: PASSENV={names} is not a list of names with commas between\n"), f"PASSENV={names} is refused")


check_names()
with tempfile.TemporaryDirectory() as directory:
    home = pathlib.Path(directory)
    build = home / "build"
    for part in ("fcgi", "ws"):
        shutil.copytree(stack.BUILD / part, build / part, symlinks=True)
    for language, program in examples().items():
        add(build, language, program)
    found = home / "found"
    found.touch()
    add(build, "pipeline", indented("bash").replace("/var/log/syslog", str(found)))
    (home / "bin").mkdir()
    (home / "bin/mylang").symlink_to("/bin/sh")
    add(build, "environment", ENVIRONMENT)
    wrapper = indented("sh")
    for name, ending in (("status", "exit 3"), ("signal", "kill -SEGV $$")):
        (home / name).write_text(f"#!/bin/sh\nread -r line\n{ending}\n")
        (home / name).chmod(0o755)
        add(build, f"with-{name}", wrapper.replace("/usr/local/lib/example/program", str(home / name)))
    path = f"{home}/bin:{os.environ['PATH']}"
    with stack.Stack(build=build, PATH=path, PASSENV="DATABASE_URL,FURTHER", DATABASE_URL="sqlite:x", OTHER="secret") as site:
        check_languages(site)
        asyncio.run(check_pipeline(site, found))
        answers = asyncio.run(converse(site, "/environment", "DATABASE_URL", "FURTHER", "OTHER"))
        tap.equal(answers, ["sqlite:x", "unset", "unset"], "an endpoint is found by PATH, and sees the variables that PASSENV names and no other")
        for name, status in (("status", "3"), ("signal", "139")):
            wanted = f"with-{name}: 127.0.0.1: ended with status {status}"
            tap.ok(asyncio.run(ends(site, f"/with-{name}")), f"a program that ends by a {name} ends the connection")
            tap.ok(stack.wait_until(lambda: site.log().count(wanted) == 1), f"a program that ends by a {name} leaves a line in the log: {wanted}")
        stack.finish(site, "ended with status", r"Segmentation fault$")  # which sh says of its own
tap.done()
