#!/usr/bin/python3
"""The FastCGI program without a web server: from the shell as CGI, over cgi-fcgi and spawn-fcgi, and how it ends."""
import os
import pathlib
import re
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading

sys.path.insert(0, f"{sys.path[0]}/../lib")
import fcgi
import served
import stack
import tap

DUPLEX = stack.BUILD / "fcgi/duplex"
stack.need("cgi-fcgi", "spawn-fcgi")
directory = tempfile.TemporaryDirectory()
sockets = pathlib.Path(directory.name)


def run(*arguments, stdin=subprocess.DEVNULL, **variables):
    return subprocess.run([DUPLEX, *arguments], stdin=stdin, cwd=stack.ROOT, env={**fcgi.INHERITED, **variables},
                          capture_output=True, timeout=30)


def body(output):
    return output.partition(b"\r\n\r\n")[2]


def check_cgi():
    result = run(REQUEST_METHOD="GET", SCRIPT_NAME="/echo", QUERY_STRING="message=hi")
    tap.equal((result.returncode, result.stderr), (0, b""), "as CGI, the program exits with 0 and says nothing")
    tap.equal(result.stdout, b"Status: 200 OK\r\nCache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n"
              b"Content-Type: text/plain; charset=utf-8\r\nContent-Length: 2\r\n\r\nhi", "as CGI, the answer has its headers and the message")
    page = served.file("echo.html")
    tap.equal(body(run(REQUEST_METHOD="GET", SCRIPT_NAME="/echo").stdout), page, "as CGI without QUERY_STRING, /echo is the page")
    with open("/dev/full", "wb") as full:
        result = subprocess.run([DUPLEX], stdin=subprocess.DEVNULL, cwd=stack.ROOT, stdout=full, stderr=subprocess.PIPE,
                                env={**fcgi.INHERITED, "REQUEST_METHOD": "GET", "SCRIPT_NAME": "/echo"})
    tap.ok(result.returncode == 1 and b"standard output: No space left" in result.stderr, "standard output on a full disk is an error, which is told")


def check_usage():
    result = run("--help")
    tap.ok(result.returncode == 0 and result.stdout.startswith(b"usage: duplex ") and not result.stderr, "--help prints the usage and exits with 0")
    result = run("--version")
    tap.ok(result.returncode == 0 and result.stdout.startswith(b"duplex (duplex) ") and not result.stderr, "--version prints the version and exits with 0")
    page = sockets / ("long/" * 900)
    result = run(f"--page={page}", REQUEST_METHOD="GET")
    tap.ok(result.returncode == 1 and b"File name too long" in result.stderr, "a path that is too long to be served is an error, which is told")
    result = run()
    tap.equal(result.returncode, 2, "without a listening socket and without CGI the exit status is 2")
    tap.ok(b"not a listening socket" in result.stderr and result.stderr.count(b"\n") == 1, "without a listening socket and without CGI one line says what is missing")
    left, right = socket.socketpair()
    tap.equal(run(stdin=left).returncode, 2, "a connected socket is not taken for a listening one")
    left.close()
    right.close()
    for arguments in (["--nonsense"], ["argument"], ["--page"]):
        result = run(*arguments, REQUEST_METHOD="GET")
        tap.ok(result.returncode == 2 and b"usage:" in result.stderr, f"{arguments[0]} is answered with the usage and exit status 2")
    for option in ("--page", "--endpoints"):
        result = run(f"{option}=/nowhere", REQUEST_METHOD="GET", SCRIPT_NAME="/echo", QUERY_STRING="message=hi")
        tap.ok(result.returncode == 1 and result.stdout == b"", f"{option} with a directory that does not exist is an error at the start")
        tap.ok(option.encode() in result.stderr and b"/nowhere" in result.stderr and b"No such file" in result.stderr,
               f"{option} with a directory that does not exist is named by one line")
    result = run("--endpoints=Makefile", REQUEST_METHOD="GET")
    tap.ok(result.returncode == 1 and b"Makefile: not a directory" in result.stderr, "--endpoints with a file in place of a directory is an error at the start")
    for name in ("a directory", "a FIFO"):
        page = sockets / name
        page.mkdir()
        (page / "echo.html").mkdir() if name == "a directory" else os.mkfifo(page / "echo.html")
        result = run(f"--page={page}", REQUEST_METHOD="GET", SCRIPT_NAME="/echo")
        tap.ok(result.returncode == 1 and re.search(b"echo.html: (Is a directory|Invalid argument)\n", result.stderr), f"{name} in place of a file of the page is an error at the start")


def fastcgi(path, **variables):
    """A request by cgi-fcgi."""
    return subprocess.run(["cgi-fcgi", "-bind", "-connect", path], capture_output=True, stdin=subprocess.DEVNULL, timeout=30,
                          env={"PATH": os.environ["PATH"], "REQUEST_METHOD": "GET", "SCRIPT_NAME": "/echo", **variables}).stdout


def check_spawn_fcgi():
    path = sockets / "spawn"
    pid_file = sockets / "pid"
    subprocess.run(["spawn-fcgi", "-s", path, "-P", pid_file, "-d", stack.ROOT, "--", DUPLEX], check=True,
                   env={**fcgi.INHERITED, "PATH": os.environ["PATH"]}, stdout=subprocess.DEVNULL)
    pid = int(pid_file.read_text())
    tap.equal(body(fastcgi(path, QUERY_STRING="message=over+FastCGI")), b"over FastCGI", "under spawn-fcgi a request is answered")
    letters = "x" * 65528
    tap.equal(body(fastcgi(path, QUERY_STRING=f"message={letters}")), letters.encode(), "a query of 64 KiB is answered")
    many = "&".join(f"message={i}" for i in range(1000))
    tap.equal(body(fastcgi(path, QUERY_STRING=many)), b"999", "of a thousand parameters of one name the last counts")
    tap.equal(fastcgi(path, REQUEST_METHOD="DELETE")[:11], b"Status: 405", "DELETE is answered 405")
    os.kill(pid, signal.SIGTERM)
    tap.ok(stack.wait_until(lambda: not stack.is_alive(pid)), "SIGTERM ends the program under spawn-fcgi")


def check_sigterm():
    workers = fcgi.Workers()
    client = workers.connect()
    client.sendall(fcgi.REQUEST[:40])
    tap.ok(stack.wait_until(workers.has_request), "a worker has half a request in hand")
    workers.processes[0].terminate()
    other = workers.connect()
    other.sendall(fcgi.REQUEST)
    client.sendall(fcgi.REQUEST[40:])
    tap.ok(b"\r\n\r\nwhole" in fcgi.read_all(client), "after SIGTERM a worker answers the request in its hands")
    tap.equal(workers.stop_first(), (0, b""), "after SIGTERM and that answer the worker exits with 0")
    workers.start()
    tap.ok(b"\r\n\r\nwhole" in fcgi.read_all(other), "a request that waited at SIGTERM is answered, by that worker or by the next one")
    tap.equal(workers.stop_first(), (0, b""), "after SIGTERM an idle worker exits with 0")
    for sig in (signal.SIGINT, signal.SIGUSR1):
        workers.start()
        tap.equal(workers.stop_first(sig), (0, b""), f"{sig.name}, which process managers send, ends a worker with 0")


def check_sigterm_under_load():
    """SIGTERM may come at any moment. Each request is answered or still in the backlog, and none is lost."""
    workers = fcgi.Workers(2)
    answers = []

    def ask():
        for _ in range(100):
            client = workers.connect()
            client.sendall(fcgi.REQUEST)
            answers.append(b"\r\n\r\nwhole" in fcgi.read_all(client))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    endings = []
    for replaced in range(20):
        stack.wait_until(lambda: len(answers) >= 30 * (replaced + 1))
        workers.start()
        endings.append(workers.stop_first())
    for thread in threads:
        thread.join()
    tap.equal((len(answers), all(answers)), (800, True), "800 requests, 8 at a time, are all answered while 20 workers are replaced")
    tap.equal(set(endings + workers.stop()), {(0, b"")}, "each of 20 replaced workers exits with 0")


def check_tcp():
    """A TCP socket, on which the web servers that may connect can be named."""
    for addresses, answered in (("127.0.0.1", True), ("192.0.2.1", False)):
        workers = fcgi.Workers(family=socket.AF_INET, FCGI_WEB_SERVER_ADDRS=addresses)
        for _ in range(2):
            tap.equal(b"\r\n\r\nwhole" in fcgi.exchange(workers, fcgi.REQUEST), answered, f"over TCP with FCGI_WEB_SERVER_ADDRS={addresses} {'the request is answered' if answered else 'the connection is refused'}")
        tap.equal(workers.stop(), [(0, b"")], f"over TCP with FCGI_WEB_SERVER_ADDRS={addresses} the worker exits with 0")


def check_kept_connection():
    """A server that asks to keep the connection must not have the worker to itself."""
    workers = fcgi.Workers()
    client = workers.connect()
    client.sendall(fcgi.record(1, struct.pack("!HB5x", 1, 1)) + fcgi.PARAMS + fcgi.record(4) + fcgi.record(5))
    tap.ok(b"\r\n\r\nwhole" in fcgi.read_all(client), "FCGI_KEEP_CONN is answered, and the connection is closed all the same")
    other = workers.connect()
    other.sendall(fcgi.REQUEST)
    tap.ok(b"\r\n\r\nwhole" in fcgi.read_all(other), "another connection is served after one with FCGI_KEEP_CONN")
    tap.equal(workers.stop(), [(0, b"")], "a worker that met FCGI_KEEP_CONN exits with 0")


def check_deadline(family):
    """Requests that do not come to their end must not have the worker to themselves."""
    workers = fcgi.Workers(family=family)
    tap.ok(b"\r\n\r\nwhole" in fcgi.exchange(workers, fcgi.REQUEST), f"{family.name}: a worker has answered a request")
    slow = [workers.connect() for _ in range(2)]
    for client in slow:
        client.sendall(fcgi.REQUEST[:40])
    tap.ok(stack.wait_until(workers.has_request), f"{family.name}: the worker has half a request in hand, and another half one waits")
    other = workers.connect()
    other.sendall(fcgi.REQUEST)
    tap.ok(b"\r\n\r\nwhole" in fcgi.read_all(other), f"{family.name}: a whole request is answered after two half ones")
    tap.equal([fcgi.status(fcgi.read_all(client)) for client in slow], [408, 408], f"{family.name}: the half requests are answered 408")
    tap.equal(workers.stop(), [(0, b"")], f"{family.name}: a worker that met half requests exits with 0 and says nothing")


def check_broken_clients():
    workers = fcgi.Workers()
    for bad in (b"", b"\0", b"GET / HTTP/1.1\r\n\r\n", fcgi.REQUEST[:8], fcgi.REQUEST[:40], fcgi.BEGIN + fcgi.record(4, b"\xff" * 7), fcgi.REQUEST):
        client = workers.connect()
        client.sendall(bad)
        client.close()
    client = workers.connect()
    client.sendall(fcgi.REQUEST)
    tap.ok(b"\r\n\r\nwhole" in fcgi.read_all(client), "a worker answers a request after clients that broke off")
    tap.equal(workers.stop(), [(0, b"")], "a worker that met clients that broke off exits with 0 and says nothing")


check_cgi()
check_usage()
check_spawn_fcgi()
check_sigterm()
check_sigterm_under_load()
check_tcp()
check_kept_connection()
check_deadline(socket.AF_UNIX)
check_deadline(socket.AF_INET)
check_broken_clients()
tap.done()
