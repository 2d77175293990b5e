#!/usr/bin/python3
"""
The pages below a prefix that a proxy strips, at each of their paths: their files, their WebSocket, HTTP and their links. The
proxy is nginx with the lines of conf/README.md.
"""
import os
import pathlib
import re
import subprocess
import sys
import tempfile

sys.path.insert(0, f"{sys.path[0]}/../lib")
import stack
import tap

stack.need("chromium", "chromedriver", "nginx", "redis-server")
import browser as chromium
from page import Page
from redis_server import Redis

LINES = re.search(r"^### Below a prefix.*?```nginx\n(.*?)```", (stack.ROOT / "conf/README.md").read_text(), re.S | re.M)[1]
CONFIGURATION = """
daemon off; worker_processes 1; pid {directory}/pid; error_log {directory}/error.log error; {user}
events {{ worker_connections 64; }}
http {{
	access_log off;
	client_body_temp_path {directory}/body; proxy_temp_path {directory}/proxy; fastcgi_temp_path {directory}/fastcgi;
	uwsgi_temp_path {directory}/uwsgi; scgi_temp_path {directory}/scgi;
	server {{
		listen 127.0.0.1:{port};
{lines}		location / {{ return 404; }}
	}}
}}
"""


class Front:
    """nginx in front of the stack, which passes /tools/ on without it."""

    def __init__(self, target):
        self.directory = tempfile.TemporaryDirectory()
        path = pathlib.Path(self.directory.name)
        for _ in range(20):
            self.port = stack.free_port()
            user = "user root;" if os.geteuid() == 0 else ""
            lines = LINES.replace("127.0.0.1:8080", f"127.0.0.1:{target}")
            (path / "nginx.conf").write_text(CONFIGURATION.format(directory=path, port=self.port, lines=lines, user=user))
            self.process = subprocess.Popen(["/usr/sbin/nginx", "-e", "stderr", "-p", path, "-c", path / "nginx.conf"],
                                            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            if stack.wait_until(lambda: stack.is_listening(self.port, self.process.pid) or self.process.poll() is not None) and self.process.poll() is None:
                return
        raise RuntimeError("no port is free")

    def url(self, path):
        return f"http://127.0.0.1:{self.port}/tools{path}"

    def __enter__(self):
        return self

    def __exit__(self, *arguments):
        self.process.terminate()
        self.process.wait(10)
        self.directory.cleanup()


def check_echo(path):
    page.open(front.url(path))
    page.click("connect")
    tap.ok(page.becomes("open"), f"{path}: the WebSocket opens")
    page.click("send", "http")
    tap.ok(stack.wait_until(lambda: sorted(page.received()) == [("HTTP", "Hello, World!"), ("WebSocket", "Hello, World!")]), f"{path}: both ways echo")
    tap.equal(page.text("path"), "/tools/echo", f"{path}: the page names its endpoint")


def check_links():
    page.open(front.url("/echo/"))
    page.driver.find_element("link text", "Chat").click()
    tap.ok(page.becomes("open") and page.driver.current_url == front.url("/chat"), "the link to the chat leads there, and it opens")
    page.by_id("message").send_keys("below a prefix")
    page.click("send")
    text = "return document.querySelector('#received bdi')?.textContent"
    tap.ok(stack.wait_until(lambda: page.run(text) == "below a prefix"), "the chat below a prefix sends")
    tap.ok(front.url("/chat") in page.text("curl"), "the chat below a prefix tells the address for curl")
    page.driver.find_element("link text", "Echo").click()
    tap.ok(stack.wait_until(lambda: page.driver.current_url == front.url("/echo")), "the link to the echo page leads back")


with Redis() as redis, stack.Stack(DUPLEX_REDIS=redis.address) as site, Front(site.port) as front, chromium.start() as driver:
    page = Page(driver)
    page.set_languages("en")
    for path in ("/", "/echo", "/echo/", "/serialize/echo/"):
        check_echo(path)
    check_links()
    tap.equal(page.console(), [], "nothing is in the console")
    page.open("about:blank")
    stack.finish(site)
tap.done()
