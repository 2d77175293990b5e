#!/usr/bin/python3
"""The page for people: with a keyboard alone, by a screen reader, in both colour schemes, on a small screen, at rest."""
import re
import sys

sys.path.insert(0, f"{sys.path[0]}/../lib")
import stack
import tap

stack.need("chromium", "chromedriver")
import browser as chromium
from page import Page

from selenium.webdriver.common.keys import Keys

WIDE, PHONE, NARROW = (1280, 800), (390, 844), (320, 640)

# Each piece of text with its contrast by WCAG 2: its colour, and that of the nearest thing behind it that has one.
CONTRAST = """
    const rgb = (colour) => colour.match(/[\\d.]+/g).map((part, index) => part * (colour.startsWith("color(srgb") && index < 3 ? 255 : 1));
    const light = (colour) => rgb(colour).slice(0, 3).map((part) => part / 255)
        .map((part) => part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4)
        .reduce((sum, part, index) => sum + part * [0.2126, 0.7152, 0.0722][index], 0);
    const background = (node) => getComputedStyle(node).backgroundColor;
    const behind = (node) => rgb(background(node))[3] === 0 && node.parentElement ? behind(node.parentElement) : background(node);
    const hasText = (node) => node.value || Array.from(node.childNodes).some((child) => child.nodeType === Node.TEXT_NODE && child.data.trim());
    const texts = Array.from(document.querySelectorAll('body *')).filter((node) => node.checkVisibility() && hasText(node));
    return texts.map((node) => {
        const [a, b] = [light(getComputedStyle(node).color), light(behind(node))].sort((a, b) => b - a);
        return [(node.id || node.className || node.tagName) + ': ' + (node.value || node.textContent).slice(0, 20), (a + 0.05) / (b + 0.05)];
    })"""


def to_state(state):
    """Brings the page there; the other path has no WebSocket."""
    page.run("socket.first = socket.longest = 60000; socket.url = arguments[0]", site.ws_url("/echo" if state == "open" else "/nothing"))
    page.click("close")
    if state != "closed":
        page.click("connect")
    return page.becomes(state)


def check_contrast():
    for scheme in ("light", "dark"):
        page.set_screen(*WIDE, scheme)
        for state in ("closed", "waiting", "open"):
            to_state(state)
            ratios = dict(page.run(CONTRAST))
            low = {text: round(ratio, 2) for text, ratio in ratios.items() if ratio < 4.5}
            tap.equal(low, {}, f"{scheme}, {state}: {len(ratios)} texts, contrast {min(ratios.values()):.2f} at least")
        paper = page.run("return getComputedStyle(document.documentElement).backgroundColor")
        tap.equal(sum(map(int, paper[4:-1].split(","))) > 384, scheme == "light", f"the paper is {scheme} in the {scheme} scheme")


def check_structure():
    selectors = ["h1", "main", "header", "form label[for=message]", "[tabindex]", "[role=status]"]
    counts = [len(page.driver.find_elements("css selector", selector)) for selector in selectors]
    tap.equal(counts, [1, 1, 1, 1, 0, 2], "the page has one h1, main and header, one label, nothing out of the order, and two live regions")
    levels = page.run("return Array.from(document.querySelectorAll('h1, h2, h3, h4'), (node) => node.tagName).join(' ')")
    tap.equal(levels, "H1 H2 H2 H2 H2", "the headings are in order")
    twice = page.run("const ids = Array.from(document.querySelectorAll('[id]'), (node) => node.id); return ids.filter((id, index) => ids.indexOf(id) !== index)")
    tap.equal(twice, [], "no id is used twice")
    styles = page.run("return document.querySelectorAll('[style], style, script:not([src])').length")
    tap.equal(styles, 0, "the page itself has no style and no script")


def tree():
    """What a screen reader is told: (role, name) of each thing."""
    nodes = page.cdp("Accessibility.getFullAXTree")["nodes"]
    return [(node["role"]["value"], node.get("name", {}).get("value", "")) for node in nodes if not node["ignored"]]


def check_screen_reader():
    controls = {name for role, name in tree() if role in ("button", "textbox")}
    names = {"中文", "Message", "Connect", "Send", "Close", "Send HTTP", "Send 10 each way"}
    tap.equal(controls, names, "each control has a name")
    links = [(name, "current" in str(node)) for name, node in ((node["name"]["value"], node["properties"]) for node in page.cdp("Accessibility.getFullAXTree")["nodes"]
             if not node["ignored"] and node["role"]["value"] == "link")]
    tap.equal([name for name, _ in links], ["Echo", "Chat"], "each link has a name")
    languages = page.run("return [element('language').lang, document.documentElement.lang]")
    tap.equal(languages, ["zh-Hans", "en"], "the name of the other language is in that language")
    page.run("window.heard = []; new MutationObserver(() => heard.push(element('live').textContent)).observe(element('live'), { childList: true })")
    to_state("waiting")
    first = page.text("state")
    stack.wait_until(lambda: page.text("state") != first)
    heard = page.run("return heard")
    tap.ok(len(heard) == 2 and re.fullmatch(r"Reconnecting in \d+ s\. Code 1006: .*", heard[1]), f"a change of state is spoken, the seconds are not: {heard}")
    to_state("open")
    page.run("heard.length = 0")
    page.click("compare")
    tap.ok(stack.wait_until(lambda: page.run("return heard.some((text) => /\\d+ messages received/.test(text))")), "what arrives is spoken")
    tap.ok(len(page.run("return heard")) <= 10, "what arrives is spoken in few sentences")


def check_keyboard():
    page.open(site.url())
    order = []
    for _ in range(9):
        page.press(Keys.TAB)
        order.append(page.focus())
        seen = page.run("const style = getComputedStyle(document.activeElement); return style.outlineStyle === 'solid' && parseFloat(style.outlineWidth) >= 2")
        tap.ok(seen, f"{order[-1]} shows that it has the focus")
    tap.equal(order, ["Echo", "Chat", "language", "message", "compare", "send", "connect", "close", "http"], "Tab goes through all links and controls of the page")
    page.run("element('connect').focus()")
    page.press(Keys.SPACE)
    tap.ok(page.becomes("open") and page.focus() == "connect", "connect by the keyboard keeps the focus")
    page.run("element('send').focus()")
    page.press(Keys.ENTER)
    tap.ok(stack.wait_until(lambda: page.received() == [("WebSocket", "Hello, World!")]) and page.focus() == "send", "Send by the keyboard sends, and keeps the focus")
    page.press(Keys.TAB, Keys.TAB, Keys.ENTER)
    tap.ok(page.becomes("closed") and page.focus() == "close", "Close by the keyboard closes, and keeps the focus")
    page.press(Keys.TAB, Keys.ENTER)
    tap.ok(stack.wait_until(lambda: len(page.received()) == 2) and page.focus() == "http", "HTTP by the keyboard sends, and keeps the focus")


def check_targets():
    for language in ("en", "zh"):
        page.run("speak(arguments[0])", language)
        sizes = page.run("return Array.from(document.querySelectorAll('button, input, a'), (node) => [node.id || node.textContent, node.offsetWidth, node.offsetHeight]).filter(([id, , height]) => height)")
        tap.equal([size for size in sizes if min(size[1:]) < 44], [], f"{language}: each control is 44 by 44 pixels at least")
    page.run("speak('en')")


def check_narrow():
    page.set_screen(*NARROW)
    page.open(site.url())
    to_state("open")
    for text in ("W" * 400, "a b " * 100, "\u202e" + "\u5b57" * 300):
        page.set_message(text)
        page.click("send")
        page.click("http")
    stack.wait_until(lambda: len(page.received()) == 6)
    for state in ("open", "waiting", "closed"):
        to_state(state)
        for language in ("en", "zh"):
            page.run("speak(arguments[0])", language)
            tap.equal(page.run("return document.documentElement.scrollWidth"), NARROW[0], f"{state}, {language}: no scrolling sideways at {NARROW[0]} pixels")
    page.run("speak('en')")


SHIFTS = """
    window.shifts = [];
    new PerformanceObserver((list) => shifts.push(...list.getEntries().map((entry) => entry.value))).observe({ type: 'layout-shift', buffered: true })"""


def check_large_text():
    """Text of twice the size on a phone."""
    page.set_screen(*PHONE)
    page.open(site.url())
    page.run("document.documentElement.style.fontSize = '200%'")
    page.click("compare")
    stack.wait_until(lambda: len(page.received()) == 20)
    for language in ("en", "zh"):
        page.run("speak(arguments[0])", language)
        tap.equal(page.run("return document.documentElement.scrollWidth"), PHONE[0], f"{language}: no scrolling sideways with text of twice the size")
    cut = page.run("return Array.from(document.querySelectorAll('button, a, h1, h2, p'), (node) => node.scrollWidth - node.clientWidth > 1 && node.id + node.textContent).filter(Boolean)")
    tap.equal(cut, [], "nothing is cut off with text of twice the size")
    page.run("speak('en')")


def check_first_screen():
    """What a first-time visitor sees without scrolling."""
    for width, height in (WIDE, PHONE):
        page.set_screen(width, height)
        page.open(site.url())
        low = page.run("return Math.max(...Array.from(document.querySelectorAll('#compare, .figure'), (node) => node.getBoundingClientRect().bottom))")
        tap.ok(low <= height, f"{width}x{height}: the main button and the large figures of both ways are on the first screen")


def check_forced_colours():
    page.cdp("Emulation.setEmulatedMedia", features=[{"name": "forced-colors", "value": "active"}])
    page.open(site.url())
    page.click("compare")
    stack.wait_until(lambda: len(page.received()) == 20)
    strokes = page.run("return Array.from(document.querySelectorAll('polyline'), (line) => getComputedStyle(line)).map(({ stroke, strokeDasharray }) => [stroke, strokeDasharray])")
    text = page.run("return getComputedStyle(document.body).color")
    tap.equal([stroke for stroke, _ in strokes], [text] * 2, "with forced colours the lines have that of text")
    tap.ok(len({dash for _, dash in strokes}) == 2, "the lines are told apart without colour")
    page.cdp("Emulation.setEmulatedMedia", features=[])


def check_without_scripts():
    """The page says what can be done without JavaScript, and its form echoes over HTTP."""
    page.cdp("Emulation.setScriptExecutionDisabled", value=True)
    page.open(site.url())
    text = page.by_id("form").find_element("xpath", "..").text
    page.press(Keys.TAB)
    buttons = [button.text for button in page.driver.find_elements("css selector", "button") if button.is_displayed()]
    tap.equal(buttons, ["Send"], "without JavaScript there is one button, which works")
    tap.ok("curl -G --data-urlencode" in text and "One URL, both ways" in text, "without JavaScript the page says what curl can do")
    page.by_id("message").send_keys(" <b>&amp;")
    page.driver.find_element("css selector", "noscript button").click()
    tap.ok(stack.wait_until(lambda: "message=" in page.driver.current_url), "without JavaScript the form asks the endpoint")
    page.cdp("Emulation.setScriptExecutionDisabled", value=False)
    tap.equal(page.driver.find_element("css selector", "body").text, "Hello, World! <b>&amp;", "without JavaScript the form echoes over HTTP")


def check_shifts():
    for width, height in (WIDE, PHONE, NARROW):
        page.set_screen(width, height)
        for languages in (["en"], ["zh"]):
            page.set_languages(*languages)
            page.open(site.url())
            page.run(SHIFTS)
            for state in ("open", "closed", "waiting", "open", "closed"):
                to_state(state)
                page.click("send")
                page.run("return new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
            sum_of = page.run("return shifts.reduce((sum, value) => sum + value, 0)")
            tap.ok(sum_of < 0.01, f"{width} pixels, {languages[0]}: nothing moves: {sum_of:.4f}")


def take_pictures():
    page.set_languages("en")
    page.set_screen(*WIDE)
    page.open(site.url())
    to_state("open")
    page.click("compare")
    stack.wait_until(lambda: len(page.received()) == 20)
    for scheme in ("light", "dark"):
        for name, size in (("wide", WIDE), ("phone", PHONE)):
            page.set_screen(*size, scheme)
            page.driver.save_screenshot(str(stack.BUILD / f"page-{scheme}-{name}.png"))


with stack.Stack() as site:
    with chromium.start() as driver:
        page = Page(driver)
        page.set_languages("en")
        page.set_screen(*WIDE)
        page.open(site.url())
        check_structure()
        check_screen_reader()
        check_contrast()
        check_targets()
        check_keyboard()
        check_narrow()
        check_large_text()
        check_first_screen()
        check_forced_colours()
        check_without_scripts()
        check_shifts()
        take_pictures()
        failed = [message for message in page.console() if "/nothing' failed" not in message and "favicon.ico" not in message]  # of the text that is echoed
        tap.equal(failed, [], "there is nothing else in the console")
    stack.finish(site)
tap.done()
