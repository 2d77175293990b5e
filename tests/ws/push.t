#!/usr/bin/python3
"""
One message to many, through the whole stack: SUBSCRIBERS (200) of whom each gets each of a thousand messages, in
order; one that never reads, which costs the others nothing; what cannot be published; as much as is kept; Redis gone and back.
"""
import asyncio
import json
import os
import re
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request

sys.path.insert(0, f"{sys.path[0]}/../lib")
import listeners
import rfc6455
import stack
import tap
from listeners import close_all, read_until
from redis_server import Redis

SUBSCRIBERS = int(os.environ.get("SUBSCRIBERS", 100 if stack.SANITIZED else 200))
MESSAGES = 100 if stack.SANITIZED else 1000
LARGEST = 16384  # bytes of a message
KEPT = 10000
PATIENCE = 30  # seconds for which a client may take nothing


def post(text):
    with urllib.request.urlopen(site.url("/chat"), urllib.parse.urlencode({"message": text}).encode(), 30) as answer:
        return answer.read().decode().strip()


def lines_after(id_):
    """All that is kept after this message, as the lines of JSON that a client gets."""
    lines = []
    while True:
        try:
            with urllib.request.urlopen(site.url(f"/chat?after={id_}"), timeout=30) as answer:
                page = answer.read().splitlines()
        except urllib.error.HTTPError as error:
            if error.code != 503:  # Redis has not answered in time
                raise
            continue
        if not page:
            return lines
        lines += page
        id_ = json.loads(page[-1])["id"]


def text_of(line):
    return json.loads(line)["text"].encode()


def Subscriber(after, buffer=None):
    return listeners.Subscriber(("127.0.0.1", site.port), after, buffer=buffer)


def open_all(number):
    """So many that are subscribed, since each has got the last message, and the id of that."""
    last = post("ready")
    subscribers = [Subscriber("-1") for _ in range(number)]
    read_until(subscribers, b"ready", listeners.Subscriber.come_back)
    tap.equal(sum(len(one.lines()) for one in subscribers), number, f"{number} subscribers begin with the last message")
    return subscribers, last


def check_all_have(subscribers, last, texts, name):
    """Each has got these texts after the first, and nothing else, as they are kept."""
    lines = lines_after(last)
    tap.equal([text_of(line) for line in lines] == texts, True, f"{name}: all messages are kept")
    right = sum(one.lines()[1:] == lines for one in subscribers)
    tap.equal(right, len(subscribers), f"{name}: each subscriber has each message once and in order")


def sent_away():
    """How often the log says that Redis did not answer in time."""
    return sum(re.search(r"chat: 127\.0\.0\.1: (a message is not published: )?Redis", line) is not None for line in site.log().splitlines())


def publish(subscribers, last, texts, count, in_parts=False):
    """
    The first of the subscribers publishes the last count of these texts, and everybody reads until the last has come. Redis has a
    second for its answer, and hundreds of processes on a machine that is busy may keep it from that. Who is sent away then does what
    such a client has to: it comes back, and whoever publishes looks which of its messages were taken since that id.
    """
    def come_back(one):
        one.come_back()
        if one is subscribers[0]:
            redis.ask("PING")  # behind what it may have been asked before
            one.publish(texts[len(lines_after(last)):])

    subscribers[0].publish(texts[-count:])
    read_until(subscribers, texts[-1], come_back, in_parts)


def check_many():
    before = sent_away()
    subscribers, last = open_all(SUBSCRIBERS)
    texts = [b"message %d" % number for number in range(MESSAGES)]
    begin = time.monotonic()
    publish(subscribers, last, texts, MESSAGES)
    returns = sum(one.returns for one in subscribers)
    print(f"# {SUBSCRIBERS * MESSAGES} arrivals in {time.monotonic() - begin:.1f} s; {returns} came back")
    check_all_have(subscribers, last, texts, f"{MESSAGES} messages")
    stack.wait_until(lambda: sent_away() - before == returns)
    tap.equal(returns, sent_away() - before, "whoever was sent away was so because Redis did not answer in time")
    close_all(subscribers)
    tap.ok(stack.wait_until(lambda: len(site.endpoints()) <= 1), f"when {SUBSCRIBERS} subscribers go, their processes are gone")


class Slow:
    """A client that never reads, beside some that do, and a flood: far more than all buffers on the way hold."""

    def __init__(self):
        subscribers, self.last = open_all(5)
        before = set(site.endpoints())
        self.client = Subscriber("-1", buffer=4096)
        stack.wait_until(lambda: set(site.endpoints()) - before)  # websocketd answers the handshake before it starts one
        self.pid = (set(site.endpoints()) - before).pop()
        self.texts = [b"x" * (LARGEST - 4) + b"%04d" % number for number in range(1500)]
        self.begin = time.monotonic()
        for end in range(20, len(self.texts) + 1, 20):
            publish(subscribers, self.last, self.texts[:end], 20, in_parts=True)
        name = f"{len(self.texts) * LARGEST >> 20} MiB in {time.monotonic() - self.begin:.1f} s beside one that never reads"
        check_all_have(subscribers, self.last, self.texts, name)
        close_all(subscribers)

    def check_end(self):
        """It is ended; what is on the way to it is the beginning, and the rest comes after what it has seen."""
        tap.ok(stack.wait_until(lambda: not stack.is_alive(self.pid), PATIENCE + 30), f"a client that takes nothing is ended, within {time.monotonic() - self.begin:.0f} s")
        tap.ok(site.told("the client takes nothing") or sent_away(), "the log says that a client took nothing, if Redis has answered in time")
        while self.client.read():
            pass
        seen = list(listeners.split(self.client.got)[0])
        last = json.loads(seen[-1])["id"]
        again = Subscriber(last)
        publish([again], last, [*self.texts[len(seen) - 1:], b"at last"], 1)
        texts = [text_of(line) for line in (*seen, *again.lines())]
        tap.equal(texts[1:len(self.texts) + 1] == self.texts, True,
                  f"a client that took nothing had {len(seen) - 1} of {len(self.texts)} messages, and has the rest when it comes back, each once")
        close_all([again, self.client])


async def converse(path, text):
    async with rfc6455.connect(site.ws_url(path)) as client:
        await client.send(text)
        return await asyncio.wait_for(client.recv(), 60)


def check_gone():
    """Redis is gone: who is connected is told by the end, the log once for each, and the echo knows nothing of it."""
    subscribers, _ = open_all(20)
    line = "chat: 127.0.0.1: Redis: "
    before = site.log().count(line)  # those of the many who were sent away
    redis.kill()
    for one in subscribers:
        while one.read():
            pass
    tap.ok(stack.wait_until(lambda: not site.endpoints()), "when Redis goes, the clients of the chat are ended")
    tap.equal(site.told(line, before + 20), before + 20, "when Redis goes, the log says so once for each client of the chat")
    tap.equal(asyncio.run(converse("/echo", "hi")), "hi", "/echo works while Redis is gone")
    refused = Subscriber("-1")
    tap.equal((refused.read(), bytes(refused.got)), (b"", b""), "a client that comes to the chat while Redis is gone is ended")
    redis.start()
    begin = time.monotonic()
    tap.ok(stack.wait_until(is_published), f"the chat works {time.monotonic() - begin:.1f} s after Redis is back")
    close_all([*subscribers, refused])


def is_published():
    try:
        return json.loads(asyncio.run(converse("/chat", "back")))["text"] == "back"
    except rfc6455.Closed:
        return False


def check_refused():
    """What cannot be published ends the connection of the one who sent it."""
    before = len(lines_after("0-0"))
    for text in ("x" * (LARGEST + 1), "\u00e9" * (LARGEST // 2 + 1)):
        ended = False
        try:
            asyncio.run(converse("/chat?after=0-0" if before == 0 else "/chat?after=" + post("mark"), text))
        except rfc6455.Closed:
            ended = True
        tap.ok(ended, f"a message of {len(text.encode())} bytes ends the connection of the one who sent it")
    tap.ok(site.told("a message is not published: Message too long"), "the log says that a message was too long to be published")
    tap.equal(len(lines_after("0-0")), before + 2, "what cannot be published reaches nobody")


def check_kept():
    """However much is published, so much is kept."""
    publisher = Subscriber("-0")
    publisher.publish([b"%d" % number for number in range(KEPT + 2000)])
    read_until([publisher], b"%d" % (KEPT + 1999))
    kept = int(redis.ask("XLEN", "duplex:chat"))
    tap.ok(KEPT <= kept < KEPT + 200, f"of {KEPT + 2000} messages {kept} are kept")
    tap.equal([text_of(line) for line in listeners.split(publisher.got)[0]] == [b"%d" % number for number in range(KEPT + 2000)], True, f"all of {KEPT + 2000} messages were delivered")
    publisher.socket.close()


def check_small():
    symbols = subprocess.run(["nm", stack.BUILD / "ws/echo"], capture_output=True, text=True).stdout
    found = [line for line in symbols.splitlines() if any(word in line for word in ("redis", "channel_", "subscribe", "publish"))]
    tap.ok(" websocket_send" in symbols and not found, f"the echo is linked with nothing of channels and Redis: {found}")


check_small()
with Redis() as redis, stack.Stack(DUPLEX_REDIS=redis.address) as site:
    slow = Slow()
    slow.check_end()
    check_many()
    check_refused()
    check_kept()
    check_gone()
    stack.finish(site, "the client takes nothing", "chat: 127.0.0.1: Redis", "Redis at ", "a message is not published", *stack.GONE)
tap.done()
