"""What a visitor does with the pages, in any browser: a window has open, back, run and press."""
import contextlib
import subprocess

import stack
import tap
from forwarder import Forwarder
from redis_server import Redis

TAB, ENTER = "\ue004", "\ue007"
DEAD_WEBSOCKETS = lambda is_websocket, is_old: is_websocket and is_old
RECEIVED = "return Array.from(document.querySelectorAll('#received bdi'), (bdi) => bdi.textContent)"


def becomes(window, state, seconds=stack.PATIENCE):
    return stack.wait_until(lambda: window.run("return element('state').dataset.state") == state, seconds)


def has(window, script, wanted, seconds=stack.PATIENCE):
    """Whether the script comes to return that; it may fail while the page is being loaded."""
    def holds():
        with contextlib.suppress(RuntimeError):
            return window.run(script) == wanted
    return stack.wait_until(holds, seconds)


def click(window, name):
    window.run(f"element('{name}').click()")


def check_echo(window, site):
    window.open(site.url("/echo"))
    tap.equal(window.run("return [document.title, element('compare').textContent, element('state').dataset.state]"), ["One URL, both ways", "Send 10 each way", "closed"],
              "the page is there, in English")
    click(window, "connect")
    tap.ok(becomes(window, "open"), "Connect opens the connection")
    click(window, "send")
    tap.ok(has(window, RECEIVED, ["Hello, World!"]), "Send sends over WebSocket")
    click(window, "http")
    tap.ok(has(window, RECEIVED, ["Hello, World!"] * 2), "Send sends over HTTP")
    click(window, "close")
    tap.ok(becomes(window, "closed") and stack.wait_until(lambda: not site.endpoints()), "Close closes, and ends the process")
    click(window, "compare")
    tap.ok(has(window, "return [element('result').textContent.startsWith('11 messages: HTTP used '), document.querySelectorAll('#received li').length]", [True, 22]),
           "Send 10 each way connects by itself")
    each, trip, step = window.run("return [...Array.from(document.querySelectorAll('.WebSocket .figure b'), (node) => node.textContent), step]")
    tap.equal(each, "34", "a message over WebSocket is 34 bytes")
    tap.ok(step < 1 or "." not in trip, f"the round trip is not told more exactly than the clock is: {trip}, and the clock's step is {step} ms")


def check_reconnect(window, site):
    window.run("socket.first = 100; element('message').value = 'kept'")
    before = site.endpoints()
    for pid in before:
        subprocess.run(["kill", str(pid)])
    tap.ok(stack.wait_until(lambda: site.endpoints() and not set(before) & set(site.endpoints())) and becomes(window, "open"), "a connection that was lost comes back")
    tap.equal(window.run("return element('message').value"), "kept", "what was typed is kept while the connection is lost")


def check_keyboard(window):
    window.run("document.activeElement.blur(); element('message').focus(); element('message').setSelectionRange(4, 4)")
    window.press("x", ENTER)
    tap.ok(has(window, RECEIVED + ".at(0)", "keptx"), f"Enter in the field sends: {window.run(RECEIVED + '.slice(0, 3)')}")
    window.press(TAB, TAB)
    tap.equal(window.run("return document.activeElement.id"), "send", "Tab goes from the field to the buttons")
    window.press(ENTER)
    tap.ok(has(window, RECEIVED + ".slice(0, 2)", ["keptx", "keptx"]), "Enter presses the button that has the focus")


def check_language(window, site):
    click(window, "language")
    tap.equal(window.run("return [document.documentElement.lang, element('connect').textContent, element('state').textContent]"), ["zh-Hans", "连接", "已连接"], "the page can be switched to Chinese")
    window.open(site.url("/echo"))
    tap.equal(window.run("return document.documentElement.lang"), "zh-Hans", "the language is remembered")
    click(window, "language")
    tap.equal(window.run("return [document.documentElement.lang, element('connect').textContent]"), ["en", "Connect"], "the page can be switched to English again")


def check_back(window, site):
    """The page is as it was: what came, the figures, what was typed. Firefox keeps no page whose WebSocket is open, and loads it anew."""
    shown = """return [document.title, element('message').value, document.querySelectorAll('#received li').length,
                       Array.from(document.querySelectorAll('.figure b'), (node) => node.textContent)]"""
    window.run("element('message').value = 'left alone'")
    click(window, "compare")
    has(window, "return element('compare').ariaDisabled === 'false' && !frame", True, 60)
    click(window, "close")
    becomes(window, "closed")
    stack.wait_until(lambda: site.clients() == 0)  # the page may say so before the browser's connection has gone
    before = window.run(shown)
    window.open(site.url("/chat"))
    window.back()
    tap.ok(has(window, shown, before), f"after Back the page is as it was: {before}")
    click(window, "connect")
    becomes(window, "open")
    window.open(site.url("/chat"))
    window.back()
    tap.ok(has(window, "return [document.title, element('compare').textContent]", ["One URL, both ways", "Send 10 each way"]), "Back leads to a page that works, if its connection was open")


def check_chat(one, two, site):
    for window in (one, two):
        window.open(site.url("/chat"))
        tap.ok(becomes(window, "open"), "the chat connects by itself")
    for window, other, text in ((one, two, "from one"), (two, one, "from two")):
        window.run(f"element('message').value = '{text}'")
        click(window, "send")
        tap.ok(has(window, RECEIVED + ".at(0)", text) and has(other, RECEIVED + ".at(0)", text), f"two windows: {text}")
    tap.equal(one.run("return document.querySelector('#received .own bdi').textContent"), "from one", "what a window sent itself is marked")


def check_half_open(window, forwarder):
    window.open(f"http://127.0.0.1:{forwarder.port}/chat")
    becomes(window, "open")
    forwarder.freeze(DEAD_WEBSOCKETS)
    window.run("element('message').value = 'half open'")
    click(window, "send")
    tap.ok(has(window, RECEIVED + ".at(0)", "half open", 60), "a connection that is dead is noticed and opened again")
    forwarder.thaw()


def visit(browser):
    """The whole of a test: the pages in this browser."""
    stack.need("redis-server")
    with Redis() as redis, stack.Stack(DUPLEX_REDIS=redis.address) as site:
        with browser.start() as window, Forwarder(site.port) as forwarder:
            one = window()
            check_echo(one, site)
            check_reconnect(one, site)
            check_keyboard(one)
            check_language(one, site)
            check_back(one, site)
            check_chat(one, window(), site)
            check_half_open(one, forwarder)
        stack.finish(site)
    tap.done()
