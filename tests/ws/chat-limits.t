#!/usr/bin/python3
"""
What the chat may take: an address publishes so many messages a second, over both ways together; a channel keeps so many
bytes; and where Redis is full the oldest messages give way, and publishing goes on.
"""
import http.client
import socket
import sys
import time
import urllib.parse

sys.path.insert(0, f"{sys.path[0]}/../lib")
import stack
import tap
import talk
from redis_server import Redis

RATE, BURST = 20, 40  # what an address may publish in a second, and at once
LARGEST = 16384
KEPT = 32 << 20  # bytes of a channel in Redis


def post(text, source="127.0.0.1", path="/chat"):
    """The status and the headers of a POST from this address."""
    connection = http.client.HTTPConnection("127.0.0.1", site.port, talk.PATIENCE, (source, 0))
    connection.request("POST", path, urllib.parse.urlencode({"message": text}), {"Content-Type": "application/x-www-form-urlencoded"})
    answer = connection.getresponse()
    answer.read()
    connection.close()
    return answer.status, dict(answer.getheaders())


def most_in(seconds):
    return BURST + 1 + RATE * seconds


def check_limit():
    began = time.monotonic()
    answers = [post(f"m{number}") for number in range(300)]
    allowed = [status for status, _ in answers].count(202)
    took = time.monotonic() - began
    tap.equal({status for status, _ in answers[:BURST]}, {202}, f"{BURST} messages at once are taken")
    tap.ok(BURST <= allowed <= most_in(took), f"of 300 messages in {took:.1f} s {allowed} are taken")
    tap.equal({status for status, _ in answers} - {202}, {429}, "messages beyond the limit are answered 429")
    tap.equal({headers.get("Retry-After") for status, headers in answers if status == 429}, {"1"}, "with 429 comes Retry-After")
    tap.equal(post("from elsewhere", "127.0.0.2")[0], 202, "another address may publish")
    with talk.Client(site.port, "/chat?after=-0") as client:
        for number in range(300):
            client.send(f"w{number}")
        got = []
        while (line := client.read()) is not None:
            got.append(line)
        took = time.monotonic() - began
    tap.ok(len(got) + allowed <= most_in(took), f"over WebSocket {len(got)} more messages are taken, and then the connection ends")
    reason = r" chat: 127\.0\.0\.1: a message is not published: more than 20 a second \(DUPLEX_MAX_PUBLISH\)"
    tap.ok(stack.wait_until(lambda: len(site.unexpected()) == 1) and site.unexpected(reason) == [], "one line says why a WebSocket ended, and whose message it was")
    tap.ok(0 < int(redis.ask("PTTL", "duplex:limit:127.0.0.1")) <= 2000, "the count of an address in Redis expires")
    tap.ok(stack.wait_until(lambda: post("again")[0] == 202), "after a pause the address may publish again")
    return reason


def fill(channel, count):
    """Adds so many of the longest messages as another program would, until Redis is full."""
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(redis.address)
        words = (b"XADD", b"duplex:" + channel.encode(), b"*", b"text", b"x" * LARGEST)
        command = b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in words)
        answers = client.makefile("rb")
        for _ in range(count):
            client.sendall(command)
            if answers.readline().startswith(b"-OOM"):
                return True
            answers.readline()
    return False


def length(channel):
    return int(redis.ask("XLEN", f"duplex:{channel}"))


def check_bytes():
    """A channel of long messages is kept by bytes, one of short ones by number."""
    redis.ask("DEL", "duplex:chat")
    statuses = [post("x" * LARGEST)[0] for _ in range(2300)]
    used = int(redis.ask("MEMORY", "USAGE", "duplex:chat", "SAMPLES", "0"))
    tap.equal(set(statuses), {202}, "2,300 of the longest messages are published")
    tap.ok(KEPT * 3 // 4 < used < KEPT * 9 // 8, f"of the longest messages {length('chat')} are kept, {used >> 20} MiB")


def check_full():
    """Two channels have filled Redis: the larger gives way, and both can be published to."""
    redis.ask("DEL", "duplex:chat")
    redis.ask("CONFIG", "SET", "maxmemory", "64mb")
    fill("chat", 1000)
    tap.ok(fill("board", 10000), "two channels fill Redis")
    before = length("chat"), length("board")
    tap.equal({post(f"hello {number}")[0] for number in range(20)}, {202}, "Redis is full, and short messages are published")
    tap.equal({post("x" * LARGEST)[0] for number in range(300)}, {202}, "Redis is full, and long messages are published")
    after = length("chat"), length("board")
    tap.ok(before[1] / 4 < after[1] < before[1] and after[0] >= before[0], f"the larger channel has given way: {before} messages are now {after}")
    with talk.Client(site.port, "/chat?after=-1") as client:
        client.lines(1)
        fill("board", 10000)
        client.send("over WebSocket")
        tap.equal([line["text"] for line in client.lines(1)], ["over WebSocket"], "Redis is full, and a message over WebSocket is published")
    kept = length("chat"), length("board")
    redis.ask("CONFIG", "SET", "maxmemory", "1")
    tap.equal((post("in vain")[0], (length("chat"), length("board"))), (503, kept), "where giving way would not help, nothing is removed: 503")
    redis.ask("CONFIG", "SET", "maxmemory", "0")


def check_many_small():
    """Many channels that are small fill Redis: one that is idle gives way."""
    redis.ask("FLUSHALL")
    redis.ask("CONFIG", "SET", "maxmemory", "16mb")
    for number in range(100):
        if fill(f"room{number}", 50):
            break
    tap.ok(number < 99, f"{number + 1} small channels fill Redis")
    tap.equal({post("x" * LARGEST)[0] for number in range(100)}, {202}, "a channel that is new can be published to")
    rooms = sum(length(f"room{room}") > 0 for room in range(number))
    tap.ok(length("chat") == 100 and 0 < rooms < number, f"the new channel is kept, and {number - rooms} others have given way")
    redis.ask("CONFIG", "SET", "maxmemory", "0")


def check_many_tiny():
    """Many channels of one short message fill Redis: as many of them give way as a long message needs."""
    redis.ask("FLUSHALL")
    redis.ask("EVAL", "for i = 1, 10000 do redis.call('XADD', 'duplex:tiny' .. i, '*', 'text', 'x') end", "0")
    used = next(line for line in redis.ask("INFO", "memory").splitlines() if line.startswith("used_memory:")).partition(":")[2].strip()
    redis.ask("CONFIG", "SET", "maxmemory", used)
    tap.equal({post("x" * LARGEST)[0] for number in range(20)}, {202}, "10,000 tiny channels fill Redis, and long messages are published")
    left = int(redis.ask("DBSIZE"))
    tap.ok(5000 < left < 10000 and length("chat") == 20, f"{left} channels are left")
    redis.ask("CONFIG", "SET", "maxmemory", "0")


with Redis() as redis:
    with stack.Stack(DUPLEX_REDIS=redis.address, DUPLEX_MAX_PUBLISH="20") as site:
        expected = check_limit()
        stack.finish(site, expected, *stack.GONE)
    with stack.Stack(DUPLEX_REDIS=redis.address) as site:
        check_bytes()
        check_full()
        check_many_small()
        check_many_tiny()
        stack.finish(site, "duplex: .*Redis", *stack.GONE)
tap.done()
