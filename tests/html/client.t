#!/usr/bin/python3
"""The client by itself, with a socket, a clock and timers in the test's hands: what html/reconnecting-socket.js promises."""
import asyncio
import contextlib
import functools
import http.server
import re
import socket
import sys
import threading

sys.path.insert(0, f"{sys.path[0]}/../lib")
import rfc6455
import stack
import tap

stack.need("chromium", "chromedriver")
import browser as chromium
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
            open: (url, protocols) => {
                const made = { url, protocols, readyState: 0, sent: [], closed: [], send(data) { this.sent.push(data); }, close(code) { if (this.readyState < 3) this.closed.push(code); } };
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
    tap.equal(refused(3, "{ random: () => 1 }"), [500, 1000, 2000], "chance shortens a delay by half at most")
    tap.equal(refused(4, "{ first: 10, factor: 3, longest: 100 }"), [10, 30, 90, 100], "the delays are as the options say")
    tap.equal(refused(2000, "{}")[-1], 30000, "the longest delay stays 30 seconds after 2,000 attempts")
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
        ["open", {"attempt": 1}],
        ["waiting", {"attempt": 1, "delay": 1000, "opened": True, "code": 1006, "reason": "why"}],
        ["connecting", {"attempt": 2}],
        ["waiting", {"attempt": 2, "delay": 2000, "opened": False, "code": 1006, "reason": "why"}],
    ], "each state is told with its detail")
    tap.equal((messages, url), (["hello"], "ws://nowhere.invalid/"), "each message is handed to onmessage")


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
        tap.equal(result, [state, ["closed", {"attempt": 1 if state != "waiting" else 2}], 1, 0, [] if state == "waiting" else [1000]], f"close() while {state} is the end")
    again = js("""
        const world = fake({});
        world.socket.connect();
        world.end(1006);
        world.fire();
        world.end(1006);
        world.socket.close();
        world.socket.connect();
        return world.log.at(-1)""")
    tap.equal(again, ["connecting", {"attempt": 1}], "after the end connect() begins anew")
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
        const waiting = [...world.timers.keys()];
        world.socket.connect();
        return [once, world.sockets.length, waiting.some((timer) => world.timers.has(timer))]""")
    tap.equal(result, [1, 2, False], "connect() opens one socket, and while waiting at once")


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


def check_timeout():
    result = js("""
        const world = fake({});
        world.socket.connect();
        const delay = [...world.timers.values()][0].delay;
        world.fire();
        return [delay, world.log.at(-1), world.last().closed.length]""")
    tap.equal(result, [4000, ["waiting", {"attempt": 1, "opened": False, "code": 1006, "reason": "not open in time", "delay": 1000}], 1],
              "connecting ends after 4 s, and is tried again")
    result = js("""
        const world = fake({ timeout: 50 });
        world.socket.connect();
        const delay = [...world.timers.values()][0].delay;
        world.accept();
        return [delay, world.timers.size]""")
    tap.equal(result, [50, 0], "the time for connecting is as the option says, and does not hold for an open connection")


def check_reconnect():
    result = js("""
        const world = fake({});
        world.socket.reconnect();
        world.accept();
        world.socket.reconnect();
        world.sockets[0].onclose?.({ code: 1006 });
        world.accept();
        return [world.log.map(([state]) => state), world.sockets.map(({ closed }) => closed.length), world.socket.socket === world.last()]""")
    tap.equal(result, [["connecting", "open", "connecting", "open"], [1, 0], True], "reconnect() drops the connection and opens another at once")


WAKE = """
        const happens = (target, type) => target.dispatchEvent(new Event(type));
        const online = () => happens(window, "online");
        const visible = () => happens(document, "visibilitychange");
"""


def check_wake():
    for event in ("online", "visible"):
        result = js(WAKE + f"""
            const world = fake({{}});
            {event}();
            world.socket.connect();
            world.end(1006);
            {event}();
            world.accept();
            {event}();
            const states = world.log.map(([state]) => state);
            world.socket.close();
            {event}();
            return [states, world.sockets.length, world.socket.state]""")
        tap.equal(result, [["connecting", "waiting", "connecting", "open"], 2, "closed"], f"{event}: what waits connects at once, and nothing else does")
    result = js(WAKE + """
        const world = fake({});
        world.socket.connect();
        visible();
        const before = world.sockets.length;
        online();
        return [before, world.sockets.length, world.sockets[0].closed.length, world.timers.size]""")
    tap.equal(result, [1, 2, 1, 1], "an attempt that was begun without a network is begun anew when there is one")
    result = js(WAKE + """
        const world = fake({});
        world.socket.connect();
        for (let i = 0; i < 6; i++) {
            world.end(1006);
            world.fire();
        }
        world.end(1006);
        online();
        world.end(1006);
        return world.delays().at(-1)""")
    tap.equal(result, 1000, "the delays begin anew when the network is back")
    hidden = js(WAKE + """
        const world = fake({});
        world.socket.connect();
        world.end(1006);
        Object.defineProperty(document, "hidden", { value: true, configurable: true });
        visible();
        delete document.hidden;
        return [world.socket.state, world.sockets.length]""")
    tap.equal(hidden, ["waiting", 1], "a page that becomes hidden changes nothing")


def check_watchdog():
    watched = """
        const world = fake({ probe: "are you there", silence: 25000, patience: 5000 });
        const passes = (time) => { world.time += time; world.fire(); };
        const delay = () => [...world.timers.values()].map(({ delay }) => delay);
        world.socket.connect();
        world.accept();
    """
    tap.equal(js(watched + "return [world.last().sent, delay()]"), [[], [25000]], "the watchdog waits for silence")
    result = js(watched + """
        world.time += 20000;
        world.last().onmessage({ data: "hello" });
        passes(5000);
        return [world.last().sent, delay()]""")
    tap.equal(result, [[], [20000]], "a message ends the silence")
    result = js(watched + "passes(25000); return [world.last().sent, delay(), world.socket.state]")
    tap.equal(result, [["are you there"], [5000], "open"], "the probe is sent after silence")
    result = js(watched + """
        passes(25000);
        world.last().onmessage({ data: "yes" });
        passes(5000);
        return [world.messages, delay(), world.socket.state, world.last().sent.length]""")
    tap.equal(result, [["yes"], [20000], "open", 1], "a probe that is answered leaves the connection open")
    result = js(watched + "passes(25000); passes(5000); return [world.log.at(-1), world.last().closed.length]")
    tap.equal(result, [["waiting", {"attempt": 1, "opened": True, "code": 1006, "reason": "silent", "delay": 1000}], 1], "a probe that is not answered ends the connection")
    result = js(watched + """
        world.socket.send("question");
        world.socket.send("and another");
        const first = delay();
        passes(5000);
        return [first, world.last().sent, delay()]""")
    tap.equal(result, [[5000], ["question", "and another", "are you there"], [5000]], "what is sent and not answered brings the probe earlier")
    result = js(watched + """
        world.socket.send("question");
        world.time += 1000;
        world.last().onmessage({ data: "answer" });
        passes(4000);
        return [world.last().sent, delay()]""")
    tap.equal(result, [["question"], [21000]], "what is sent and answered does not bring the probe earlier")
    result = js("""
        const world = fake({});
        world.socket.connect();
        world.accept();
        world.socket.send("question");
        return world.timers.size""")
    tap.equal(result, 0, "without a probe nothing is watched")
    result = js(WAKE + watched + """
        online();
        visible();
        const sent = world.last().sent.length;
        passes(5000);
        return [sent, world.socket.state]""")
    tap.equal(result, [1, "waiting"], "online and becoming visible ask at once, and once")
    result = js("""
        let count = 0;
        const world = fake({ probe: () => `probe ${++count}`, silence: 10 });
        world.socket.connect();
        world.accept();
        for (let i = 0; i < 2; i++) {
            world.time += 10;
            world.fire();
            world.last().onmessage({ data: "" });
            world.fire();
        }
        return world.last().sent""")
    tap.equal(result, ["probe 1", "probe 2"], "a probe may be a function")


def settle(script, *arguments):
    """Like js, for what is awaited: the script calls done."""
    return page.driver.execute_async_script(FAKE + "const done = arguments[arguments.length - 1];" + script, *arguments)


def check_url():
    result = settle("""
        let count = 0;
        const world = fake({});
        world.socket.url = async () => `ws://nowhere.invalid/${++count}`;
        world.socket.connect();
        const early = world.sockets.length;
        setTimeout(() => {
            world.end(1006);
            world.fire();
            setTimeout(() => done([early, world.sockets.map(({ url }) => url)]));
        });""")
    tap.equal(result, [0, ["ws://nowhere.invalid/1", "ws://nowhere.invalid/2"]], "url may be a function, awaited at each attempt")
    result = settle("""
        const world = fake({});
        world.socket.url = async () => { throw new Error("no token"); };
        world.socket.connect();
        setTimeout(() => done([world.sockets.length, world.log.at(-1)]));""")
    tap.equal(result, [0, ["waiting", {"attempt": 1, "opened": False, "code": 1006, "reason": "Error: no token", "delay": 1000}]], "a url function that fails is a failed attempt")
    result = settle("""
        const world = fake({});
        world.socket.url = async () => "ws://nowhere.invalid/";
        world.socket.connect();
        world.socket.close();
        setTimeout(() => done([world.sockets.length, world.socket.state, world.timers.size]));""")
    tap.equal(result, [0, "closed", 0], "close() is the end while a url is awaited")
    result = settle("""
        const world = fake({});
        world.socket.url = () => new Promise(() => {});
        world.socket.connect();
        world.fire();
        done(world.log.at(-1)[1].reason);""")
    tap.equal(result, "not open in time", "a url function that never answers is a failed attempt after the time for connecting")


def check_protocols():
    result = js("""
        const world = fake({ protocols: ["one", "two"], binaryType: "arraybuffer" });
        world.socket.connect();
        return [world.last().protocols, world.last().binaryType]""")
    tap.equal(result, [["one", "two"], "arraybuffer"], "protocols and binaryType reach the WebSocket")
    result = js("const world = fake({ protocols: () => 'three' }); world.socket.connect(); return world.last().protocols")
    tap.equal(result, "three", "protocols may be a function")
    made = js("const one = new ReconnectingSocket('ws://127.0.0.1:9/', { protocols: 'mine' }); const made = one.open('ws://127.0.0.1:9/', ['a']); made.close(); return made.constructor.name")
    page.console()
    tap.equal(made, "WebSocket", "a WebSocket of the browser's is what is opened")


def check_giving_up():
    result = js("""
        const world = fake({ again: ({ attempt }) => attempt < 3 });
        world.socket.connect();
        for (let i = 0; i < 2; i++) {
            world.end(1006);
            world.fire();
        }
        world.end(1006);
        return [world.log.at(-1), world.sockets.length, world.timers.size]""")
    tap.equal(result, [["closed", {"attempt": 3, "opened": False, "code": 1006, "reason": "why"}], 3, 0], "the client gives up when the caller says so")
    result = js("""
        const world = fake({ again: ({ attempt }) => attempt < 3, first: 10 });
        world.socket.connect();
        for (let i = 0; i < 20; i++) {
            world.accept();
            world.time += 5000;
            world.end(1006);
            world.fire();
        }
        return world.socket.state""")
    tap.equal(result, "connecting", "steady connections do not count as attempts that failed")
    result = js("const world = fake({ again: ({ code }) => code !== 4001 }); world.socket.connect(); world.accept(); world.end(4001); return world.log.at(-1)[0]")
    tap.equal(result, "closed", "a code of the caller's own may be the end")


def check_throwing_open():
    result = js("""
        const world = fake({ open: () => { throw new SyntaxError("not a URL"); } });
        world.socket.connect();
        world.fire();
        return world.log""")
    tap.equal([state for state, _ in result], ["connecting", "waiting", "connecting", "waiting"], "an open() that throws is a failed attempt")
    tap.equal(result[1][1]["reason"], "SyntaxError: not a URL", "an open() that throws is told with what it threw")


def check_options():
    told = js("try { new ReconnectingSocket('ws://nowhere.invalid/', { longst: 1 }); return '' } catch (error) { return `${error}` }")
    tap.equal(told, "TypeError: ReconnectingSocket has no option \"longst\"", "a misspelt option is an error")
    names = js("return ['url', 'state', 'connect', 'toString', '__proto__'].filter((name) => { try { new ReconnectingSocket('', { [name]: 1 }); return true } catch { return false } })")
    tap.equal(names, [], "a name that is not an option is an error")


def check_module():
    result = settle("""
        import("/reconnecting-socket.mjs").then((module) => {
            const socket = new module.default("ws://nowhere.invalid/");
            done([typeof module.default, module.default === globalThis.ReconnectingSocket, socket.state]);
        });""")
    tap.equal(result, ["function", True, "closed"], "the same file is the module")


def check_recipe():
    """The queue of html/README.md, as it stands there."""
    recipe = re.search(r"```js\n(const waiting.*?)```", (stack.ROOT / "html/README.md").read_text(), re.S)[1]
    tap.ok(len(recipe.splitlines()) <= 6, "the recipe for a queue is short")
    result = js("""
        const world = fake({});
        const { socket } = world;
        """ + recipe + """
        send("before");
        send("and more");
        socket.connect();
        send("while it connects");
        world.accept();
        send("open");
        world.end(1006);
        send("lost");
        world.fire();
        world.accept();
        return [world.sockets.map(({ sent }) => sent), waiting.length]""")
    tap.equal(result, [[["before", "and more", "while it connects", "open"], ["lost"]], 0], "the recipe for a queue sends each message once, in order")


def check_types():
    """The declarations have the options that the class has."""
    declared = re.search(r"interface Options \{(.*?)\n\}", (stack.ROOT / "html/reconnecting-socket.d.ts").read_text(), re.S)[1]
    options = js("const socket = new ReconnectingSocket(''); return Object.keys(socket).filter((name) => name !== 'url')")
    tap.equal(sorted(re.findall(r"^\t(\w+)\?:", declared, re.M)), sorted(options), "the types have each option of the class, and no other")
    methods = js("return Object.getOwnPropertyNames(ReconnectingSocket.prototype).filter((name) => name !== 'constructor')")
    declared = re.search(r"interface ReconnectingSocket .*?\{(.*?)\n\}", (stack.ROOT / "html/reconnecting-socket.d.ts").read_text(), re.S)[1]
    tap.equal(sorted(re.findall(r"^\t(?:readonly )?(\w+)[(:]", declared, re.M)), sorted([*methods, "url"]), "the types have each method of the class")


def check_weight():
    text = (stack.ROOT / "html/reconnecting-socket.js").read_text()
    tap.ok(len(text.encode()) <= 7000, f"the client is small, comments included: {len(text.encode())} bytes")
    tap.ok("SPDX-License-Identifier: ISC" in text.partition("*/")[0] and not re.search(r"\b(import|require|https?:)\b", text), "the client names its licence, and depends on nothing")


async def answer(connection, path):
    """A server that ends a client with the code in its path."""
    await connection.send("hello")
    await connection.close(int(path[1:]))


def check_real_ends(port):
    for code, wanted in ((1000, ["connecting", "open", "closed"]), (1001, ["connecting", "open", "waiting"])):
        result = settle("""
            const states = [];
            const messages = [];
            const socket = new ReconnectingSocket(`ws://127.0.0.1:${arguments[0]}/${arguments[1]}`, {
                first: 600000,
                onmessage: (text) => messages.push(text),
                onstate(state, detail) {
                    states.push(state);
                    if (state === "waiting" || state === "closed") {
                        socket.onstate = () => {};
                        socket.close();
                        done([states, messages, detail.code]);
                    }
                },
            });
            socket.connect();""", port, code)
        tap.equal(result, [wanted, ["hello"], code], f"a server that ends a real connection with {code}: it is {wanted[-1]}")


def check_silent_host():
    """One that accepts TCP, and nothing else."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        result = settle("""
            const since = performance.now();
            const states = [];
            const socket = new ReconnectingSocket(`ws://127.0.0.1:${arguments[0]}/`, {
                first: 1,
                onstate(state) {
                    states.push([state, performance.now() - since]);
                    if (states.length === 3) {
                        socket.onstate = () => {};
                        socket.close();
                        done(states);
                    }
                },
            });
            socket.connect();""", listener.getsockname()[1])
    tap.equal([state for state, _ in result], ["connecting", "waiting", "connecting"], "connecting to a host that is silent ends, and is tried again")
    tap.ok(result[1][1] >= 4000, f"connecting to a host that is silent ends after 4 s: {result[1][1]:.0f} ms")
    page.console()  # where Chromium tells of it


@contextlib.contextmanager
def serving():
    """The port of a server that runs beside this test."""
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, daemon=True).start()
    server = rfc6455.serve(answer)
    run = lambda coroutine: asyncio.run_coroutine_threadsafe(coroutine, loop).result(60)
    try:
        yield run(server.__aenter__()).sockets[0].getsockname()[1]
        run(server.__aexit__(None, None, None))
    finally:
        loop.call_soon_threadsafe(loop.stop)


class Files(http.server.SimpleHTTPRequestHandler):
    """The files of html/, and a page with the plain script."""
    extensions_map = {".js": "text/javascript", ".mjs": "text/javascript", "": "application/octet-stream"}

    def do_GET(self):
        if self.path != "/":
            return super().do_GET()
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(b'<!DOCTYPE html><link rel=icon href=data:,><script src=reconnecting-socket.js></script>')

    def log_message(self, *arguments):
        pass


with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Files, directory=stack.ROOT / "html")) as server, chromium.start() as driver:
    threading.Thread(target=server.serve_forever, daemon=True).start()
    page = Page(driver)
    page.open(f"http://127.0.0.1:{server.server_port}/")
    check_delays()
    check_steady()
    check_states()
    check_codes()
    check_close()
    check_connect()
    check_send()
    check_timeout()
    check_reconnect()
    check_wake()
    check_watchdog()
    check_url()
    check_protocols()
    check_giving_up()
    check_throwing_open()
    check_options()
    check_module()
    check_recipe()
    check_types()
    check_weight()
    with serving() as port:
        check_real_ends(port)
    check_silent_host()
    tap.equal(page.console(), [], "nothing is in the console")
    server.shutdown()
tap.done()
