"""WebKitGTK's MiniBrowser for a test, by W3C WebDriver, on a display of its own."""
import contextlib
import glob
import json
import os
import subprocess
import tempfile
import urllib.error
import urllib.request

import stack
import tap

stack.need("WebKitWebDriver", "Xvfb")
BROWSERS = glob.glob("/usr/lib/*/webkit2gtk-4.*/MiniBrowser")
if not BROWSERS:
    tap.skip_all("WebKitGTK's MiniBrowser is not installed")


class Session:
    def __init__(self, port):
        self.url = f"http://127.0.0.1:{port}/session"
        options = {"binary": sorted(BROWSERS)[-1], "args": ["--automation"]}
        capabilities = {"alwaysMatch": {"webkitgtk:browserOptions": options}}
        self.url += "/" + self.ask("", capabilities=capabilities)["sessionId"]

    def ask(self, path, method="POST", **parameters):
        data = json.dumps(parameters).encode() if method == "POST" else None
        request = urllib.request.Request(self.url + path, data, {"Content-Type": "application/json"}, method=method)
        try:
            return json.loads(urllib.request.urlopen(request, timeout=60).read())["value"]
        except urllib.error.HTTPError as error:
            raise RuntimeError(f"{path}: {error.read().decode()}")


class Window:
    def __init__(self, session, handle):
        self.session = session
        self.handle = handle

    def ask(self, path, **parameters):
        self.session.ask("/window", handle=self.handle)
        return self.session.ask(path, **parameters)

    def open(self, url):
        self.ask("/url", url=url)

    def back(self):
        self.ask("/back")

    def run(self, script):
        """The value of the script's return, by way of JSON."""
        told = self.ask("/execute/async", args=[], script=f"""
            const done = arguments[0];
            (async () => {{ {script} }})().then((value) => done(JSON.stringify({{ value }})), (error) => done(JSON.stringify({{ error: `${{error}}` }})));""")
        answer = json.loads(told)
        if "error" in answer:
            raise RuntimeError(answer["error"])
        return answer.get("value")

    def press(self, *keys):
        actions = [{"type": kind, "value": key} for key in keys for kind in ("keyDown", "keyUp")]
        self.ask("/actions", actions=[{"type": "key", "id": "keys", "actions": actions}])


@contextlib.contextmanager
def display():
    """The name of a display that nobody else has."""
    reader, writer = os.pipe()
    process = subprocess.Popen(["Xvfb", "-displayfd", str(writer), "-screen", "0", "1280x1000x24", "-nolisten", "tcp"], pass_fds=[writer],
                               stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    os.close(writer)
    try:
        yield f":{os.read(reader, 16).decode().strip()}"
    finally:
        os.close(reader)
        process.terminate()
        process.wait(30)


@contextlib.contextmanager
def start(language="en"):
    """The browser: a function that opens a further window."""
    with tempfile.TemporaryDirectory() as home, display() as name:
        port = stack.free_port()
        environment = {**os.environ, "DISPLAY": name, "HOME": home, "XDG_RUNTIME_DIR": home, "GDK_BACKEND": "x11", "NO_AT_BRIDGE": "1",
                       "LANGUAGE": language, "LC_ALL": "C.UTF-8", "GIO_USE_VFS": "local", "GSETTINGS_BACKEND": "memory", "LIBGL_ALWAYS_SOFTWARE": "1",
                       "WEBKIT_DISABLE_COMPOSITING_MODE": "1"}
        log = tempfile.TemporaryFile()
        process = subprocess.Popen(["WebKitWebDriver", f"--port={port}"], env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            stack.wait_until(lambda: stack.is_listening(port, process.pid), 60)
            session = Session(port)
            yield lambda: Window(session, session.ask("/window/new", type="window")["handle"])
            with contextlib.suppress(Exception):
                session.ask("", method="DELETE")
        finally:
            process.terminate()
            process.wait(30)
