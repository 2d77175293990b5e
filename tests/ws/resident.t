#!/usr/bin/python3
"""
The resident way of an endpoint, asked on its own socket: the handshake, messages of every kind, what only it can do
(subprotocols, refusals, close codes, poll), and how it starts, stops and crashes.
"""
import concurrent.futures
import contextlib
import os
import pathlib
import re
import resource
import signal
import socket
import struct
import subprocess
import sys
import threading

sys.path.insert(0, f"{sys.path[0]}/../lib")
import frames
import stack
import tap
from frames import BINARY, CLOSE, PING, PONG, TEXT
from resident import Endpoint, takes_signals

VIEWS = stack.BUILD / "tests/views"
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # for the workers that crash


def code(number):
    return struct.pack("!H", number)


def check_messages():
    with Endpoint() as echo:
        client = echo.connect(after=frames.text(b"with the handshake"))
        tap.equal(client.status, 101, "the handshake is accepted")
        tap.ok(b"Sec-WebSocket-Accept: " in client.answer and b"Sec-WebSocket-Protocol" not in client.answer, "the answer to a handshake has the key and selects no subprotocol")
        tap.equal(client.frame(), (TEXT, b"with the handshake"), "a message that comes with the handshake is echoed")
        table = [(TEXT, b"a\nb\r\n\0c"), (TEXT, b""), (BINARY, bytes(range(256))), (BINARY, b""), (TEXT, "é€😀".encode()),
                 (TEXT, b"x" * 125), (TEXT, b"x" * 126), (TEXT, b"x" * 65535), (TEXT, b"x" * 65536), (BINARY, os.urandom(1048576))]
        for opcode, payload in table:
            client.send(frames.frame(opcode, payload))
            tap.ok(client.frame() == (opcode, payload), f"a message of opcode {opcode} and {len(payload)} bytes comes back as it was")
        client.send(frames.fragments(b"one ", b"", b"message", between=frames.frame(PING, b"between")))
        tap.equal([client.frame() for _ in range(3)], [(PONG, b"between")] * 2 + [(TEXT, b"one message")], "fragments are one message, and pings between them are answered first")
        data = frames.text(b"cut anywhere") + frames.frame(PING, b"p")
        for byte in data:
            client.send(bytes([byte]))
        tap.equal([client.frame(), client.frame()], [(TEXT, b"cut anywhere"), (PONG, b"p")], "bytes that come one by one are put together")
        client.send(b"".join(frames.text(b"%d" % number) for number in range(5000)))
        tap.equal(client.texts(5000), [str(number) for number in range(5000)], "5,000 messages in one go come back in order")
        client.send(frames.close(1000, b"bye"))
        tap.equal(client.end(), [(CLOSE, code(1000))], "a close frame comes back with its code, and the connection ends")
        tap.ok(stack.wait_until(lambda: echo.figures()[:2] == [0, 0]), "when its client has gone, no client and no byte is left")


def check_violations():
    table = [
        ("text that is not UTF-8", frames.text(b"\xff"), 1007, "not valid UTF-8"),
        ("a frame without a mask", frames.text(b"hi", mask=None), 1002, ""),
        ("a reserved bit", frames.text(b"hi", rsv=4), 1002, ""),
        ("a reserved opcode", frames.frame(3, b"hi"), 1002, ""),
        ("a close frame of one byte", frames.frame(CLOSE, b"x"), 1002, ""),
        ("a message over the limit", frames.text(b"x" * 101), 1009, "more than 100 bytes"),
        ("a message over the limit that is only announced", frames.header(0x81, 1 << 40, None, True) + frames.MASK, 1009, "more than 100 bytes"),
        ("fragments over the limit", frames.fragments(b"x" * 60, b"x" * 60), 1009, "more than 100 bytes"),
    ]
    with Endpoint(WEBSOCKET_MAX_MESSAGE="100") as echo:
        for name, data, wanted, reason in table:
            client = echo.connect(after=frames.text(b"before") + data + frames.text(b"after"), fields=["X-Forwarded-For: 10.1.2.3"])
            found = client.end()
            tap.equal([found[0], (found[1][0], found[1][1][:2]), len(found)], [(TEXT, b"before"), (CLOSE, code(wanted)), 2], f"{name} ends with {wanted}")
            tap.ok(stack.wait_until(lambda: re.fullmatch(rf"echo: 10\.1\.2\.3: [^\n]*{reason}[^\n]*", (echo.log() or [""])[-1])), f"{name} is told in a line")
            del echo.log_file
            echo.log_file = open(f"{echo.directory.name}/log", "a+b")
        tap.equal(len(echo.log()), len(table), "each client that breaks a rule leaves one line")


def check_api():
    with Endpoint(VIEWS) as views:
        offered = ["Sec-WebSocket-Protocol: soap, chat"]
        client = views.connect("/views/accept?chat", fields=offered)
        tap.ok(client.status == 101 and b"Sec-WebSocket-Protocol: chat" in client.answer, "a subprotocol that was offered is selected")
        tap.equal(client.texts(2), ["accepted 0", "once 0"], "a view that has selected a subprotocol cannot accept again")
        client = views.connect("/views/accept?other", fields=offered)
        tap.equal((client.status, client.texts(1)), (101, ["Invalid argument -1"]), "a subprotocol that was not offered is an error for the view alone")
        for status in (401, 403, 404, 503):
            client = views.connect(f"/views/refuse?{status}")
            tap.equal(client.status, status, f"a view refuses with {status}")
        client = views.connect("/views/refuse?200")
        tap.equal((client.status, client.texts(1)), (101, ["Invalid argument 0"]), "a view cannot refuse with 200")
        client = views.connect("/views/close?4001")
        tap.equal(client.frame(), (CLOSE, code(4001) + b"as asked for"), "a view closes with a code and a reason")
        client = views.connect("/views/close?1005")
        tap.equal(client.texts(1), ["Invalid argument 1005"], "a code that is never sent is refused")
        client = views.connect("/views/nothing")
        tap.equal((client.status, client.frame()), (101, (CLOSE, code(1000))), "a view that returns at once accepts and closes with 1000")
        client = views.connect("/views/variables?a=b", fields=["X-Test: 1", "X_Test: 2", "Proxy: p", "X-Forwarded-For: 6.6.6.6, 10.0.0.7", "Cookie: c"])
        names = ["QUERY_STRING", "SCRIPT_NAME", "PATH_INFO", "REMOTE_ADDR", "HTTP_X_TEST", "HTTP_PROXY", "HTTP_COOKIE", "REQUEST_METHOD", "HTTP_HOST", "NOTHING"]
        client.send(b"".join(frames.text(name.encode()) for name in names))
        tap.equal(client.texts(len(names)), ["a=b", "/views", "/variables", "10.0.0.7", "1", "-", "c", "GET", "localhost", "-"], "a view finds the variables of the handshake")
        client = views.connect("/views/count", after=b"".join(frames.text(b"x" * size) for size in (1, 20, 300)))
        tap.equal(client.texts(4), ["more: 2", "read 20", "read 300", "no more 0"], "messages are counted, and read without waiting")
        client = views.connect("/views/poll")
        tap.equal(client.texts(1), ["time: 0"], "websocket_poll returns when the time is up")
        client.send(frames.text(b"hi"))
        tap.equal(client.texts(2), ["client: 0", "pipe: 1"], "websocket_poll returns for a message, and for a descriptor of the view")
        client.close()
        client = views.connect("/views/time")
        tap.equal(client.texts(2), ["time 0", "time 0"], "websocket_wait returns when the time is up")
        client.close()
        for data, wanted in ((frames.close(4321), "event 2, code 4321"), (frames.close(), "event 2, code 1005"), (b"", "event 2, code 1006")):
            client = views.connect("/views/end")
            client.send(data) if data else client.close()
            tap.ok(stack.wait_until(lambda: wanted in views.log()), f"a view learns how the client ended: {wanted}")
        client.close()
        tap.ok(stack.wait_until(lambda: views.figures()[0] == 0), "the figures have no client when all have gone") or print(f"# {views.log()[-1]}")


def check_others_go_on():
    """What does not wait still lets the others go on."""
    with Endpoint(VIEWS) as views:
        busy = [views.connect(path) for path in ("/views/ask", "/views/stream")]
        flood = views.connect("/views/echo")
        block = b"".join(frames.text(b"x" * 100) for _ in range(1000))
        stop = threading.Event()

        def send_and_read():
            while not stop.is_set():
                flood.send(block)
                flood.texts(1000)

        thread = threading.Thread(target=send_and_read)
        thread.start()
        client = views.connect("/views/echo")
        for number in range(200):
            client.send(frames.text(b"%d" % number))
            assert client.texts(1) == [str(number)]
        stop.set()
        thread.join()
        tap.ok(True, "200 messages come back beside a client that floods, a view that streams and one that asks without a pause")
        for one in busy:
            one.close()


def check_limits():
    with Endpoint(WEBSOCKET_MAX_CLIENTS="2", WEBSOCKET_HANDSHAKE_SECONDS="1", WEBSOCKET_MAX_PER_ADDRESS="0") as echo:
        clients = [echo.connect(), echo.connect()]
        tap.equal(echo.connect().status, 503, "a client more than WEBSOCKET_MAX_CLIENTS is refused with 503")
        clients.pop().close()
        tap.ok(stack.wait_until(lambda: echo.connect().status == 101), "with WEBSOCKET_MAX_CLIENTS connected, a client is accepted in the place of one that left")
        late = echo.connect(head=b"GET /echo HTTP/1.1\r\n")
        tap.equal(late.status, 408, "a handshake that does not come is answered 408")
    with Endpoint(WEBSOCKET_MAX_PER_ADDRESS="2") as echo:
        one = ["X-Forwarded-For: 10.0.0.1"]
        clients = [echo.connect(fields=one), echo.connect(fields=one)]
        tap.equal(echo.connect(fields=one).status, 429, "a client more of one address than WEBSOCKET_MAX_PER_ADDRESS is refused with 429")
        tap.equal(echo.connect(fields=["X-Forwarded-For: ::ffff:10.0.0.1"]).status, 429, "for WEBSOCKET_MAX_PER_ADDRESS an IPv4 address in the form of IPv6 is the same")
        tap.equal(echo.connect(fields=["X-Forwarded-For: 10.0.0.2"]).status, 101, "for WEBSOCKET_MAX_PER_ADDRESS a client of another address does not count")
        clients += [echo.connect(fields=[f"X-Forwarded-For: 2001:db8:0:1::{number}"]) for number in (1, 2)]
        tap.equal(echo.connect(fields=["X-Forwarded-For: 2001:db8:0:1:ffff::3"]).status, 429, "for WEBSOCKET_MAX_PER_ADDRESS an IPv6 network of /64 is one address")
        tap.equal(echo.connect(fields=["X-Forwarded-For: 2001:db8:0:2::1"]).status, 101, "for WEBSOCKET_MAX_PER_ADDRESS a client of another IPv6 network does not count")
    with Endpoint(WEBSOCKET_MAX_MEMORY="2500000", WEBSOCKET_MAX_PER_ADDRESS="0") as echo:
        def half(size):
            return frames.header(0x82, size, None, True) + frames.MASK + b"x" * (size // 2)

        large = echo.connect(after=half(300000))
        small = [echo.connect(after=half(65000)) for _ in range(70)]
        stack.wait_until(lambda: echo.figures()[1] > 2500000)
        tap.equal(echo.connect().status, 503, "beyond WEBSOCKET_MAX_MEMORY a further client is refused with 503")
        large.send(b"x" * 10000)
        tap.equal(large.frame()[1][:2], code(1013), "beyond WEBSOCKET_MAX_MEMORY a message of more than 64 KiB is answered 1013")
        small[0].send(b"x" * 32500)
        tap.equal(small[0].frame(), (BINARY, frames.apply(frames.MASK, b"x" * 65000)), "beyond WEBSOCKET_MAX_MEMORY a smaller message is taken in")
        for client in small:
            client.close()
        tap.ok(stack.wait_until(lambda: echo.connect().status == 101), "when others have left and given memory back, a further client is accepted")
    with Endpoint(WEBSOCKET_PING_SECONDS="1") as echo:
        silent, answers = echo.connect(), echo.connect()
        tap.equal((silent.frame(), answers.frame()), ((PING, b""), (PING, b"")), "a client that is silent is sent a ping")
        answers.send(frames.frame(PONG, b""))
        tap.equal(silent.end(), [], "a ping that is not answered ends the connection")
        tap.equal(answers.frame(), (PING, b""), "a ping that is answered is followed by another")
        tap.ok("echo: unknown client: the client did not answer a ping" in echo.log(), "the log tells of a client that did not answer a ping")


def check_start():
    for name, value in (("WEBSOCKET_MAX_CLIENTS", "x"), ("WEBSOCKET_MAX_MEMORY", "-1"), ("WEBSOCKET_PING_SECONDS", ""), ("WEBSOCKET_MAX_PER_ADDRESS", "1M"),
                        ("WEBSOCKET_HANDSHAKE_SECONDS", "99999999999999999999"), ("WEBSOCKET_MAX_MESSAGE", "0")):
        with Endpoint(**{name: value}) as echo:
            tap.equal(echo.processes[0].wait(30), 2, f"{name}={value!r} is refused at the start with status 2")
            tap.ok(len(echo.log()) == 1 and f"{name} is not a number from " in echo.log()[0], f"{name}={value!r} is named in a line")
    for option, wanted in (("--help", b"usage: "), ("--version", b"(duplex)")):
        result = subprocess.run([stack.BUILD / "ws/echo", option], capture_output=True, stdin=subprocess.DEVNULL)
        tap.ok(result.returncode == 0 and wanted in result.stdout and result.stderr == b"", f"{option} is answered")
    with Endpoint(VIEWS, family=socket.AF_INET) as views:
        client = views.connect("/views/variables", fields=["X-Forwarded-For: 10.0.0.1"])
        client.send(frames.text(b"REMOTE_ADDR"))
        tap.equal(client.texts(1), ["127.0.0.1"], "over TCP the client's address is the peer's, whatever it says")
    for family, address in ((socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::")):
        with socket.socket(family) as listener:
            listener.bind((address, 0))
            listener.listen()
            result = subprocess.run([stack.BUILD / "ws/echo"], stdin=listener, capture_output=True, text=True, timeout=30)
        tap.equal((result.returncode, result.stderr), (1, "echo: standard input: the socket is not on a loopback address\n"),
                  f"a TCP socket that others could reach is refused: {family.name}")


def check_stop():
    for sig in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1):
        with Endpoint() as echo:
            clients = [echo.connect(after=frames.text(b"hi")) for _ in range(20)]
            for client in clients:
                client.frame()
            echo.processes[0].send_signal(sig)

            def be_told(client):
                frame = client.frame()
                client.send(frames.close(1001))
                return frame

            with concurrent.futures.ThreadPoolExecutor(20) as pool:
                told = list(pool.map(be_told, clients))
            tap.equal(told, [(CLOSE, code(1001))] * 20, f"{sig.name}: every client is told 1001")
            tap.equal((echo.stop(), echo.log()), ([0], []), f"{sig.name}: the process ends with status 0 and without a line")
    with Endpoint() as echo:
        silent = [echo.connect(), echo.connect(head=b"")]
        tap.equal(echo.stop(), [0], "a process whose clients do nothing ends all the same")


def check_crash():
    for path, wanted in (("/views/crash", "ended by SIGABRT, with its clients: 2"), ("/views/overflow", "a view ran over its stack of 64 KiB")):
        if stack.SANITIZED:
            break  # the sanitizer has a handler and a report of its own
        with Endpoint(VIEWS) as views:
            others = [views.connect("/views/echo"), views.connect("/views/echo")]
            crasher = views.connect(head=b"")
            crasher.send(crasher.head(path))
            status = views.processes[0].wait(30)
            tap.ok(status < 0, f"{path}: the worker ends by signal {-status}")
            tap.ok(len(views.log()) == 1 and wanted in views.log()[0], f"{path}: one line tells why: {views.log()}")


def two_take_signals(supervisor):
    children = stack.children(supervisor)
    return len(children) == 2 and all(map(takes_signals, children))


def sockets(pid):
    """How many clients a worker has."""
    links = [os.readlink(path) for path in pathlib.Path(f"/proc/{pid}/fd").iterdir()]
    return sum(link.startswith("socket:") for link in links) - 1


def check_replacement():
    """A supervisor starts another worker for one that crashes; the clients of the others notice nothing."""
    with Endpoint(VIEWS, workers=0) as views, subprocess.Popen(
            ["multiwatch", "-f", "2", "-r", "1000000", "-t", "1", "--", VIEWS], stdin=views.listener, stdout=subprocess.DEVNULL,
            stderr=views.log_file, env=views.environment) as supervisor:
        tap.ok(stack.wait_until(lambda: two_take_signals(supervisor.pid)), "two workers run under multiwatch")
        before = set(stack.children(supervisor.pid))
        clients = [views.connect("/views/echo")]
        while len(clients) < 500 and not all(map(sockets, before)) or len(clients) < 20:
            clients.append(views.connect("/views/echo"))
        crasher = views.connect(head=b"")
        crasher.send(crasher.head("/views/crash"))
        crasher.take_answer()
        tap.ok(stack.wait_until(lambda: len(now := set(stack.children(supervisor.pid))) == 2 and now != before), "a worker that crashes is replaced")
        served = 0
        for client in clients:
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                client.send(frames.text(b"hi"))
                served += client.frame() == (TEXT, b"hi")
        tap.ok(0 < served < len(clients), f"when a worker has crashed, the {served} clients of the other are served as before")
        tap.equal(views.connect("/views/echo", after=frames.text(b"hi")).frame(), (TEXT, b"hi"), "a new client is served after a worker has crashed")
        stack.wait_until(lambda: two_take_signals(supervisor.pid))  # multiwatch does not tell a worker that it is just starting
        supervisor.terminate()
        tap.ok(stack.wait_until(lambda: supervisor.poll() is not None), "multiwatch ends after SIGTERM")
        supervisor.kill()


check_messages()
check_violations()
check_api()
check_others_go_on()
check_limits()
check_start()
check_stop()
check_crash()
if not stack.SANITIZED:
    check_replacement()
tap.done()
