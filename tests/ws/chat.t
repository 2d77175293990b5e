#!/usr/bin/python3
"""
/chat over WebSocket and over HTTP through the whole stack: what a query means is the same over both, and so is what they
make of a channel that is not as it was left: other programs' entries, messages that were deleted, a Redis that has lost some.
"""
import os
import signal
import sys
import time

sys.path.insert(0, f"{sys.path[0]}/../lib")
import stack
import tap
import talk
from redis_server import Redis

KEPT = 30


def check_query():
    """What a query asks for comes first, and then what is published; garbage is 400, or the end of the connection."""
    ids = [talk.request(site.url("/chat"), {"message": f"m{number}"})[1].strip() for number in range(KEPT)]
    texts = [f"m{number}" for number in range(KEPT)]
    after = ids[24]
    table = [
        (f"?after={after}", texts[25:]), (f"?after={after}&x=1", texts[25:]), (f"?x=1&after={after}", texts[25:]), (f"?&&after={after}&", texts[25:]),
        (f"?after={after.replace('-', '%2D')}", texts[25:]), (f"?%61fter={after}", texts[25:]), (f"?after={ids[0]}&after={after}", texts[25:]),
        ("?after=-5", texts[25:]), ("?after=%2d5&t=1", texts[25:]), ("?after=garbage&after=-5", texts[25:]), ("?after=-0", []), ("?after=0-0", texts),
        ("?after=-1000", texts), ("?after=-99999999999999999999999", texts), ("?after=00-000", texts),
        ("?after", None), ("?after=", None), ("?after=-", None), ("?after=0", None), ("?after=garbage", None), ("?after=-5%00", None), ("?after=-5+", None),
        ("?after=%2B5", None), ("?after=-5%0d%0aX-Evil:1", None), ("?after=$", None), ("?after=*", None), ("?after=-5&after=", None), ("?after=-5x", None),
        (f"?after={after}-1", None), ("?after=18446744073709551616-0", None), ("?after=" + "0" * 5000, None), ("?after=" + "-5" * 40, None),
    ]
    clients = [talk.Client(site.port, f"/chat{query}") for query, _ in table]
    answers = [talk.request(site.url(f"/chat{query}")) for query, _ in table]
    talk.request(site.url("/chat"), {"message": "the end"})
    for (query, wanted), (status, body), client in zip(table, answers, clients):
        name = f"/chat{tap.shorten(query[:40])}"
        got = None if wanted is None else [message["text"] for message in client.lines(len(wanted) + 1)]
        if wanted is None:
            tap.equal((status, client.read()), (400, None), f"{name}: 400, and the end of the WebSocket")
        else:
            tap.equal((status, [message["text"] for message in talk.lines(body)]), (200, wanted), f"{name}: {len(wanted)} messages over HTTP")
            tap.equal(got, [*wanted, "the end"], f"{name}: the same over WebSocket, and what comes")
        client.close()
    refused = sum(wanted is None for _, wanted in table)
    line = r" chat: 127\.0\.0\.1: refused with status 400"
    tap.ok(stack.wait_until(lambda: len(site.unexpected()) >= refused), "each WebSocket that is refused has a line")
    tap.equal((len(site.unexpected()), site.unexpected(line)), (refused, []), "and no more than one")
    with talk.Client(site.port, "/chat") as first, talk.Client(site.port, "/chat?message=hi") as second:
        tap.equal([message["text"] for message in first.lines(20)], [*texts[11:], "the end"], "/chat without after: the last 20")
        tap.equal([message["text"] for message in second.lines(20)], [*texts[11:], "the end"], "/chat with another parameter: the last 20")


def post(text):
    """Publishes a text and returns its id."""
    status, body = talk.request(site.url("/chat"), {"message": text})
    return body.strip() if status == 202 else None


def poll(after):
    """What /chat has over HTTP after this id."""
    status, body = talk.request(site.url(f"/chat?after={after}"))
    return talk.lines(body) if status == 200 else status


def texts(messages):
    return [message.get("text", message) for message in messages]


def add(*fields, id_="*"):
    return redis.ask("XADD", "duplex:chat", id_, *fields)


def check_foreign():
    """Entries of other programs, more than are read at once, and messages that cannot be read: what follows arrives."""
    first = post("first")
    for number in range(120):
        add("user", "bob", "text", f"with a field more {number}")
    for fields in (("text", "x" * 16385), ("foo", "bar"), ("", "")):
        add(*fields)
    last = post("last")
    tap.equal(texts(poll(first)), ["last"], "over HTTP the message behind 120 entries of others is there")
    tap.equal(texts(poll("-2")), ["first", "last"], "and is the last but one, whoever wrote between")
    with talk.Client(site.port, f"/chat?after={first}") as client, talk.Client(site.port, "/chat?after=-2") as newcomer:
        tap.equal(texts(client.lines(1)), ["last"], "over WebSocket the message behind 120 entries of others is there")
        tap.equal(texts(newcomer.lines(2)), ["first", "last"], "and is the last but one")
        add("foo", "bar")
        post("and on")
        tap.equal(texts(client.lines(1)), ["and on"], "what comes after another entry is there at once")
    far = add("text", "far future", id_="10000000000000000000-0")
    tap.equal(texts(poll(last)), ["and on", "far future"], "an id of twenty digits is one")
    tap.equal(poll(far), [], "and can be asked for")
    with talk.Client(site.port, f"/chat?after={far}") as client:
        post("next")
        tap.equal(texts(client.lines(1)), ["next"], "over WebSocket as well")
    redis.ask("DEL", "duplex:chat")


def check_deleted():
    """The message that was seen last is deleted, or trimmed: nobody is cut off, and nothing is missing."""
    ready = post("ready")
    with talk.Client(site.port, "/chat?after=-1") as client:
        tap.equal(texts(client.lines(1)), ["ready"], "a client is ready")
        offending = post("offending")
        tap.equal(texts(client.lines(1)), ["offending"], "a message that will be deleted arrives")
        redis.ask("XDEL", "duplex:chat", ready, offending)
        tap.equal((poll(offending), redis.ask("XLEN", "duplex:chat")), ([], "0"), "after a deleted message: nothing yet")
        pid = max(site.endpoints())
        os.kill(pid, signal.SIGSTOP)
        wanted = [f"m{number}" for number in range(150)]
        for text in wanted:
            add("text", text)
        os.kill(pid, signal.SIGCONT)
        tap.equal(texts(client.lines(150)), wanted, "all of what follows it comes, to a client that was slow")
    tap.equal(texts(poll(offending)), wanted[:100], "and over HTTP")
    redis.ask("XTRIM", "duplex:chat", "MAXLEN", "=", "100")
    tap.equal(texts(poll(offending)), wanted[50:], "a client that comes back after a trimmed message has what is kept")


def check_gap():
    """Redis has lost what a client has seen: the client is told, and gets what is kept from then on."""
    redis.ask("DEL", "duplex:chat")
    ahead = add("text", "before the failover", id_=f"{int(time.time() * 1000) + 30000}-0")
    redis.ask("DEL", "duplex:chat")
    with talk.Client(site.port, f"/chat?after={ahead}") as client:
        tap.equal(client.lines(1), [{"gap": ahead}], "over WebSocket a gap is told at once")
        tap.equal(poll(ahead), [{"gap": ahead}], "and over HTTP")
        id_ = post("after the failover")
        message = {"id": id_, "text": "after the failover"}
        tap.equal(client.lines(1), [message], "over WebSocket what is published then arrives")
        tap.equal(poll(ahead), [{"gap": ahead}, message], "and over HTTP")
    tap.equal(poll(id_), [], "the new id is one to go on after")
    with talk.Client(site.port, "/chat") as newcomer:
        tap.equal(newcomer.lines(1), [message], "a newcomer is told of no gap")


def check_overtaken():
    """A client that is slower than what is kept is told where messages may be missing, and goes on."""
    post("seen")
    with talk.Client(site.port, "/chat?after=-1") as client:
        tap.equal(texts(client.lines(1)), ["seen"], "a client before it is overtaken")
        pid = max(site.endpoints())
        os.kill(pid, signal.SIGSTOP)
        ids = [add("text", f"s{number}") for number in range(300)]
        redis.ask("XTRIM", "duplex:chat", "MAXLEN", "=", "200")
        os.kill(pid, signal.SIGCONT)
        wanted = ["s0", {"gap": ids[0]}, *(f"s{number}" for number in range(100, 300))]
        tap.ok(texts(client.lines(202)) == wanted, "it has the message that Redis sent at once, the gap, and all that is kept")


with Redis() as redis, stack.Stack(DUPLEX_REDIS=redis.address) as site:
    check_query()
    check_foreign()
    check_deleted()
    check_gap()
    check_overtaken()
    stack.finish(site, r" chat: 127\.0\.0\.1: refused with status 400", *stack.GONE)
tap.done()
