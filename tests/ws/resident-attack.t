#!/usr/bin/python3
"""
A resident endpoint under attack: hostile clients of a random seed do what no client should, in any order and cut anywhere, while
others use it. It loses none of them, ends by itself only when it is told to, and keeps nothing. ATTACKS and SEED set how many
attacks of which seed.
"""
import os
import random
import select
import socket
import sys
import time

sys.path.insert(0, f"{sys.path[0]}/../lib")
import frames
import stack
import tap
from frames import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT
from resident import Client, Endpoint

SEED = int(os.environ.get("SEED", time.time_ns() % 100000))
ATTACKS = int(os.environ.get("ATTACKS", 300 if stack.SANITIZED else 1500))
PATHS = ["echo"] * 6 + ["hold", "stream", "ask", "tick", "poll", "poll-busy", "poll-odd", "count", "time", "end", "nothing", "after-close", "after-end",
         "after-refusal", "refuse?403", "close?4000", "variables", "accept?chat", "no-such-view"]
rng = random.Random(SEED)


def random_frame():
    opcode = rng.choice([TEXT, TEXT, BINARY, CONTINUATION, PING, PONG, CLOSE, 3, 11, rng.randrange(16)])
    length = rng.choice([0, 1, 2, 5, 125, 126, 127, 1000, 65535, 65536, rng.randrange(200000)])
    payload = bytes(length) if rng.random() < 0.5 else rng.randbytes(min(length, 3000))
    if opcode == CLOSE:
        payload = payload[:rng.choice([0, 1, 2, 2, 20])]
    elif opcode & 8 and rng.random() < 0.9:
        payload = payload[:125]
    odd = rng.random() < 0.1
    if rng.random() < 0.05:
        return frames.header(rng.randrange(256), rng.randrange(1 << 63), None, rng.random() < 0.9)
    return frames.frame(opcode, payload, fin=rng.random() < 0.8, rsv=rng.randrange(8) if odd else 0, mask=None if odd and rng.random() < 0.5 else frames.MASK)


def random_head():
    head = Client.head(f"/views/{rng.choice(PATHS)}", ["Sec-WebSocket-Protocol: chat"] if rng.random() < 0.2 else [])
    if rng.random() < 0.7:
        return head
    if rng.random() < 0.5:
        return head[:rng.randrange(len(head))]
    at = rng.randrange(len(head))
    return head[:at] + rng.randbytes(rng.choice([1, 2, 20000])) + head[at:]


class Attacker:
    """A client with bytes that it sends in random pieces; it may read, or not, and leaves as it likes."""

    def __init__(self, address):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(address)
        self.socket.setblocking(False)
        self.data = random_head() + b"".join(random_frame() for _ in range(rng.randrange(12)))
        if rng.random() < 0.2:
            self.data += frames.text(b"again") * rng.randrange(5000)
        self.reads = rng.random() < 0.5
        self.turns = rng.randrange(1, 40)

    def act(self):
        """Does one thing: false if it has left."""
        self.turns -= 1
        try:
            if self.data:
                size = rng.choice([1, 7, 1000, len(self.data)])
                self.data = self.data[self.socket.send(self.data[:size]):]
            if self.reads:
                self.socket.recv(rng.choice([1, 1000, 1 << 20]))
        except BlockingIOError:
            pass
        except OSError:
            self.turns = 0
        if self.turns == 2 and rng.random() < 0.3:
            try:
                self.socket.shutdown(rng.choice([socket.SHUT_WR, socket.SHUT_RD, socket.SHUT_RDWR]))
            except OSError:
                pass
        if self.turns > 0:
            return True
        self.socket.close()
        return False


def use(client, number):
    client.send(frames.text(b"%d" % number) + frames.frame(PING, b"p"))
    return [client.frame(), client.frame()] == [(TEXT, b"%d" % number), (PONG, b"p")]


print(f"# SEED={SEED} ATTACKS={ATTACKS}")
with Endpoint(stack.BUILD / "tests/views", workers=2, WEBSOCKET_MAX_PER_ADDRESS="0", WEBSOCKET_MAX_MESSAGE="100000", WEBSOCKET_MAX_MEMORY="8000000",
              WEBSOCKET_PING_SECONDS="3", WEBSOCKET_HANDSHAKE_SECONDS="1") as views:
    friends = [views.connect("/views/echo") for _ in range(6)]
    attackers = []
    served = wrong = 0
    for number in range(ATTACKS):
        attackers.append(Attacker(views.address))
        for attacker in rng.sample(attackers, min(len(attackers), 20)):
            if not attacker.act():
                attackers.remove(attacker)
        if number % 10 == 0:
            for friend in friends:
                while select.select([friend.socket], [], [], 0)[0] and friend.receive():
                    pass
                while (frame := frames.take(friend.arrived)) is not None:
                    if frame[0] == PING:
                        friend.send(frames.frame(PONG, frame[2]))
                served += 1
                wrong += not use(friend, number)
    tap.equal((wrong, [process.poll() for process in views.processes]), (0, [None, None]), f"{served} messages of others came back beside {ATTACKS} attacks of seed {SEED}")
    for attacker in attackers:
        attacker.socket.close()
    for friend in friends:
        friend.close()
    gone = stack.wait_until(lambda: all(views.figures(process)[:2] == [0, 0] for process in views.processes), 60)
    tap.ok(gone, "nothing of the clients is left when they have gone") or print("#", views.log()[-2:])
    tap.equal(views.stop(), [0, 0], "both workers end when they are told to")
    odd = [line for line in views.log() if not line.startswith(("views: ", "after ", "event "))]
    tap.ok(not odd and len(views.log()) < 5000, f"the log has {len(views.log())} lines, all of them ours") or print("#", odd[:20])
tap.done()
