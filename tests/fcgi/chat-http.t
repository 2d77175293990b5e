#!/usr/bin/python3
"""/chat over HTTP: its table by curl through the whole stack, as CGI from the shell, and bodies that come slowly or in part."""
import contextlib
import json
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import time
import urllib.parse

sys.path.insert(0, f"{sys.path[0]}/../lib")
import fcgi
import stack
import tap

stack.need("curl")
from redis_server import PASSWORD, Redis

FORM = "application/x-www-form-urlencoded"
LONGEST = 16384
TEXTS = ["hello", "", '"quoted"', "back\\slash", "\\u0041", "".join(map(chr, range(1, 10))) + "".join(map(chr, range(11, 33))), "a\0b", "\x7f\x85\u2028",
         "\u00e9\u5b57\U0001F600", "</script>", "a&b=c+d%20", "x" * LONGEST, "\0" * LONGEST, "\u00e9" * (LONGEST // 2)]


def curl(*arguments, query="", stdin=None):
    """The status, the headers by lower-case name, and the body."""
    output = subprocess.run(["curl", "-s", "-i", "-H", "Expect:", *arguments, site.url("/chat") + query], input=stdin, capture_output=True).stdout
    head, _, body = output.partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    return int(lines[0].split()[1]), dict(line.lower().split(": ", 1) for line in lines[1:]), body


def post(body, *arguments):
    return curl("--data-binary", "@-", *arguments, stdin=body)


def form(text):
    return "message=" + urllib.parse.quote_plus(text, safe="") if isinstance(text, str) else text


def texts_after(after):
    status, headers, body = curl(query=f"?after={after}")
    tap.ok(status == 200 and headers["content-type"] == "application/x-ndjson; charset=utf-8" and int(headers["content-length"]) == len(body),
           f"after={after}: the answer is lines of JSON")
    lines = body.decode().split("\n")
    return [json.loads(line) for line in lines[:-1]] if lines[-1] == "" else None


def check_publish():
    ids = []
    for text in TEXTS:
        status, headers, body = post(form(text).encode())
        tap.ok(status == 202 and re.fullmatch(rb"\d+-\d+\n", body) and headers["cache-control"] == "no-store", f"POST {tap.shorten(text[:20])}: 202 and an id")
        ids.append(body.decode().strip())
    messages = texts_after("0-0")
    tap.equal(messages, [{"id": id_, "text": text} for id_, text in zip(ids, TEXTS)], "each message is there as it was sent, in order")
    tap.equal(texts_after(ids[2]), messages[3:], "after= with an id gives what came after that message")
    tap.equal(texts_after(ids[-1]), [], "after= with the last id gives nothing")
    for number, wanted in ((1, 1), (3, 3), (0, 0), (1000, len(TEXTS))):
        tap.equal(texts_after(f"-{number}"), messages[len(messages) - wanted:], f"after=-{number} gives the last {wanted}")
    status, headers, body = curl("-I", query="?after=0-0")
    length = sum(len(json.dumps(message, separators=(",", ":"), ensure_ascii=False)) for message in messages)
    tap.ok(status == 200 and body == b"" and int(headers["content-length"]) > length, "HEAD has the length of the lines and no body")


def check_hundreds():
    before = texts_after("-1")[-1]["id"]
    for number in range(250):
        redis.ask("XADD", "duplex:chat", "*", "text", f"number {number}")
    wanted = [f"number {number}" for number in range(250)]
    last = texts_after("-250")
    tap.equal([message["text"] for message in last], wanted[-100:], "no more than the last 100 can be asked for")
    first = texts_after(before)
    second = texts_after(first[-1]["id"])
    third = texts_after(second[-1]["id"])
    tap.equal([message["text"] for message in first + second + third], wanted, "after= with an id gives 100 at once, and the rest after the last of them")
    tap.equal(texts_after("-99999999999999999999")[-1]["text"], wanted[-1], "after= with a number too large gives as many as there may be")


def check_large():
    """No more at once than a web server takes: the rest comes after the last of it."""
    before = texts_after("-1")[-1]["id"]
    wanted = [f"{number:02}" + "x" * (LONGEST - 2) for number in range(20)]
    for text in wanted:
        redis.ask("XADD", "duplex:chat", "*", "text", text)
    parts = []
    while part := texts_after(parts[-1][-1]["id"] if parts else before):
        parts.append(part)
    tap.equal([message["text"] for part in parts for message in part], wanted, "20 messages of the longest kind are each there once, in order")
    tap.equal([len(part) for part in parts], [8, 8, 4], "after= gives 128 KiB at once, and the message that reaches them")


def check_refused():
    other = ("-H", "Origin: http://elsewhere.example")
    table = [
        (b"", 400, ()), (b"other=1", 400, ()), (b"message=%ff", 400, ()), (b"message=\xff", 400, ()), (b"message=a%0Ab", 400, ()), (b"message=%0A", 400, ()),
        (b"message=hi", 403, other), (b"message=hi", 403, ("-H", "Origin: null")), (b"message=hi", 403, ("-H", f"Origin: http://127.0.0.1:{site.port}0")),
        (b"message=hi", 403, ("-H", f"Origin: http://127.0.0.1:{site.port}@elsewhere.example")),
        (b"message=hi", 202, ("-H", f"Origin: http://127.0.0.1:{site.port}")), (b"message=hi", 202, ("-H", f"Origin: https://127.0.0.1:{site.port}")),
        (b"message=" + b"x" * (LONGEST + 1), 413, ()), (b"message=" + b"%78" * LONGEST, 202, ()), (b"message=" + b"%78" * (LONGEST + 1), 413, ()),
        (b"x" * 200000, 413, ()), (b"message=hi&" + b"x" * 200000, 413, ()),
        (b"message=hi", 415, ("-H", "Content-Type: text/plain")), (b"message=hi", 415, ("-H", "Content-Type: multipart/form-data; boundary=x")),
        (b"message=hi", 415, ("-H", f"Content-Type: {FORM}x")), (b"message=hi", 415, ("-H", "Content-Type:")),
        (b"message=hi", 202, ("-H", f"Content-Type: {FORM} ;charset=utf-8")),
        (b"message=hi", 202, ("-H", f"Content-Type: {FORM}; charset=utf-8")), (b"message=hi", 202, ("-H", f"Content-Type: {FORM.upper()}")),
        (b"message=hi", 405, ("-X", "PUT")), (b"message=hi", 405, ("-X", "DELETE")), (b"message=hi", 405, ("-X", "PATCH")),
    ]
    before = int(redis.ask("XLEN", "duplex:chat"))
    for body, wanted, arguments in table:
        status, headers, _ = post(body, *arguments)
        tap.equal((status, headers.get("allow")), (wanted, "get, head, post" if wanted == 405 else None), f"{body[:20]!r}, {len(body)} bytes {arguments}: {wanted}")
    tap.equal(int(redis.ask("XLEN", "duplex:chat")) - before, sum(wanted == 202 for _, wanted, _ in table), "what is refused is not published")
    for after in ("", "x", "-", "-x", "--5", "-5x", "-5%00", "-5%00x", "1", "1-", "1-1-1", "$", "%2B", "0-0%00"):
        tap.equal(curl(query=f"?after={after}")[0], 400, f"after={after!r} is refused with 400")
    output = subprocess.run(["curl", "-s", "-i", "-d", "message=hi", site.url("/echo")], capture_output=True).stdout
    tap.ok(output.startswith(b"HTTP/1.1 405 ") and b"\r\nAllow: GET, HEAD\r\n" in output, "POST to /echo is still answered 405")


def cgi(body=b"", **variables):
    environment = {**fcgi.INHERITED, "DUPLEX_REDIS": redis.address, "SCRIPT_NAME": "/chat", "CONTENT_TYPE": FORM, "REQUEST_METHOD": "POST", **variables}
    result = subprocess.run([stack.BUILD / "fcgi/duplex"], input=body, cwd=stack.ROOT, env=environment, capture_output=True, timeout=30)
    head, _, text = result.stdout.partition(b"\r\n\r\n")
    status = int(head.split()[1])
    said = b"duplex: Redis at " if status == 503 else b""
    tap.ok(result.returncode == 0 and result.stderr.startswith(said) and result.stderr.count(b"\n") == (status == 503), "as CGI, /chat exits with 0 and reports only a Redis that it cannot reach")
    return status, text


def check_cgi():
    status, id_ = cgi(b"message=over+CGI")
    tap.equal(status, 202, "as CGI, a POST is answered 202")
    status, text = cgi(REQUEST_METHOD="GET", QUERY_STRING="after=-1")
    tap.equal((status, json.loads(text)), (200, {"id": id_.decode().strip(), "text": "over CGI"}), "as CGI, GET gives what was posted")
    tap.equal(cgi(REQUEST_METHOD="HEAD", QUERY_STRING="after=-1"), (200, b""), "as CGI, HEAD is answered without a body")
    tap.equal(cgi(REQUEST_METHOD="PUT")[0], 405, "as CGI, PUT is answered 405")
    tap.equal(cgi(b"message=hi", CONTENT_LENGTH="11")[0], 400, "a body that is shorter than CONTENT_LENGTH is refused with 400")
    tap.equal(cgi(b"message=hi, and what is not its body", CONTENT_LENGTH="10")[0], 202, "of a body that is longer than CONTENT_LENGTH the rest is not read")
    tap.equal(json.loads(cgi(REQUEST_METHOD="GET", QUERY_STRING="after=-1")[1])["text"], "hi", "what follows the body is not published")
    tap.equal(cgi(b"message=hi&" + b"x" * 60000)[0], 413, "a body without CONTENT_LENGTH that is too long is refused with 413")
    tap.equal([cgi(b"message=hi", HTTP_ORIGIN="http://a", **host)[0] for host in ({"HTTP_HOST": "a"}, {"HTTP_HOST": "b"}, {})], [202, 403, 403],
              "an Origin is accepted if it is the Host, and not if it is another or there is no Host")
    tap.equal([cgi(b"message=hi", CONTENT_LENGTH=length)[0] for length in ("", "-1", "0", "50177", "9" * 30)], [202, 202, 400, 413, 413],
              "CONTENT_LENGTH may be absent or -1, as Caddy has it for chunks, but neither 0 nor more than a form can have")
    tap.equal([cgi(b"message=hi", CONTENT_LENGTH=length)[0] for length in ("10x", "+10", " 10", "10 ", "0x10", "-10", "1e1", "10,10")], [400] * 8,
              "CONTENT_LENGTH is digits alone, or the POST is refused with 400")
    tap.equal(cgi(b"message=hi", DUPLEX_REDIS="/nowhere/redis.sock")[0], 503, "as CGI, /chat is answered 503 without Redis")
    tap.equal(cgi(b"message=hi", DUPLEX_REDIS="127.0.0.1:1")[0], 503, "DUPLEX_REDIS with a port where nobody listens is answered 503")


def check_addresses():
    """Redis at every kind of address, and the line for one that cannot be used."""
    user, password = "m\u00e9", "p@ss:/ %" + "x" * 200
    redis.ask("ACL", "SETUSER", user, "on", ">" + password, "~*", "+@all")
    quoted = f"{urllib.parse.quote(user, safe='')}:{urllib.parse.quote(password, safe='')}"
    with tempfile.TemporaryDirectory() as directory, Redis(directory="r@dir") as local:
        file = pathlib.Path(directory) / "address"
        file.write_text(f"redis://{quoted}@localhost:{redis.port}\n")
        for address in (f"redis://{quoted}@localhost:{redis.port}/0", f"{PASSWORD}@localhost:{redis.port}", f"redis://:{urllib.parse.quote(PASSWORD)}@127.0.0.1:{redis.port}/3",
                        local.address, f"unix://{local.address}", f"unix:{local.address}?db=1"):
            tap.equal(cgi(b"message=hi", DUPLEX_REDIS=address)[0], 202, f"DUPLEX_REDIS={tap.shorten(re.sub('/tmp/[^/]*', '', address))}: 202")
        tap.equal(cgi(b"message=hi", DUPLEX_REDIS_FILE=str(file), DUPLEX_REDIS="/nowhere")[0], 202, "DUPLEX_REDIS_FILE names a file with the address, and POST is answered 202")
        tap.equal(local.ask("-n", "1", "XLEN", "duplex:chat"), "1", "the number of a database in the address is used")
        file.unlink()
        for status, wanted, variables in (
                (2, "DUPLEX_REDIS is not a valid address: ", {"DUPLEX_REDIS": "nonsense"}), (2, "DUPLEX_REDIS is not a valid address: ", {"DUPLEX_REDIS": "secret@"}),
                (2, "DUPLEX_REDIS is not a valid address: ", {"DUPLEX_REDIS": "/" + "x" * 300}), (2, "DUPLEX_REDIS is not a valid address: ", {"DUPLEX_REDIS": "x" * 300 + ":1"}),
                (2, "DUPLEX_REDIS is not a valid address: ", {"DUPLEX_REDIS": "redis://me:secret@host:x"}), (1, f"DUPLEX_REDIS_FILE: {file}: ", {"DUPLEX_REDIS_FILE": str(file)}), (2, "DUPLEX_MAX_PUBLISH is not a number from 0 to 1000000", {"DUPLEX_MAX_PUBLISH": "x"})):
            result = subprocess.run([stack.BUILD / "fcgi/duplex"], cwd=stack.ROOT, env={**fcgi.INHERITED, "REQUEST_METHOD": "GET", "SCRIPT_NAME": "/echo", **variables},
                                    capture_output=True, text=True, timeout=30)
            tap.ok((result.returncode, result.stdout, result.stderr.count("\n")) == (status, "", 1) and result.stderr.startswith(f"duplex: {wanted}")
                   and "secret" not in result.stderr, f"{tap.shorten(variables)}: exit {status}, and one line without the password")
    for address, wanted in ((f"wrong@127.0.0.1:{redis.port}", b"WRONGPASS"), (f"127.0.0.1:{redis.port}", b"NOAUTH"), (f"{password[:127]}@127.0.0.1:{redis.port}", b"WRONGPASS")):
        result = subprocess.run([stack.BUILD / "fcgi/duplex"], cwd=stack.ROOT, env={**fcgi.INHERITED, "REQUEST_METHOD": "GET", "SCRIPT_NAME": "/chat",
                                "QUERY_STRING": "after=-1", "DUPLEX_REDIS": address}, capture_output=True, timeout=30)
        tap.ok(b"Status: 503 " in result.stdout and wanted in result.stderr and b"@" not in result.stderr, f"a login that Redis refuses: 503, and {wanted.decode()} in the log")


def check_gone():
    """The first request after Redis is back is answered, by each worker, though its connection was lost meanwhile."""
    for _ in range(8):
        post(b"message=before")
    redis.kill()
    redis.start()
    tap.equal([post(b"message=after")[0] for _ in range(8)], [202] * 8, "after a restart of Redis between two requests each worker answers 202")
    redis.kill()
    tap.equal([post(b"message=hi")[0], curl(query="?after=-1")[0], curl()[0]], [503, 503, 200], "while Redis is gone, /chat is answered 503, but not its page")
    redis.start()
    began = time.monotonic()
    back = stack.wait_until(lambda: [post(b"message=hi")[0], curl(query="?after=-1")[0]] == [202, 200])
    tap.ok(back, f"/chat works {time.monotonic() - began:.1f} s after Redis is back")


def check_parts():
    """Straight to a worker: a body that is broken off, or never complete, is not published."""
    before = redis.ask("XLEN", "duplex:chat")
    workers = fcgi.Workers(DUPLEX_REDIS=redis.address)
    variables = {b"REQUEST_METHOD": b"POST", b"SCRIPT_NAME": b"/chat", b"CONTENT_TYPE": FORM.encode(), b"CONTENT_LENGTH": b"15"}
    start = fcgi.BEGIN + fcgi.record(4, b"".join(fcgi.pair(*pair) for pair in variables.items())) + fcgi.record(4)
    for name, rest in (("nothing", b""), ("a part", fcgi.record(5, b"message=par")), ("a part of a record", fcgi.record(5, b"message=partial")[:-4])):
        client = workers.connect()
        client.sendall(start + rest)
        client.close()
        tap.equal(redis.ask("XLEN", "duplex:chat"), before, f"{name} of a body and then the end of the connection publishes nothing")
    client = workers.connect()
    client.sendall(start + fcgi.record(5, b"message=par") + fcgi.record(5))
    tap.ok(b"Status: 400 " in fcgi.read_all(client), "a body that is shorter than Content-Length is refused with 400")
    client = workers.connect()
    client.sendall(start)
    client.settimeout(1.5)  # between two bytes
    began = time.monotonic()
    answer = b""
    for byte in b"message=partial":
        client.sendall(fcgi.record(5, bytes([byte])))
        with contextlib.suppress(TimeoutError):
            answer = client.recv(65536)
            break
    tap.ok(b"Status: 408 " in answer, f"a body that comes a byte in a second and a half: 408 after {time.monotonic() - began:.0f} seconds")
    client.close()
    tap.equal(redis.ask("XLEN", "duplex:chat"), before, "a body that never was complete is not published")
    client = workers.connect()
    client.sendall(start + fcgi.record(5, b"message=partial") + fcgi.record(5))
    tap.ok(b"Status: 202 " in fcgi.read_all(client), "the worker that cut off a slow body takes a complete one")
    tap.equal(workers.stop(), [(0, b"")], "a worker that met incomplete bodies exits with 0 and says nothing")


def check_stopped():
    """A Redis that says nothing costs a request a second at most, and those after it nothing for a second."""
    workers = fcgi.Workers(DUPLEX_REDIS=redis.address)

    def ask(method, query=b"", body=b""):
        return fcgi.status(fcgi.exchange(workers, fcgi.form(method, b"/chat", query, body)))

    tap.equal(ask(b"POST", body=b"message=hi"), 202, "before Redis is stopped: 202")
    redis.process.send_signal(signal.SIGSTOP)
    began = time.monotonic()
    tap.equal([ask(b"POST", body=b"message=hi") for _ in range(10)] + [ask(b"GET", b"after=-1") for _ in range(10)], [503] * 20,
              "20 requests to a worker whose Redis is stopped: 503")
    took = time.monotonic() - began
    tap.ok(took < 15, f"all 20 are answered in {took:.1f} s, and not in a second each")
    redis.process.send_signal(signal.SIGCONT)
    tap.ok(stack.wait_until(lambda: ask(b"GET", b"after=-1") == 200), "when Redis goes on, a GET is answered 200")
    (status, said), = workers.stop()
    wanted = b"duplex: unknown client: a message is not published: Redis: no reply within a second\nduplex: Redis can be reached again\n"
    tap.equal((status, said), (0, wanted), "the log has a line when it begins, and one when it is over")


def check_refuses():
    """A Redis that runs and refuses is answered 503. The log says so once, with what Redis says, until it publishes again."""
    workers = fcgi.Workers(DUPLEX_REDIS=redis.address)

    def ask(method, query=b"", body=b""):
        return fcgi.status(fcgi.exchange(workers, fcgi.form(method, b"/chat", query, body)))

    def post_and_read():
        return ask(b"POST", body=b"message=hi"), ask(b"GET", b"after=-1")

    for _ in range(2):
        redis.ask("CONFIG", "SET", "maxmemory", "1")
        tap.equal([post_and_read() for _ in range(3)], [(503, 200)] * 3, "while Redis is full, POST is answered 503 and earlier messages can be read")
        redis.ask("CONFIG", "SET", "maxmemory", "0")
        tap.equal(post_and_read(), (202, 200), "when Redis has room again, POST is answered 202")
    redis.ask("RENAME", "duplex:chat", "away")
    redis.ask("SET", "duplex:chat", "of another kind")
    tap.equal((post_and_read(), ask(b"GET", b"after=0-1")), ((503, 503), 503), "while the key of the channel is not a stream, POST and GET are answered 503")
    redis.ask("RENAME", "away", "duplex:chat")
    tap.equal(post_and_read(), (202, 200), "when the key of the channel is a stream again, POST is answered 202")
    (status, said), = workers.stop()
    lines = [re.sub("(OOM|WRONGTYPE) .*", r"\1", line.removeprefix("duplex: ")) for line in said.decode().splitlines()]
    publish, read = "unknown client: a message is not published: Redis: ", "unknown client: messages are not read: Redis: "
    wanted = [publish + "OOM", "Redis takes messages again"] * 2 + [publish + "WRONGTYPE", read + "WRONGTYPE", "Redis takes messages again", "Redis can be read again"]
    tap.equal((status, lines), (0, wanted), "the log has a line when Redis begins to refuse, and one when that is over")


with Redis() as redis, stack.Stack(DUPLEX_REDIS=redis.address) as site:
    check_publish()
    check_hundreds()
    check_large()
    check_refused()
    check_cgi()
    check_parts()
    check_stopped()
    check_refuses()
    check_gone()
    stack.finish(site, "duplex: .*Redis")
with Redis(tcp=True) as redis, stack.Stack(DUPLEX_REDIS=redis.address) as site:
    check_addresses()
    check_gone()
    stack.finish(site, "duplex: .*Redis")
tap.done()
