#!/usr/bin/python3
"""
A Redis that hangs, or goes and comes back, under a resident chat: nobody waits for it longer than the manuals say, a client
that asks nothing of it is served as before, and nothing that it has taken is lost.
"""
import os
import signal
import sys
import threading
import time

sys.path.insert(0, f"{sys.path[0]}/../lib")
import crowd
import frames
import stack
import tap
from redis_server import Redis
from resident import NO_LIMIT, Endpoint

PUBLISHERS, LISTENERS = 50, 20
ANSWER = 2.0        # seconds within which each client has an answer of some kind
SLACK = 3.0         # seconds more that a busy machine may take
CLIENTS = 40        # of the stack, while Redis is killed and started again


def close_code(client):
    """The code that the next frames end with."""
    while (frame := client.frame()) is not None:
        if frame[0] == frames.CLOSE:
            return int.from_bytes(frame[1][:2], "big")
    return None


def probe(client):
    """How long an empty text takes to come back, which asks nothing of Redis."""
    begin = time.monotonic()
    client.send(frames.text(b""))
    while client.frame() != (frames.TEXT, b""):
        pass
    return time.monotonic() - begin


def check_stopped():
    with Redis() as redis, Endpoint(stack.BUILD / "ws/chat", DUPLEX_REDIS=redis.address, **NO_LIMIT) as chat:
        listeners = [chat.connect("/chat/other?after=-0") for _ in range(LISTENERS)]
        publishers = [chat.connect("/chat/room?after=-0") for _ in range(PUBLISHERS)]
        for client in (*listeners, *publishers):
            probe(client)  # it has subscribed
        os.kill(redis.process.pid, signal.SIGSTOP)
        try:
            begin = time.monotonic()
            for client in publishers:
                client.send(frames.text(b"hi"))
            took = probe(listeners[0])
            tap.ok(took < 1, f"while {PUBLISHERS} publishers wait for a Redis that hangs, another client of the worker is served in {took:.3f} s")
            newcomers = []
            comers = [threading.Thread(target=lambda: newcomers.append((chat.connect("/chat/room?after=-5"), time.monotonic()))) for _ in range(10)]
            for comer in comers:
                comer.start()
            codes = [close_code(client) for client in publishers]
            took = time.monotonic() - begin
            tap.equal(set(codes), {1013}, "a publisher that Redis keeps waiting is closed with 1013")
            tap.ok(took < ANSWER + SLACK, f"each of {PUBLISHERS} publishers has an answer after {took:.1f} s")
            for comer in comers:
                comer.join()
            tap.equal({close_code(client) for client, _ in newcomers}, {1013}, "a client that comes while Redis hangs is closed with 1013")
            tap.ok(max(at for _, at in newcomers) - begin < ANSWER + SLACK, f"a client that comes while Redis hangs has an answer after {max(at for _, at in newcomers) - begin:.1f} s")
            tap.equal({close_code(client) for client in listeners}, {1013}, "a client that only listens is closed with 1013 too")
            tap.ok(time.monotonic() - begin < ANSWER + SLACK, f"each of {LISTENERS} that only listen knows after {time.monotonic() - begin:.1f} s")
        finally:
            os.kill(redis.process.pid, signal.SIGCONT)
        begin = time.monotonic()
        tap.ok(stack.wait_until(lambda: is_served(chat), 10), f"the chat works {time.monotonic() - begin:.1f} s after Redis goes on")
        tap.equal(chat.stop(), [0], "the endpoint ends with status 0")
        lines = [line for line in chat.log() if "Redis" not in line and "left out" not in line]
        tap.equal(lines, [], "the log tells of Redis alone")


def is_served(chat):
    client = chat.connect("/chat/room?after=-0")
    client.send(frames.text(b"back"))
    frame = client.frame()
    client.close()
    return frame is not None and frame[0] == frames.TEXT


def check_restarted(way):
    """Redis, which keeps what it has taken on disk, is killed and started again while clients listen and one publishes."""
    with Redis(is_kept=True) as redis, stack.Stack(DUPLEX_REDIS=redis.address, WS=way, WEBSOCKET_MAX_PER_ADDRESS="0") as site:
        where = f"127.0.0.1:{site.port}"
        after = crowd.post(where, "the beginning")[1].strip()
        everybody = crowd.Crowd(where, CLIENTS, after)
        publisher = crowd.Publisher(where, 0.01)
        try:
            tap.ok(stack.wait_until(lambda: everybody.connected() == CLIENTS and len(publisher.taken()) > 20, 60), f"{way}: {CLIENTS} clients listen, and one publishes")
            for _ in range(2):
                redis.kill()
                count = len(publisher.statuses)
                stack.wait_until(lambda: len(publisher.statuses) > count + 5, 60)
                redis.start()
                count = len(publisher.taken())
                tap.ok(stack.wait_until(lambda: len(publisher.taken()) > count + 20, 60), f"{way}: Redis is back, and publishing goes on")
            publisher.stop()
            stack.wait_until(lambda: crowd.post(where, "the end")[0] == 202, 60)
            tap.ok(stack.wait_until(lambda: everybody.have("the end"), 90), f"{way}: all have the last message")
            kept = [fields[1] for _, fields in redis.stream("chat")][1:]
            wrong = [client.texts for client in everybody.clients if client.texts != kept]
            tap.equal(wrong[:1], [], f"{way}: every client has each of {len(kept)} messages once and in order")
            tap.equal([text for text in publisher.taken() if kept.count(text) != 1], [], f"{way}: none of {len(publisher.taken())} messages that were answered 202 is lost or doubled")
        finally:
            publisher.stop()
            everybody.leave()
        stack.finish(site, "chat: ", "duplex: ", *stack.GONE)


check_stopped()
for way in ("websocketd", "resident"):
    check_restarted(way)
tap.done()
