"""
A site's own login at our paths, by a password and by a session: the lines of conf/README.md, as they stand there, in a site
of each web server, in both ways of running. A client that has not logged in reaches nothing, and an endpoint and a FastCGI program
have the name of one that has, whatever else it says of itself.
"""
import asyncio
import base64
import http.server
import re
import shutil
import socket
import struct
import subprocess
import threading

import hostile
import rfc6455
import sites
import stack
import tap

SECTION = re.search(r"^### Behind the site's login\n(.*?)^### ", (stack.ROOT / "conf/README.md").read_text(), re.S | re.M)[1]
KINDS = dict(zip(("a password", "a session"), SECTION.split("\nA session, which ")))
LUA = re.search(r"^```lua\n(.*?)^```", SECTION, re.S | re.M)[1]
SERVERS = {"nginx": "nginx", "Apache": "apache", "lighttpd": "lighttpd", "Caddy": "caddy", "HAProxy": "haproxy"}
LIAR = "mallory"


def basic(user):
    return "Authorization: Basic " + base64.b64encode(f"{user}:secret".encode()).decode()


CREDENTIALS = {"a password": basic("alice"), "a session": "Cookie: theme=dark; session=good"}
# What a client may try: names of headers, and a password and a session that are not good.
FORGED = [f"{spelled}: {LIAR}" for name in ("Remote-User", "X-Remote-User") for spelled in hostile.spellings(name)] + [f'Forwarded: remote_user="{LIAR}"']
WRONG = {"nothing": [], "a wrong name": [basic(LIAR)], "a wrong session": ["Cookie: session=bad"], "forged headers": FORGED}


def blocks(kind):
    """The lines of each server, and what the document says before them."""
    found = re.findall(r"^(\w+)[, ]([^\n]*):\n\n```\w+\n(.*?)^```", KINDS[kind], re.S | re.M)
    return {SERVERS[name]: (lines, says) for name, says, lines in found if name in SERVERS}


class Sessions(http.server.BaseHTTPRequestHandler):
    """An application that knows one session."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        is_good = self.path.partition("?")[0] == "/session" and "session=good" in self.headers.get("Cookie", "")
        self.send_response(200 if is_good else 401)
        if is_good:
            self.send_header("X-Remote-User", "alice")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


class Authorizer(threading.Thread):
    """The same as a FastCGI program in the role of an authorizer (FastCGI 6.3)."""

    def __init__(self):
        super().__init__(daemon=True)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.start()

    def run(self):
        while True:
            connection, _ = self.listener.accept()
            threading.Thread(target=self.answer, args=(connection,), daemon=True).start()

    def answer(self, connection):
        with connection:
            stream = connection.makefile("rb")
            params, kind, length = b"", 0, 1
            while (kind, length) != (4, 0):
                header = stream.read(8)
                if len(header) < 8:
                    return
                _, kind, request, length, padding, _ = struct.unpack("!BBHHBB", header)
                params += stream.read(length + padding)[:length] if kind == 4 else stream.read(length + padding)[:0]
            is_good = "session=good" in sites.decode_params(params).get("HTTP_COOKIE", "")
            head = b"Status: 200 OK\r\nVariable-REMOTE_USER: alice\r\n\r\n" if is_good else b"Status: 401 Unauthorized\r\n\r\n"
            connection.sendall(b"".join(struct.pack("!BBHHBB", 1, kind, request, len(content), 0, 0) + content
                                        for kind, content in ((6, head), (6, b""), (3, bytes(8)))))
            connection.shutdown(socket.SHUT_WR)
            stream.read()  # what the server had still to say, so that the answer is not lost by a reset


def openssl(*arguments):
    return subprocess.run(["openssl", "passwd", *arguments, "secret"], check=True, capture_output=True, text=True).stdout.strip()


def filled(site, text, port):
    """The lines of the document with the files, the port and the hash of this site."""
    text = re.sub(r"/etc/\w+/(users|session\.lua)", r"@DIR@/\1", text)
    text = text.replace("127.0.0.1:8000", f"127.0.0.1:{port}").replace('"port" => 8000', f'"port" => {port}')
    return text.replace("HASH", "$2b$04$WgqU13J06Z4VxNhbMf/EPOsq.AWdJ/UkU7w.4.Frba6qWpy84L6ia" if site.name == "caddy" else openssl("-6"))


def edits(site, kind, lines, says, is_inside=False):
    """Where the document has these lines go: with nginx also into our location."""
    first, _, rest = lines.rpartition("\n\n")
    modules = re.search(r"`a2enmod ([\w ]+)`", says)
    if site.name == "nginx":
        top = lines.partition("location =")[0] if is_inside else ""
        return [("serialize/echo/)$ {\n", f"serialize/echo/)$ {{\n{top}"),
                ("\t\tinclude @DIR@/duplex.conf;", f"\t\tinclude @DIR@/duplex.conf;\n{lines.removeprefix(top)}")]
    if site.name == "apache":
        load = "".join(f"LoadModule {name}_module modules/mod_{name}.so\n" for name in ("authn_core", *modules[1].split()))
        return [("TraceEnable off\n", f"{load}{first}\nTraceEnable off\n"), ('\tInclude "@DIR@/duplex.conf"\n', f'\tInclude "@DIR@/duplex.conf"\n{rest}')]
    if site.name == "lighttpd" and kind == "a password":
        return [('"mod_access", ', '"mod_access", "mod_auth", '), ('include "duplex.conf"', f'include "duplex.conf"\n{lines}')]
    if site.name == "lighttpd":
        return [("var.duplex_hosts :=", f"{lines}var.duplex_hosts :=")]
    if site.name == "caddy":
        fallback = "\troot * @DIR@/htdocs\n\ttry_files {path} /index.html\n"  # of a single-page application, which does not come before the login
        return [("\timport duplex.conf", f"\timport duplex.conf\n{fallback}{lines}")]
    acl = "\n\tacl duplex path_reg ^/(echo(/.*)?|serialize/echo/)$\n"
    section = "frontend site\n" if kind == "a password" else "defaults\n"
    return [(section, f"{first}\n{section}"), (acl, acl + rest)]


def use_told(site):
    """Replaces the programs of a site by an endpoint and a FastCGI program that tell their variables."""
    directory = site.directory / "told"
    directory.mkdir()
    directory.chmod(0o755)
    shutil.copy(stack.BUILD / "tests/views", directory / "echo")
    (directory / "serialize").mkdir()
    (directory / "serialize").chmod(0o755)
    (directory / "serialize/echo").symlink_to("../echo")
    site.stop_endpoints()
    site.start_resident(directory="told") if site.resident else site.start_websocketd("told")
    site.stop("fastcgi")
    (site.directory / "fcgi.sock").unlink(missing_ok=True)
    return sites.FastcgiProgram(site.directory / "fcgi.sock")


async def user_of_endpoint(site, scheme, headers):
    """REMOTE_USER as the endpoint has it, or the status of a refusal."""
    try:
        async with sites.connect(site, "/echo/variables", scheme, headers=dict(line.split(": ", 1) for line in headers)) as client:
            return await sites.echo(client, "REMOTE_USER")
    except rfc6455.Refused as error:
        return error.status


def ask(site, path, scheme, headers):
    return sites.ask(site, path, *(part for line in headers for part in ("-H", line)), scheme=scheme)


def check_refused(site, program, name, headers):
    before = len(program.seen)
    statuses = [ask(site, path, scheme, headers).status for scheme in ("http", "https") for path in ("/echo", "/echo?message=hi", "/echo/echo.js", "/serialize/echo/")]
    tap.equal((set(statuses), len(program.seen) - before), ({401}, 0), f"{name}: page, file and echo are answered 401")
    tap.equal([asyncio.run(user_of_endpoint(site, scheme, headers)) for scheme in ("ws", "wss")], [401, 401], f"{name}: a handshake is answered 401")


def check_user(site, program, name, headers, user):
    for path in ("/echo", "/echo?message=hi", "/echo/echo.js"):
        answer = ask(site, path, "https", headers)
        tap.equal((answer.status, program.seen[-1].get("REMOTE_USER") or None, LIAR in str(program.seen[-1].values())), (200, user, False),
                  f"{name}: {path} is answered, and the FastCGI program has the user {user}")
    tap.equal([asyncio.run(user_of_endpoint(site, scheme, headers)) for scheme in ("ws", "wss")], [user or "-"] * 2, f"{name}: the endpoint has the user {user}")


def ask_for(site, kind, ports, is_inside=False):
    """Starts the server of a site anew with the lines of the document: whether it does."""
    for file, text in (("users", f"alice:{openssl('-apr1')}\n"), ("session.lua", LUA.replace("127.0.0.1:8000", f"127.0.0.1:{ports[0]}"))):
        (site.directory / file).write_text(text)
    lines, says = blocks(kind)[site.name]
    further = re.search(r"`Environment=(\w+)=(\S+)`", says)
    site.further = {further[1]: further[2]} if further else {}
    site.stop("server")
    site.configure(*edits(site, kind, filled(site, lines, ports[site.name in ("apache", "lighttpd")]), says, is_inside))
    is_started = tap.ok(site.start_server(), f"{kind}: the server starts with the lines of the document")
    if not is_started:
        print("".join(f"# {line}\n" for line in site.log().splitlines()[-5:]))
    return is_started


def check_kind(site, program, kind, ports, is_inside=False):
    if not ask_for(site, kind, ports, is_inside):
        return
    for what, headers in WRONG.items():
        check_refused(site, program, f"{kind}, {what}", headers)
    check_user(site, program, kind, [CREDENTIALS[kind]], "alice")
    check_user(site, program, f"{kind} and forged headers", [CREDENTIALS[kind], *FORGED], "alice")
    own, foreign = f"http://localhost:{site.http}", "http://evil.example"
    users = [asyncio.run(user_of_endpoint(site, "ws", [CREDENTIALS[kind], f"Origin: {origin}"])) for origin in (own, foreign)]
    tap.ok(users[0] == "alice" and users[1] in (200, 403), f"{kind}: the rule on Origin holds beside it: {users}")  # 200 is of the FastCGI program
    is_whole = site.name == "nginx" and not is_inside
    tap.equal(sites.ask(site, "/").status, 401 if is_whole else 200, f"{kind}: the site's other paths are {'asked for it too' if is_whole else 'as before'}")


def check_site(name, way, ports):
    with sites.Site(name, way=way) as site:
        program = use_told(site)
        check_user(site, program, "without a login", [*FORGED, basic(LIAR)], None)
        for kind in KINDS:
            check_kind(site, program, kind, ports)
            if name == "nginx":
                tap.prefix = f"{way}, in our location: "
                check_kind(site, program, kind, ports, is_inside=True)
                tap.prefix = f"{way}: "
        program.close()


def start_applications():
    """What checks sessions, by HTTP and by FastCGI: the ports."""
    application = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Sessions)
    threading.Thread(target=application.serve_forever, daemon=True).start()
    return application.server_port, Authorizer().port


def run(name):
    ports = start_applications()
    tap.equal([set(blocks(kind)) for kind in KINDS], [set(sites.SERVERS)] * 2, "conf/README.md has the lines of each server for a password and for a session")
    for way in sites.WAYS:
        tap.prefix = f"{way}: "
        check_site(name, way, ports)
    tap.done()
