#!/usr/bin/python3
"""/chat as a resident endpoint, on its own socket: what RFC 6455 lets it say that websocketd cannot, a status and a close code."""
import json
import sys

sys.path.insert(0, f"{sys.path[0]}/../lib")
import frames
import stack
import tap
from redis_server import Redis
from resident import Endpoint

FORWARDED = ("X-Forwarded-For: 192.0.2.7",)


def text(client):
    """The next message, or the close code."""
    opcode, payload = client.frame()
    return payload.decode() if opcode == frames.TEXT else int.from_bytes(payload[:2], "big")


def texts(client, number):
    return [json.loads(text(client))["text"] for _ in range(number)]


def add(channel, words):
    return redis.ask("XADD", f"duplex:{channel}", "*", "text", words)


def check_handshake(chat):
    """What a client asks for is judged before the handshake is answered."""
    for path, status in (("/chat?after=x", 400), ("/chat?after=", 400), ("/chat?x=1&after=-5%00", 400), ("/chat/a%20b", 404), ("/chat/room/", 404), ("/chat/a/b", 404),
                         ("/chat?after=-5&x=1", 101), ("/chat/room?x=1", 101), ("/chat/?x=1", 101)):
        tap.equal(chat.connect(path).status, status, f"a handshake for {path} is answered {status}")


def check_rooms(chat):
    seen = add("red", "one")
    add("red", "two")
    with_all, after, other = chat.connect("/chat/red"), chat.connect(f"/chat/red?x=1&after={seen}"), chat.connect("/chat/blue?after=-0")
    tap.equal((texts(with_all, 2), texts(after, 1)), (["one", "two"], ["two"]), "a room is read from where the query says")
    with_all.send(frames.text(b""))
    tap.equal(text(with_all), "", "an empty text comes back")
    with_all.send(frames.text(b"three"))
    tap.equal((texts(with_all, 1), texts(after, 1)), (["three"], ["three"]), "what is sent to a room arrives at each client there")
    other.send(frames.text(b"alone"))
    tap.equal(texts(other, 1), ["alone"], "a message arrives in no other room")


def check_gap(chat):
    client = chat.connect("/chat/red?after=99999999999999-0")
    tap.equal(json.loads(text(client)), {"gap": "99999999999999-0"}, "a message that is newer than the channel is a gap")
    tap.equal(texts(client, 3), ["one", "two", "three"], "all that is kept follows a gap")


def check_codes(chat):
    """Why a message was not published is a close code, and a line with the client's address."""
    client = chat.connect("/chat/long", fields=FORWARDED)
    client.send(frames.text(b"x" * 16385))
    tap.equal(text(client), 1009, "a message that is too long is answered 1009")
    client = chat.connect("/chat/many?after=-0", fields=FORWARDED)
    client.send(frames.text(b"hi") * 100)
    while isinstance(answer := text(client), str):
        pass
    tap.equal(answer, 1008, "of 100 messages at once one is too many, and is answered 1008")
    tap.ok(40 <= int(redis.ask("XLEN", "duplex:many")) < 100, "the messages before it are published")
    client = chat.connect("/chat/full", fields=("X-Forwarded-For: 192.0.2.8",))
    redis.ask("CONFIG", "SET", "maxmemory", "1")
    client.send(frames.text(b"hi"))
    tap.equal(text(client), 1013, "a message that Redis refuses is answered 1013")
    wanted = ["chat: 192.0.2.7: a message is not published: Message too long", "chat: 192.0.2.7: a message is not published: more than 20 a second (DUPLEX_MAX_PUBLISH)",
              "chat: 192.0.2.8: a message is not published: Redis: OOM "]
    stack.wait_until(lambda: len([line for line in chat.log() if "published" in line]) == 3)
    lines = [line for line in chat.log() if "published" in line]
    tap.ok(len(lines) == 3 and all(line.startswith(start) for line, start in zip(lines, wanted)), f"each message that is not published has one line in the log: {lines}")


with Redis() as redis, Endpoint(stack.BUILD / "ws/chat", DUPLEX_REDIS=redis.address) as chat:
    check_handshake(chat)
    check_rooms(chat)
    check_gap(chat)
    check_codes(chat)
    tap.equal(chat.stop(), [0], "the endpoint ends with status 0")
tap.done()
