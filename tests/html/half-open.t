#!/usr/bin/python3
"""A path that hangs: its connections stay open, are acknowledged, and nothing passes. The pages notice, say so, and lose nothing."""
import re
import subprocess
import sys
import time

sys.path.insert(0, f"{sys.path[0]}/../lib")
import stack
import tap

stack.need("chromium", "chromedriver", "redis-server", "curl")
import browser as chromium
from forwarder import Forwarder
from page import Page
from redis_server import Redis

EVERYTHING = lambda is_websocket, is_old: True
WEBSOCKETS = lambda is_websocket, is_old: is_websocket
OLD_WEBSOCKETS = lambda is_websocket, is_old: is_websocket and is_old
EXPECTED = "WebSocket connection to|Failed to load resource|WebSocket is closed"
ONLINE = "window.dispatchEvent(new Event('online'))"


def publish(text):
    """Past the forwarder."""
    subprocess.run(["curl", "-sS", "--data-urlencode", f"message={text}", site.url("/chat")], capture_output=True, check=True)


def texts():
    return page.run("return Array.from(document.querySelectorAll('#received bdi'), (bdi) => bdi.textContent)")


def note_states():
    """Keeps the states that follow, with their times in ms."""
    page.run("""
        const onstate = socket.onstate;
        const since = performance.now();
        window.states = [];
        addEventListener("online", () => window.onlineAt = performance.now() - since, { capture: true, once: true });
        socket.onstate = (state, detail) => { states.push([state, performance.now() - since, detail]); onstate(state, detail); };""")


def states():
    return [state for state, _, _ in page.run("return states")]


def time_of(state):
    """When this state began, in seconds after note_states; a loaded machine adds to it, and so do the waits of the test."""
    return next(since for name, since, _ in page.run("return states") if name == state) / 1000


def open_page(path):
    forwarder.thaw()
    page.open(f"http://127.0.0.1:{forwarder.port}/{path}")
    if path == "echo":
        page.click("connect")
    return page.becomes("open")


def check_echo():
    open_page("echo")
    page.click("send")
    stack.wait_until(lambda: page.received())
    forwarder.freeze(EVERYTHING)
    note_states()
    for _ in range(3):
        page.click("send")
    tap.ok(stack.wait_until(lambda: "waiting" in states()), f"/echo: a connection that is dead is noticed after a send: {time_of('waiting'):.1f} s")
    tap.ok(time_of("waiting") < 10 or stack.is_loaded(), "/echo notices a dead connection within 10 s of a send")
    tap.equal(page.text("notice"), "Not answered, and lost: 3.", "/echo says how many messages were lost")
    stack.wait_until(lambda: states().count("waiting") == 2)
    told = [(state, detail.get("reason")) for state, _, detail in page.run("return states")]
    tap.equal(told[:3], [("waiting", "silent"), ("connecting", None), ("waiting", "not open in time")], "connecting to a host that is silent has an end, and is tried again")
    began, ended = [since for _, since, _ in page.run("return states")][1:3]
    tap.ok(4000 <= ended - began < 6000 or stack.is_loaded(), f"connecting to a host that is silent ends after 4 s: {ended - began:.0f} ms")
    page.run("socket.first = socket.longest = 600000; socket.reconnect()")
    tap.ok(page.becomes("waiting"), "the page waits for minutes")
    forwarder.thaw()
    note_states()
    page.run(ONLINE)
    tap.ok(page.becomes("open", 30), "online connects while the page waits")
    begun, opened = (next(since for name, since, _ in page.run("return states") if name == state) for state in ("connecting", "open"))
    online = page.run("return onlineAt")
    tap.ok(begun - online < 1000, f"online begins an attempt at once: {begun - online:.0f} ms")
    tap.ok(opened - online < 1000 or os.getloadavg()[0] > 3, f"within 1 s of online the connection is open: {opened - online:.0f} ms")
    page.click("send")
    tap.ok(stack.wait_until(lambda: len(page.received()) == 2) and page.text("notice") == "", "the notice goes with the next answer")


def check_compare():
    """The path hangs while 10 each way are being sent: the rest is not, and what was lost is said."""
    open_page("echo")
    page.run("""
        const receive_ = socket.onmessage;
        let left = 3;
        socket.onmessage = (text) => { receive_(text); if (--left === 0) window.isHalfway = true; };""")
    forwarder.freeze(lambda is_websocket, is_old: False)
    page.run("const { fetch } = window; window.fetch = async (...request) => { const answer = await fetch(...request); while (window.isHalfway) await new Promise((done) => setTimeout(done, 50)); return answer; }")
    page.click("compare")
    stack.wait_until(lambda: page.run("return window.isHalfway"))
    forwarder.freeze(WEBSOCKETS)
    page.run("window.isHalfway = false")
    tap.ok(stack.wait_until(lambda: page.text("notice") == "Not answered, and lost: 1."), "what is lost of 10 each way is said, and stays said")
    ways = [way for way, _ in page.received()]
    tap.equal((ways.count("WebSocket"), ways.count("HTTP")), (3, 3), "the rest of 10 each way is not sent")


def check_online_while_connecting():
    open_page("echo")
    page.run("socket.timeout = 600000")
    forwarder.freeze(lambda is_websocket, is_old: is_old)
    page.run("socket.close()")
    forwarder.freeze(EVERYTHING)
    before = forwarder.handshakes
    page.click("connect")
    stack.wait_until(lambda: forwarder.handshakes > before)
    forwarder.freeze(lambda is_websocket, is_old: is_old)
    time.sleep(0.5)  # what must not happen has time to
    tap.equal(page.state(), "connecting", "an attempt that was begun without a network stays without an answer")
    page.run(ONLINE)
    tap.ok(page.becomes("open"), "online begins another one at once")


def check_chat_send():
    """Only the connection that is there is dead: HTTP works, and so does a new one."""
    open_page("chat")
    publish("before")
    stack.wait_until(lambda: texts()[:1] == ["before"])
    forwarder.freeze(OLD_WEBSOCKETS)
    publish("meanwhile")
    note_states()
    page.by_id("message").send_keys("mine")
    page.click("send")
    tap.ok(stack.wait_until(lambda: texts()[:3] == ["mine", "meanwhile", "before"]), "/chat: what was sent and does not come back tells that the connection is dead")
    tap.equal(states(), ["connecting", "open"], "another connection is opened in the place of the dead one")
    tap.ok(4 < time_of("open") < 10 or stack.is_loaded(), f"another connection is open 5 s after the send: {time_of('open'):.1f} s")
    tap.equal(page.run("return document.querySelector('#received .own bdi').textContent"), "mine", "what was sent over a dead connection is marked as this page's own")
    page.run("document.querySelector('[data-id]').scrollIntoView()")


def check_chat_over_http():
    """No WebSocket passes, old or new, but HTTP does."""
    open_page("chat")
    stack.wait_until(lambda: texts() == ["mine", "meanwhile", "before"])
    before = texts()
    forwarder.freeze(WEBSOCKETS)
    note_states()
    page.by_id("message").send_keys("over HTTP")
    page.click("send")
    tap.ok(stack.wait_until(lambda: texts()[:1] == ["over HTTP"]), "where no WebSocket works, messages come over HTTP")
    tap.ok(stack.wait_until(lambda: re.fullmatch(r"No WebSocket for now: asking over HTTP, every \d+ s\.", page.text("polling"))), "the page says that messages come over HTTP")
    for number in range(3):
        publish(f"http {number}")
    wanted = ["http 2", "http 1", "http 0", "over HTTP", *before]
    tap.ok(stack.wait_until(lambda: texts()[:4] == wanted[:4]), "what others send comes over HTTP too")
    forwarder.thaw()
    page.run(ONLINE)
    tap.ok(page.becomes("open") and stack.wait_until(lambda: page.text("polling") == ""), "when a WebSocket works again the page goes back to it")
    publish("back")
    stack.wait_until(lambda: texts()[:1] == ["back"])
    tap.equal(texts(), ["back", *wanted][:100], "nothing is lost or there twice between WebSocket and HTTP")


def check_chat_silence():
    open_page("chat")
    silence, patience = page.run("return [socket.silence, socket.patience]")
    tap.ok(silence + patience < 40000, f"/chat: after {silence / 1000:.0f} s of silence, and {patience / 1000:.0f} s, a connection is known to be dead")
    page.run("socket.silence = 500; socket.patience = 2000; socket.reconnect()")
    page.becomes("open")
    note_states()
    page.run("""
        window.answers = 0;
        socket.socket.addEventListener("message", ({ data }) => answers += data === "");""")
    tap.ok(stack.wait_until(lambda: page.run("return answers") >= 3), "the probe comes back, as the empty text that it is")
    tap.equal(states(), [], "silence alone is not a fault")
    tap.ok("" not in texts(), "the answer to the probe is not shown")
    forwarder.freeze(EVERYTHING)
    publish("while it hung")
    tap.ok(stack.wait_until(lambda: "waiting" in states()), "a path that hangs is noticed")
    forwarder.thaw()
    page.run(ONLINE)
    tap.ok(stack.wait_until(lambda: texts()[:1] == ["while it hung"]), "nothing is lost on a path that hung")


def check_chat_nothing_passes():
    """HTTP hangs as well: the page says so, and keeps the text."""
    open_page("chat")
    forwarder.freeze(EVERYTHING)
    note_states()
    page.by_id("message").send_keys("not taken")
    page.click("send")
    page.by_id("message").send_keys("typed meanwhile")
    tap.ok(stack.wait_until(lambda: "waiting" in states()), "/chat: a send that nobody answers makes the page ask whether the connection lives")
    tap.ok(time_of("waiting") < 10 or stack.is_loaded(), f"/chat notices a dead connection within 10 s of a send that hangs: {time_of('waiting'):.1f} s")
    tap.ok(stack.wait_until(lambda: page.text("notice") == "Not sent: no answer. Try again."), "a send that hangs has an end")
    apart = page.by_id("unsent").find_element("css selector", "bdi").text
    tap.equal((page.message(), apart), ("typed meanwhile", "not taken"), "what was typed while a send hung stays apart from it")
    forwarder.thaw()
    page.run(ONLINE)
    page.becomes("open")
    page.click("again")
    tap.ok(stack.wait_until(lambda: texts()[:1] == ["not taken"]), "what was not sent can be sent again")
    stack.wait_until(lambda: page.text("notice") == "")
    tap.equal((page.message(), page.text("notice"), page.by_id("unsent").is_displayed()), ("typed meanwhile", "", False), "what was typed is kept while another text is sent again")


def check_fold():
    open_page("chat")
    publish("long " * 1000)
    stack.wait_until(lambda: texts()[0].startswith("long "))
    item = page.driver.find_element("css selector", "#received [data-id]")
    height = item.size["height"]
    tap.ok(height < 250, f"a long message is folded: {height} pixels")
    button = item.find_element("css selector", "button")
    tap.equal(button.text, "Show all 5,000 characters", "a folded message tells its length")
    button.click()
    tap.ok(item.size["height"] > 500 and not item.find_elements("css selector", "button"), "a folded message unfolds")


with Redis() as redis, stack.Stack(DUPLEX_REDIS=redis.address) as site, Forwarder(site.port) as forwarder, chromium.start() as driver:
    page = Page(driver)
    page.set_languages("en")
    check_echo()
    check_compare()
    check_online_while_connecting()
    check_chat_send()
    check_chat_over_http()
    check_chat_silence()
    check_chat_nothing_passes()
    check_fold()
    tap.equal([line for line in page.console() if not re.search(EXPECTED, line)], [], "there is nothing else in the console")
    page.open("about:blank")
    forwarder.thaw()
    # On a loaded machine lighttpd gives websocketd up for a second, and the page comes back by itself.
    stack.finish(site, r"establishing connection failed: .*Connection timed out|all handlers for /\S+ on +are down|gw-server re-enabled")
tap.done()
