#!/usr/bin/python3
"""
What an endpoint sees of the environment under duplex-ws.service: by default its PATH and nothing of one's own, and after
the lines of duplex(7) what they name. systemd is not started: the test expands the unit's command as it does.
"""
import asyncio
import pathlib
import re
import subprocess
import sys
import tempfile

sys.path.insert(0, f"{sys.path[0]}/../lib")
import rfc6455
import stack
import tap
import units

stack.need("websocketd", "ss")
UNIT = (stack.ROOT / "conf/systemd/duplex-ws.service").read_text()
MANUAL = (stack.ROOT / "conf/duplex.7").read_text()
TOOL = "#!/usr/bin/env sh\nwhile read -r name; do eval \"echo \\\"\\${$name-unset}\\\"\"; done\n"


def passed_on(unit):
    """The option --passenv of the unit's command, as systemd expands it."""
    return next(part for part in units.command(unit) if part.startswith("--passenv="))


async def ask(port, *names):
    async with rfc6455.connect(f"ws://127.0.0.1:{port}/tool", origin="https://duplex.invalid") as client:
        answers = []
        for name in names:
            await client.send(name)
            answers.append(await asyncio.wait_for(client.recv(), 30))
        return answers


def run(directory, option, environment, *names):
    for _ in range(20):
        port = stack.free_port()
        process = subprocess.Popen(["websocketd", "--address=127.0.0.1", f"--port={port}", f"--dir={directory}", "--loglevel=error", option],
                                   env={"PATH": "/usr/bin:/bin", **environment}, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        stack.wait_until(lambda: process.poll() is not None or stack.is_listening(port, process.pid))
        if process.poll() is None:
            break
    answers = asyncio.run(ask(port, *names))
    process.terminate()
    process.wait(30)
    return answers


with tempfile.TemporaryDirectory() as name:
    directory = pathlib.Path(name)
    unit = directory / "duplex-ws.service"
    (directory / "ws").mkdir()
    (directory / "ws/tool").write_text(TOOL)
    (directory / "ws/tool").chmod(0o755)
    unit.write_text(UNIT)
    lines = re.search(r"\.Bd -literal -offset indent\n\[Service\]\n(Environment=DUPLEX_PASSENV=.*?)\.Ed", MANUAL, re.S)[1]
    variables = dict(re.findall(r"(\w+)=(\S+)", lines.replace("Environment=", "")))
    named = variables["DUPLEX_PASSENV"].split(",")
    tap.ok(len(named) == 2 and set(named) < set(variables), f"duplex(7) names {named} and gives them values")
    answers = run(directory / "ws", passed_on(unit), variables, "PATH", *named)
    tap.equal(answers, ["/usr/bin:/bin", "unset", "unset"], "by default an endpoint sees PATH and nothing of one's own")
    unit.write_text(UNIT + "[Service]\n" + lines)
    answers = run(directory / "ws", passed_on(unit), variables, "PATH", *named)
    tap.equal(answers, ["/usr/bin:/bin", *(variables[name] for name in named)], "with the lines of duplex(7) an endpoint sees what they name")
tap.done()
