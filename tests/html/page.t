#!/usr/bin/python3
"""The page in Chromium, through the whole stack: each button, both languages, hostile text, and what it says of the wire."""
import json
import os
import re
import socket
import sys
import threading
import time
import urllib.request

sys.path.insert(0, f"{sys.path[0]}/../lib")
import stack
import tap

stack.need("chromium", "chromedriver")
import browser as chromium
from page import CHAT, FILES, OTHERS, Page

from selenium.webdriver.common.keys import Keys


def check_buttons(path):
    page.open(site.url(path))
    tap.equal((page.state(), page.enabled()), ("closed", ["connect"]), f"{path}: the page is not connected at first")
    tap.equal(page.message(), "Hello, World!", f"{path}: the message field has its text")
    page.click("http")
    tap.ok(stack.wait_until(lambda: page.received() == [("HTTP", "Hello, World!")]), f"{path}: a message comes back over HTTP")
    page.click("connect")
    tap.ok(page.becomes("open"), f"{path}: Connect opens the connection")
    tap.equal(page.enabled(), ["close"], f"{path}: only Close is left when the connection is open")
    page.set_message("first")
    page.click("send")
    tap.ok(stack.wait_until(lambda: page.received()[0] == ("WebSocket", "first")), f"{path}: a message comes back over WebSocket, the newest first")
    page.set_message("second")
    page.by_id("message").send_keys(Keys.ENTER)
    tap.ok(stack.wait_until(lambda: page.received()[0] == ("WebSocket", "second")), f"{path}: Enter sends")
    tap.equal(len(page.received()), 3, f"{path}: three messages came, and no more")
    page.click("close")
    tap.equal((page.state(), page.text("why"), page.enabled()), ("closed", "Code 1000: ended in order.", ["connect"]), f"{path}: Close closes the connection")
    tap.ok(stack.wait_until(lambda: not site.endpoints()), f"{path}: Close ends the endpoint's process")
    page.click("connect")
    tap.ok(page.becomes("open"), f"{path}: the connection can be opened again")


def check_item():
    item = page.run("return document.querySelector('#received li').innerText")
    tap.ok(re.fullmatch(r"\d\d:\d\d:\d\d\s+WebSocket\s+(< )?[\d.]+ ms\s+second", item), f"an item has its time, way and round trip: {item!r}")


def check_unsent():
    page.click("close")
    page.set_message("kept")
    count = len(page.received())
    for how, send in (("the button", lambda: page.click("send")), ("Enter", lambda: page.by_id("message").send_keys(Keys.ENTER))):
        page.run("document.getElementById('notice').textContent = ''")
        send()
        tap.ok("Not sent" in page.text("notice"), f"{how} without a connection: the page says that nothing was sent")
    page.click("connect")
    page.becomes("open")
    page.set_message("later")
    page.click("send")
    tap.ok(stack.wait_until(lambda: len(page.received()) > count), "what is sent after a connection opened comes back")
    tap.equal((page.received()[0][1], len(page.received()), page.text("notice")), ("later", count + 1, ""), "nothing was queued while there was no connection")


def check_compare():
    page.open(site.url())
    page.click("compare")
    tap.ok(stack.wait_until(lambda: len(page.received()) == 20) and page.state() == "open", "10 each way are sent, over a connection that is opened for them")
    tap.equal(page.received(), [("HTTP", "Hello, World!"), ("WebSocket", "Hello, World!")] * 10, "the button 10 each way sends in turn")
    figures = page.figures()
    tap.equal([figures[way][0] for way in figures], [10, 10], "both ways are counted after the button 10 each way")
    tap.equal(figures["WebSocket"][1], 2 + 4 + 13 + 2 + 13, "a message over WebSocket is its two frames")
    tap.ok(figures["HTTP"][1] > 10 * figures["WebSocket"][1], f"a message over HTTP takes ten times the bytes of one over WebSocket: {figures['HTTP'][1]:.0f} bytes")
    tap.ok(all(0 < figures[way][3] < 5000 for way in figures), "round trips are measured")
    points = page.run("return Array.from(document.querySelectorAll('#plot polyline'), line => [line.getAttribute('class'), line.points.length])")
    tap.equal(sorted(points), [["HTTP", 11], ["WebSocket", 11]], "the plot has a line for each way")
    times = figures["HTTP"][2] / figures["WebSocket"][2]
    tap.equal(page.text("result"), f"10 messages: HTTP used {times:.1f} times the bytes of WebSocket", "the conclusion is the heading of the plot")
    tap.equal(page.text("names").split("\n"), [f"HTTP {figures['HTTP'][2]:,.0f}", f"WebSocket {figures['WebSocket'][2]:,.0f}"], "the lines of the plot have names")
    shown = "return Array.from(document.querySelectorAll('#received li')).filter((item) => item.checkVisibility()).length"
    tap.equal((page.run(shown), page.text("all")), (10, "Show all 20"), "the newest ten answers are shown")
    page.click("all")
    tap.equal((page.run(shown), page.by_id("all").is_displayed()), (20, False), "all answers are shown when that is asked for")
    page.click("close")
    page.click("compare")
    tap.ok(stack.wait_until(lambda: len(page.received()) == 40) and page.text("result").startswith("20 messages: "), "10 each way are sent again after Close")


class Counter(threading.Thread):
    """Stands between Chromium and the stack and counts what passes: [up, down] for each connection, in order."""

    def __init__(self, port):
        super().__init__(daemon=True)
        self.target = port
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.connections = []
        self.start()

    def run(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            counts = [0, 0]
            self.connections.append(counts)
            server = socket.create_connection(("127.0.0.1", self.target))
            for index, (source, target) in enumerate(((client, server), (server, client))):
                threading.Thread(target=self.pump, args=(counts, index, source, target), daemon=True).start()

    def pump(self, counts, index, source, target):
        try:
            while data := source.recv(65536):
                counts[index] += len(data)
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def total(self):
        return [sum(counts[index] for counts in self.connections) for index in (0, 1)]

    def close(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()


def spent(way):
    return page.run(f"return {{bytes: {way}.bytes, total: {way}.totals.at(-1)}}")


def check_wire():
    """What the page says of bytes is what passes."""
    counter = Counter(site.port)
    page.open(f"http://127.0.0.1:{counter.port}/echo")
    hosts.add(f"127.0.0.1:{counter.port}")
    stack.wait_until(lambda: page.run("return performance.getEntriesByType('resource').some(({ name }) => name.includes('/echo.svg'))"))  # the last to be loaded
    page.click("http")  # a first request, so that its connection is there
    stack.wait_until(lambda: len(page.received()) == 1)
    before, said = counter.total(), spent("byHttp")["bytes"]
    page.click("http")
    stack.wait_until(lambda: len(page.received()) == 2)
    said = spent("byHttp")["bytes"] - said
    up, down = (after - start for after, start in zip(counter.total(), before))
    tap.ok(0.7 * (up + down) <= said <= up + down, f"the bytes told for a request and its response are those of the wire: {said} of {up} + {down}")
    answer = "fetch('/echo?message=hi').then(async (response) => arguments[0](responseBytes(response, await response.text())))"
    before = counter.total()
    said = page.driver.execute_async_script(answer)
    tap.equal(said, counter.total()[1] - before[1], "the bytes told for a response are exact")

    connections = len(counter.connections)
    page.click("connect")
    page.becomes("open")
    tap.equal(len(counter.connections), connections + 1, "the WebSocket has a connection of its own")
    counts = counter.connections[-1]
    said, handshake = spent("byWebSocket")["total"], sum(counts)
    tap.ok(0.7 * handshake <= said <= handshake, f"the bytes told for a handshake are those of the wire: {said} of {handshake}")
    for number, (text, spare) in enumerate((("", 0), ("x" * 125, 0), ("x" * 126, 0), ("\u00e9" * 100, 0), ("x" * 65535, 2), ("x" * 65536, 2)), 1):
        before, said = sum(counts), spent("byWebSocket")["bytes"]
        page.set_message(text)
        page.click("send")
        stack.wait_until(lambda: page.figures()["WebSocket"][0] == number)
        # from 4 KiB on websocketd adds a frame, an empty one
        tap.equal(spent("byWebSocket")["bytes"] - said, sum(counts) - before - spare, f"the bytes told for the frames of {len(text.encode())} bytes are exact")
    counter.close()


def check_resource_timing():
    """A browser that tells the size of the head is believed."""
    head = """
        performance.getEntriesByName = () => [{ transferSize: arguments[0], encodedBodySize: 2 }];
        const response = new Response("hi", { status: 200, statusText: "OK", headers: { a: "b" } });
        const bytes = responseBytes(response, "hi");
        delete performance.getEntriesByName;
        return bytes"""
    lines = len("HTTP/1.1 200 OK\r\na: b\r\ncontent-type: text/plain;charset=UTF-8\r\n\r\n")
    for transfer, wanted in ((182, 182), (302, 2 + lines), (0, 2 + lines)):
        tap.equal(page.run(head, transfer), wanted, f"transferSize {transfer} is understood")


def check_paste():
    page.cdp("Browser.grantPermissions", permissions=["clipboardReadWrite", "clipboardSanitizedWrite"])
    page.open(site.url())
    page.driver.execute_async_script("navigator.clipboard.writeText('a\\r\\nb\\nc').then(arguments[0])")
    page.by_id("message").clear()
    page.by_id("message").send_keys(Keys.CONTROL, "v")
    tap.equal(page.message(), "a b c", "pasted line breaks become spaces")
    tap.ok(page.run("return element('hint').textContent").startswith("One line"), "the page says that a message is one line")


def check_leaving():
    """A browser keeps pages to go back to; a connection must not be kept with them, and comes back with the visitor."""
    page.click("connect")
    page.becomes("open")
    page.set_message("left alone")
    page.click("send", "http")
    stack.wait_until(lambda: len(page.received()) == 2)
    before = (page.received(), page.text("result"), page.message())
    page.open("about:blank")
    tap.ok(stack.wait_until(lambda: not site.endpoints()), "leaving the page closes its connection")
    page.driver.back()
    tap.ok(page.becomes("open"), "going back to the page opens its connection again")
    tap.equal((page.received(), page.text("result"), page.message()), before, "going back shows the page as it was")
    page.click("close")
    page.open("about:blank")
    page.driver.back()
    tap.equal(page.state(), "closed", "going back leaves a connection closed that was closed before")
    page.click("connect")
    tap.ok(page.becomes("open"), "the connection can be opened again after going back")


def check_hostile_text():
    texts = ["<img src=x onerror=\"document.title='broken'\">", "<script>document.title='broken'</script>", "&lt;b&gt;", "\u202egnirts", "a\rb" * 3,
             "\U0001F600", "", "\u0301" * 200, "x" * 300, "\U0001F600" * 200, "y" * 1048576]
    for text in texts:
        plain = text.replace("\r", "")  # the field is one line
        ways = 2 if len(text) < 1000 else 1
        count = sum(numbers[0] for numbers in page.figures().values())
        page.set_message(text)
        page.click(*("send", "http")[:ways])
        tap.ok(stack.wait_until(lambda: sum(numbers[0] for numbers in page.figures().values()) == count + ways),
               f"{text[:20]!r}, {len(text)} characters, comes back")
        shown = plain.encode("utf-16-le")[:600].decode("utf-16-le")
        tap.equal({item[1] for item in page.received()[:ways]}, {shown}, f"{text[:20]!r}, {len(text)} characters, is shown as the text that it is")
    tap.ok(page.run("return document.querySelector('#received li').textContent").endswith("yyy\u2026 1,048,576 characters"), "a long message is shortened and shown with its length")
    tap.ok(page.driver.title != "broken" and not page.driver.find_elements("css selector", "#received img, #received script"), "nothing of hostile text is HTML")
    refused = page.run("try { document.body.innerHTML = '<p>'; return '' } catch (error) { return error.name }")
    tap.equal(refused, "TypeError", "the policy lets no text become HTML")
    page.console()


def check_flood():
    """10,000 messages: each is counted, the newest are kept, and neither the tab nor a screen reader is flooded."""
    page.set_message("flood")
    began = time.monotonic()
    count = page.figures()["WebSocket"][0]
    page.run("""
        window.spoken = 0;
        window.longest = 0;
        new MutationObserver(() => spoken++).observe(document.getElementById('live'), { childList: true });
        let last = performance.now();
        (function beat() { longest = Math.max(longest, performance.now() - last); last = performance.now(); setTimeout(beat, 10); })();
        let left = 10000;
        (function some() { for (let i = 0; i < 100 && left; i++, left--) send(); left && setTimeout(some); })();""")
    tap.ok(stack.wait_until(lambda: page.figures()["WebSocket"][0] >= count + 10000, 300), "10,000 messages come back")
    tap.equal(page.figures()["WebSocket"][0], count + 10000, "10,000 messages come back, and no more")
    tap.equal(page.received(), [("WebSocket", "flood")] * 300, "of 10,000 messages the newest 300 are kept")
    spoken, longest = page.run("return [spoken, longest]")
    tap.ok(spoken < time.monotonic() - began + 2, f"during 10,000 messages a screen reader heard {spoken} sentences")
    tap.ok(longest < 2000 or stack.is_loaded(), f"during 10,000 messages the tab stood still for {longest:.0f} ms at most")


def check_languages():
    chinese = re.compile("[\u4e00-\u9fff]")
    neutral = re.compile(r"duplex|English|WebSocket|HTTP|/echo|–|[\d.,\s]+( ms)?")
    page.set_languages("zh-CN", "zh", "en")
    page.open(site.url())
    tap.equal((page.run("return document.documentElement.lang"), page.driver.title), ("zh-Hans", "一个网址，两种方式"), "a browser that prefers Chinese gets the page in Chinese")
    tap.equal([page.text(name) for name in ("connect", "send", "close")], ["连接", "发送", "关闭"], "the Chinese page has the buttons of the Chinese demo")
    lines = page.run("return document.body.innerText").split("\n")
    english = [line for line in re.split(r"[\t\n]", "\n".join(lines)) if line and not chinese.search(line) and not neutral.fullmatch(line)]
    tap.equal(english, [], "the Chinese page has nothing in English")
    page.set_message("kept")
    page.click("connect")
    page.becomes("open")
    page.click("language")
    tap.equal((page.run("return document.documentElement.lang"), page.text("connect"), page.text("state")), ("en", "Connect", "Open"), "the language can be switched")
    tap.equal((page.message(), page.state(), page.focus()), ("kept", "open", "language"), "switching the language keeps message, connection and focus")
    page.open(site.url())
    tap.equal(page.run("return document.documentElement.lang"), "en", "the language is remembered")
    page.run("localStorage.clear()")
    for languages, wanted in ((["fr"], "en"), (["fr", "zh-TW"], "zh-Hans"), (["en-GB", "zh"], "en")):
        page.set_languages(*languages)
        page.open(site.url())
        tap.equal(page.run("return document.documentElement.lang"), wanted, f"a browser that prefers {', '.join(languages)} gets {wanted}")
    keys = page.run("return [words.en, words.zh].map((language) => [Object.keys(language).sort(), Object.keys(language.codes)])")
    tap.equal([sorted(set(key) - {"source"}) for key in keys[0]], [sorted(set(key) - {"source"}) for key in keys[1]], "both languages say the same")


def check_without_storage():
    script = page.cdp("Page.addScriptToEvaluateOnNewDocument", source="Object.defineProperty(window, 'localStorage', { get() { throw new Error('no'); } })")
    page.open(site.url())
    page.click("language")
    tap.equal(page.run("return document.documentElement.lang"), "zh-Hans", "without a storage the language can be switched too")
    page.cdp("Page.removeScriptToEvaluateOnNewDocument", identifier=script["identifier"])
    page.open(site.url())


def check_budget():
    size = len(urllib.request.urlopen(site.url()).read()) + sum((stack.ROOT / "html" / name).stat().st_size for name in FILES if name != "echo.html")
    tap.ok(size <= 28 * 1024, f"the page with all that it loads: {size} bytes")
    others = {path.name for path in (stack.ROOT / "html").iterdir()} - {*FILES, *CHAT, *OTHERS}
    tap.equal(others, set(), "html/ has no files but those of the two pages, and those that nothing loads")


def check_loading():
    """First paint needs the page and what it names; none of that asks for more."""
    page.driver.get_log("performance")
    page.open(site.url())
    stack.wait_until(lambda: page.run("return performance.getEntriesByName('first-contentful-paint').length"))
    events = [json.loads(entry["message"])["message"] for entry in page.driver.get_log("performance")]
    asked = {event["params"]["request"]["url"].removeprefix(site.url()).partition("?")[0]: event["params"]["initiator"]["type"]
             for event in events if event["method"] == "Network.requestWillBeSent"}
    asked.pop("/echo.svg", None)
    tap.equal(asked, {"": "other", **{f"/{name}": "parser" for name in FILES if name not in ("echo.html", "echo.svg")}}, "the page itself names all that it needs")
    paint = page.run("return performance.getEntriesByName('first-contentful-paint')[0].startTime")
    script = page.run("return performance.getEntriesByType('resource').find(({ name }) => name.includes('/language.js')).responseEnd")
    tap.ok(paint > script, "the page is painted when it can be in the visitor's language")
    page.open("about:blank")
    page.open(site.url())
    stack.wait_until(lambda: page.run("return document.readyState") == "complete")
    loaded = page.run("return performance.getEntriesByType('resource').map(({ name, transferSize }) => [name.split('/').pop().split('?')[0], transferSize])")
    needed = {name for name in FILES if name not in ("echo.html", "echo.svg")}
    tap.ok(needed <= {name for name, _ in loaded} and not any(size for _, size in loaded), "a second visit costs one request, for the page itself")


def check_failing():
    page.by_id("message").clear()
    page.run("element('message').value = 'x'.repeat(20000); element('message').oninput()")
    tap.ok(page.text("notice").startswith("Long for HTTP: a URL of 20,0"), "a message that is long for HTTP is said before it is sent")
    page.click("http")
    tap.ok(stack.wait_until(lambda: page.text("notice") == "HTTP: status 431, too long a request for the server."), "an error over HTTP is told in words by the page")
    tap.ok(any("431" in message for message in page.console()), "an error over HTTP is told in the console by Chromium")


def check_server_gone():
    """The server drops the connection; the page says so, and comes back."""
    page.set_message("kept")
    page.click("connect")
    page.becomes("open")
    stack.wait_until(site.endpoints)  # websocketd answers the handshake before it starts one
    page.run("socket.first = 8000; socket.random = () => 0")  # so that the waiting can be looked at
    ended = site.endpoints()
    for pid in ended:
        os.kill(pid, 15)
    tap.ok(page.becomes("waiting"), "a connection that is lost is shown as such")
    tap.equal(page.text("why"), "Code 1006: lost without a close frame.", "a connection that is lost is shown with its code")
    tap.ok(re.search(r"Reconnecting in \d+ s", page.text("state")), "a connection that is lost is shown with the time of the next attempt")
    tap.ok(page.becomes("open") and stack.wait_until(lambda: site.endpoints() and not set(ended) & set(site.endpoints())), "a connection that was lost comes back")
    tap.equal(page.message(), "kept", "what was typed is kept when the connection comes back")


def check_log():
    tap.equal(page.console(), [], "there is no error, warning or policy violation in the console")
    log = "".join(entry["message"] for entry in page.driver.get_log("performance"))
    asked = set(re.findall(r'"url":"(?:https?|wss?)://([^/"]+)', log))
    tap.ok(asked and asked <= hosts, f"the page asks no other host: {asked}")


with stack.Stack() as site:
    hosts = {f"127.0.0.1:{site.port}"}
    with chromium.start() as driver:
        page = Page(driver)
        check_buttons("/")
        check_buttons("/serialize/echo/")
        check_buttons("/echo")
        check_item()
        check_unsent()
        check_compare()
        check_log()
        check_wire()
        check_resource_timing()
        check_paste()
        check_leaving()
        check_hostile_text()
        check_flood()
        check_languages()
        check_without_storage()
        check_log()
        check_budget()
        check_loading()
        check_server_gone()
        check_log()
        check_failing()
    stack.finish(site, r"oversized request-header")
tap.done()
