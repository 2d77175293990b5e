"""
One table of checks for every web server, each in a site of its own (sites.py).
"""
import asyncio
import concurrent.futures
import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time

import compression
import forwarded
import frames
import rfc6455
import served
import sites
import stack
import tap


def check_site(site):
    tap.equal(sites.ask(site, "/").body, b"the site\n", "the site's own / is as before")
    tap.equal(sites.ask(site, "/echo.html").body, b"a page\n", "a page of the site whose name begins like ours is the site's")
    tap.equal(sites.ask(site, "/echoes/index.html").body, b"echoes\n", "a directory of the site whose name begins like ours is the site's")
    tap.equal(sites.ask(site, "/nothing").status, 404, "the site's own 404 is as before")
    variables = json.loads(sites.ask(site, "/app").body)
    tap.equal((variables["REQUEST_METHOD"], variables["REQUEST_URI"]), ("GET", "/app"), "the site's own FastCGI path goes to its own program")
    tap.equal(asyncio.run(sites.talk(site, "/own-socket")), "hi", "the site's own WebSocket goes to its own program")
    tap.equal(asyncio.run(sites.talk(site, "/own-socket", origin="http://evil.example")), "hi", "the site's own WebSocket is not held to our rule on Origin")


def check_http(site):
    table = [
        ("GET", "/echo?message=Hello%2C+World%21", 200, b"Hello, World!"),
        ("GET", "/serialize/echo/?message=hi", 200, b"hi"),
        ("GET", "/echo?message=", 200, b""),
        ("GET", "/echo?message", 200, b""),
        ("GET", "/echo?message=%0A%0D%0A%00%22%3Cb%3E%F0%9F%98%80", 200, b"\n\r\n\0\"<b>" + "\U0001F600".encode()),
        ("GET", "/echo?message=1&message=2", 200, b"2"),
        ("GET", "/echo?message=%zz%4%", 200, b"%zz%4%"),
        ("GET", "/echo?message=a%2Fb%2F..%2Fc+d", 200, b"a/b/../c d"),
        ("GET", "/echo?message=%ff", 400, b"message is not valid UTF-8 at byte 0\n"),
        ("GET", "/echo/nothing", 404, b"Not Found\n"),
        ("GET", "/echo/echo.html", 404, b"Not Found\n"),
        ("HEAD", "/echo?message=hi", 200, b""),
        ("HEAD", "/echo", 200, b""),
        ("POST", "/echo", 405, b"Method Not Allowed\n"),
        ("PUT", "/echo", 405, b"Method Not Allowed\n"),
        ("DELETE", "/echo?message=hi", 405, b"Method Not Allowed\n"),
        ("OPTIONS", "/echo", 405, b"Method Not Allowed\n"),
    ]
    for method, path, status, body in table:
        arguments = ["-I"] if method == "HEAD" else ["-X", method] if method != "GET" else []
        answer = sites.ask(site, path, *arguments, *(["-d", "x"] if method in ("POST", "PUT") else []))
        tap.equal((answer.status, answer.body), (status, body), f"{method} {path} is answered {status}")
        if status == 405:
            tap.equal(answer.headers.get("allow"), "GET, HEAD", f"{method} {path} is answered with Allow")
    answer = sites.ask(site, "/echo?message=hi")
    names = ("content-type", "content-length", "x-content-type-options", "cache-control")
    tap.equal([answer.headers.get(name) for name in names], ["text/plain; charset=utf-8", "2", "nosniff", "no-store"], "an echo over HTTP has its headers")
    answer = sites.ask(site, "/echo?message=caf\u00e9")
    wanted = (200, "caf\u00e9".encode()) if site.expect["raw query"] else (400, answer.body)
    tap.equal((answer.status, answer.body), wanted, "raw UTF-8 in the query is answered as it should be")
    tap.ok(sites.ask(site, "/echo%00x?message=hi").status in site.expect["NUL in path"], "a NUL in the path is refused")


def check_page(site):
    scripts = ("echo.js", "cost.js", "words.js", "reconnecting-socket.js")
    types = {"echo.html": "text/html; charset=utf-8", **{name: "text/javascript; charset=utf-8" for name in scripts},
             "echo.css": "text/css; charset=utf-8", "echo.svg": "image/svg+xml"}
    paths = {"/echo": "echo.html", "/serialize/echo/": "echo.html", **{f"/echo/{name}": name for name in types if name != "echo.html"}}
    for path, name in paths.items():
        answer = sites.ask(site, path)
        body = served.file(name, b"../../" if path == "/serialize/echo/" else b"")
        tap.equal((answer.status, answer.body, answer.headers["content-type"]), (200, body, types[name]), f"{path} is {name}")
        again = sites.ask(site, path, "-H", f"If-None-Match: {answer.headers['etag']}")
        tap.equal((again.status, again.body), (304, b""), f"{path} is answered 304 the second time")
    tap.ok("default-src 'none'" in sites.ask(site, "/echo").headers["content-security-policy"], "the page has its policy")


async def check_websocket(site, scheme):
    for path in ("/echo", "/serialize/echo/"):
        async with sites.connect(site, path, scheme) as client:
            for message in ("hi", "", "\0", "\U0001F600", "x" * 65536, "y" * 1048576):
                tap.ok(await sites.echo(client, message) == message, f"{scheme} {path}: {len(message)} characters come back")
            for number in range(64):
                await client.send(f"message {number}")
            answers = [await asyncio.wait_for(client.recv(), 30) for _ in range(64)]
            tap.equal(answers, [f"message {number}" for number in range(64)], f"{scheme} {path}: 64 messages in flight come back in order")
            await check_kinds(site, client, f"{scheme} {path}")
        tap.equal(client.close_code, 1000, f"{scheme} {path}: the client closes with code 1000")
    tap.ok(stack.wait_until(lambda: not site.clients()), "when the clients have gone, nothing of them is left")
    for name, message in (("too large", "x" * 1048577), ("not UTF-8", frames.text(b"\xff"))):
        async with sites.connect(site, "/echo", scheme) as client:
            client.transport.write(message) if isinstance(message, bytes) else await client.send(message)
            tap.equal(await sites.code_at_end(client), site.expect[name], f"{scheme}: a message that is {name} ends with the code of its way")
    async with sites.connect(site, "/echo", scheme) as client:
        await sites.echo(client, "hi")
        for pid in site.endpoints():
            os.kill(pid, 15)
        tap.equal(await sites.code_at_end(client), site.expect["code"], "an endpoint that is stopped ends its client with the code of its way")


async def check_kinds(site, client, name):
    """The kinds of messages that not each way knows."""
    await client.send("a\nb")
    wanted = ["a\nb"] if site.expect["newline"] == "one" else ["a", "b"]
    tap.equal([await asyncio.wait_for(client.recv(), 30) for _ in wanted], wanted, f"{name}: a text with a newline comes back as {site.expect['newline']}")
    if site.expect["binary"]:
        tap.equal(await sites.echo(client, b"\0\xff\n"), b"\0\xff\n", f"{name}: a binary message comes back as one")


def check_vanish(site):
    """Clients that go in the middle of a message: its last bytes and the end of the connection arrive as one."""
    data = frames.text(b"x" * 1000)[:500]
    for _ in range(50):
        with socket.create_connection(("127.0.0.1", site.http), timeout=10) as client:
            client.sendall(frames.HANDSHAKE)
            answer = b""
            while b"\r\n\r\n" not in answer:
                answer += client.recv(4096)
            client.sendall(data)
    tap.ok(stack.wait_until(lambda: not site.clients()), f"50 clients go in the middle of a message: {site.clients()} are left")


async def status_of(site, scheme, **options):
    try:
        async with sites.connect(site, "/echo", scheme, **options) as client:
            return 101 if await sites.echo(client, "hi") == "hi" else 0
    except rfc6455.Refused as error:
        return error.status


async def check_origin(site):
    for scheme, port, web in (("ws", site.http, "http"), ("wss", site.https, "https")):
        tap.equal(await status_of(site, scheme), 101, f"{scheme}: a handshake without an Origin is accepted")
        tap.equal(await status_of(site, scheme, origin=f"{web}://localhost:{port}"), 101, f"{scheme}: a handshake with the site's own Origin is accepted")
    site.stop_endpoints()
    for scheme, port, web in (("ws", site.http, "http"), ("wss", site.https, "https")):
        for origin in ("http://evil.example", f"{web}://localhost.evil.example:{port}", f"{web}://evil.localhost:{port}", f"{web}://localhost:1", "null", "file://",
                       f"{web}://evil#localhost:{port}", f"{web}://localhost:{port}.evil.example"):
            tap.equal(await status_of(site, scheme, origin=origin), 403, f"{scheme}: a handshake with the Origin {origin} is refused")
    site.start_endpoints()
    tap.ok(await asyncio.to_thread(stack.wait_until, lambda: shake_hands(site, 8) == 101, 10), "after Origins were refused without an endpoint, the endpoint is back")


def hang(site, data, seconds):
    """A bare connection that sends this and then nothing: the status of the answer, or None; how long it lasted."""
    begin = time.monotonic()
    with socket.create_connection(("127.0.0.1", site.http)) as client:
        client.settimeout(seconds)
        client.sendall(data)
        try:
            answer = client.recv(65536)
        except (TimeoutError, ConnectionResetError) as error:
            answer = b"" if isinstance(error, ConnectionResetError) else None
    status = answer and int(answer.split()[1])
    return (status or None), time.monotonic() - begin, answer is not None


async def check_idle(site):
    """A WebSocket outlives the server's limit for silence; a request that never ends does not."""
    async with sites.connect(site) as client:
        await sites.echo(client, "hi")
        status, lasted, ended = await asyncio.to_thread(hang, site, b"GET /echo HTTP/1.1\r\nHost: localhost\r\nX-Slow: ", 4 * sites.IDLE + 4)
        tap.ok(ended and status in site.expect["slow"] and lasted < 4 * sites.IDLE + 4, f"a request that never ends is cut off: {status} after {lasted:.1f} s")
        await asyncio.sleep(max(0, 2.5 * sites.IDLE - lasted))  # the silence itself is what is tested
        tap.equal(await sites.echo(client, "still there"), "still there", "a WebSocket that was silent for longer than the server's own limit is open")


def check_slow(site):
    """A client that sends a byte now and then is cut off, and others are served meanwhile."""
    begin = time.monotonic()
    worst = 0
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        trickling = pool.submit(trickle, site)
        while not trickling.done():
            asked = time.monotonic()
            if sites.ask(site, "/echo?message=hi").body != b"hi":
                worst = 99
            worst = max(worst, time.monotonic() - asked)
            concurrent.futures.wait([trickling], 0.5)
    return trickling.result(), worst, time.monotonic() - begin


def trickle(site):
    """Sends a field a byte at a time, at most for four times the server's limit: whether the server ends the connection."""
    with socket.create_connection(("127.0.0.1", site.http)) as client:
        client.settimeout(0.5)
        client.sendall(b"GET /echo HTTP/1.1\r\nHost: localhost\r\nX-Slow: ")
        for byte in b"x" * 8 * sites.IDLE:
            try:
                client.sendall(bytes([byte]))
                client.recv(1000)
                return True
            except TimeoutError:
                pass
            except OSError:
                return True
    return False


def timed(action):
    begin = time.monotonic()
    return action(), time.monotonic() - begin


def check_down(site):
    """A program that is stopped is noticed, and served again when it is back."""
    ways = (("fastcgi", site.start_fastcgi, lambda: sites.ask(site, "/echo?message=hi", timeout=8).status, 200),
            ("the endpoint", site.start_endpoints, lambda: shake_hands(site, 8), 101))
    for name, begin_again, answer, wanted in ways:
        site.stop("fastcgi") if name == "fastcgi" else site.stop_endpoints()
        if site.expect["waits"]:
            results = []
            waiting = threading.Thread(target=lambda: results.append(answer()))
            waiting.start()
            time.sleep(0.5)  # the outage itself
            begin_again()
            waiting.join()
            tap.ok(set(results) <= {wanted} | site.expect["down"], f"while {name} is stopped a request waits or is refused: {results}")
        else:
            answers = [timed(answer) for _ in range(3)]
            tap.ok({status for status, _ in answers} <= site.expect["down"], f"while {name} is stopped a request is refused: {[status for status, _ in answers]}")
            tap.ok(min(lasted for _, lasted in answers) < 4, f"while {name} is stopped a request is refused at once")
            begin_again()
        back, lasted = timed(lambda: stack.wait_until(lambda: answer() == wanted))
        tap.ok(back and lasted < 6, f"when {name} is back it serves after {lasted:.1f} s")


def shake_hands(site, timeout):
    """A handshake by hand: the status of its answer, or None."""
    with socket.create_connection(("127.0.0.1", site.http)) as client:
        client.settimeout(timeout)
        client.sendall(frames.HANDSHAKE)
        with contextlib.suppress(OSError):
            answer = client.recv(4096)
            return int(answer.split()[1]) if answer else None


def check_tls(site):
    answer = sites.ask(site, "/echo?message=hi", "--http1.1", scheme="https")
    tap.equal((answer.status, answer.body, answer.version), (200, b"hi", "HTTP/1.1"), "https over HTTP/1.1 is answered")
    answer = sites.ask(site, "/echo?message=hi", "--http2", scheme="https")
    tap.equal((answer.status, answer.body, answer.version), (200, b"hi", "HTTP/2"), "https over HTTP/2 is answered")
    tap.equal(sites.ask(site, "/echo", "--http2", "-X", "DELETE", scheme="https").status, 405, "https over HTTP/2 passes on a 405")


def check_browser(site):
    """HTTP/2 for the page and a WebSocket beside it, in one session of Chromium."""
    stack.need("chromium", "chromedriver")
    import browser
    with browser.start("--ignore-certificate-errors") as driver:
        driver.get(site.url("/echo", "https"))
        protocol = driver.execute_script("return performance.getEntriesByType('navigation')[0].nextHopProtocol")
        tap.equal(protocol, "h2", "Chromium gets the page over HTTP/2")
        driver.find_element("id", "connect").click()
        state = driver.find_element("id", "state")
        tap.ok(stack.wait_until(lambda: state.get_attribute("data-state") == "open"), "the page over HTTP/2 opens a WebSocket")
        driver.find_element("id", "send").click()
        driver.find_element("id", "http").click()
        items = "return Array.from(document.querySelectorAll('#received li'), li => li.className + ' ' + li.querySelector('bdi').textContent).sort()"
        wanted = ["HTTP Hello, World!", "WebSocket Hello, World!"]
        tap.ok(stack.wait_until(lambda: driver.execute_script(items) == wanted), "the page over HTTP/2 gets answers both ways")


def check_limits(site):
    tap.ok(sites.ask(site, "/echo?message=" + "x" * 65536).status in site.expect["long URL"], "64 KiB of query are answered or refused")
    headers = [part for number in range(128) for part in ("-H", f"X-Header-{number}: " + "x" * 600)]
    status = sites.ask(site, "/echo?message=hi", *headers).status
    tap.ok(status in site.expect["many headers"], f"128 headers of 600 bytes are answered or refused: {status}")
    workers = [pid for pid in stack.descendants(site.processes["fastcgi"].pid) if stack.name_of(pid) == "duplex"]
    with tempfile.NamedTemporaryFile() as upload:
        upload.truncate(20_000_000)
        answer = sites.ask(site, "/echo", "-H", "Expect:", "--data-binary", f"@{upload.name}")
    tap.ok(answer.status in (405, 413), f"POST with 20 MB is refused: {answer.status}")
    peak = max(stack.memory(pid, "VmHWM", "status") for pid in workers)
    tap.ok(peak < 8192 or stack.SANITIZED, f"a POST with 20 MB is not held in the program's memory: {peak} KiB")
    tap.equal(sites.ask(site, "/echo?message=hi").body, b"hi", "the request after a POST with 20 MB is answered")


def check_further_endpoint(site):
    """One more word in the list of paths: a path with a WebSocket program and no view."""
    shutil.copy(site.directory / "ws/echo", site.directory / "ws/tool")
    tap.equal(sites.ask(site, "/tool").status, 404, "a path that is not in the fragment's list is the site's")
    tap.equal(site.claim("tool"), 1, "the fragment has one list for one more path")
    answer = sites.ask(site, "/tool")
    tap.equal((answer.status, answer.body), (426, b"Upgrade Required\n"), "one more path in the list is ours, and answered 426 over HTTP")
    if site.expect["upgrade header"]:
        tap.equal(answer.headers.get("upgrade"), "websocket", "the 426 of one more path has Upgrade")
    tap.equal(asyncio.run(sites.talk(site, "/tool")), "hi", "one more path in the list answers over WebSocket")
    if site.way == "resident":
        site.enlist("tool")
        site.stop("websocketd")
        tap.equal(asyncio.run(sites.talk(site, "/tool")), "hi", "one more name in the list of those that are resident is served by its socket")
        tap.equal(asyncio.run(sites.talk(site, "/echo")), "hi", "beside one more resident endpoint, the first is served by its own socket")
        site.start_websocketd()
    tap.equal(sites.ask(site, "/echo?message=hi").body, b"hi", "/echo is as before beside one more path")


async def check_reload(site):
    """What a reload does to open WebSockets; requests are answered before and after it."""
    async with sites.connect(site) as client:
        await sites.echo(client, "hi")
        await asyncio.to_thread(site.reload)
        ended = False
        try:
            await asyncio.wait_for(client.recv(), 2 if site.expect["sockets survive"] else 15)
        except asyncio.TimeoutError:
            pass
        except rfc6455.Closed:
            ended = True
        tap.equal(not ended, site.expect["sockets survive"], f"a reload leaves WebSockets open as the server's entry says: {not ended}")
        if not ended:
            tap.equal(await sites.echo(client, "after"), "after", "a WebSocket that survived a reload works")
    back = await asyncio.to_thread(stack.wait_until, lambda: sites.ask(site, "/echo?message=hi", timeout=2).body == b"hi", 15)
    tap.ok(back, "requests are answered after a reload")


def run(name):
    for way in sites.WAYS:
        tap.prefix = f"{way}: "
        run_way(name, way)
    tap.done()


def run_way(name, way):
    with sites.Site(name, way=way) as site:
        check_site(site)
        check_http(site)
        check_page(site)
        compression.check(site)
        asyncio.run(check_websocket(site, "ws"))
        asyncio.run(check_websocket(site, "wss"))
        check_vanish(site)
        asyncio.run(check_origin(site))
        check_tls(site)
        check_limits(site)
        forwarded.check(site)
        check_down(site)
        asyncio.run(check_idle(site))
        cut, worst, lasted = check_slow(site)
        tap.equal(cut, site.expect["slow request"], f"a client that sends a byte at a time is cut off as the server's entry says: {cut}, after {lasted:.1f} s")
        tap.ok(worst < 5, f"other requests are served beside a client that sends a byte at a time, in {worst:.2f} s at most")
        check_browser(site)
        check_further_endpoint(site)
        asyncio.run(check_reload(site))
