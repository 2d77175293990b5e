#!/usr/bin/python3
"""
One message to many with a resident endpoint, where all subscribers of a channel share one reader: a client that joins while
much is published has each message once and in order, like every other; one that is behind is sent away and comes back; what is
left of a channel when its clients go; what a subscriber costs. On a busy machine Redis may answer too late, and a client that
is sent away for that comes back, as the page does.
"""
import json
import socket
import sys
import threading
import time

sys.path.insert(0, f"{sys.path[0]}/../lib")
import stack
import tap
from listeners import Subscriber, close_all, read_until
from redis_server import Redis
from resident import NO_LIMIT, Endpoint

SUBSCRIBERS, MESSAGES, JOINERS = (100, 100, 50) if stack.SANITIZED else (1000, 1000, 200)
LARGEST = 16384  # bytes of a message
MOST_KIB = 8     # of an idle subscriber in the endpoint


def add(channel, text):
    return redis.ask("XADD", f"duplex:{channel}", "*", "text", text)


def kept(channel):
    """The lines of JSON that a client gets of all that is kept."""
    return [{"id": id_, "text": fields[1]} for id_, fields in redis.stream(channel)]


def clients_of_redis():
    """How many others than this question."""
    return len(redis.ask("CLIENT", "LIST").splitlines()) - 1


def publish(channel, texts):
    """Adds many, ten at a time."""
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(redis.address)
        answers = client.makefile("rb")
        for at in range(0, len(texts), 10):
            some = texts[at:at + 10]
            client.sendall(b"".join(b"*5\r\n" + b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in (b"XADD", b"duplex:" + channel.encode(), b"*", b"text", text)) for text in some))
            for _ in range(2 * len(some)):
                answers.readline()


def read(subscribers, text):
    read_until(subscribers, text, Subscriber.come_back)


def undisturbed(attempt, chat):
    """What an attempt finds while Redis answers in time."""
    for _ in range(10):
        before = len(chat.log())
        found = attempt(before)
        close_all(found[0])
        if not any("within a second" in line or "too many others" in line for line in chat.log()[before:]):
            break
    return found


def have_all(subscribers, wanted):
    return sum([json.loads(line) for line in one.lines()] == wanted for one in subscribers)


def check_many():
    """Through the whole stack, with two workers."""
    with stack.Stack(DUPLEX_REDIS=redis.address, WS="resident", DUPLEX_WORKERS="2", WEBSOCKET_MAX_PER_ADDRESS="0", WEBSOCKET_PING_SECONDS="0") as site:
        add("chat", "ready")
        subscribers = [Subscriber(("127.0.0.1", site.port), "-1") for _ in range(SUBSCRIBERS)]
        read(subscribers, b"ready")
        clients = clients_of_redis()
        begin = time.monotonic()
        publish("chat", [b"message %d" % number for number in range(MESSAGES)])
        read(subscribers, b"message %d" % (MESSAGES - 1))
        print(f"# {SUBSCRIBERS * MESSAGES} arrivals in {time.monotonic() - begin:.1f} s")
        wanted = kept("chat")
        tap.equal([message["text"] for message in wanted[1:]], [f"message {number}" for number in range(MESSAGES)], f"{MESSAGES} messages are kept in order")
        tap.equal(have_all(subscribers, wanted), SUBSCRIBERS, f"each of {SUBSCRIBERS} subscribers has each message once and in order")
        tap.ok(clients <= 2 * 9 + 2, f"{SUBSCRIBERS} subscribers are {clients} clients of Redis")
        close_all(subscribers)
        stack.finish(site, *stack.GONE)
    redis.ask("FLUSHALL")


def check_joining(chat):
    """Clients come one after another while a thousand messages are published; some leave before they have caught up."""
    first = add("busy", "the first")
    publishing = threading.Thread(target=publish, args=("busy", [b"message %d" % number for number in range(MESSAGES)]))
    publishing.start()
    subscribers = []
    for number in range(JOINERS):
        subscribers.append(Subscriber(chat.address, first, "busy"))
        if number % 4 == 0:
            Subscriber(chat.address, "0-0", "busy").socket.close()
    publishing.join()
    read(subscribers, b"message %d" % (MESSAGES - 1))
    tap.equal(have_all(subscribers, kept("busy")[1:]), JOINERS, f"each of {JOINERS} clients that come while {MESSAGES} messages are published has each once and in order")
    close_all(subscribers)


def check_history(chat):
    """Much more than is sent at once, to a client that reads slowly at first."""
    publish("long", [b"%04d " % number + b"x" * (LARGEST - 5) for number in range(400)])
    wanted = kept("long")
    one, other = Subscriber(chat.address, "0-0", "long"), Subscriber(chat.address, "0-0", "long", buffer=4096)
    add("long", "after it")
    read([one, other], b"after it")
    tap.equal(have_all([one, other], kept("long")), 2, f"{len(wanted) * LARGEST >> 20} MiB of history arrive, and what comes then")
    close_all([one, other])


def check_rooms(chat):
    """Clients of one worker in several channels."""
    rooms = [f"room{number}" for number in range(10)]
    for room in rooms:
        add(room, "ready")
    subscribers = {room: [Subscriber(chat.address, "-1", room) for _ in range(5)] for room in rooms}
    everybody = [one for each in subscribers.values() for one in each]
    read(everybody, b"ready")
    for number in range(20):
        for room in rooms:
            add(room, f"{room} {number}")
    for room in rooms:
        read(subscribers[room], b"%s 19" % room.encode())
    tap.equal(sum(have_all(subscribers[room], kept(room)) for room in rooms), len(everybody), "the clients of ten channels have the messages of their own")
    close_all(everybody)
    tap.ok(stack.wait_until(lambda: "blocked_clients:0" in redis.ask("INFO", "clients"), 30), "a channel that nobody subscribes to any more is not read")


def check_behind(chat):
    """One that never reads, beside some that do: it is sent away, and has the rest when it comes back."""
    def attempt(before):
        redis.ask("DEL", "duplex:flood")
        add("flood", "ready")
        others = [Subscriber(chat.address, "-1", "flood") for _ in range(5)]
        slow = Subscriber(chat.address, "-1", "flood", buffer=4096)
        read([*others, slow], b"ready")
        for number in range(300):
            publish("flood", [b"x" * (LARGEST - 4) + b"%04d" % number])
            read(others, b"x%04d" % number)
        stack.wait_until(lambda: len(chat.log()) > before, 30)
        log = chat.log()[before:]
        while slow.read():
            pass
        return [*others, slow], log

    (*others, slow), log = undisturbed(attempt, chat)
    wanted = kept("flood")
    tap.equal(have_all(others, wanted), len(others), f"{len(wanted) * LARGEST >> 20} MiB arrive beside one that never reads")
    tap.equal(log, ["chat: unknown client: the client takes less than comes on its channel"], "one line tells of the client that never reads")
    tap.equal(slow.code(), 1013, "a client that is too far behind is closed with 1013")
    seen = len(slow.lines())
    slow.come_back()
    read([slow], b"x0299")
    tap.equal(have_all([slow], wanted), 1, f"it had {seen} of {len(wanted)} messages, and has the rest when it comes back")
    close_all([*others, slow])


def check_begun_anew(chat):
    """The ids of a channel begin anew, below those that were read: who has joined is sent away, and nobody waits for ever."""
    redis.ask("XADD", "duplex:anew", "99999999999999-0", "text", "far ahead")
    old = Subscriber(chat.address, "-1", "anew")
    read([old], b"far ahead")
    redis.ask("DEL", "duplex:anew")
    message = {"id": add("anew", "the first"), "text": "the first"}
    new = Subscriber(chat.address, "-1", "anew")
    read([new, old], b"the first")
    tap.equal([json.loads(line) for line in old.lines()[1:]], [{"gap": "99999999999999-0"}, message], "who comes back to a channel that has begun anew is told of the gap")
    add("anew", "the second")
    read([old, new], b"the second")
    tap.equal(new.texts(), ["the first", "the second"], "the channel that has begun anew goes on")
    close_all([old, new])


def check_reader_lost(chat):
    """Redis cuts the reader off: all are sent away, with one line, and have what they missed when they come back."""
    def attempt(before):
        add("lost", "ready")
        subscribers = [Subscriber(chat.address, "-1", "lost") for _ in range(20)]
        read(subscribers, b"ready")
        stack.wait_until(lambda: "cmd=xread" in redis.ask("CLIENT", "LIST"))
        for line in redis.ask("CLIENT", "LIST").splitlines():
            if "cmd=xread" in line:
                redis.ask("CLIENT", "KILL", "ID", line.split()[0].partition("=")[2])
        add("lost", "missed")
        read(subscribers, b"missed")
        return subscribers, chat.log()[before:]

    subscribers, log = undisturbed(attempt, chat)
    tap.equal({tuple(one.texts()) for one in subscribers}, {("ready", "missed")}, "who was sent away comes back and misses nothing")
    tap.equal(log, ["chat: 20 clients of the channel lost are sent away: Redis: Server closed the connection"], "one line tells of all who were sent away")


def check_memory(chat):
    pid = chat.processes[0].pid
    add("idle", "ready")
    some = [Subscriber(chat.address, "-1", "idle") for _ in range(20)]
    read(some, b"ready")
    before, clients = stack.memory(pid, "Pss"), clients_of_redis()
    subscribers = [Subscriber(chat.address, "-1", "idle") for _ in range(SUBSCRIBERS)]
    read(subscribers, b"ready")
    kib = (stack.memory(pid, "Pss") - before) / len(subscribers)
    tap.ok(kib <= MOST_KIB or stack.SANITIZED, f"an idle subscriber costs {kib:.1f} KiB in the endpoint")
    tap.ok(clients_of_redis() <= clients + 8, f"{SUBSCRIBERS} subscribers more are {clients_of_redis() - clients} clients of Redis more")
    close_all([*some, *subscribers])


with Redis() as redis:
    check_many()
    with Endpoint(stack.BUILD / "ws/chat", DUPLEX_REDIS=redis.address, **NO_LIMIT) as chat:
        check_memory(chat)
        check_joining(chat)
        check_history(chat)
        check_rooms(chat)
        check_behind(chat)
        check_begun_anew(chat)
        check_reader_lost(chat)
        tap.equal(chat.stop(), [0], "the endpoint ends with status 0")
        print("".join(f"# {line}\n" for line in chat.log()))
tap.done()
