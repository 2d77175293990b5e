#!/usr/bin/python3
"""The HTTP table through lighttpd, asked by curl."""
import random
import re
import subprocess
import sys
import tempfile
import urllib.parse

sys.path.insert(0, f"{sys.path[0]}/../lib")
import served
import stack
import tap

stack.need("curl")


def ask(target, *arguments):
    """One request by curl; the target is sent as it stands."""
    command = ["curl", "-qsS", "-i", "--path-as-is", "--globoff", "--max-time", "30", *arguments, site.url(target)]
    return stack.Answer(subprocess.run(command, check=True, capture_output=True).stdout)


def check_echo():
    table = [
        ("Hello%2C+World%21", b"Hello, World!"),
        ("", b""),
        ("%0A", b"\n"),
        ("%0D%0A", b"\r\n"),
        ("%00", b"\0"),
        ("a%00b%01%7F", b"a\0b\x01\x7f"),
        ("%22%27%60", b"\"'`"),
        ("%3Cb%3E", b"<b>"),
        ("<b>", b"<b>"),
        ("%F0%9F%98%80", "\U0001F600".encode()),
        ("\U0001F600", "\U0001F600".encode()),
        ("%", b"%"),
        ("%4", b"%4"),
        ("%zz", b"%zz"),
        ("a%26b%3Dc%2Bd%25", b"a&b=c+d%"),
        ("a/../b//c", b"a/../b//c"),
        ("x" * 7000, b"x" * 7000),
    ]
    for query, wanted in table:
        answer = ask(f"/echo?message={query}")
        tap.equal((answer.status, answer.body), (200, wanted), f"message={query[:40]} comes back decoded")
    answer = ask("/echo?message=hi")
    headers = {name: answer.headers.get(name) for name in ("content-type", "content-length", "x-content-type-options", "cache-control")}
    tap.equal(headers, {"content-type": "text/plain; charset=utf-8", "content-length": "2", "x-content-type-options": "nosniff",
                        "cache-control": "no-store"}, "the headers of an echo")
    head = ask("/echo?message=hi", "-I")
    tap.equal((head.status, head.body, head.headers["content-length"]), (200, b"", "2"), "HEAD has the length of the answer and no body")
    tap.equal(ask("/serialize/echo/?message=hi").body, b"hi", "/serialize/echo/?message= comes back")
    plain = subprocess.run(["curl", "-s", site.url("/echo?message=Hello%2C+World%21")], capture_output=True).stdout
    tap.equal(plain, b"Hello, World!", "curl -s prints the message and nothing else")


def check_random_queries():
    """What lighttpd makes of a query on the way must not change what it means."""
    pieces = ["%", "%4", "%41", "%2B", "+", "%26", "%3D", "=", ";", "%00", "%0d%0A", "%C3%A9", "a", "/", "//", "/../", "%2F", "%25", "?", "~", "%7e"]
    generator = random.Random(42)
    wrong = []
    for _ in range(60):
        query = "".join(generator.choices(pieces, k=generator.randrange(1, 12)))
        wanted = urllib.parse.parse_qsl(f"message={query}", keep_blank_values=True, encoding="latin-1")[-1][1].encode("latin-1")
        answer = ask(f"/echo?message={query}")
        if (answer.status, answer.body) != (200, wanted):
            wrong.append((query, answer.status, answer.body, wanted))
    tap.equal(wrong, [], "60 random queries mean what Python's urllib says")


def check_refused():
    table = [
        ("/echo?message=%ff", 400, b"message is not valid UTF-8 at byte 0\n"),
        ("/echo?message=abc%C3", 400, b"message is not valid UTF-8 at byte 3\n"),
        ("/nothing", 404, b"Not Found\n"),
        ("/echo/nothing", 404, b"Not Found\n"),
        ("/echo/echo.html", 404, b"Not Found\n"),
        ("/echo/../../etc/passwd", 404, b"Not Found\n"),
        ("/echo%00x?message=hi", 404, b"Not Found\n"),
        ("/%3Cscript%3E", 404, b"Not Found\n"),
        ("/serialize/echo", 426, b"Upgrade Required\n"),
    ]
    for target, status, body in table:
        answer = ask(target)
        tap.equal((answer.status, answer.body), (status, body), f"{target} is answered {status}")
        tap.equal((answer.headers["content-type"], answer.headers["x-content-type-options"]),
                  ("text/plain; charset=utf-8", "nosniff"), f"{target} is answered in plain text")
    tap.equal(ask("/echo?message=" + "x" * 65536).status, 431, "64 KiB of query are answered 431 by lighttpd itself")
    answer = ask("/echo?" + "&".join(f"message={i}" for i in range(580)))
    tap.equal((answer.status, answer.body), (200, b"579"), "of as many parameters as lighttpd takes the last counts")
    tap.equal((ask("/echo?message").status, ask("/echo?message").body), (200, b""), "message without = is an empty message")
    for method in ("POST", "PUT", "DELETE", "OPTIONS", "PATCH"):
        answer = ask("/echo?message=hi", "-X", method, "-d", "")
        tap.equal((answer.status, answer.headers.get("allow"), answer.body), (405, "GET, HEAD", b"Method Not Allowed\n"), f"{method} is answered 405")
    with tempfile.NamedTemporaryFile() as upload:
        upload.truncate(20_000_000)
        answer = ask("/echo", "-H", "Expect:", "--data-binary", f"@{upload.name}")
    tap.equal(answer.status, 405, "a POST with 20 MB is answered 405")
    resident = max(stack.memory(pid, "VmHWM", "status") for pid in site.pids("duplex"))
    tap.ok(resident < 8192 or stack.SANITIZED, f"a POST with 20 MB is not held in memory: {resident} KiB")


def check_page():
    files = {"/": ("echo.html", b""), "/echo": ("echo.html", b""), "/echo?other=1": ("echo.html", b""), "/echo/": ("echo.html", b"../"),
             "/serialize/echo/": ("echo.html", b"../../"), "/chat": ("chat.html", b""), **{f"/echo/{name}": (name, b"") for name in served.NAMES}}
    types = {"html": "text/html; charset=utf-8", "js": "text/javascript; charset=utf-8", "css": "text/css; charset=utf-8",
             "svg": "image/svg+xml"}
    for path, (name, way) in files.items():
        answer = ask(path)
        tap.equal((answer.status, answer.body), (200, served.file(name, way)), f"{path} is {name}")
        tap.equal(answer.headers["content-type"], types[name.rpartition(".")[2]], f"{path} has the type of its name")
        etag = answer.headers["etag"]
        again = ask(path, "-H", f"If-None-Match: {etag}")
        tap.equal((again.status, again.body, again.headers["etag"]), (304, b"", etag), f"{path} is answered 304 the second time")
        tap.equal(answer.headers["cache-control"], "no-cache", f"{path} is asked for again")
    tap.equal(ask("/echo/?message=hi").body, b"hi", "/echo/ echoes ?message= as /echo does")


def check_versions():
    """What a page names by ?v= may be kept for a year, and is there."""
    for page in ("/echo", "/echo/", "/serialize/echo/", "/chat"):
        named = re.findall(r'(?:src|href)="([^"]+\?v=[^"]*)"', ask(page).body.decode())
        paths = [urllib.parse.urljoin(page, name) for name in named]
        tap.ok(len(paths) >= 5 and all(path.startswith("/echo/") for path in paths), f"{page} names {len(paths)} files")
        answers = {path: ask(path) for path in paths}
        wrong = [path for path, answer in answers.items() if (answer.status, answer.headers["cache-control"]) != (200, "public, max-age=31536000, immutable")]
        tap.equal(wrong, [], f"{page}: each file that it names may be kept for a year")
    tap.equal(ask("/echo/echo.js?v=0123456789abcdef").headers["cache-control"], "no-cache", "a file that is asked for by another hash may not be kept for a year")


def check_policy():
    policy = ask("/echo").headers["content-security-policy"]
    rules = dict(part.split(" ", 1) for part in policy.split("; "))
    tap.equal(rules.pop("require-trusted-types-for"), "'script'", "the page's policy lets no text become HTML or script")
    tap.equal(set(rules.values()), {"'none'", "'self'"}, "the page's policy allows this origin alone")


def check_all_workers_live(before):
    tap.equal(sorted(site.pids("duplex")), before, "the workers that answered are those that were started")


with stack.Stack() as site:
    workers = sorted(site.pids("duplex"))
    tap.equal(len(workers), 2, "two FastCGI workers are started")
    check_echo()
    check_random_queries()
    check_refused()
    check_page()
    check_versions()
    check_policy()
    check_all_workers_live(workers)
    stack.finish(site, r"oversized request-header")
tap.done()
