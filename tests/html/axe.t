#!/usr/bin/python3
"""The pages as axe-core sees them: nothing against WCAG's levels A and AA, in both colour schemes, languages and sizes."""
import sys

sys.path.insert(0, f"{sys.path[0]}/../lib")
import stack
import tap

stack.need("chromium", "chromedriver", "redis-server")
import browser as chromium
from page import Page
from redis_server import Redis

AXE = sorted((stack.BUILD / "axe").glob("axe-*.js")) or sorted((stack.ROOT / "build/axe").glob("axe-*.js"))
REASON = stack.ROOT / "build/axe/reason"
if not AXE:
    tap.skip_all(f"axe-core is not there: {REASON.read_text().partition(chr(10))[0] if REASON.exists() else 'make deps-check fetches it'}")

RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
RUN = """
    const [rules, done] = arguments;
    axe.run(document, { runOnly: rules, resultTypes: ["violations"] }).then(
        ({ violations, passes }) => done({ passes: passes.length, violations: violations.map(({ id, nodes }) => [id, ...nodes.map(({ target }) => target.join(" "))]) }),
        (error) => done({ passes: 0, violations: [String(error)] }));"""


def check(name):
    page.run(AXE[-1].read_text())
    found = page.driver.execute_async_script(RUN, RULES)
    tap.ok(found["passes"] > 10, f"{name}: {found['passes']} rules hold")
    tap.equal(found["violations"], [], f"{name}: no rule is violated")


def check_echo(name):
    check(f"{name}, as it is found")
    page.click("compare")
    stack.wait_until(lambda: len(page.received()) == 20)
    page.run("return new Promise((done) => update() ?? requestAnimationFrame(() => requestAnimationFrame(done)))")
    check(f"{name}, after 10 each way")
    page.run("socket.first = 60000; socket.url = arguments[0]; socket.reconnect()", site.ws_url("/nothing"))
    page.becomes("waiting")
    page.click("send")
    check(f"{name}, with the connection lost")


def check_chat(name):
    page.becomes("open")
    page.by_id("message").send_keys("hello")
    page.click("send")
    stack.wait_until(lambda: page.run("return document.querySelector('.own')"))
    page.run("receive({ id: Date.now() + '-0', text: 'long '.repeat(1000) }); setApart('not sent'); tell(element('notice'), 'unsent', 503); tell(element('polling'), 'polling', 2)")
    page.run("return new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    check(name)


with Redis() as redis, stack.Stack(DUPLEX_REDIS=redis.address) as site, chromium.start() as driver:
    page = Page(driver)
    for language in ("en", "zh-CN"):
        page.set_languages(language)
        for size in ((1280, 800), (390, 844)):
            for scheme in ("light", "dark"):
                page.set_screen(*size, scheme)
                for path, function in (("/echo", check_echo), ("/chat", check_chat)):
                    page.open(site.url(path))
                    function(f"{path}, {language}, {size[0]} pixels, {scheme}")
    page.open("about:blank")
    stack.finish(site)
tap.done()
