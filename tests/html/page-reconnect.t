#!/usr/bin/python3
"""The page when websocketd goes and returns."""
import re
import sys

sys.path.insert(0, f"{sys.path[0]}/../lib")
import stack
import tap

stack.need("chromium", "chromedriver")
import browser as chromium
import sites
from page import Page

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
    tap.ok(counts_down(), "while the page waits it counts down")
    tap.equal(page.text("why"), "Code 1006: lost without a close frame.", "while the page waits it shows why the connection ended")
    tap.equal((page.message(), page.focus()), ("half a sen", "message"), "what was typed and the focus are kept")
    page.press("tence")
    tap.equal(page.message(), "half a sentence", "typing goes on while the page waits")
    page.press("\n")
    tap.ok("Not sent" in page.text("notice"), "to send says that it cannot")
    page.run("socket.first = 100")
    site.start_websocketd()
    tap.ok(page.becomes("open"), "websocketd is back: so is the connection")
    tap.equal((page.message(), page.focus(), page.text("why")), ("half a sentence", "message", ""), "the text and the focus are kept when the connection is back")
    page.press("\n")
    tap.ok(stack.wait_until(lambda: page.received() == [("WebSocket", "half a sentence")]), "what was typed can be sent then, and nothing else was sent")


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
    tap.ok("not opened" in page.text("why"), "a connection that did not open is told apart from one that was lost")
    site.start_websocketd()
    tap.ok(stack.wait_until(connects, 30), "connect does not wait")
    page.click("close")
    tap.ok(stack.wait_until(lambda: not site.endpoints()), "after close there is no connection")
    tap.equal(page.state(), "closed", "after close no connection is tried")


def check_console():
    messages = page.console()
    expected = [message for message in messages if "WebSocket connection to" in message]
    tap.equal([message for message in messages if message not in expected], [], f"nothing in the console but {len(expected)} attempts that failed")


with sites.Site("lighttpd") as site:
    with chromium.start() as driver:
        page = Page(driver)
        page.open(site.url("/echo"))
        check_lost()
        check_close_while_waiting()
        check_console()
tap.done()
