#!/usr/bin/python3
"""
A path that an access rule of a site denies has no other spelling that the rule does not know and the programs do: neither an
endpoint, run in both ways, nor the FastCGI program is reached by one.
"""
import concurrent.futures
import contextlib
import shutil
import socket
import sys

sys.path.insert(0, f"{sys.path[0]}/../lib")
import frames
import hostile
import sites
import stack
import tap

VIEW = "/echo/variables"  # of tests/views, which stands in for the echo
FILE = "/echo/echo.js"

# the edit that writes a rule for exactly these two paths
RULES = {
    "nginx": ("\t\tinclude @DIR@/duplex.conf;", f"\t\tinclude @DIR@/duplex.conf;\n\t\tlocation = {VIEW} {{ return 403; }}\n\t\tlocation = {FILE} {{ return 403; }}"),
    "apache": ('\tInclude "@DIR@/duplex.conf"\n', f'\tInclude "@DIR@/duplex.conf"\n<LocationMatch "^({VIEW}|{FILE})$">\nRequire all denied\n</LocationMatch>\n'),
    "lighttpd": ('include "duplex.conf"', f'include "duplex.conf"\n$HTTP["url"] =~ "^({VIEW}|{FILE})$" {{ url.access-deny = ( "" ) }}'),
    "caddy": ("handle @duplex {", f"handle @duplex {{\n@denied path {VIEW} {FILE}\nerror @denied 403\n"),
    "haproxy": ("\n\tacl duplex path_reg", f"\n\thttp-request deny if {{ path {VIEW} {FILE} }}\n\tacl duplex path_reg"),
}

SPELLINGS = ("/echo/{}%20", "/echo/{}%09", "/echo/{}%0a", "/echo/{}%0D%0A", "/echo/{}%c2%a0", "/echo/{}%e2%80%83", "/echo/{}%E3%80%80%20", "/echo/{}%00", "/echo/%20{}",
             "/echo/{}%7f", "/echo%2fx/echo/{}", "/echo%2Fecho/{}", "/echo%2f{}", "/echo/x%2f..%2f{}", "/echo/%2e/{}", "/echo//{}", "//echo/{}", "/echo/./{}", "/echo/x/../{}",
             "/%65cho/{}", "/ECHO/{}", "/serialize/../echo/{}", "/serialize/echo/../../echo/{}", "/echo/{}/", "/echo/{}/.", "/echo/{}/x/..", "/echo/{};x", "/echo/{}?", "/echo/{}%3f",
             "/echo/{}%23", "/echo/{}%5c", "/x/echo/{}", "http://localhost/echo/{}")


def spellings(path):
    """Other spellings of a path, among them each of its letters escaped."""
    name = path.removeprefix("/echo/")
    return [spelling.format(name) for spelling in SPELLINGS] + [f"/echo/{name[:at]}%{ord(letter):02x}{name[at + 1:]}" for at, letter in enumerate(name)]


def is_reached(site, path):
    """Whether a WebSocket to a path comes to the view, which tells what it is asked for."""
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", site.http), timeout=30) as client:
        client.sendall(hostile.request(site, *hostile.SHAKE, path=path))
        got = b""
        while not hostile.is_told(got) and b" 101 " not in got and (part := client.recv(4096)):
            got += part
        if hostile.status_of(got) != 101:
            return False
        client.sendall(frames.text(b"PATH_INFO"))
        while b"variables" not in got and (part := client.recv(4096)):
            got += part
        return b"variables" in got
    return False


def is_served(site, path):
    """Whether a file is answered to a path."""
    answer = hostile.converse(site.http, hostile.request(site, "Connection: close", path=path), lambda got: False)
    return hostile.status_of(answer) == 200 and b"ReconnectingSocket" in answer


def passing(site, reaches, path):
    """The spellings of a path by which something is reached, and the path itself if it is."""
    paths = [path, *spellings(path)]
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        return [path for path, is_there in zip(paths, pool.map(lambda path: reaches(site, path), paths)) if is_there]


def check(site):
    program = site.directory / "views/echo"
    program.parent.mkdir()
    program.parent.chmod(0o755)
    shutil.copy(stack.BUILD / "tests/views", program)
    site.stop_endpoints()
    site.start_resident(directory="views") if site.resident else site.start_websocketd("views")
    stack.wait_until(lambda: is_reached(site, VIEW))
    tap.ok(is_reached(site, VIEW) and is_served(site, FILE), "without a rule the view is reached, and the file is served")
    site.stop("server")
    site.configure(RULES[site.name])
    tap.ok(site.start_server(), "the server starts with the rule")
    tap.equal(passing(site, is_reached, VIEW), [], f"no spelling of {VIEW} passes the rule")
    tap.equal(passing(site, is_served, FILE), [], f"no spelling of {FILE} passes the rule")
    tap.ok(hostile.handshake(site, path="/echo/")[0] == 101 and sites.ask(site, "/echo").status == 200, "other paths are served")


for name in sites.SERVERS:
    for way in sites.WAYS:
        tap.prefix = f"{name}, {way}: "
        with sites.Site(name, idle=60, way=way) as one:
            check(one)
tap.done()
