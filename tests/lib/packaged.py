"""What duplex(7) of an installed package tells an administrator to type, and whether the site then answers."""
import asyncio
import gzip
import re
import subprocess

import rfc6455

ENABLE, RESIDENT = "Put it behind a web server", "Make an endpoint resident"
SERVICES = {"Apache": "apache2", "lighttpd": "lighttpd"}
# what the manual tells the administrator to write, which is not the package's to remove
WRITTEN = {"Apache": "etc/apache2/conf-enabled/duplex-resident.conf", "lighttpd": "etc/lighttpd/duplex-local.conf"}
CHECKS = {"Apache": "apache2ctl configtest", "lighttpd": "lighttpd -tt -f /etc/lighttpd/lighttpd.conf"}
UNITS = ("duplex-resident@echo.socket", "duplex-ws", "duplex-fcgi.socket")


def commands(root, section, server):
    """The lines of a section of the manual that are for this server, in a system that has its root directory there."""
    text = gzip.decompress((root / "usr/share/man/man7/duplex.7.gz").read_bytes()).decode()
    section = re.search(rf"^\.Ss {section}\n(.*?)^\.Ss", text, re.S | re.M)[1]
    lines = re.search(rf"behind {server}:\n\.Bd [^\n]*\n(.*?)^\.Ed", section, re.S | re.M | re.I)[1]
    return lines.replace(r"\(aq", "'").replace(r"\(dq", '"').replace(r"\e", "\\").splitlines()


async def converse():
    async with rfc6455.connect("ws://localhost/echo", origin="http://localhost") as client:
        await client.send("a\nb")
        return await asyncio.wait_for(client.recv(), 60)


def message():
    """What a WebSocket client gets back of a message with a newline: by websocketd the first line of it, resident all."""
    try:
        return asyncio.run(converse())
    except (OSError, ValueError) as error:
        return error


def echo():
    result = subprocess.run(["curl", "-qs", "-m", "60", "http://localhost/echo?message=Hello%2C+World%21"], capture_output=True, text=True)
    return result.stdout


def is_quiet():
    return ":80 " not in subprocess.run(["ss", "-Hltn"], capture_output=True, text=True).stdout
