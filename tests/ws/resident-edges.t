#!/usr/bin/python3
"""
The resident way at its edges: what a view may do once its connection is over, clients that half leave, that do not read or
that ping without end, messages in hand while a send waits, a stop in every state, and a log that a client cannot flood.
"""
import contextlib
import re
import signal
import socket
import struct
import sys
import time

sys.path.insert(0, f"{sys.path[0]}/../lib")
import frames
import stack
import tap
from frames import BINARY, CLOSE, PING, TEXT
from resident import NO_LIMIT, Endpoint

VIEWS = stack.BUILD / "tests/views"


def code(number):
    return struct.pack("!H", number)


def check_served(endpoint, name, path="/views/echo"):
    with_others = endpoint.connect(path, after=frames.text(name.encode()))
    tap.equal(with_others.frame(), (TEXT, name.encode()), f"{name}: another client is served")
    with_others.close()


def fill(client, data, seconds=10):
    """Sends data again and again, and reads nothing, until nothing more is taken for half a second; how much it was."""
    client.socket.settimeout(0.5)
    sent, end = 0, time.monotonic() + seconds
    try:
        while time.monotonic() < end:
            sent += client.socket.send(data)
    except (TimeoutError, BrokenPipeError, ConnectionResetError):
        pass
    client.socket.settimeout(30)
    return sent


def check_calls_when_over():
    over = "wait 2 2, read 2, count 0 0, poll 0, send -1 -1, accept -1 -1, refuse -1, closed 1, close 0, path /{}, query 1, fd -1"
    with Endpoint(VIEWS) as views:
        client = views.connect("/views/after-close?a=b")
        tap.equal((client.status, client.end()), (101, [(CLOSE, code(1000))]), "a view that closes at once accepts first")
        tap.equal(views.log(), ["after close: " + over.format("after-close")], "after websocket_close each function says that it is over")
        client = views.connect("/views/after-refusal?a=b")
        tap.equal(client.status, 451, "a view may refuse with any status of an error")
        client.arrived.clear()
        tap.equal(client.end(), [], "a connection that a view refused ends")
        tap.equal(views.log()[1:], ["after refusal: " + over.format("after-refusal")], "after websocket_refuse each function says that it is over")
        client = views.connect("/views/after-end?a=b", after=frames.close(1000))
        client.end()
        # the connection is over, but this side has not closed it yet: to refuse says so
        tap.ok(stack.wait_until(lambda: views.log()[2:] == ["after the end: " + over.format("after-end")]), f"after the client has left each function says that it is over: {views.log()[2:]}")
        client = views.connect("/views/after-end?a=b")
        client.close()
        tap.ok(stack.wait_until(lambda: views.log()[3:] == ["after the end: " + over.format("after-end")]), f"after the client has gone each function says that it is over: {views.log()[3:]}")
        client = views.connect("/views/poll-odd")
        wanted = ["nothing: 0", "negative: 0", "closed: 1", "twice, empty: 0", "twice, full: 1", "hung up: 1"]
        tap.equal(client.texts(len(wanted)), wanted, "websocket_poll takes sets of every kind")
        refused = views.figures()
        tap.equal(refused[7], 1, "the figures count what a view refused")


def check_views_that_do_not_wait():
    with Endpoint(VIEWS) as views:
        for path in ("/views/tick", "/views/poll-busy"):
            clients = [views.connect(path) for _ in range(20)]
            check_served(views, path)
            for client in clients:
                client.close()
            check_served(views, f"{path} whose clients left")
        busy = views.connect("/views/poll-busy", after=frames.text(b"is never read") * 10)
        check_served(views, "/views/poll-busy with messages that it does not read")
        busy.close()
        tap.ok(stack.wait_until(lambda: views.figures()[:2] == [0, 0]), "nothing of the clients is left when they have gone")


def check_half_closed():
    with Endpoint() as echo:
        client = echo.connect(after=b"".join(frames.text(b"%d" % number) for number in range(2000)))
        client.socket.shutdown(socket.SHUT_WR)
        found = client.end()
        tap.ok(len(found) >= 1 and found[-1][0] == CLOSE and all(payload == b"%d" % number for number, (_, payload) in enumerate(found[:-1])),
               "a client that ends its sending is answered, and told of the end")
        idle = echo.connect()
        idle.socket.shutdown(socket.SHUT_WR)
        tap.equal(idle.end(), [(CLOSE, code(1000))], "a client that ends its sending and had sent nothing is told of the end")
        early = echo.connect(head=b"")
        early.send(b"GET /echo HTTP/1.1\r\n")
        early.socket.shutdown(socket.SHUT_WR)
        tap.equal(early.end(), [], "a handshake that ends early ends the connection")
        tap.ok(stack.wait_until(lambda: echo.figures()[:2] == [0, 0]), "nothing of the clients is left when they have gone")


def check_holding():
    with Endpoint(VIEWS) as views:
        text = b"in hand " * 1000
        client = views.connect("/views/hold", after=frames.text(text) + frames.text(b"next") + frames.frame(PING, b"p"))
        check_served(views, "a send that waits")
        tap.equal([(opcode, len(payload)) for opcode, payload in (client.frame(), client.frame())], [(BINARY, 4000000)] * 2, "what made a send wait arrives")
        tap.equal([client.frame()[1], client.frame()[1]], [text, b"next"], "a message in hand is as it was after a send that waited")


def check_bounded_output():
    """A client that never reads makes the process keep no more than the limits say, whatever it sends."""
    for name, data in (("pings", frames.frame(PING, b"x" * 125) * 500), ("messages", frames.text(b"x" * 60000))):
        limit = 4 << 20
        with Endpoint(WEBSOCKET_MAX_MEMORY=str(limit), **NO_LIMIT) as echo:
            other = echo.connect()
            clients = [echo.connect() for _ in range(6)]
            for client in clients:
                fill(client, data, 5)
            waits = echo.figures()[1]
            tap.ok(waits < limit + 6 * (1 << 19), f"{name} of clients that never read make {waits} bytes wait, with a limit of {limit}")
            other.send(frames.text(b"hi"))
            tap.equal(other.frame(), (TEXT, b"hi"), f"{name}: another client is served")
            for client in clients:
                client.close()
            tap.ok(stack.wait_until(lambda: echo.figures()[:2] == [1, 0]), f"{name}: nothing is left of clients that never read")
    with Endpoint(WEBSOCKET_MAX_MESSAGE="65536") as echo:
        client = echo.connect()
        fill(client, frames.frame(PING, b"x" * 125) * 500, 5)
        waits = echo.figures()[1]
        tap.ok(waits < 3 << 20, f"without much memory in use, pings make {waits} bytes wait, 16 messages of the largest size")


def check_makes_room():
    """Clients that hold all the memory by messages that never become whole, though bytes of them still come, give it back."""
    with Endpoint(WEBSOCKET_MAX_MEMORY="2500000", **NO_LIMIT) as echo:
        first = echo.connect(after=frames.header(0x82, 65000, None, True) + frames.MASK + b"x" * 32500)
        tap.ok(stack.wait_until(lambda: echo.figures()[1] > 32500), "half a message is kept")
        others = [echo.connect(after=frames.header(0x82, 65000, None, True) + frames.MASK + b"x" * 32500) for _ in range(90)]
        tap.ok(stack.wait_until(lambda: echo.figures()[1] > 2500000), "halves of messages take all the memory")

        def is_accepted():
            with contextlib.suppress(OSError):  # it has given way
                first.socket.send(b"x")
            return echo.connect().status == 101

        tap.ok(stack.wait_until(is_accepted), "while halves of messages take all the memory, a further client is accepted after some seconds")
        tap.equal(first.frame(), (CLOSE, code(1013)), "the client whose message is under way for longest gives way, and is told 1013")
        others[0].send(b"x" * 32500)
        tap.equal(others[0].frame()[0], BINARY, "a client that began its message later sends the rest of it")
        tap.ok(any("its message was under way for longest" in line for line in echo.log()), "a line of the log says whose message was under way for longest")


def check_drops_what_is_not_taken():
    """Clients that hold all the memory by what they do not take, though they take a little now and then, give it back."""
    def hold(path, data):
        return views.connect(path, after=frames.text(data))

    with Endpoint(VIEWS, WEBSOCKET_MAX_MEMORY="6000000", **NO_LIMIT) as views:
        quick = views.connect("/views/echo")
        holders = [hold("/views/hold", b"x")]
        tap.ok(stack.wait_until(lambda: views.figures()[1] > 3000000), "a client makes much output wait")
        holders.append(hold("/views/hold", b"x"))
        tap.ok(stack.wait_until(lambda: views.figures()[1] > 6000000), "two clients that make output wait take all the memory")

        def is_accepted():
            for client in holders:
                with contextlib.suppress(OSError):  # it was dropped
                    client.arrived += client.socket.recv(100)
            return views.connect("/views/echo").status == 101

        tap.ok(stack.wait_until(is_accepted, 25), "while output that waits takes all the memory, another client is accepted after some seconds")
        tap.ok(stack.wait_until(lambda: any("it was slowest to take what was sent to it" in line for line in views.log())), "a line of the log says which client was slowest to take what was sent to it")
        holders[0].end()
        tap.ok(len(holders[1].frame()[1]) > 3000000, "a client whose output began to wait later gets what was sent to it")
        quick.send(frames.text(b"hi"))
        tap.equal(quick.frame(), (TEXT, b"hi"), "a client that was there before the memory was short is served as ever")
    with Endpoint(VIEWS, WEBSOCKET_MAX_MEMORY="3000000", **NO_LIMIT) as views:
        closing = hold("/views/hold", b"x")
        closing.send(frames.close(1000))
        tap.ok(stack.wait_until(lambda: views.figures()[1] > 3000000), "a client that closes leaves much output waiting")
        tap.ok(stack.wait_until(lambda: views.connect("/views/echo").status == 101, 25), "a client that has closed keeps another out for some seconds only")
        tap.ok(stack.wait_until(lambda: views.figures()[1] < 3000000), "the memory of a client that has closed is given back")


def check_long_handshakes():
    """What clients make an endpoint keep of their handshakes counts as their memory."""
    path, fields = "/echo?" + "a" * 7000, ("X-Long: " + "b" * 7000,)
    with Endpoint(WEBSOCKET_MAX_MEMORY="400000", **NO_LIMIT) as echo:
        ordinary = [echo.connect() for _ in range(30)]
        tap.equal(echo.figures()[1], 0, "an ordinary handshake is not counted as memory")
        long = [echo.connect(path, fields=fields) for _ in range(10)]
        tap.ok(stack.wait_until(lambda: echo.figures()[1] >= 10 * 20000), "long handshakes are counted as memory, their queries and fields")
        long += [echo.connect(path, fields=fields) for _ in range(15)]
        tap.equal([client.status for client in (long[10], long[-1])], [101, 503], "long handshakes are refused when there is no memory for more")
        for client in ordinary + long:
            client.close()
        tap.ok(stack.wait_until(lambda: echo.figures()[:2] == [0, 0]), "nothing of long handshakes is left when their clients have gone")


def check_slow_reader():
    """What a client takes slowly, while more of it comes, arrives whole and in order."""
    with Endpoint() as echo:
        client = echo.connect()
        sent = [(TEXT, b"%d " % number * (number % 2000 + 1)) for number in range(1000)]
        data = b"".join(frames.text(payload) for _, payload in sent)
        client.socket.settimeout(0.01)
        while data:
            with contextlib.suppress(TimeoutError):
                data = data[client.socket.send(data[:16384]):]
                client.arrived += client.socket.recv(5000)  # a third of what is sent
        client.socket.settimeout(30)
        tap.ok([client.frame() for _ in sent] == sent, "a client that reads a third as fast as it sends gets each message whole and in order")
        client.close()


def check_pings():
    with Endpoint(VIEWS, WEBSOCKET_PING_SECONDS="1") as views:
        client = views.connect("/views/stream")
        end = time.monotonic() + 5
        pinged = 0
        while time.monotonic() < end:
            frame = client.frame()
            if frame is None:
                break
            if frame[0] == PING:
                pinged += 1
                client.send(frames.frame(frames.PONG, frame[1]))
        tap.ok(frame is not None, f"a client that takes all, and answers {pinged} pings that its view does not read, is kept")
        client.close()
    with Endpoint(VIEWS, WEBSOCKET_PING_SECONDS="1") as views:
        client = views.connect("/views/poll-busy", after=frames.text(b"x" * 10000) * 4)
        client.socket.settimeout(3)
        try:
            found = client.frame()
        except TimeoutError:
            found = "kept"
        tap.equal(found, "kept", "a client whose messages wait unread is not taken for silent")
    with Endpoint(WEBSOCKET_HANDSHAKE_SECONDS="0", WEBSOCKET_MAX_CLIENTS="0", WEBSOCKET_MAX_MEMORY="0", **NO_LIMIT) as echo:
        clients = [echo.connect(after=frames.text(b"hi")) for _ in range(20)]
        tap.equal([client.frame() for client in clients], [(TEXT, b"hi")] * 20, "clients are served where each limit is 0")
    with Endpoint(WEBSOCKET_PING_SECONDS="86400", WEBSOCKET_HANDSHAKE_SECONDS="86400") as echo:
        check_served(echo, "the largest times", "/echo")


def check_stops():
    for count in (62, 64, 130):  # about as many timers as the heap has room for at first, and then
        with Endpoint(**NO_LIMIT) as echo:
            clients = [echo.connect() for _ in range(count)]
            echo.processes[0].send_signal(signal.SIGTERM)
            echo.processes[0].send_signal(signal.SIGTERM)
            for client in clients:
                client.close()
            tap.equal((echo.stop(), echo.log()), ([0], []), f"a process with {count} clients that is told to stop twice ends with status 0")
    with Endpoint() as echo:
        check_served(echo, "before a stop", "/echo")
        tap.ok(stack.wait_until(lambda: echo.figures()[0] == 0), "the last client has left")
        tap.equal(echo.stop(), [0], "a process without clients that is told to stop ends with status 0")
    with Endpoint(VIEWS) as views:
        states = [views.connect("/views/stream"), views.connect("/views/ask"), views.connect("/views/poll"), views.connect("/views/tick"), views.connect("/views/poll-busy"),
                  views.connect("/views/hold", after=frames.text(b"x")), views.connect(head=b""), views.connect("/views/nothing")]
        states[-2].send(b"GET /views")
        fill(states[4], frames.text(b"x"), 1)
        started = time.monotonic()
        tap.equal(views.stop(), [0], "a process with a client in every state that is told to stop ends with status 0")
        took = time.monotonic() - started
        tap.ok(took < 20, f"a stop with a client in every state takes less than 20 seconds: {took:.1f}")
        states[-2].take_answer()
        tap.equal(states[-2].status, 503, "a handshake that has begun at a stop is answered 503")


def check_log():
    with Endpoint(**NO_LIMIT) as echo:
        for _ in range(500):
            client = echo.connect(after=frames.text(b"x", mask=None), fields=["X-Forwarded-For: 10.0.0.1"])
            client.frame()
            client.close()
        client = echo.connect()
        client.close()
        tap.ok(stack.wait_until(lambda: any("lines were left out" in line for line in echo.log())), "a line of the log tells how many others were left out")
        figures = echo.figures()
        tap.equal(figures[9], 500, "the figures count all of 500 clients that broke a rule")
        left_out = sum(int(number) for number in re.findall(r"echo: (\d+) more lines were left out", "\n".join(echo.log())))
        told = sum(line.endswith("a frame is not masked") for line in echo.log())
        echo.stop()
        left_out = sum(int(number) for number in re.findall(r"echo: (\d+) more lines were left out", "\n".join(echo.log())))
        tap.equal(told + left_out, 500, f"of 500 clients that broke a rule {told} have a line in the log, and {left_out} are counted")
    with Endpoint(WEBSOCKET_MAX_PER_ADDRESS="1", WEBSOCKET_MAX_CLIENTS="2") as echo:
        clients = [echo.connect(fields=[f"X-Forwarded-For: 10.0.0.{number}"]) for number in (1, 1, 1, 2, 3, 3, 3)]
        tap.equal([client.status for client in clients], [101, 429, 429, 101, 503, 503, 503], "clients over the limits are refused")
        tap.equal(echo.log(), ["echo: 10.0.0.1: clients are refused: too many clients of one address (WEBSOCKET_MAX_PER_ADDRESS)",
                               "echo: 10.0.0.3: clients are refused: too many clients (WEBSOCKET_MAX_CLIENTS)"], "the log tells of each limit once while it lasts")
        forged = echo.connect(fields=["X-Forwarded-For: 1.1.1.1\x1b[31m"])
        tap.ok(all(line.isprintable() for line in echo.log()), f"what a client sends as its address is not in the log (it got {forged.status})")


def check_tcp():
    for family in (socket.AF_INET, socket.AF_INET6):
        with Endpoint(family=family) as echo:
            client = echo.connect(after=frames.text(b"hi"))
            tap.equal(client.frame(), (TEXT, b"hi"), f"{family.name}: a message comes back")
            client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            client.close()
            tap.ok(stack.wait_until(lambda: echo.figures()[:2] == [0, 0]), f"{family.name}: a client that resets is gone, without a line")
            tap.equal(len(echo.log()), len([line for line in echo.log() if "clients, " in line]), f"{family.name}: the log has nothing but figures")
            check_origins(echo, family.name)


def check_origins(echo, family):
    """A page reaches a TCP socket from any browser of the machine, but not a UNIX socket."""
    for origin, wanted in ((None, 101), (stack.ORIGIN, 101), ("http://evil.example", 403), ("http://localhost", 403), ("null", 403), ("file://", 403), ("", 403),
                           (stack.ORIGIN.upper(), 403), (stack.ORIGIN + ".evil.example", 403)):
        client = echo.connect(fields=[f"Origin: {origin}"] if origin is not None else [])
        lines = [line for line in echo.log() if "WebSocket refused" in line]
        tap.equal(client.status, wanted, f"{family}: a handshake with the Origin {origin!r} is answered {wanted}")
        client.close()
    tap.equal(lines, [f"echo: {echo.address[0]}: WebSocket refused: over TCP the Origin has to be {stack.ORIGIN}, which the web server sets"] * 7, f"{family}: each of the seven handshakes that are refused leaves a line")
    with Endpoint() as private:
        tap.equal(private.connect(fields=["Origin: http://evil.example"]).status, 101, "over a UNIX socket the web server alone judges the Origin")


check_calls_when_over()
check_views_that_do_not_wait()
check_half_closed()
check_holding()
check_bounded_output()
check_makes_room()
check_drops_what_is_not_taken()
check_long_handshakes()
check_slow_reader()
check_pings()
check_stops()
check_log()
check_tcp()
tap.done()
