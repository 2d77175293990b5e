#!/usr/bin/python3
"""
The resident chat, whose system calls and allocations fail as in faults.t, with a Redis that is there all the time. Whoever is
lost then comes back as the page does, and has each message once and in order; the process goes on, and ends as it should.
"""
import errno
import json
import sys

sys.path.insert(0, f"{sys.path[0]}/../lib")
import faulty
import stack
import tap
from faulty import PARTIAL
from listeners import Subscriber, close_all, read_until
from redis_server import Redis
from resident import Endpoint

TEXTS = ["one", "x" * 16384, "\u00e9\"\\", "last"]

# "goes on", with clients lost or not, or "fails" with a line at the start
CHAT = [
    ("malloc", errno.ENOMEM, "goes on"), ("calloc", errno.ENOMEM, "goes on or fails"), ("realloc", errno.ENOMEM, "goes on or fails"),
    ("mmap", errno.ENOMEM, "goes on"), ("mprotect", errno.ENOMEM, "goes on"), ("epoll_ctl", errno.ENOMEM, "goes on or fails"),
    ("write", errno.EPIPE, "goes on"), ("write", errno.EAGAIN, "goes on"), ("write", PARTIAL, "goes on"), ("clock_gettime", errno.EINVAL, "goes on"),
]
CHAT_AND_LIBRARIES = [
    ("socket", errno.EMFILE, "goes on"), ("connect", errno.ECONNREFUSED, "goes on"), ("fcntl", errno.EBADF, "goes on or fails"),
    ("getsockopt", errno.ENOBUFS, "goes on or fails"), ("read", errno.EINTR, "goes on"), ("read", PARTIAL, "goes on"), ("read", errno.EAGAIN, "goes on"),
    ("read", errno.ECONNRESET, "goes on"), ("read", errno.EIO, "goes on"), ("write", errno.EINTR, "goes on"), ("write", errno.EPIPE, "goes on"),
]


def run(program, environment):
    """What each client has got, what Redis has, the exit status and the log."""
    redis.ask("DEL", "duplex:chat")
    redis.ask("XADD", "duplex:chat", "*", "text", "before")
    with Endpoint(stack.BUILD / f"faults/{program}", DUPLEX_REDIS=redis.address, DUPLEX_MAX_PUBLISH="0", WEBSOCKET_PING_SECONDS="0", **environment) as chat:
        process = chat.processes[0]
        clients = []
        if process.poll() is None:
            clients = [Subscriber(chat.address, "0-0") for _ in range(2)]
            for text in TEXTS:
                redis.ask("XADD", "duplex:chat", "*", "text", text)
            read_until(clients, TEXTS[-1].encode(), Subscriber.come_back)
            clients.append(Subscriber(chat.address, "0-0"))
            read_until(clients[2:], TEXTS[-1].encode(), Subscriber.come_back)
        got = [[json.loads(line) for line in one.lines()] for one in clients]
        close_all(clients)
        status = chat.stop()[0]
        return got, [{"id": id_, "text": fields[1]} for id_, fields in redis.stream("chat")], status, chat.log()


def judge(program, outcome, environment):
    """What is wrong with such a run, or None."""
    got, kept, status, log = run(program, environment)
    went_on = status == 0 and got == [kept] * 3
    failed = "fails" in outcome and status in (1, 2) and not got and len(log) == 1
    return None if went_on or failed else f"{[[message['text'][:10] for message in one] for one in got]}, status {status}, {log}"


with Redis() as redis:
    for program, faults in (("chat", CHAT), ("chat-and-libraries", CHAT_AND_LIBRARIES)):
        tap.equal(judge(program, "goes on", {}), None, f"{program}: without a fault every message comes")
        faulty.check(program, faults, lambda outcome, environment: judge(program, outcome, environment))
tap.done()
