#!/usr/bin/python3
"""A client of a resident endpoint that takes nothing is ended after 30 seconds, with a line; one that takes slowly is kept."""
import sys
import time

sys.path.insert(0, f"{sys.path[0]}/../lib")
import stack
import tap
from resident import Endpoint

with Endpoint(stack.BUILD / "tests/views", WEBSOCKET_PING_SECONDS="0") as views:
    never, slow = views.connect("/views/stream"), views.connect("/views/stream")
    started = time.monotonic()
    told = "views: unknown client: the client takes nothing"
    while told not in views.log() and time.monotonic() < started + 120:
        slow.socket.recv(100000)
        time.sleep(0.2)
    took = time.monotonic() - started
    tap.ok(29 < took < 120, f"a client that takes nothing is ended after {took:.0f} s")
    tap.equal((views.figures()[0], sum(line == told for line in views.log())), (1, 1), "a client that takes slowly is kept")
tap.done()
