"""The page in Chromium, with what its tests need of it."""
import re

import stack

from selenium.webdriver.common.action_chains import ActionChains

SHARED = ["echo.css", "language.js", "reconnecting-socket.js", "echo.svg"]
FILES = ["echo.html", "echo.js", "cost.js", "words.js", *SHARED]
CHAT = ["chat.html", "chat.css", "chat.js", "chat-words.js", *SHARED]
# for those who take the client, and for who reads
OTHERS = ["reconnecting-socket.mjs", "reconnecting-socket.d.ts", "reconnecting-socket.d.mts", "README.md", "screenshot.png", "screenshot-dark.png"]


class Page:
    def __init__(self, driver):
        self.driver = driver
        self.run = driver.execute_script
        self.user_agent = self.run("return navigator.userAgent")
        driver.get("about:blank")
        driver.get_log("performance")  # of Chromium's own start page

    def open(self, url):
        self.driver.get(url)

    def cdp(self, method, **parameters):
        return self.driver.execute_cdp_cmd(method, parameters)

    def by_id(self, name):
        return self.driver.find_element("id", name)

    def text(self, name):
        return self.by_id(name).text

    def click(self, *names):
        for name in names:
            self.by_id(name).click()

    def press(self, *keys):
        ActionChains(self.driver).send_keys(*keys).perform()

    def set_message(self, text):
        self.run("document.getElementById('message').value = arguments[0]", text)

    def message(self):
        return self.by_id("message").get_attribute("value")

    def state(self):
        return self.by_id("state").get_attribute("data-state")

    def becomes(self, state, seconds=stack.PATIENCE):
        return stack.wait_until(lambda: self.state() == state, seconds)

    def enabled(self):
        return [name for name in ("connect", "close") if self.by_id(name).get_attribute("aria-disabled") != "true"]

    def focus(self):
        return self.run("return document.activeElement.id || document.activeElement.textContent")

    def received(self):
        """What is in the list, newest first, as (way, text)."""
        items = self.run("return Array.from(document.querySelectorAll('#received li'), li => [li.className, li.querySelector('bdi').textContent])")
        return [tuple(item) for item in items]

    def figures(self):
        """What is shown of each way: messages counted, bytes each, bytes in all and ms."""
        shown = self.run("""
            const look = () => tallies.map(({ way, count }) => [count, ...Array.from(
                [...document.querySelectorAll(`.${way} .figure b`), document.querySelector(`#names .${way}`)], (node) => node?.textContent ?? "")]);
            return new Promise((done) => (function drawn() { frame ? requestAnimationFrame(drawn) : done(look()); })())""")
        number = lambda text: float(re.sub(r"[^\d.]", "", text) or 0)
        return {way: [count, number(each), number(total), number(trip)] for way, (count, each, trip, total) in zip(("WebSocket", "HTTP"), shown)}

    def set_languages(self, *languages):
        self.cdp("Emulation.setUserAgentOverride", userAgent=self.user_agent, acceptLanguage=",".join(languages))

    def set_screen(self, width, height, scheme="light"):
        self.cdp("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600)
        self.cdp("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])

    def console(self):
        return [entry["message"] for entry in self.driver.get_log("browser") if not entry["message"].startswith("chrome://")]
