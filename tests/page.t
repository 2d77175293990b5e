#!/usr/bin/python3
"""The page in Chromium, through the whole stack: each button, hostile text, and no request to anywhere else."""
import os
import re

import stack
import tap

stack.need("chromium", "chromedriver")
import browser as chromium


def by_id(name):
    return browser.find_element("id", name)


def click(name):
    by_id(name).click()


def type_message(text):
    browser.execute_script("document.getElementById('message').value = arguments[0]", text)


def received():
    """What is in the list, newest first, as (way, text)."""
    return [tuple(item) for item in browser.execute_script(
        "return Array.from(document.querySelectorAll('#received li'), li => [li.querySelector('b').textContent, li.querySelector('span').textContent])")]


def state():
    return by_id("state").get_attribute("data-state")


def enabled():
    return [name for name in ("connect", "send", "close", "http") if by_id(name).is_enabled()]


def check_buttons(path):
    browser.get(site.url(path))
    tap.equal((state(), enabled()), ("closed", ["connect", "http"]), f"{path}: not connected")
    tap.equal(by_id("message").get_attribute("value"), "Hello, World!", "the message")
    click("http")
    tap.ok(stack.wait_until(lambda: received() == [("HTTP", "Hello, World!")]), "sent over HTTP")
    click("connect")
    tap.ok(stack.wait_until(lambda: state() == "open"), "connect opens it")
    tap.equal(enabled(), ["send", "close", "http"], "what can be done when it is open")
    type_message("first")
    click("send")
    tap.ok(stack.wait_until(lambda: received()[0] == ("WebSocket", "first")), "sent over WebSocket, newest first")
    type_message("second")
    by_id("message").send_keys("\n")
    tap.ok(stack.wait_until(lambda: received()[0] == ("WebSocket", "second")), "Enter sends")
    tap.equal(len(received()), 3, "and no more came")
    click("close")
    tap.ok(state() == "closed" and enabled() == ["connect", "http"], "close closes it")
    tap.ok(stack.wait_until(lambda: not site.endpoints(), 5), "and ends its process")
    click("connect")
    tap.ok(stack.wait_until(lambda: state() == "open"), "it can be opened again")


def check_leaving():
    """A browser keeps pages to go back to; a connection must not be kept with them."""
    browser.get("about:blank")
    tap.ok(stack.wait_until(lambda: not site.endpoints(), 5), "to leave the page closes its connection")
    browser.back()
    tap.ok(stack.wait_until(lambda: state() == "closed"), "and to go back shows that it is closed")
    click("connect")
    tap.ok(stack.wait_until(lambda: state() == "open"), "to be opened again")


def check_hostile_text():
    texts = ["<img src=x onerror=\"document.title='broken'\">", "<script>document.title='broken'</script>", "&lt;b&gt;", "\u202egnirts", "a\rb" * 3,
             "\U0001F600", "", "x" * 1048576]
    for text in texts:
        shown = text.replace("\r", "")  # the field is one line
        type_message(text)
        count = len(received())
        click("send")
        click("http") if len(text) < 1000 else None
        wanted = 2 if len(text) < 1000 else 1
        tap.ok(stack.wait_until(lambda: len(received()) == count + wanted, 30), f"{text[:20]!r}, {len(text)} characters, comes back")
        tap.equal({item[1] for item in received()[:wanted]}, {shown}, "as the text that it is")
    tap.ok(browser.title != "broken" and not browser.find_elements("css selector", "#received img, #received script"), "nothing of it is HTML")


def check_server_gone():
    """The server drops the connection; the page says so."""
    for pid in site.endpoints():
        os.kill(pid, 15)
    tap.ok(stack.wait_until(lambda: state() == "closed"), "a connection that is lost is shown as closed")
    tap.ok("1006" in by_id("state").text, "with its code")


def check_log():
    tap.equal(browser.get_log("browser"), [], "no error, warning or policy violation in the console")
    log = "".join(entry["message"] for entry in browser.get_log("performance"))
    hosts = set(re.findall(r'"url":"(?:https?|wss?)://([^/"]+)', log))
    tap.equal(hosts, {f"127.0.0.1:{site.port}"}, "no request to another host")


with stack.Stack() as site:
    with chromium.start() as browser:
        browser.get("about:blank")
        browser.get_log("performance")  # of Chromium's own start page
        check_buttons("/echo")
        check_buttons("/")
        check_buttons("/serialize/echo/")
        check_leaving()
        check_hostile_text()
        check_server_gone()
        check_log()
        browser.save_screenshot(str(stack.BUILD / "page.png"))
    stack.finish(site)
tap.done()
