#!/usr/bin/python3
"""
The chat, whose system calls and allocations fail as in faults.t, over WebSocket and over HTTP, with a Redis that is there
all the time. Of what Redis has taken nothing is lost, doubled or out of order until then, and a line says why.
"""
import errno
import json
import re
import subprocess
import sys
import threading

sys.path.insert(0, f"{sys.path[0]}/../lib")
import fcgi
import faulty
import stack
import tap
from faulty import PARTIAL
from redis_server import Redis

BEFORE = ["before"]  # is in the channel when the program starts
SENT = ["hello", "\u00e9\U0001F600\"\\\t", "x" * 16384, *map(str, range(5))]
LAST = b'"text":"4"}\n'
PATIENCE = 20  # seconds for all of it

# the call, the error, and what becomes of it: "goes on" as if nothing had been, "leaves" in silence as when the client is
# gone, or "fails" with a line in the log; some calls are made for the client and for Redis
CHAT = [
    ("read", errno.EINTR, "goes on"), ("read", errno.EAGAIN, "goes on"), ("read", PARTIAL, "goes on"), ("read", errno.EIO, "fails"),
    ("read", errno.ECONNRESET, "leaves"),
    ("write", errno.EINTR, "goes on"), ("write", errno.EAGAIN, "goes on"), ("write", PARTIAL, "goes on"), ("write", errno.EPIPE, "leaves"),
    ("write", errno.EIO, "fails"),
    ("poll", errno.EINTR, "goes on"), ("poll", errno.ENOMEM, "fails or goes on"),
    ("malloc", errno.ENOMEM, "fails"), ("calloc", errno.ENOMEM, "fails"),
]
CHAT_AND_LIBRARIES = [
    ("socket", errno.EMFILE, "fails"), ("connect", errno.ECONNREFUSED, "fails"), ("connect", errno.EAGAIN, "fails"),
    ("getsockopt", errno.ENOBUFS, "fails"), ("fcntl", errno.EBADF, "fails or goes on"),
    ("read", errno.EINTR, "goes on"), ("read", PARTIAL, "goes on"), ("read", errno.EAGAIN, "fails or goes on"),
    ("read", errno.ECONNRESET, "fails or leaves or goes on"), ("read", errno.EIO, "fails or goes on"),
    ("write", errno.EINTR, "goes on"), ("write", PARTIAL, "goes on"), ("write", errno.EAGAIN, "fails or goes on"),
    ("write", errno.EPIPE, "fails or leaves or goes on"),
]

# over HTTP it "fails" at its start, "refuses" by 503 and a line in the log until it can be done again, or "loses one" that
# gets no answer or could not be read, as when the web server is gone
DUPLEX = [
    ("socket", errno.EMFILE, "refuses"), ("connect", errno.ECONNREFUSED, "refuses"),
    ("fcntl", errno.EBADF, "fails or refuses"), ("poll", errno.EINTR, "goes on or loses one"),
    ("poll", errno.ENOMEM, "refuses or goes on or loses one"),
    ("read", errno.EINTR, "goes on or loses one"), ("read", PARTIAL, "goes on"), ("read", errno.EAGAIN, "fails or refuses or loses one or goes on"),
    ("read", errno.ECONNRESET, "fails or refuses or loses one or goes on"),
    ("write", errno.EINTR, "goes on or loses one"), ("write", PARTIAL, "goes on"), ("write", errno.EAGAIN, "goes on or loses one"),
    ("write", errno.EPIPE, "refuses or loses one"),
]


def begin():
    """The channel with nothing in it but what is there before."""
    commands = ["DEL duplex:chat", *(f"XADD duplex:chat * text {text}" for text in BEFORE)]
    subprocess.run(["redis-cli", "-s", redis.path], input="\n".join(commands), text=True, capture_output=True, check=True)


def kept():
    """The ids and texts that Redis has."""
    output = subprocess.run(["redis-cli", "--json", "-s", redis.path, "XRANGE", "duplex:chat", "-", "+"], capture_output=True, check=True).stdout
    return [(id_, fields[1]) for id_, fields in json.loads(output)]


def run_chat(program, environment):
    """The endpoint's output, its exit status, what it had to say, and what Redis has."""
    begin()
    with subprocess.Popen([stack.BUILD / f"faults/{program}"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0,
                          env={**fcgi.INHERITED, "GATEWAY_INTERFACE": "websocketd-CGI/0.1", "REMOTE_ADDR": "192.0.2.1",
                               "DUPLEX_REDIS": redis.address, **environment}) as process:
        timer = threading.Timer(PATIENCE, process.kill)
        timer.start()
        try:
            for text in SENT:
                process.stdin.write(text.encode() + b"\n")
        except BrokenPipeError:
            pass
        output = b""
        while not output.endswith(LAST) and (part := process.stdout.read(65536)):
            output += part
        process.stdin.close()
        output += process.stdout.read()
        said = process.stderr.read()
        timer.cancel()
        return output, process.wait(), said, kept()


def judge_chat(program, outcome, environment):
    """What is wrong with such a run, or None."""
    output, status, said, in_redis = run_chat(program, environment)
    *lines, rest = output.decode(errors="replace").split("\n")
    got = [tuple(json.loads(line).values()) for line in lines]
    texts = [text for _, text in in_redis]
    what = f"{len(got)} lines of {len(texts)}, status {status}, {said}"
    if texts != (BEFORE + SENT)[:len(texts)]:
        return f"lost or doubled on the way to Redis: {what}"
    if got != in_redis[:len(got)]:
        return f"lost or doubled on the way to the client: {what}"
    is_quiet = (status, said) == (0, b"")
    happened = {"fails": status in (0, 1) and re.fullmatch(rb"chat\S*: [^\n]+\n", said), "leaves": is_quiet,
                "goes on": is_quiet and (texts, got, rest) == (BEFORE + SENT, in_redis, "")}
    return None if any(happened[one] for one in outcome.split(" or ")) else what


def check_chat(program, table):
    tap.equal(judge_chat(program, "goes on", {}), None, f"{program}: without a fault every message comes")
    faulty.check(program, table, lambda outcome, environment: judge_chat(program, outcome, environment))


def check_start():
    """?after= of the handshake: what came since; without it the last 20; garbage is refused."""
    for query, before in (("", True), ("before=0-1", True), ("after=0-1", True), ("x=1&after=0%2D1", True), ("after=-0", False)):
        output, status, said, in_redis = run_chat("chat", {"QUERY_STRING": query})
        wanted = in_redis if before else in_redis[len(BEFORE):]
        got = [tuple(json.loads(line).values()) for line in output.splitlines()]
        tap.equal((got, status, said, len(in_redis)), (wanted, 0, b"", len(BEFORE + SENT)), f"chat?{query}: {'what was there and ' if before else ''}what comes")
    for query in ("after=", "after=nonsense"):
        output, status, said, in_redis = run_chat("chat", {"QUERY_STRING": query})
        tap.equal((output, status, len(in_redis)), (b"", 0, len(BEFORE)), f"chat?{query}: nothing is served")
        tap.ok(re.fullmatch(rb"chat: 192\.0\.2\.1: refused with status 400[^\n]*\n", said), f"chat?{query}: one line says so")


def ask(workers, method, query=b"", body=b""):
    """The status and the body of an answer; None if there is none, or the request could not be read."""
    answer = fcgi.exchange(workers, fcgi.form(method, b"/chat", query, body))
    return (fcgi.status(answer), fcgi.body(answer).decode()) if fcgi.status(answer) not in (None, 400) else None


def run_duplex(environment):
    """Its answers, each with what had been posted by then; its exit status, what it had to say, and what Redis has."""
    begin()
    workers = fcgi.Workers(program=stack.BUILD / "faults/duplex-and-libraries", DUPLEX_REDIS=redis.address, **environment)
    posted = list(BEFORE)
    answers = []
    for text in ("one", None, "two", "three", None):
        if text:
            posted.append(text)
        answers.append((ask(workers, b"POST", b"", b"message=" + text.encode()) if text else ask(workers, b"GET", b"after=0-0"), list(posted)))
    if environment.get("FAULT", "").split()[1:2] == ["1"] and workers.processes[0].poll() is None:
        stack.wait_until(lambda: ask(workers, b"GET", b"after=0-0")[0] == 200, 3)
        answers.append((ask(workers, b"POST", b"", b"message=last"), [*posted, "last"]))
    return answers, *workers.stop()[0], kept()


def is_right(answer, posted, in_redis):
    """A message that was taken is in Redis, and all that is in Redis is read."""
    status, text = answer
    if status == 202:
        return (text.strip(), posted[-1]) in in_redis
    messages = [message for message in in_redis if message[1] in posted]
    return status == 503 or (status, [tuple(json.loads(line).values()) for line in text.splitlines()]) == (200, messages)


def judge_duplex(outcome, environment):
    """What is wrong with such a run, or None."""
    answers, status, said, in_redis = run_duplex(environment)
    lost = sum(answer is None for answer, _ in answers)
    refused = sum(answer is not None and answer[0] == 503 for answer, _ in answers)
    lines = said.splitlines(keepends=True)
    what = f"{lost} lost, {refused} refused of {len(answers)}, status {status}, {said}"
    wrong = [answer for answer, posted in answers if answer and not is_right(answer, posted, in_redis)]
    texts = [text for _, text in in_redis]
    if wrong or texts != [text for text in (*BEFORE, "one", "two", "three", "last") if text in texts]:
        return f"a wrong answer: {wrong}, {texts}, {what}"
    is_told = lines and all(re.fullmatch(rb"duplex\S*: [^\n]*Redis[^\n]+\n", line) for line in lines)
    happened = {"fails": status == 1 and lost == len(answers) and len(lines) == 1, "refuses": status == 0 and not lost and refused and is_told,
                "loses one": status == 0 and lost == 1 and not refused and not lines, "goes on": (status, lost, refused, said) == (0, 0, 0, b"")}
    return None if any(happened[one] for one in outcome.split(" or ")) else what


def check_duplex():
    tap.equal(judge_duplex("goes on", {}), None, "duplex: without a fault every request is answered")
    faulty.check("duplex", DUPLEX, judge_duplex)


with Redis() as redis:
    check_chat("chat", CHAT)
    check_chat("chat-and-libraries", CHAT_AND_LIBRARIES)
    check_start()
    check_duplex()
tap.done()
