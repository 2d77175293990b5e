#!/usr/bin/python3
"""
/chat over WebSocket and over HTTP through the whole stack, with an endpoint for each client and with a resident one: what a
query means is the same over both, and so is what they make of a channel that is not as it was left: other programs' entries,
messages that were deleted, a Redis that has lost some.
"""
import os
import signal
import sys
import time

sys.path.insert(0, f"{sys.path[0]}/../lib")
import served
import stack
import tap
import talk
from redis_server import Redis

KEPT = 30


def are_waiting(number):
    """Whether so many clients have read all that there is, and wait; those of a resident endpoint wait as one."""
    return f"blocked_clients:{min(1, number) if is_resident else number}\n" in redis.ask("INFO", "clients").replace("\r", "")


def endpoint():
    """The process that serves the client that came last."""
    return next(pid for pid in site.pids("chat") if not stack.children(pid)) if is_resident else max(site.endpoints())


def is_refused(client, status):
    """Whether a client was refused: by this status of the handshake, or behind websocketd by the end."""
    return client.status == (status if is_resident else 101) and client.read() is None


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
    stack.wait_until(lambda: are_waiting(sum(wanted is not None for _, wanted in table)))
    talk.request(site.url("/chat"), {"message": "the end"})
    for (query, wanted), (status, body), client in zip(table, answers, clients):
        name = f"/chat{tap.shorten(query[:40])}"
        got = None if wanted is None else [message["text"] for message in client.lines(len(wanted) + 1)]
        if wanted is None:
            tap.equal((status, is_refused(client, 400)), (400, True), f"{name}: 400, and no WebSocket")
        else:
            tap.equal((status, [message["text"] for message in talk.lines(body)]), (200, wanted), f"{name}: {len(wanted)} messages over HTTP")
            tap.equal(got, [*wanted, "the end"], f"{name}: the same messages over WebSocket, and what is published then")
        client.close()
    refused = 0 if is_resident else sum(wanted is None for _, wanted in table)
    line = r" chat: 127\.0\.0\.1: refused with status 400"
    tap.ok(stack.wait_until(lambda: len(site.unexpected()) >= refused), "each WebSocket that ends for a query that is not valid has a line in the log")
    tap.equal((len(site.unexpected()), site.unexpected(line)), (refused, []), "no WebSocket with a query that is not valid has more than one line")
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
    tap.equal(texts(poll(first)), ["last"], "over HTTP the message behind 120 entries of another program is there")
    tap.equal(texts(poll("-2")), ["first", "last"], "over HTTP the last two messages are found, whatever another program wrote between")
    with talk.Client(site.port, f"/chat?after={first}") as client, talk.Client(site.port, "/chat?after=-2") as newcomer:
        tap.equal(texts(client.lines(1)), ["last"], "over WebSocket the message behind 120 entries of another program is there")
        tap.equal(texts(newcomer.lines(2)), ["first", "last"], "over WebSocket the last two messages are found")
        add("foo", "bar")
        post("and on")
        tap.equal(texts(client.lines(1)), ["and on"], "a message that follows an entry of another program arrives")
    far = add("text", "far future", id_="10000000000000000000-0")
    tap.equal(texts(poll(last)), ["and on", "far future"], "a message whose id has twenty digits is there")
    tap.equal(poll(far), [], "over HTTP an id of twenty digits can be asked for")
    with talk.Client(site.port, f"/chat?after={far}") as client:
        post("next")
        tap.equal(texts(client.lines(1)), ["next"], "over WebSocket an id of twenty digits can be asked for")
    redis.ask("DEL", "duplex:chat")


def check_deleted():
    """The message that was seen last is deleted, or trimmed: nobody is cut off, and nothing is missing."""
    ready = post("ready")
    with talk.Client(site.port, "/chat?after=-1") as client:
        tap.equal(texts(client.lines(1)), ["ready"], "a client is ready")
        offending = post("offending")
        tap.equal(texts(client.lines(1)), ["offending"], "a message that will be deleted arrives")
        redis.ask("XDEL", "duplex:chat", ready, offending)
        tap.equal((poll(offending), redis.ask("XLEN", "duplex:chat")), ([], "0"), "over HTTP nothing has come after a deleted message")
        pid = endpoint()
        os.kill(pid, signal.SIGSTOP)
        wanted = [f"m{number}" for number in range(150)]
        for text in wanted:
            add("text", text)
        os.kill(pid, signal.SIGCONT)
        tap.equal(texts(client.lines(150)), wanted, "all 150 messages after a deleted one arrive at a client that was slow")
    tap.equal(texts(poll(offending)), wanted[:100], "over HTTP the messages after a deleted one are there")
    redis.ask("XTRIM", "duplex:chat", "MAXLEN", "=", "100")
    tap.equal(texts(poll(offending)), wanted[50:], "a client that comes back after a trimmed message has what is kept")


def check_gap():
    """Redis has lost what a client has seen: the client is told, and gets what is kept from then on."""
    redis.ask("DEL", "duplex:chat")
    ahead = add("text", "before the failover", id_=f"{int(time.time() * 1000) + 30000}-0")
    redis.ask("DEL", "duplex:chat")
    with talk.Client(site.port, f"/chat?after={ahead}") as client:
        tap.equal(client.lines(1), [{"gap": ahead}], "over WebSocket a gap is told at once")
        tap.equal(poll(ahead), [{"gap": ahead}], "a gap is told over HTTP")
        id_ = post("after the failover")
        message = {"id": id_, "text": "after the failover"}
        tap.equal(client.lines(1), [message], "over WebSocket what is published after a gap arrives")
        tap.equal(poll(ahead), [{"gap": ahead}, message], "over HTTP what is published after a gap follows it")
    tap.equal(poll(id_), [], "after the new id there is no gap")
    with talk.Client(site.port, "/chat") as newcomer:
        tap.equal(newcomer.lines(1), [message], "a newcomer is told of no gap")


def check_overtaken():
    """A client that is slower than what is kept is told where messages may be missing, and goes on."""
    seen = post("seen")
    with talk.Client(site.port, "/chat?after=-1") as client:
        tap.equal(texts(client.lines(1)), ["seen"], "a client before it is overtaken")
        stack.wait_until(lambda: are_waiting(1))
        pid = endpoint()
        os.kill(pid, signal.SIGSTOP)
        ids = [add("text", f"s{number}") for number in range(300)]
        redis.ask("XTRIM", "duplex:chat", "MAXLEN", "=", "200")
        os.kill(pid, signal.SIGCONT)
        rest = [f"s{number}" for number in range(100, 300)]
        got = texts(client.lines(201))
        got += texts(client.lines(1)) if got[:1] == ["s0"] else []  # else the question had ended without it
        tap.ok(got in (["s0", {"gap": ids[0]}, *rest], [{"gap": seen}, *rest]), "a client that was overtaken has what Redis had sent, the gap, and all that is kept")


def check_rooms():
    """/chat/NAME is a channel of its own, over both ways; what is not a name is not there."""
    status, id_ = talk.request(site.url("/chat/red-1_A"), {"message": "in red"})
    tap.equal(status, 202, "POST /chat/NAME: 202")
    talk.request(site.url("/chat/blue"), {"message": "in blue"})
    status, page = talk.request(site.url("/chat/red-1_A"))
    tap.equal((status, page), (200, served.file("chat.html", b"../").decode()), "GET /chat/NAME: the page")
    message = {"id": id_.strip(), "text": "in red"}
    tap.equal([talk.lines(talk.request(site.url(f"/chat/{name}?after=-5"))[1]) for name in ("red-1_A", "green")], [[message], []], "a room has its own messages")
    with talk.Client(site.port, "/chat/red-1_A") as red, talk.Client(site.port, f"/chat/red-1_A?after={message['id']}&x=1") as late, \
            talk.Client(site.port, "/chat/blue?after=-1") as blue, talk.Client(site.port, "/chat?after=-1") as chat, talk.Client(site.port, "/chat/chat?after=-1") as same, talk.Client(site.port, "/chat/?after=-1") as slash:
        tap.equal((red.lines(1), texts(blue.lines(1))), ([message], ["in blue"]), "a WebSocket to a room gets the messages of that room")
        last = texts(chat.lines(1))
        tap.equal((texts(same.lines(1)), texts(slash.lines(1))), (last, last), "/chat is the channel called chat, and so is /chat/")
        red.send("from red")
        tap.equal(texts(red.lines(1)), ["from red"], "what is sent to a room arrives there")
        talk.request(site.url("/chat/red-1_A"), {"message": "over HTTP"})
        tap.equal(texts(red.lines(1)), ["over HTTP"], "what is posted to a room arrives there")
        tap.equal(talk.request(site.url("/chat/"), {"message": "in the chat"})[0], 202, "POST /chat/: 202")
        tap.equal(texts(late.lines(2)), ["from red", "over HTTP"], "each client of a room gets its messages")
        tap.equal((texts(chat.lines(1)), texts(same.lines(1)), texts(slash.lines(1))), (["in the chat"],) * 3, "a message arrives in no other room")
    before = len(site.unexpected())
    for name in ("a/b", "a%20b", "a.b", "%C3%A9", "a:b", "x" * 65, "red/", "a+b"):
        path = f"/chat/{name}"
        tap.equal([talk.request(site.url(path))[0], talk.request(site.url(f"{path}?after=-1"))[0], talk.request(site.url(path), {"message": "hi"})[0]], [404] * 3,
                  f"{path[:20]} is not a room: 404")
        with talk.Client(site.port, path) as client:
            tap.ok(is_refused(client, 404), f"{path[:20]} is not a room: no WebSocket")
    tap.ok(stack.wait_until(lambda: len(site.unexpected()) - before == (0 if is_resident else 8)) and site.unexpected(r"refused with status 40[04]") == [], "each WebSocket that ends because it is not to a room has one line in the log")


def check_probe():
    """An empty text comes back to its sender alone, and is not published."""
    before = redis.ask("XLEN", "duplex:chat")
    with talk.Client(site.port, "/chat?after=-1") as one, talk.Client(site.port, "/chat?after=-1") as other:
        one.lines(1)
        other.lines(1)
        one.send("")
        tap.equal(one.read(), "", "an empty text comes back as an empty text")
        one.send("")
        one.send("said")
        tap.equal([one.read() == "", texts(one.lines(1)), texts(other.lines(1))], [True, ["said"], ["said"]], "an empty text comes back to its sender alone")
    tap.equal(int(redis.ask("XLEN", "duplex:chat")), int(before) + 1, "an empty text is not published")


for is_resident in (False, True):
    print(f"# {'a resident endpoint' if is_resident else 'an endpoint for each client'}")
    with Redis() as redis, stack.Stack(DUPLEX_REDIS=redis.address, WS="resident" if is_resident else "websocketd", DUPLEX_WORKERS="1",
                                      WEBSOCKET_PING_SECONDS="0") as site:  # nobody here answers a ping
        check_query()
        check_foreign()
        check_deleted()
        check_gap()
        check_overtaken()
        check_rooms()
        check_probe()
        stack.finish(site, r" chat: 127\.0\.0\.1: refused with status 40[04]", *stack.GONE)
tap.done()
