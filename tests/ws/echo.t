#!/usr/bin/python3
"""The echo program by itself, with the test in the place of websocketd: how it starts, what it logs and how it ends."""
import os
import signal
import subprocess
import sys
import time

sys.path.insert(0, f"{sys.path[0]}/../lib")
import stack
import tap

ECHO = stack.BUILD / "ws/echo"
GATEWAY = {name: os.environ[name] for name in os.environ if name.endswith("SAN_OPTIONS")}
GATEWAY |= {"GATEWAY_INTERFACE": "websocketd-CGI/0.1", "REMOTE_ADDR": "127.0.0.1"}


def run(data=b"", **variables):
    return subprocess.run([ECHO], input=data, env={**GATEWAY, **variables}, capture_output=True, timeout=30)


def check_start():
    result = run(GATEWAY_INTERFACE="CGI/1.1")
    tap.ok(result.returncode == 2 and not result.stdout, "started by hand, the echo exits with 2 and prints nothing")
    tap.ok(result.stderr.startswith(b"echo: GATEWAY_INTERFACE ") and result.stderr.count(b"\n") == 1, "started by hand, the echo says in one line that GATEWAY_INTERFACE is not websocketd's")
    for value in ("", "0", "-1", "x", "1e6", "1 ", " 1", "+1", "1073741825", "99999999999999999999999"):
        result = run(b"a\n", WEBSOCKET_MAX_MESSAGE=value)
        tap.equal((result.returncode, result.stdout), (2, b""), f"WEBSOCKET_MAX_MESSAGE={value!r} is refused with exit status 2")
        tap.ok(b"WEBSOCKET_MAX_MESSAGE" in result.stderr, f"WEBSOCKET_MAX_MESSAGE={value!r} is named by the line that refuses it")
    result = run(b"a\n\nabc\r\n", WEBSOCKET_MAX_MESSAGE="1073741824")
    tap.equal((result.returncode, result.stdout, result.stderr), (0, b"a\n\nabc\r\r\n", b""), "messages come back, an empty one and one with a carriage return among them")


    by_hand = {name: GATEWAY[name] for name in GATEWAY if name.endswith("SAN_OPTIONS")}
    result = subprocess.run([ECHO, "--version"], env=by_hand, capture_output=True)
    tap.ok(result.returncode == 0 and result.stdout.startswith(b"echo (duplex) ") and not result.stderr, "--version prints the version when the echo is started by hand")
    tap.equal(subprocess.run([ECHO, "--nonsense"], env=by_hand, capture_output=True).returncode, 2, "an unknown argument exits with 2 when the echo is started by hand")
    with open("/dev/full", "wb") as full:
        tap.equal(subprocess.run([ECHO, "--version"], env=by_hand, stdout=full).returncode, 1, "--version exits with 1 if the version cannot be written")


def check_errors():
    result = run(b"12345\n123456\n7\n", WEBSOCKET_MAX_MESSAGE="5")
    tap.equal((result.returncode, result.stdout), (1, b"12345\n"), "a message over the limit ends the endpoint, after those before it have come back")
    tap.equal(result.stderr, b"echo: 127.0.0.1: the client sent a message of more than 5 bytes (WEBSOCKET_MAX_MESSAGE)\n", "a message over the limit leaves one line with its reason")
    result = run(b"good\n\xff\nbad\n")
    tap.equal((result.returncode, result.stdout), (1, b"good\n"), "invalid UTF-8 ends the endpoint, after the messages before it have come back")
    for forwarded, name in (("10.1.2.3", b"10.1.2.3"), ("6.6.6.6, 10.1.2.3", b"10.1.2.3"), ("2001:db8::1", b"2001:db8::1"),
                            ("10.1.2.3, \x1b[31mred", b"unknown client"), ("evil\necho: forged", b"unknown client"), ("1" * 65, b"unknown client")):
        result = run(b"\xff\n", HTTP_X_FORWARDED_FOR=forwarded)
        tap.equal(result.stderr, b"echo: " + name + b": the client sent text that is not valid UTF-8\n", f"X-Forwarded-For {forwarded!r}: the log names {name.decode()}")


    result = subprocess.run([ECHO], input=b"\xff\n", env={name: GATEWAY[name] for name in GATEWAY if name != "REMOTE_ADDR"}, capture_output=True)
    tap.ok(result.stderr.startswith(b"echo: unknown client: "), "without REMOTE_ADDR the log names an unknown client")


def start():
    process = subprocess.Popen([ECHO], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=GATEWAY, bufsize=0)
    process.stdin.write(b"ready\n")
    process.stdout.read(6)
    return process


def fill(process):
    """Sends a large message and reads none of its echo, until the program waits for its output to be read."""
    process.stdin.write(b"x" * 500_000 + b"\n")
    pipe = process.stdout.fileno()
    stack.wait_until(lambda: len(os.read(pipe, 1)) == 1)


def close_stdin(process):
    process.stdin.close()


def close_stdout(process):
    process.stdout.close()


def terminate(process):
    process.terminate()


def interrupt(process):
    process.send_signal(signal.SIGINT)


def duration_of_end(end, filled):
    process = start()
    if filled:
        fill(process)
    begin = time.monotonic()
    end(process)
    status = process.wait(30)
    duration = time.monotonic() - begin
    message = process.stderr.read()
    for pipe in (process.stdin, process.stdout, process.stderr):
        pipe.close()
    return status, message, duration


def check_ends():
    for end in (close_stdin, close_stdout, terminate, interrupt):
        for filled in (False, True):
            state = "while its output waits" if filled else "while idle"
            endings = [duration_of_end(end, filled) for _ in range(5)]
            tap.equal({ending[:2] for ending in endings}, {(0, b"")}, f"{end.__name__} {state}: the endpoint exits with 0 and says nothing")
            best = min(ending[2] for ending in endings)
            tap.ok(best < 0.1 or stack.SANITIZED, f"{end.__name__} {state}: the endpoint is gone within 100 ms: {best * 1000:.0f} ms")


check_start()
check_errors()
check_ends()
tap.done()
