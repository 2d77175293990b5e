#!/usr/bin/python3
"""
Three machines behind a front, as conf/front has it for HAProxy and for Apache. One of the hosts goes while clients listen and
somebody publishes, by a crash or without a word: its clients come back on the others, and nobody misses a message or has one
twice.
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
import namespace
import rfc6455
import stack
import tap

stack.need("haproxy", "apache2", "lighttpd", "nginx", "websocketd", "redis-server", "spawn-fcgi", "multiwatch", "ip", "nsenter", "unshare", "setpriv")
namespace.enter()

import crowd
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
    """What a WebSocket says, first of all or to a message; the status if it is refused, None if it is lost."""
    try:
        async with rfc6455.connect(f"ws://{site}{path}", open_timeout=PATIENCE, **options) as client:
            for message in messages:
                await client.send(message)
            return await asyncio.wait_for(client.recv(), PATIENCE)
    except rfc6455.Refused as error:
        return error.status
    except (OSError, asyncio.TimeoutError):
        return None


def who():
    """The host that has the next WebSocket, and what its endpoint knows of the client, who tells lies."""
    lies = {"X-Forwarded-For": "192.0.2.66", "X-Forwarded-Proto": "https"}
    answer = asyncio.run(ask("/who", headers=lies))
    address, scheme, host = answer.split() if isinstance(answer, str) else (None, None, None)
    return host, (address, scheme)


def stream(after):
    """What was published since, in order."""
    return [fields[1] for _, fields in json.loads(redis.ask("--json", "XRANGE", "duplex:chat", f"({after}", "+"))]


def mark(text):
    """Publishes and returns the id."""
    status, answer = crowd.post(SITE, text)
    assert status == 202, status
    return answer.strip()


def check_ways():
    if not tap.ok(eventually(lambda: crowd.request(SITE, "GET", "/echo?message=Hello%2C+World%21") == (200, "Hello, World!")), "/echo over HTTP"):
        print("".join(f"# {line}\n" for line in front.log().splitlines()))
        tap.done()
    tap.ok(eventually(lambda: asyncio.run(ask("/echo", "hi")) == "hi"), "and over WebSocket")
    tap.equal(asyncio.run(ask("/echo", "hi", origin=f"http://{SITE}")), "hi", "from the site's own page")
    tap.equal([asyncio.run(ask("/echo", "hi", origin="http://elsewhere.example")) for _ in range(6)], [403] * 6, "but not from another's, on no host")
    seen = {}
    eventually(lambda: seen.update([who()]) or {host.address for host in hosts} <= set(seen))
    tap.equal([(host.server, seen.get(host.address)) for host in hosts], [(host.server, (CLIENT, "http")) for host in hosts],
              "all hosts are used, and an endpoint has the client's address, whatever the client says")
    line = rf"\becho: {re.escape(CLIENT)}: "
    before = [len(host.said(line)) for host in hosts]
    tap.ok(eventually(lambda: not asyncio.run(ask("/echo", b"binary")) and all(len(host.said(line)) > count for host, count in zip(hosts, before))),
           "so has the log of each")


async def listen_everywhere():
    """What a client at each host gets of a message from each of the others, and from the front."""
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
    tap.equal(wrong[:1], [], f"every client has each of {len(published)} messages once, in order")
    tap.equal([text for text in taken if published.count(text) != 1], [], f"all {len(taken)} that were answered 202 are among them once")
    tap.equal([text for text in unsure if published.count(text) > 1], [], f"and none of the {len(unsure)} others twice")


def tell_return(everybody, gone, moved):
    times = sorted(client.back[-1] - gone for client in everybody if client.back[-1] > gone)
    print(f"# {moved} of {len(everybody)} were at that host; {len(times)} came back, in {statistics.median(times):.1f} s (median), {times[-1]:.1f} s (last)", flush=True)


def check_loss(victim, go, how):
    """The host goes while all listen and somebody publishes."""
    after = mark("the beginning")
    publisher = crowd.Publisher(SITE, PAUSE)
    everybody = crowd.Crowd(SITE, CLIENTS, after)
    rest = [host for host in hosts if host is not victim]
    try:
        tap.ok(eventually(lambda: everybody.connected() == CLIENTS and len(publisher.taken()) >= SOME), f"{CLIENTS} clients, and one who publishes")
        moved = victim.clients()
        tap.ok(moved > 0, f"of whom {moved} are at {victim.name}")
        gone = time.monotonic()
        go()
        returned = lambda: [client for client in everybody.clients if client.open and client.back[-1] > gone]
        tap.ok(eventually(lambda: len(returned()) >= moved and everybody.connected() == CLIENTS), f"{victim.name} ({victim.server}) {how}: its clients come back")
        tell_return(everybody.clients, gone, moved)
        tap.ok(eventually(lambda: sum(host.clients() for host in rest) == CLIENTS), "at the other hosts")
        count = len(publisher.taken())
        tap.ok(eventually(lambda: len(publisher.taken()) >= count + SOME), "and publishing goes on")
        publisher.stop()
        mark("the end")
        tap.ok(eventually(lambda: everybody.have("the end")), "all have the last message")
        publisher.statuses["the end"] = 202
        check_lists(everybody.clients, publisher, after)
        victim.revive()
        tap.ok(eventually(lambda: who()[0] == victim.address), "the host is back: it gets new clients")
    finally:
        publisher.stop()
        everybody.leave()
    mark("whoever is still there is told")
    tap.ok(eventually(lambda: sum(host.clients() for host in hosts) == 0), "all leave, and no endpoint is left anywhere")


def check_thief(victim, repeated):
    """In the host's place is one that passes the checks, takes requests, and breaks off: a POST goes to nobody else then."""
    after = mark("before the thief")
    victim.crash()
    thief = machines.Thief(victim)
    posts = {}
    while len(thief.posted) < 3 and len(posts) < 10000:
        text = f"post {len(posts)}"
        posts[text] = crowd.post(SITE, text)[0]
    stolen = thief.posted[:]
    tap.equal(sorted(stream(after) + stolen), sorted(posts), f"of {len(posts)} posts {len(stolen)} met a host that took them and broke off: none was repeated")
    tap.equal({posts[text] for text in stolen} & {202}, set(), "nor said to be taken")
    statuses = []
    while len(thief.asked) < 3 and len(statuses) < 10000:
        statuses.append(crowd.request(SITE, "GET", "/echo?message=hi")[0])
    tap.equal(set(statuses) == {200}, repeated, f"GET is {'' if repeated else 'not '}asked of another then")
    thief.close()
    victim.revive()
    tap.ok(eventually(lambda: who()[0] == victim.address), "the host is back")


def check_checks():
    """Half a host that hangs is seen, and the other half goes on."""
    hanging = hosts[0].pids("websocketd") + hosts[1].pids("duplex")
    for sent, well in ((signal.SIGSTOP, False), (signal.SIGCONT, True)):
        for pid in hanging:
            os.kill(pid, sent)
        states = lambda: [front.is_up(host, half) for half in ("websocket", "http") for host in hosts]
        tap.ok(eventually(lambda: states() == [well, True, True, True, well, True]),
               f"a websocketd and a FastCGI {'are well again' if well else 'hang'}: that is seen, and the rest is not concerned")


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
    hosts = [machines.Host(number, server, tree, redis.address) for number, server in enumerate(("lighttpd", "apache", "nginx"), 1)]
    for host in hosts:
        host.start()
    for host in hosts:
        host.revive()
    check_front(machines.Haproxy, ["unplug"])
    hosts[0].crash()
    hosts[0].server = "nginx"  # behind Apache an endpoint would have the front's address from lighttpd
    hosts[0].revive()
    check_front(machines.Apache, ["crash", "unplug"])
    tap.equal([host.end(signal.SIGTERM) for host in hosts], [0] * 3, "the hosts end as they should")
    own = r"\b(chat|echo|duplex): (?!192\.0\.2\.9: .*(binary|Redis))|Sanitizer|\.[ch]:\d+:\d+: runtime error"
    tap.equal([line for host in hosts for line in host.said(own)], [], "and our programs have said nothing else")
    print(f"# {sum(len(host.said('localhost/echo')) for host in hosts)} lines in the logs are about the checks")
tap.done()
