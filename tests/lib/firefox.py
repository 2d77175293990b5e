"""Firefox ESR for a test, by its own WebDriver BiDi port, with a profile that is thrown away."""
import contextlib
import json
import os
import re
import socket
import subprocess
import tempfile

import frames
import stack
import talk

stack.need("firefox-esr")

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


class Connection(talk.Client):
    """Commands to the browser, one after the other; those that it cannot do raise."""

    def __init__(self, port):
        self.number = 0
        self.socket = socket.create_connection(("127.0.0.1", port), 60)
        # Firefox answers if the host is its own, port included.
        self.socket.sendall(frames.HANDSHAKE.replace(b"/echo", b"/session").replace(b"localhost", b"localhost:%d" % port))
        self.buffer = b""
        while b"\r\n\r\n" not in self.buffer and self.fill():
            pass
        self.buffer = self.buffer.partition(b"\r\n\r\n")[2]

    def __call__(self, method, **parameters):
        self.number += 1
        self.send(json.dumps({"id": self.number, "method": method, "params": parameters}))
        while (answer := json.loads(self.read(60))).get("id") != self.number:
            pass  # an event
        if "error" in answer:
            raise RuntimeError(f"{method}: {answer['error']}: {answer['message']}")
        return answer["result"]


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
            port = lambda: re.search(rb"WebDriver BiDi listening on ws://[^:]+:(\d+)", os.pread(log.fileno(), 1 << 20, 0))
            if not stack.wait_until(port, 120):
                raise RuntimeError("Firefox does not start")
            ask = Connection(int(port()[1]))
            ask("session.new", capabilities={})
            yield lambda: Window(ask, ask("browsingContext.create", type="window")["context"])
            with contextlib.suppress(Exception):
                ask("browser.close")
            ask.close()
        finally:
            process.terminate()
            process.wait(30)
