#!/usr/bin/python3
"""The client that comes back: by itself, with a clock of the test's own, and in the page when websocketd goes and returns."""
import re
import sys

sys.path.insert(0, f"{sys.path[0]}/../lib")
import stack
import tap

stack.need("chromium", "chromedriver")
import browser as chromium
import sites
from page import Page

# A socket, a clock and a timer in the test's hands; log has each state with its detail.
FAKE = """
    function fake(options) {
        const world = { sockets: [], timers: new Map(), log: [], messages: [], time: 0, next: 1 };
        world.socket = new ReconnectingSocket("ws://nowhere.invalid/", {
            random: () => 0,
            onstate: (state, detail) => world.log.push([state, detail]),
            onmessage: (data) => world.messages.push(data),
            now: () => world.time,
            setTimeout: (call, delay) => (world.timers.set(world.next, { call, delay }), world.next++),
            clearTimeout: (timer) => world.timers.delete(timer),
            open: (url) => {
                const made = { url, readyState: 0, sent: [], closed: [], send(data) { this.sent.push(data); }, close(code) { this.closed.push(code); } };
                world.sockets.push(made);
                return made;
            },
            ...options,
        });
        world.last = () => world.sockets.at(-1);
        world.accept = () => { world.last().readyState = 1; world.last().onopen({}); };
        world.end = (code) => { world.last().readyState = 3; world.last().onclose({ code, reason: "why" }); };
        world.fire = () => { const [[id, { call }]] = world.timers; world.timers.delete(id); call(); };
        world.delays = () => world.log.filter(([state]) => state === "waiting").map(([, detail]) => detail.delay);
        return world;
    }
"""


def js(script, *arguments):
    return page.run(FAKE + script, *arguments)


def refused(times, options):
    """The delays after so many attempts that fail."""
    return js("""
        const world = fake(eval('(' + arguments[1] + ')'));
        world.socket.connect();
        for (let i = 0; i < arguments[0]; i++) {
            world.end(1006);
            world.fire();
        }
        return world.delays();""", times, options)


def check_delays():
    tap.equal(refused(8, "{}"), [1000, 2000, 4000, 8000, 16000, 30000, 30000, 30000], "the delays double, up to 30 seconds")
    tap.equal(refused(3, "{ random: () => 1 }"), [500, 1000, 2000], "less half of each at most")
    tap.equal(refused(4, "{ first: 10, factor: 3, longest: 100 }"), [10, 30, 90, 100], "or as the options say")
    tap.equal(refused(2000, "{}")[-1], 30000, "however often")
    delays = refused(200, "{ first: 1000, factor: 1, random: Math.random }")
    tap.ok(all(500 < delay <= 1000 for delay in delays) and len(set(delays)) > 100, "no two clients wait alike")


def check_steady():
    script = """
        const world = fake({});
        world.socket.connect();
        for (const lasted of [0, 4999, 5000, 60000, 0]) {
            world.accept();
            world.time += lasted;
            world.end(1006);
            world.time += 1000000;
            world.fire();
        }
        return world.delays();"""
    tap.equal(js(script), [1000, 2000, 1000, 1000, 2000], "only a connection that lasted makes the delays begin anew")


def check_states():
    script = """
        const world = fake({});
        world.socket.connect();
        world.accept();
        world.last().onmessage({ data: "hello" });
        world.end(1006);
        world.fire();
        world.end(1006);
        return [world.log, world.messages, world.last().url];"""
    log, messages, url = js(script)
    tap.equal(log, [
        ["connecting", {"attempt": 1}],
        ["open", {}],
        ["waiting", {"delay": 1000, "opened": True, "code": 1006, "reason": "why"}],
        ["connecting", {"attempt": 2}],
        ["waiting", {"delay": 2000, "opened": False, "code": 1006, "reason": "why"}],
    ], "each state is told with its detail")
    tap.equal((messages, url), (["hello"], "ws://nowhere.invalid/"), "and each message")


def check_codes():
    for code, wanted in ((1000, "closed"), (1005, "closed"), (1001, "waiting"), (1006, "waiting"), (1011, "waiting"), (1012, "waiting"), (4000, "waiting")):
        script = "const world = fake({}); world.socket.connect(); world.accept(); world.end(arguments[0]); return [world.socket.state, world.timers.size]"
        tap.equal(js(script, code), [wanted, int(wanted == "waiting")], f"after code {code} it is {wanted}")


def check_close():
    before = {"connecting": "", "open": "world.accept();", "waiting": "world.end(1006);"}
    for state, script in before.items():
        result = js("const world = fake({}); world.socket.connect();" + script + """
            const was = world.socket.state;
            world.socket.close();
            world.socket.close();
            if (was !== 'waiting') {
                world.last().onopen?.({});
                world.last().onclose?.({ code: 1006 });
            }
            return [was, world.log.at(-1), world.log.filter(([state]) => state === 'closed').length, world.timers.size, world.last().closed]""")
        tap.equal(result, [state, ["closed", {}], 1, 0, [] if state == "waiting" else [1000]], f"close() while {state} is the end")
    again = js("""
        const world = fake({});
        world.socket.connect();
        world.end(1006);
        world.fire();
        world.end(1006);
        world.socket.close();
        world.socket.connect();
        return world.log.at(-1)""")
    tap.equal(again, ["connecting", {"attempt": 1}], "until connect() begins anew")
    tap.equal(js("const world = fake({}); world.socket.close(); return [world.log, world.socket.state]"), [[], "closed"], "close() before connect() is nothing")


def check_connect():
    result = js("""
        const world = fake({});
        world.socket.connect();
        world.socket.connect();
        world.accept();
        world.socket.connect();
        const once = world.sockets.length;
        world.end(1006);
        world.socket.connect();
        return [once, world.sockets.length, world.timers.size]""")
    tap.equal(result, [1, 2, 0], "connect() opens one socket, and while waiting at once")


def check_send():
    result = js("""
        const world = fake({});
        const results = [world.socket.send("closed")];
        world.socket.connect();
        results.push(world.socket.send("connecting"));
        world.accept();
        results.push(world.socket.send("open"));
        world.last().readyState = 2;
        results.push(world.socket.send("closing"));
        world.end(1006);
        results.push(world.socket.send("waiting"));
        world.fire();
        world.accept();
        return [results, world.sockets.map((socket) => socket.sent)]""")
    tap.equal(result, [[False, False, True, False, False], [["open"], []]], "send() says whether it sent, and queues nothing")


def counts_down():
    """Whether the state tells the seconds until the next attempt, and they become fewer."""
    told = re.match(r"Reconnecting in (\d+) s$", page.text("state"))
    return told and stack.wait_until(lambda: page.text("state") in (f"Reconnecting in {int(told[1]) - 1} s", "Connecting, attempt 2"))


def check_lost():
    page.open(site.url("/echo"))
    page.click("connect")
    page.becomes("open")
    page.by_id("message").clear()
    page.by_id("message").send_keys("half a sen")
    page.run("socket.first = 4000; socket.random = () => 0")
    site.stop("websocketd")
    tap.ok(page.becomes("waiting"), "websocketd ends: the page waits")
    tap.ok(counts_down(), "and counts down")
    tap.equal(page.text("why"), "Code 1006: lost without a close frame.", "with the reason")
    tap.equal((page.message(), page.focus()), ("half a sen", "message"), "what was typed and the focus are kept")
    page.press("tence")
    tap.equal(page.message(), "half a sentence", "and typing goes on")
    page.press("\n")
    tap.ok("Not sent" in page.text("notice"), "to send says that it cannot")
    page.run("socket.first = 100")
    site.start_websocketd()
    tap.ok(page.becomes("open", 30), "websocketd is back: so is the connection")
    tap.equal((page.message(), page.focus(), page.text("why")), ("half a sentence", "message", ""), "with the text and the focus")
    page.press("\n")
    tap.ok(stack.wait_until(lambda: page.received() == [("WebSocket", "half a sentence")]), "and it can be sent, which nothing else was")


def connects():
    page.click("connect")
    return page.becomes("open", 0.1)


def check_close_while_waiting():
    site.stop("websocketd")
    page.becomes("waiting")
    page.click("close")
    tap.equal((page.state(), page.text("state")), ("closed", "Closed"), "close ends the waiting")
    page.run("socket.first = 60000; socket.longest = 60000; socket.random = () => 0")
    page.click("connect")
    tap.ok(page.becomes("waiting"), "a first attempt that fails is followed by another")
    tap.ok("not opened" in page.text("why"), "and told apart from a connection that was lost")
    site.start_websocketd()
    tap.ok(stack.wait_until(connects, 30), "connect does not wait")
    page.click("close")
    tap.ok(stack.wait_until(lambda: not site.endpoints()), "after close there is no connection")
    tap.equal(page.state(), "closed", "and none is tried")


def check_console():
    messages = page.console()
    expected = [message for message in messages if "WebSocket connection to" in message]
    tap.equal([message for message in messages if message not in expected], [], f"nothing in the console but {len(expected)} attempts that failed")


with sites.Site("lighttpd") as site:
    with chromium.start() as driver:
        page = Page(driver)
        page.open(site.url("/echo"))
        check_delays()
        check_steady()
        check_states()
        check_codes()
        check_close()
        check_connect()
        check_send()
        check_lost()
        check_close_while_waiting()
        check_console()
tap.done()
