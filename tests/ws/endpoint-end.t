#!/usr/bin/python3
"""
What is logged of an endpoint in C that a signal or exit(3) ends, behind websocketd and resident, and of one that sends a text
with a newline: one line, with the program and the client's address. And that the compiler warns of a result that is dropped.
"""
import asyncio
import pathlib
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, f"{sys.path[0]}/../lib")
import rfc6455
import stack
import tap

stack.need("cc")
if stack.SANITIZED:
    tap.does_not_apply("the sanitizers have handlers of their own")

VIEW = """#include "websocket.h"
#include <signal.h>
#include <stdlib.h>
static void view(struct websocket *ws)
{
	struct websocket_message message;
	char *volatile nowhere = NULL;
	(void)nowhere;
	while (websocket_wait(ws, &message, WEBSOCKET_FOREVER) == WEBSOCKET_MESSAGE)
		BODY
}
int main(void)
{
	signal(SIGVTALRM, SIG_IGN);
	return websocket_run(view);
}
"""
MEASURED = ["-lgcov"] * (stack.BUILD.name == "coverage")  # what the library then needs
BODIES = {
    "crash": "*nowhere = message.text[0];",
    "leave": "exit(3);",
    "abort": "abort();",
    "trap": "raise(SIGTRAP);",
    "alarm": "raise(SIGALRM);",
    "newline": 'if (websocket_send(ws, "Hello!\\n", 7) < 0) return;',
}
DROPPED = ('websocket_send(ws, "Hello!\\n", 7);', 'websocket_publish("room", "Hello!\\n", 7);', 'websocket_subscribe(ws, "a room", NULL);')
IGNORED = '{ raise(SIGVTALRM); if (websocket_send(ws, "on", 2) < 0) return; }'
WANTED = {
    "crash": "the program was ended by SIGSEGV",
    "leave": "the program called exit, with status 3",
    "abort": "the program was ended by SIGABRT",
    "trap": "the program was ended by SIGTRAP",
    "alarm": "the program was ended by SIGALRM",
    "newline": "newline",
}


def compile(source, *arguments):
    command = ["cc", "-std=c11", "-Wall", "-Wextra", f"-I{stack.ROOT}/ws/lib", "-x", "c", "-", "-x", "none", *arguments]
    return subprocess.run(command, input=source.encode(), capture_output=True)


async def say(site, name):
    """Sends a message, and waits for the answer, the end of the connection or the log."""
    async with rfc6455.connect(site.ws_url(f"/{name}")) as client:
        await client.send("hi")
        try:
            return await asyncio.wait_for(client.recv(), 2 if name == "newline" else 30)
        except (rfc6455.Closed, asyncio.TimeoutError):
            pass


def lines(site, name):
    return [line for line in site.log().splitlines() if f"{name}: " in line and WANTED[name] in line]


def check(build, way):
    with stack.Stack(build=build, WS=way, DUPLEX_WORKERS="1") as site:
        for name in BODIES:
            if way == "resident" and name == "newline":
                continue  # there it is one message
            for number in range(1, 6):  # websocketd drops what it has not read when a program ends
                asyncio.run(say(site, name))
                stack.wait_until(lambda: len(lines(site, name)) == number)
            told = lines(site, name)
            tap.equal(len(told), 5, f"{way}: {name} leaves one line for each of five clients: {WANTED[name]}")
            tap.ok(all(f"{name}: 127.0.0.1: " in line for line in told), f"{way}: the lines of {name} have the client's address")
        tap.equal(asyncio.run(say(site, "ignored")), "on", f"{way}: a signal that the program ignores does not end it")
        stack.finish(site, *WANTED.values())


with tempfile.TemporaryDirectory() as directory:
    build = pathlib.Path(directory, "build")
    for part in ("fcgi", "ws"):
        shutil.copytree(stack.BUILD / part, build / part, symlinks=True)
    for name, body in {**BODIES, "ignored": IGNORED}.items():
        result = compile(VIEW.replace("BODY", body), "-o", build / "ws" / name, stack.BUILD / "libwebsocket.a", "-lmd", "-lresolv", *MEASURED)
        tap.equal((result.returncode, result.stderr), (0, b""), f"{name} is built without a warning")
    for call in DROPPED:
        result = compile('#include "push.h"\n' + VIEW.replace("BODY", call), "-c", "-o", "/dev/null")
        tap.ok(b"[-Wunused-result]" in result.stderr, f"the compiler warns of a dropped result: {call}")
    check(build, "websocketd")
    check(build, "resident")
tap.done()
