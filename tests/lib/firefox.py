"""Firefox ESR for a test, by its own WebDriver BiDi port, with a profile that is thrown away."""
import asyncio
import contextlib
import json
import os
import re
import subprocess
import tempfile
import threading

import stack
import tap

stack.need("firefox-esr")
try:
    import websockets
except ImportError:
    tap.skip_all("python3-websockets is not installed")

PREFERENCES = """
user_pref("app.update.enabled", false);
user_pref("browser.shell.checkDefaultBrowser", false);
user_pref("datareporting.policy.dataSubmissionEnabled", false);
user_pref("toolkit.telemetry.enabled", false);
user_pref("network.captive-portal-service.enabled", false);
user_pref("network.connectivity-service.enabled", false);
user_pref("browser.region.network.url", "");
user_pref("services.settings.server", "");
user_pref("intl.accept_languages", "en");
"""


class Connection:
    """Commands to the browser; those that it cannot do raise."""

    def __init__(self, url):
        self.loop = asyncio.new_event_loop()
        threading.Thread(target=self.loop.run_forever, daemon=True).start()
        self.answers = {}
        self.wait(self.connect(url))

    def wait(self, coroutine, seconds=60):
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(seconds)

    async def connect(self, url):
        self.socket = await websockets.connect(url, max_size=None)
        self.reader = asyncio.ensure_future(self.read())

    async def read(self):
        with contextlib.suppress(websockets.ConnectionClosed):
            async for text in self.socket:
                message = json.loads(text)
                if message.get("id") in self.answers:
                    self.answers.pop(message["id"]).set_result(message)

    async def ask(self, method, parameters):
        number = id(parameters)
        answer = self.answers[number] = self.loop.create_future()
        await self.socket.send(json.dumps({"id": number, "method": method, "params": parameters}))
        return await answer

    def __call__(self, method, **parameters):
        answer = self.wait(self.ask(method, parameters))
        if "error" in answer:
            raise RuntimeError(f"{method}: {answer['error']}: {answer['message']}")
        return answer["result"]

    def close(self):
        self.wait(self.socket.close())
        self.loop.call_soon_threadsafe(self.loop.stop)


class Window:
    def __init__(self, ask, context):
        self.ask = ask
        self.context = context

    def open(self, url):
        self.ask("browsingContext.navigate", context=self.context, url=url, wait="complete")

    def back(self):
        self.ask("browsingContext.traverseHistory", context=self.context, delta=-1)

    def run(self, script):
        """The value of the script's return, by way of JSON."""
        result = self.ask("script.evaluate", expression=f"(async () => JSON.stringify(await (async () => {{ {script} }})()))()", awaitPromise=True,
                          target={"context": self.context})
        if result["type"] == "exception":
            raise RuntimeError(result["exceptionDetails"]["text"])
        return json.loads(result["result"].get("value", "null"))

    def press(self, *keys):
        self.ask("browsingContext.activate", context=self.context)
        actions = [{"type": kind, "value": key} for key in keys for kind in ("keyDown", "keyUp")]
        self.ask("input.performActions", context=self.context, actions=[{"type": "key", "id": "keys", "actions": actions}])


@contextlib.contextmanager
def start(language="en"):
    """The browser: a function that opens a further window."""
    with tempfile.TemporaryDirectory() as profile:
        with open(f"{profile}/user.js", "w") as file:
            file.write(PREFERENCES.replace('"en"', f'"{language}"'))
        log = tempfile.TemporaryFile("w+")
        process = subprocess.Popen(["firefox-esr", "--headless", "--no-remote", "--remote-debugging-port", "0", "--profile", profile],
                                   env={**os.environ, "HOME": profile}, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            port = lambda: re.search(rb"WebDriver BiDi listening on (ws://\S+)", os.pread(log.fileno(), 1 << 20, 0))
            if not stack.wait_until(port, 120):
                raise RuntimeError("Firefox does not start")
            ask = Connection(port()[1].decode() + "/session")
            ask("session.new", capabilities={})
            yield lambda: Window(ask, ask("browsingContext.create", type="window")["context"])
            with contextlib.suppress(Exception):
                ask("browser.close")
            with contextlib.suppress(Exception):
                ask.close()
        finally:
            process.terminate()
            process.wait(30)
