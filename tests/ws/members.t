#!/usr/bin/python3
"""
The endpoint of ws/README.md that lets in only clients with a session, as it stands there, built by make, in both ways of
running. A client without a session is answered 401; by websocketd its connection opens and closes at once, with a line in the
log.
"""
import asyncio
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

SOURCE = re.search(r"`ws/members\.c`:\n\n```c\n(.*?)```", (stack.ROOT / "ws/README.md").read_text(), re.S)[1]
ID = "0123456789abcdef" * 2
# the cookies of a client, and whether they let it in
TABLE = [
    (f"session={ID}", True), (f"theme=dark; session={ID}; a=b", True), (f"old_session=1; session={ID}", True),
    (None, False), ("", False), ("theme=dark", False), ("session=", False), (f"old_session={ID}", False), (f"theme=dark; session{ID}", False), (f"session={ID[:-1]}", False), (f"session={ID}0", False),
    (f"session={ID[::-1]}", False), (f"session={'../' * 10}00", False), (f"session=/{ID[1:]}", False),
]


async def talk(site, cookies):
    """What comes back, or the status of a refusal, or the code of the end."""
    try:
        async with rfc6455.connect(site.ws_url("/members"), headers={} if cookies is None else {"Cookie": cookies}) as client:
            await client.send("hi")
            return await asyncio.wait_for(client.recv(), 30)
    except rfc6455.Refused as error:
        return error.status
    except rfc6455.Closed as error:
        return error.code


def check_way(tree, way, refused):
    with stack.Stack(root=tree, build=tree / "build", user=stack.USER, WS=way, WEBSOCKET_MAX_PER_ADDRESS="0") as site:
        for cookies, is_let_in in TABLE:
            tap.equal(asyncio.run(talk(site, cookies)), "hi" if is_let_in else refused, f"{way}: with the cookies {cookies} the client is {'let in' if is_let_in else 'refused'}")
        line = "members: 127.0.0.1: refused with status 401, after websocketd had accepted"
        count = sum(not is_let_in for _, is_let_in in TABLE) if way == "websocketd" else 0
        tap.ok(stack.wait_until(lambda: site.log().count(line) == count), f"{way}: the log has {count} lines of clients that were let in by websocketd and then refused")
        stack.finish(site, line)


with tempfile.TemporaryDirectory() as directory:
    tree = stack.copy_tree(directory, "fcgi", "ws")
    sessions = pathlib.Path(directory) / "sessions"
    sessions.mkdir(mode=0o755)
    (sessions / ID).touch()
    text = SOURCE.replace("/run/example/sessions", str(sessions))
    tap.ok(text != SOURCE, "the example looks for sessions in /run/example/sessions")
    (tree / "ws/members.c").write_text(text)
    result = subprocess.run(["make", "-s", "-C", tree, "build/ws/members"], env={"PATH": os.environ["PATH"]}, capture_output=True)
    tap.equal((result.returncode, result.stdout, result.stderr), (0, b"", b""), "make builds the example without a warning")
    check_way(tree, "resident", 401)
    check_way(tree, "websocketd", 1006)
tap.done()
