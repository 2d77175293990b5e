#!/usr/bin/python3
"""
conf/haproxy.cfg beside Debian's own haproxy.cfg, which has a chroot: HAProxy looks for the sockets in there, and finds them
where the lines of duplex(7) have systemd make them.
"""
import os
import pathlib
import re
import sys

sys.path.insert(0, f"{sys.path[0]}/../lib")
import hostile
import sites
import stack
import tap

STOCK = pathlib.Path("/etc/haproxy/haproxy.cfg")
stack.need("haproxy")
if os.geteuid() != 0:
    tap.skip_all("only root can start HAProxy in a chroot")


def check_manual():
    """The chroot, the socket in the fragment and the socket of the manual's drop-in fit together."""
    chroot = re.search(r"^\s*chroot (\S+)", STOCK.read_text(), re.M)[1]
    fragment = (stack.ROOT / "conf/haproxy.cfg").read_text()
    manual = (stack.ROOT / "conf/duplex.7").read_text()
    path = re.search(r"DUPLEX_FASTCGI unix@(\S+)", fragment)[1]
    tap.ok(f"\nListenStream=\nListenStream={chroot}{path}\nSocketUser=haproxy\n" in manual, f"duplex(7) has the FastCGI socket made in the chroot, {chroot}{path}")
    path = re.search(r"#server echo unix@(\S+)", fragment)[1].replace("echo", "NAME")
    tap.ok(f"\n.Pa {chroot}{path} .\n" in manual, f"duplex(7) has that of a resident endpoint made there as well, {chroot}{path}")


def stock(site):
    """Debian's file with the names of this test, and the ports and rules of its site."""
    text = re.sub(r"^\s*stats socket.*\n", "", STOCK.read_text(), flags=re.M)
    text = text.replace("/var/lib/haproxy", str(site.directory)).replace("user haproxy", "user nobody").replace("group haproxy", "group nogroup")
    return text + (sites.SITES / "haproxy.cfg").read_text().partition("timeout http-request @IDLE@s\n")[2]


def shake(site, *headers):
    return hostile.status_of(hostile.converse(site.http, hostile.request(site, *hostile.SHAKE, *headers), lambda got: b"\r\n\r\n" in got))


def check_site(way):
    with sites.Site("haproxy", way=way, DUPLEX_FASTCGI="unix@/fcgi.sock") as site:
        site.stop("server")
        site.configure(("unix@@DIR@/app.sock", "unix@/app.sock"))
        for name in ("haproxy.cfg", sites.FRAGMENT):
            text = (stock(site) if name == "haproxy.cfg" else (site.directory / name).read_text()).replace("unix@@DIR@", "unix@").replace(f"unix@{site.directory}", "unix@")
            for key, value in (("HTTP", site.http), ("HTTPS", site.https), ("OWN", site.own), ("DIR", site.directory)):
                text = text.replace(f"@{key}@", str(value))
            (site.directory / name).write_text(text)
        (site.directory / "start").write_text(f'#!/bin/sh\nexec haproxy -W -db -f "$1/haproxy.cfg" -f "$1/{sites.FRAGMENT}"\n')
        tap.ok(site.start_server(user=None), f"{way}: HAProxy starts in the chroot of Debian's own configuration")
        tap.equal(sites.ask(site, "/echo?message=hi").body, b"hi", f"{way}: the echo over HTTP works in the chroot")
        tap.equal((shake(site), shake(site, "Origin: http://evil.example")), (101, 403), f"{way}: WebSocket works in the chroot")


check_manual()
for way in sites.WAYS:
    check_site(way)
tap.done()
