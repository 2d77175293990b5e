#!/usr/bin/python3
"""
Three machines behind a front, as conf/front has it for HAProxy and for Apache, which run their endpoints in either way. While
clients listen and somebody publishes, one of the hosts crashes or disappears without a word: its clients come back on the
others, and nobody misses a message or has one twice.
"""
import asyncio
import json
import os
import pathlib
import re
import signal
import statistics
import sys
import tempfile
import time

sys.path.insert(0, f"{sys.path[0]}/../lib")
import frames
import namespace
import rfc6455
import stack
import tap

stack.need("haproxy", "apache2", "lighttpd", "nginx", "websocketd", "redis-server", "spawn-fcgi", "multiwatch", "ip", "nsenter", "unshare", "setpriv")
namespace.enter()

import crowd
import hostile
import machines
import units
from machines import CLIENT, SITE
from redis_server import Redis

CLIENTS = 60 if stack.SANITIZED else 300
PAUSE = 0.05   # seconds between two messages
SOME = 25      # messages
PATIENCE = 60  # seconds, for what takes two or three on a machine that has nothing else to do


def eventually(condition):
    return stack.wait_until(condition, PATIENCE)


async def ask(path, *messages, site=SITE, **options):
    """Returns what a WebSocket sends at first or after a message, the status if it is refused, or None if it is lost."""
    try:
        async with rfc6455.connect(f"ws://{site}{path}", open_timeout=PATIENCE, **options) as client:
            for message in messages:
                await client.send(message)
            return await asyncio.wait_for(client.recv(), PATIENCE)
    except rfc6455.Refused as error:
        return error.status
    except (OSError, asyncio.TimeoutError):
        return None


async def offend():
    """Sends text that is not UTF-8, which leaves a line in the log of the host. Returns what comes before the end."""
    try:
        async with rfc6455.connect(f"ws://{SITE}/echo", open_timeout=PATIENCE) as client:
            await client.send_bytes(frames.text(b"\xff"))
            return await asyncio.wait_for(client.recv(), PATIENCE)
    except (OSError, asyncio.TimeoutError):
        return None


def who():
    """Returns the host of a new WebSocket, and what its endpoint knows of the client, which sends false headers."""
    lies = {spelled: lie for name, lie in (("X-Forwarded-For", "192.0.2.66"), ("X-Forwarded-Proto", "https")) for spelled in hostile.spellings(name)}
    answer = asyncio.run(ask("/who", headers=lies))
    address, scheme, host = answer.split() if isinstance(answer, str) else (None, None, None)
    return host, (address, scheme)


def stream(after):
    """Returns what was published after this message, in order."""
    return [fields[1] for _, fields in json.loads(redis.ask("--json", "XRANGE", "duplex:chat", f"({after}", "+"))]


def mark(text):
    """Publishes and returns the id."""
    status, answer = crowd.post(SITE, text)
    assert status == 202, status
    return answer.strip()


def check_ways():
    if not tap.ok(eventually(lambda: crowd.request(SITE, "GET", "/echo?message=Hello%2C+World%21") == (200, "Hello, World!")), "/echo through the front answers over HTTP"):
        print("".join(f"# {line}\n" for line in front.log().splitlines()))
        tap.done()
    tap.ok(eventually(lambda: asyncio.run(ask("/echo", "hi")) == "hi"), "/echo through the front answers over WebSocket")
    tap.equal(asyncio.run(ask("/echo", "hi", origin=f"http://{SITE}")), "hi", "a WebSocket from the site's own page is accepted")
    tap.equal([asyncio.run(ask("/echo", "hi", origin="http://elsewhere.example")) for _ in range(6)], [403] * 6, "a WebSocket from another site's page is refused by every host")
    seen = {host.address: [] for host in hosts}

    def is_seen_often():
        """Of two spellings of a header either may win: one answer of each host is not enough."""
        host, told = who()
        seen.setdefault(host, []).append(told)
        return min(len(seen[host.address]) for host in hosts) >= 5

    eventually(is_seen_often)
    tap.equal([(host.server, set(seen[host.address])) for host in hosts], [(host.server, {(CLIENT, "http")}) for host in hosts],
              "all hosts are used, and an endpoint has the client's address, whatever the client says")
    line = rf"\becho: {re.escape(CLIENT)}: "
    before = [len(host.said(line)) for host in hosts]
    tap.ok(eventually(lambda: not asyncio.run(offend()) and all(len(host.said(line)) > count for host, count in zip(hosts, before))),
           "the log of each host has the client's address too")


async def listen_everywhere():
    """Posts at each host and at the front, and returns what a client at each host gets."""
    after = mark("before")
    clients = [await rfc6455.connect(f"ws://{host.address}/chat?after={after}") for host in hosts]
    texts = [f"by way of {place}" for place in (SITE, *(host.address for host in hosts))]
    for text in texts:
        await asyncio.get_running_loop().run_in_executor(None, crowd.post, text.split()[-1], text)
    got = [[json.loads(await asyncio.wait_for(client.recv(), PATIENCE))["text"] for _ in texts] for client in clients]
    for client in clients:
        await client.close()
    return got, texts


def check_push():
    got, texts = asyncio.run(listen_everywhere())
    tap.equal(got, [texts] * len(hosts), "what is posted at one host comes to the clients of all, each once")


def check_lists(clients, publisher, after):
    published = stream(after)
    taken = publisher.taken()
    unsure = [text for text, status in publisher.statuses.items() if status != 202]
    wrong = [client.texts for client in clients if client.texts != published]
    tap.equal(wrong[:1], [], f"every client has each of {len(published)} messages once and in order")
    tap.equal([text for text in taken if published.count(text) != 1], [], f"each of {len(taken)} messages that were answered 202 was delivered once")
    tap.equal([text for text in unsure if published.count(text) > 1], [], f"none of {len(unsure)} messages without an answer was delivered twice")


def tell_return(everybody, gone, moved):
    times = sorted(client.back[-1] - gone for client in everybody if client.back[-1] > gone)
    print(f"# {moved} of {len(everybody)} were at that host; {len(times)} came back, in {statistics.median(times):.1f} s (median), {times[-1]:.1f} s (last)", flush=True)


def check_loss(victim, go, how):
    """A host is lost while all clients listen and one publishes."""
    after = mark("the beginning")
    publisher = crowd.Publisher(SITE, PAUSE)
    everybody = crowd.Crowd(SITE, CLIENTS, after)
    rest = [host for host in hosts if host is not victim]
    try:
        tap.ok(eventually(lambda: everybody.connected() == CLIENTS and len(publisher.taken()) >= SOME), f"{CLIENTS} clients are connected, and one publishes")
        moved = victim.clients()
        tap.ok(moved > 0, f"{moved} of the clients are at {victim.name}")
        gone = time.monotonic()
        go()
        returned = lambda: [client for client in everybody.clients if client.open and client.back[-1] > gone]
        tap.ok(eventually(lambda: len(returned()) >= moved and everybody.connected() == CLIENTS), f"{victim.name} ({victim.server}) {how}: its clients come back")
        tell_return(everybody.clients, gone, moved)
        tap.ok(eventually(lambda: sum(host.clients() for host in rest) == CLIENTS), f"{victim.name} ({victim.server}) {how}: its clients are at the other hosts")
        count = len(publisher.taken())
        tap.ok(eventually(lambda: len(publisher.taken()) >= count + SOME), f"{victim.name} ({victim.server}) {how}: publishing goes on")
        publisher.stop()
        mark("the end")
        tap.ok(eventually(lambda: everybody.have("the end")), f"{victim.name} ({victim.server}) {how}: all have the last message")
        publisher.statuses["the end"] = 202
        check_lists(everybody.clients, publisher, after)
        victim.revive()
        tap.ok(eventually(lambda: who()[0] == victim.address), f"{victim.name} ({victim.server}) is back and gets new clients")
    finally:
        publisher.stop()
        everybody.leave()
    mark("whoever is still there is told")
    tap.ok(eventually(lambda: sum(host.clients() for host in hosts) == 0), "when all clients leave, no host has one left")


def check_thief(victim, repeated):
    """A host is replaced by one that takes requests and breaks off. No POST may be sent to another host then."""
    after = mark("before the thief")
    victim.crash()
    thief = machines.Thief(victim)
    posts = {}
    while len(thief.posted) < 3 and len(posts) < 10000:
        text = f"post {len(posts)}"
        posts[text] = crowd.post(SITE, text)[0]
    stolen = thief.posted[:]
    tap.equal(sorted(stream(after) + stolen), sorted(posts), f"of {len(posts)} posts {len(stolen)} met a host that took them and broke off: none was repeated")
    tap.equal({posts[text] for text in stolen} & {202}, set(), "no post that was broken off was answered 202")
    statuses = []
    while len(thief.asked) < 3 and len(statuses) < 10000:
        statuses.append(crowd.request(SITE, "GET", "/echo?message=hi")[0])
    tap.equal(set(statuses) == {200}, repeated, f"after a host broke off, a GET is {'' if repeated else 'not '}asked of another")
    thief.close()
    victim.revive()
    tap.ok(eventually(lambda: who()[0] == victim.address), "the host that broke off is back")


def check_checks():
    """Half of a host hangs. The checks notice that half only, and the other half goes on."""
    hanging = hosts[0].pids("echo" if hosts[0].way == "resident" else "websocketd") + hosts[1].pids("duplex")
    for sent, well in ((signal.SIGSTOP, False), (signal.SIGCONT, True)):
        for pid in hanging:
            os.kill(pid, sent)
        states = lambda: [front.is_up(host, half) for half in ("websocket", "http") for host in hosts]
        tap.ok(eventually(lambda: states() == [well, True, True, True, well, True]),
               f"WebSockets of one host and FastCGI of another {'are well again' if well else 'hang'}: that is seen, and the rest is not concerned")


def check_resident(victim, loss):
    """The same with resident endpoints, where all clients of a worker share a reader."""
    global front
    print("# resident endpoints", flush=True)
    front = machines.Haproxy()
    hosts[0].server = "lighttpd"  # as this front expects it
    for host in hosts:
        host.crash()
        host.way = "resident"
        host.revive()
    seen = set()
    tap.ok(eventually(lambda: seen.add(who()[0]) or seen >= {host.address for host in hosts}), "all hosts with resident endpoints are used")
    check_push()
    check_loss(victim, getattr(victim, loss), "crashes" if loss == "crash" else "is gone without a word")
    front.crash()


def check_front(kind, losses):
    global front
    print(f"# {kind.__name__}", flush=True)
    front = kind()
    check_ways()
    check_push()
    for victim, loss in zip(hosts, losses):
        check_loss(victim, getattr(victim, loss), {"unplug": "is gone without a word", "crash": "crashes"}[loss])
    check_thief(hosts[2], repeated=kind is machines.Haproxy)
    if kind is machines.Haproxy:
        check_checks()
    front.crash()


tempfile.tempdir = "/run/machines"  # goes with the namespace
pathlib.Path(tempfile.tempdir).mkdir()
pathlib.Path(tempfile.tempdir).chmod(0o1777)
machines.make_network()
settings = pathlib.Path(tempfile.tempdir, "redis.conf")
settings.write_text(units.for_machines(stack.ROOT / "conf/duplex.7")["/etc/redis/redis.conf"])
with Redis(tcp=True, host=machines.REDIS, settings=[settings]) as redis:
    tree = machines.make_tree(tempfile.mkdtemp())
    kinds = (("lighttpd", "resident"), ("apache", "websocketd"), ("nginx", "resident"))
    hosts = [machines.Host(number, server, way, tree, redis.address) for number, (server, way) in enumerate(kinds, 1)]
    for host in hosts:
        host.start()
    for host in hosts:
        host.revive()
    check_front(machines.Haproxy, ["unplug"])
    hosts[0].crash()
    hosts[0].server = "nginx"  # behind Apache an endpoint would have the front's address from lighttpd
    hosts[1].crash()
    hosts[1].way = "resident"
    hosts[2].crash()
    hosts[2].way = "websocketd"
    for host in hosts[1:]:
        host.revive()
    hosts[0].revive()
    check_front(machines.Apache, ["crash", "unplug"])
    check_resident(hosts[1], "crash")
    tap.equal([host.end(signal.SIGTERM) for host in hosts], [0] * 3, "every host ends with 0 on SIGTERM")
    own = r"\b(chat|echo|duplex): (?!192\.0\.2\.9: .*(UTF-8|Redis|Origin)|Redis(:| can be reached again)|\d+ clients of the channel chat are sent away: Redis|\d+ more lines were left out)|Sanitizer|\.[ch]:\d+:\d+: runtime error"
    tap.equal([line for host in hosts for line in host.said(own)], [], "our programs have said nothing but what the test expects, and nothing of the front's checks")
    print(f"# {sum(len(host.said('localhost/echo')) for host in hosts)} lines in the logs are about the checks")
tap.done()
