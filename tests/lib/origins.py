"""
Which pages may open a WebSocket behind a web server, in both ways: those of the Host that was asked for, those of the
origins in the fragment's list, and no other. Each handshake that is refused leaves one line in the log, with its Origin and
Host, which nothing in them can forge.
"""
import re

import hostile
import sites
import stack
import tap

# The list of further origins, as an operator writes it: an edit of the site's files, but for the two servers that take a variable.
LIST = "https://app.example http://localhost:5173 capacitor://localhost file:// null"
LIGHTTPD_LIST = LIST.replace(".", r"\.").replace(" ", "|")
EDITS = {
    "apache": (('Define DUPLEX_SOCKETS "@', f'Define DUPLEX_ORIGINS "{LIST}"\nDefine DUPLEX_SOCKETS "@'),),
    "caddy": (("http://localhost:@HTTP@ {", "http://:@HTTP@ {"),),
    "haproxy": (),
    "lighttpd": (('var.duplex_hosts := "localhost:(@HTTP@|@HTTPS@)"', rf'var.duplex_hosts := "localhost:@HTTP@|example\.org"' f'\nvar.duplex_origins := "{LIGHTTPD_LIST}"'),),
    "nginx": (("\t\tset $duplex_sockets", f'\t\tset $duplex_origins "{LIST}";\n\t\tset $duplex_sockets'),),
}

# An Origin, the Host that is asked for or None for the site's own, and the status.
ANY = (
    (None, None, 101),
    ("http://{own}", None, 101),
    ("HTTP://LOCALHOST:{port}", None, 101),
    ("https://{own}", None, 101),  # something in front ends TLS
    ("http://example.org", "example.org", 101),
    ("https://example.org", "example.org", 101),
    ("https://example.org", "example.org:443", 101),
    ("https://example.org:443", "example.org", 101),
    ("https://example.org:443", "example.org:443", 101),
    ("http://example.org", "example.org:80", 101),
    ("http://example.org:80", "Example.org", 101),
    ("http://example.org:443", "example.org", 403),
    ("https://example.org:80", "example.org", 403),
    ("https://example.org.evil.example", "example.org:443", 403),
    ("https://evil.example:443", "example.org:443", 403),
    ("http://evil.example", None, 403),
    ("https://app.example:8443", None, 403),
    ("https://app.example.evil.example", None, 403),
    ("https://evilapp.example", None, 403),
    ("https://appxexample", None, 403),
    ("http://app.example", None, 403),
    ("http://localhost:51730", None, 403),
    ("https://app.example http://localhost:5173", None, None),  # browsers send no list
    ("file:///etc/passwd", None, 403),
    ("nullnull", None, 403),
)
# lighttpd compares with names in its configuration and not with Host
BY_HOST = (
    ("https://duplex.invalid", None, 403),
    ("http://example.org:81", "example.org:81", 101),
    ("http://[::1]", "[::1]:80", 101),
    ("http://[::1]:8080", "[::1]:8080", 101),
    ("http://raspberrypi.local:8080", "raspberrypi.local:8080", 101),
    ("http://example.org:81", "example.org", 403),
    ("https://example.org", "example.org:8443", 403),
    ("http://example.org", "example.org:8080", 403),
)
LISTED = tuple((origin, None, 101) for origin in LIST.split())
UNLISTED = tuple((origin, None, 403) for origin in LIST.split())
HOSTILE = ("http://evil\x1b[2J.example", "http://evil.example\x7f", "http://evil.example\x9b\xe9", 'http://"evil\\x41', "http://" + "e" * 3000, "forged%0aforged: line")


def shake(site, origin, host=None):
    headers = [f"Origin: {origin}"] if origin else []
    return hostile.status_of(hostile.converse(site.http, hostile.request(site, *hostile.SHAKE, *headers, host=host), lambda got: b"\r\n\r\n" in got))


def refusals(site):
    return re.findall(r"duplex: .*?127\.0\.0\.1: WebSocket refused.*", site.log())


def check_row(site, row):
    origin, host, wanted = row
    port = str(site.http)
    origin = origin and origin.replace("{own}", f"localhost:{port}").replace("{port}", port)
    before = len(refusals(site))
    status = shake(site, origin, host)
    tap.equal(status == 101 if wanted is None else status, wanted is not None and wanted, f"Origin {row[0]}, Host {host or 'of the site'}: {wanted or 'not 101'}")
    if wanted == 403:
        lines = refusals(site)[before:] if stack.wait_until(lambda: len(refusals(site)) > before) else []
        tap.ok(len(lines) == 1 and f'Origin "{origin}", Host "{host or f"localhost:{port}"}"' in lines[0], f"Origin {row[0]}, Host {host or 'of the site'}: one line says so: {lines}")


def check_hostile(site):
    """Some of these the web server itself takes for no request at all."""
    before = len(refusals(site))
    statuses = [shake(site, origin) for origin in HOSTILE]
    tap.ok(set(statuses) <= {400, 403}, f"an Origin that is made to forge lines is refused: {statuses}")
    stack.wait_until(lambda: len(refusals(site)) - before == statuses.count(403))
    lines = refusals(site)[before:]
    tap.equal(len(lines), statuses.count(403), "each Origin that is made to forge lines and refused leaves one line")
    tap.equal([line for line in lines if re.search(r"[^ -~]", line) or len(line) > 3500], [], "the line of a hostile Origin has printable ASCII alone")
    tap.equal([line for line in lines if line.count('"') != 4], [], "a quote in an Origin does not end its value in the line")
    tap.equal([line for line in site.log().splitlines() if line.startswith("forged")], [], "no line of a refused WebSocket is forged")


def check(name):
    for way in sites.WAYS:
        tap.prefix = f"{way}: "
        with sites.Site(name, way=way) as site:
            for row in UNLISTED:
                check_row(site, row)
        with sites.Site(name, way=way, DUPLEX_ORIGINS=LIST) as site:
            site.stop("server")
            site.configure(*EDITS[name])
            tap.ok(site.start_server(), "the server starts with a list of further origins")
            for row in (*ANY, *LISTED, *(BY_HOST if name != "lighttpd" else ())):
                check_row(site, row)
            check_hostile(site)
