#!/usr/bin/python3
"""The chat page in Chromium: all clients see what one sends, as text, and get later what they missed while the connection was lost."""
import datetime
import os
import re
import subprocess
import sys
import threading
import urllib.request

sys.path.insert(0, f"{sys.path[0]}/../lib")
import stack
import tap

stack.need("chromium", "chromedriver", "redis-server")
import browser as chromium
from page import CHAT, Page
from redis_server import Redis

from selenium.webdriver.common.keys import Keys

MOST = 100  # messages that the page shows
EXPECTED = "WebSocket connection to|chat - Failed to load resource: the server responded with a status of 503"


def publish(text):
    return subprocess.run(["curl", "-sS", "--data-urlencode", f"message={text}", site.url("/chat")], capture_output=True).stdout.decode().strip()


def texts(page):
    """What the page shows, newest first."""
    return page.run("return Array.from(document.querySelectorAll('#received bdi'), bdi => bdi.textContent)")


def shows(page, wanted, name):
    stack.wait_until(lambda: texts(page) == wanted)
    return tap.equal(texts(page), wanted, name)


def open_page(page, *languages):
    page.set_languages(*languages or ("en",))
    page.open(site.url("/chat"))
    return page.becomes("open")


def check_send(one, two):
    tap.ok(open_page(one) and open_page(two), "two pages connect by themselves")
    one.by_id("message").send_keys("hello", Keys.ENTER)
    shows(one, ["hello"], "Enter sends: the page that sent it shows it")
    shows(two, ["hello"], "the other page shows it, too")
    tap.ok(stack.wait_until(lambda: one.message() == ""), "the field is empty after a message was sent")
    two.by_id("message").send_keys("and back")
    two.click("send")
    shows(one, ["and back", "hello"], "the button sends too, and the newest message is first")
    tap.ok(re.fullmatch(r"\d+-\d+", publish("by curl")), "curl gets the id of its message")
    shows(one, ["by curl", "and back", "hello"], "a message by curl arrives at the page that sent before")
    shows(two, ["by curl", "and back", "hello"], "a message by curl arrives at the other page")
    tap.ok(re.fullmatch(r"\d\d:\d\d:\d\d\s+by curl", one.run("return document.querySelector('#received [data-id]').innerText")), "a message is shown with its time")
    today = datetime.date.today().isoformat()
    tap.equal(one.run("return Array.from(document.querySelectorAll('#received .day'), (day) => day.textContent)"), [today], "messages stand below the day on which they were sent")
    owns = [page.run("return Array.from(document.querySelectorAll('#received .own'), (item) => [item.querySelector('b').textContent, item.querySelector('bdi').textContent])") for page in (one, two)]
    tap.equal(owns, [[["You", "hello"]], [["You", "and back"]]], "each page marks what it sent itself")
    one.click("send")
    tap.equal(one.run("return document.querySelector('#message').matches(':invalid')"), True, "an empty message cannot be sent")


def check_hostile_text(one):
    hostile = ["<img src=x onerror=\"document.title='broken'\">", "<script>document.title='broken'</script>", "&lt;b&gt;", "\u202egnirts", '"}\\', "\t\x01\x7f",
               "\U0001F600", "\u0301" * 200, "x" * 16384]
    for text in hostile:
        publish(text)
    tap.ok(stack.wait_until(lambda: texts(one)[:len(hostile)] == hostile[::-1]), "hostile text, control characters and 16,384 bytes arrive as they are")
    tap.ok(one.driver.title == "Chat" and not one.driver.find_elements("css selector", "#received img, #received script"), "nothing of hostile text is HTML")
    one.set_message("<b>\U0001F600" + "\u5b57" * 4994)
    one.click("send")
    tap.ok(stack.wait_until(lambda: texts(one)[0] == "<b>\U0001F600" + "\u5b57" * 4994), "the longest text that the field takes arrives")


def check_resume(page):
    """The connection is killed again and again while messages are published: each is there once, in order."""
    page.run("""
        window.all = [];
        const receive_ = socket.onmessage;
        socket.onmessage = (line) => { line && all.push(JSON.parse(line).text); receive_(line); };  // the answer to a probe is empty
        window.opened = 0;
        const onstate = socket.onstate;
        socket.onstate = (state, detail) => { opened += state === 'open'; onstate(state, detail); };
        socket.first = 20;
        socket.longest = 20;""")
    published = [f"number {number}" for number in range(300)]
    publisher = threading.Thread(target=lambda: [publish(text) for text in published])
    publisher.start()
    killed = set()
    while publisher.is_alive():
        for pid in set(site.endpoints()) - killed:
            killed.add(pid)
            os.kill(pid, 9)
        stack.wait_until(lambda: set(site.endpoints()) - killed or not publisher.is_alive(), 1)
    tap.ok(stack.wait_until(lambda: page.run("return all.length") >= len(published)) and page.run("return opened") > 3,
           f"the connection is killed {len(killed)} times while 300 messages are published")
    tap.equal(page.run("return all"), published, "each message is there once and in order, though the connection was killed")
    shows(page, published[::-1][:MOST], f"the newest {MOST} are shown")


def check_away(page):
    """Without any connection for a while."""
    page.run("socket.first = socket.longest = 8000; socket.random = () => 0")
    page.by_id("message").clear()
    page.by_id("message").send_keys("half a sen")
    page.run("all.length = 0")
    for pid in site.endpoints():
        os.kill(pid, 15)
    tap.ok(page.becomes("waiting"), "the connection is lost")
    tap.ok(re.fullmatch(r"Connection lost: again in \d s", page.text("state").removeprefix("\u25cf ")), "a connection that is lost is told in words")
    published = [f"while away {number}" for number in range(150)]
    for text in published:
        publish(text)
    page.press("tence")
    page.click("connect")
    tap.ok(page.becomes("open"), "the button Connect now does not wait")
    tap.ok(stack.wait_until(lambda: page.run("return all.length") >= 150), "150 messages come after the connection was lost")
    tap.equal(page.run("return all"), published, "each message is there once and in order after the button Connect now")
    tap.equal(page.message(), "half a sentence", "what was typed is kept while the connection was lost")


def check_gap(page):
    """
    What the page has seen is newer than all that Redis has, as after a failover to one that was behind: the page says so, and
    shows what it has seen and what comes, each message once.
    """
    redis.ask("COPY", "duplex:chat", "behind")
    publish("before the failover")
    tap.ok(stack.wait_until(lambda: texts(page)[0] == "before the failover"), "the page has seen a message that the other Redis has not")
    before = texts(page)
    redis.ask("RENAME", "behind", "duplex:chat")
    for pid in site.endpoints():
        os.kill(pid, 15)
    tap.ok(page.becomes("waiting"), "the connection is lost before a gap")
    page.click("connect")
    tap.ok(page.becomes("open"), "the page comes back after messages were lost")
    missing = "Some messages may be missing."
    tap.ok(stack.wait_until(lambda: page.text("notice") == missing), "the page says that messages may be missing")
    publish("after the gap")  # which is newer than what the page has seen
    shows(page, ["after the gap", *before][:MOST], "it shows what it has seen, and what comes")
    tap.equal(page.text("notice"), missing, "that messages may be missing stays said")
    page.run("tell(element('notice'), '')")


def check_unsent(page):
    """Redis is gone: the page says so and keeps the text; with Redis it comes back."""
    page.run("socket.first = socket.longest = 50")
    page.set_message("kept")
    redis.kill()
    tap.ok(page.becomes("waiting"), "when Redis is gone the connection is lost")
    page.click("send")
    tap.ok(stack.wait_until(lambda: page.text("notice") == "Not sent: status 503. Try again."), "the page says that a message was refused")
    page.run("const { fetch } = window; window.fetch = () => { window.fetch = fetch; return Promise.reject(new TypeError('no')); }")
    page.click("send")
    tap.ok(stack.wait_until(lambda: page.text("notice") == "Not sent: no answer. Try again."), "the page says that a message was not answered")
    tap.equal(page.message(), "kept", "the text of a message that was not sent is kept")
    redis.start()
    tap.ok(page.becomes("open"), "when Redis is back the connection is")

    def is_sent():
        if page.message() == "kept":
            page.click("send")
        return (texts(page)[0], page.message(), page.text("notice")) == ("kept", "", "")

    tap.ok(stack.wait_until(is_sent), "what was typed can be sent when Redis is back")


def check_flood(page):
    """Many at once: 100 are shown, a screen reader hears one sentence a second at most."""
    page.run("window.heard = []; new MutationObserver(() => heard.push(element('live').textContent)).observe(element('live'), { childList: true })")
    page.run("for (let number = 0; number < 5000; number++) receive({ id: Date.now() + '-' + number, text: 'flood ' + number })")
    shows(page, [f"flood {number}" for number in range(4999, 4899, -1)], "of 5,000 the newest 100 are shown")
    tap.ok(stack.wait_until(lambda: page.run("return heard.some((text) => /^5\\d{3} new messages$/.test(text))")), "many new messages are spoken of")
    tap.ok(len(page.run("return heard")) <= 2, "many new messages are spoken of in a sentence or two")
    tap.equal(page.run("return socket.url").rpartition("=")[2][-5:], "-4999", "the connection would go on after what was seen last")


def check_one_is_spoken(page):
    open_page(page)
    stack.wait_until(lambda: texts(page) == ["kept"] and page.text("live") == "kept")
    publish("spoken")
    tap.ok(stack.wait_until(lambda: page.text("live") == "spoken"), "a single message is spoken as it is")


def check_languages(page):
    open_page(page, "zh-CN", "zh", "en")
    tap.equal((page.run("return document.documentElement.lang"), page.driver.title), ("zh-Hans", "聊天"), "a browser that prefers Chinese gets the chat page in Chinese")
    words = page.run("return Array.from(document.querySelectorAll('[data-word]'), (node) => node.textContent)")
    tap.equal([word for word in words if re.search("[a-z]", word, re.I)], ["English"], "the Chinese chat page has nothing in English")
    page.set_message("kept")
    page.click("language")
    tap.equal((page.run("return document.documentElement.lang"), page.text("connect"), page.message(), page.state()), ("en", "Connect now", "kept", "open"),
              "switching the language of the chat page keeps all")
    keys = page.run("return [words.en, words.zh].map((language) => Object.keys(language))")
    tap.equal(sorted(set(keys[0]) - {"source"}), sorted(set(keys[1]) - {"source"}), "both languages say the same")
    page.run("localStorage.clear()")


def check_people(page):
    page.set_screen(320, 640)
    open_page(page)
    tap.equal(page.run("return document.documentElement.scrollWidth"), 320, "at 320 pixels the chat page does not scroll sideways")
    order = []
    for _ in range(6):
        page.press(Keys.TAB)
        order.append(page.focus())
    tap.equal(order, ["Echo", "Chat", "language", "message", "send", "connect"], "Tab goes through all links and controls of the page")
    sizes = page.run("return Array.from(document.querySelectorAll('button, input, a'), (node) => [node.id, node.offsetWidth, node.offsetHeight]).filter(([, width]) => width)")
    tap.equal([size for size in sizes if min(size[1:]) < 44], [], "each link and control of the chat page is at least 44 by 44 pixels")
    nodes = page.cdp("Accessibility.getFullAXTree")["nodes"]
    names = {node["name"]["value"] for node in nodes if not node["ignored"] and node["role"]["value"] in ("button", "textbox")}
    tap.equal(names, {"中文", "Connect now", "Message", "Send"}, "each control of the chat page has a name")
    tap.equal(page.run("return document.querySelectorAll('[style], style, script:not([src])').length"), 0, "the chat page itself has no style and no script")
    page.set_screen(1100, 1200)
    page.driver.save_screenshot(str(stack.BUILD / "chat.png"))


def check_weight():
    size = len(urllib.request.urlopen(site.url("/chat")).read()) + sum((stack.ROOT / "html" / name).stat().st_size for name in CHAT if name != "chat.html")
    tap.ok(size <= 24 * 1024, f"the page with all that it loads: {size} bytes")


def check_leaving(page):
    page.open("about:blank")
    tap.ok(stack.wait_until(lambda: len(site.endpoints()) == 1), "leaving the chat page ends its connection")
    page.driver.back()
    tap.ok(page.becomes("open"), "going back to the chat page opens its connection again")


def check_console(page, name):
    tap.equal([line for line in page.console() if not re.search(EXPECTED, line)], [], f"no error, warning or policy violation in the console of the {name} page")


with Redis() as redis, stack.Stack(DUPLEX_REDIS=redis.address) as site, chromium.start() as driver, chromium.start() as other:
    first, second = Page(driver), Page(other)
    check_send(first, second)
    check_hostile_text(first)
    second.open("about:blank")
    check_resume(first)
    check_away(first)
    check_gap(first)
    check_unsent(first)
    check_flood(first)
    check_one_is_spoken(first)
    check_languages(first)
    check_people(first)
    check_weight()
    open_page(second)
    check_leaving(second)
    check_console(first, "first")
    check_console(second, "second")
    for page in (first, second):
        page.open("about:blank")
    stack.finish(site, "duplex: .*Redis", r"^.* chat: 127\.0\.0\.1: Redis")
tap.done()
