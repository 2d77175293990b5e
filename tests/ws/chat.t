#!/usr/bin/python3
"""/chat over WebSocket and over HTTP through the whole stack: what a query means is the same over both."""
import sys

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


with Redis() as redis, stack.Stack(DUPLEX_REDIS=redis.address) as site:
    check_query()
    stack.finish(site, r" chat: 127\.0\.0\.1: refused with status 400", *stack.GONE)
tap.done()
