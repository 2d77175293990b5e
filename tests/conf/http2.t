#!/usr/bin/python3
"""
WebSocket over HTTP/2 (RFC 8441) in Chromium: behind lighttpd and HAProxy, where Chromium's own log of the network has the
CONNECT with the protocol websocket, and the rule on Origin holds. Behind the others, which do not offer it, Chromium opens a
connection of HTTP/1.1 beside that of the page.
"""
import http.server
import json
import pathlib
import sys
import tempfile
import threading

sys.path.insert(0, f"{sys.path[0]}/../lib")
import browser
import login
import sites
import stack
import tap

stack.need("chromium", "chromedriver")
OFFERS = {"lighttpd": True, "haproxy": True, "apache": False, "caddy": False, "nginx": False}

# Opens a WebSocket and echoes a message: what came back, or the code of the end. The request before it is one of the
# site's with the browser's cookies, so that a connection of HTTP/2 is there to be used.
OPEN = """
const [url, message, done] = arguments;
fetch(url.replace("wss:", "https:") + "?message=hi", { mode: "no-cors", credentials: "include" }).then(() => {
    const socket = new WebSocket(url);
    socket.onopen = () => socket.send(message);
    socket.onmessage = (event) => { done(event.data); socket.close(); };
    socket.onclose = (event) => done(event.code);
});
"""


class Empty(http.server.BaseHTTPRequestHandler):
    """A page of another site."""

    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()

    def log_message(self, *_):
        pass


def handshakes(log):
    """Chromium's handshakes in its log of the network, in order: the version of HTTP, the Origin, and the status of the answer."""
    numbers = log["constants"]["logEventTypes"]
    names = {numbers[f"{prefix}_{direction}_HEADERS"]: direction for prefix, *directions in (
        ("HTTP2_SESSION", "SEND", "RECV"), ("HTTP_TRANSACTION", "SEND_REQUEST", "READ_RESPONSE")) for direction in directions}
    found = {}
    for event in log["events"]:
        direction, params = names.get(event["type"]), event.get("params", {})
        key = (event["source"]["id"], params.get("stream_id"))
        lines = params.get("headers", [])
        fields = dict(line.lower().rsplit(": ", 1) for line in lines if ": " in line)
        if direction in ("SEND", "SEND_REQUEST") and (fields.get(":protocol") == "websocket" or fields.get("upgrade") == "websocket"):
            found[key] = ["HTTP/2" if direction == "SEND" else "HTTP/1.1", fields["origin"]]
        elif direction in ("RECV", "READ_RESPONSE") and key in found:
            found[key].append(int(fields[":status"] if direction == "RECV" else lines[0].split()[1]))
    return [tuple(handshake) for handshake in found.values()]


def visit(site, foreign):
    """Opens a WebSocket from a page of the site and from one of another: what came of both, and the handshakes."""
    with tempfile.TemporaryDirectory() as directory:
        log = pathlib.Path(directory) / "network.json"
        with browser.start("--ignore-certificate-errors", f"--log-net-log={log}") as driver:
            driver.set_script_timeout(60)
            driver.get(site.url("/echo", "https"))
            protocol = driver.execute_script("return performance.getEntriesByType('navigation')[0].nextHopProtocol")
            own = driver.execute_async_script(OPEN, site.url("/echo", "wss"), "a message")
            driver.get(foreign)
            other = driver.execute_async_script(OPEN, site.url("/echo", "wss"), "a message")
        return protocol, own, other, handshakes(json.loads(log.read_text()))


def check(site, foreign):
    protocol, own, other, found = visit(site, foreign)
    tap.equal((protocol, own), ("h2", "a message"), "the page comes over HTTP/2, and its WebSocket echoes a message")
    tap.equal(other, 1006, "a WebSocket from a page of another site is refused")
    version, opened = ("HTTP/2", 200) if OFFERS[site.name] else ("HTTP/1.1", 101)
    wanted = [(version, site.url("", "https"), opened), (version, foreign, *[403] * OFFERS[site.name])]  # that of HTTP/1.1 is not logged
    tap.equal(found, wanted, f"by Chromium's log of the network both handshakes are of {version}")
    lines = lambda: [line for line in site.log().splitlines() if "127.0.0.1: WebSocket refused" in line and foreign in line]
    tap.ok(stack.wait_until(lambda: len(lines()) == 1), f"the log has one line of the refusal: {lines()}")


def check_login(site, ports):
    """The session of a site's own login goes with a CONNECT too, and the endpoint has the user's name."""
    program = login.use_told(site)
    login.ask_for(site, "a session", ports)
    with browser.start("--ignore-certificate-errors") as driver:
        driver.set_script_timeout(60)
        driver.get(site.url("/", "https"))
        refused = driver.execute_async_script(OPEN, site.url("/echo/variables", "wss"), "REMOTE_USER")
        driver.add_cookie({"name": "session", "value": "good", "secure": True})
        let_in = driver.execute_async_script(OPEN, site.url("/echo/variables", "wss"), "REMOTE_USER")
    tap.equal((refused, let_in), (1006, "alice"), "with the cookie of a session the endpoint has the user's name, and without it nothing opens")
    program.close()


with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Empty) as server:
    threading.Thread(target=server.serve_forever, daemon=True).start()
    ports = login.start_applications()
    tap.equal(set(OFFERS), set(sites.SERVERS), "each server is in the table")
    for name in sys.argv[1:] or OFFERS:
        for way in sites.WAYS if OFFERS[name] else ["resident"]:
            tap.prefix = f"{name}, {way}: "
            with sites.Site(name, way=way) as site:
                check(site, f"http://127.0.0.1:{server.server_port}")
                if OFFERS[name]:
                    check_login(site, ports)
    server.shutdown()
tap.prefix = ""
tap.done()
