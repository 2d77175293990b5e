#!/usr/bin/python3
"""
Access rules of a site hold at our paths, over HTTP and WebSocket, at each place where an operator would write them: beside
the fragment, before it and after it, and in it.
"""
import base64
import subprocess
import sys

sys.path.insert(0, f"{sys.path[0]}/../lib")
import hostile
import sites
import tap

CREDENTIALS = "Authorization: Basic " + base64.b64encode(b"alice:secret").decode()

# A rule's name, whether the password opens it, and the edits that write it: a text of the site's file or the fragment's, and
# what stands there instead.
NGINX_BASIC = 'auth_basic "members"; auth_basic_user_file @DIR@/users;'
NGINX_ASK = "auth_request /ask;"
NGINX_WHERE = {"in the server, before the include": ("\t\tinclude @DIR@/duplex.conf;", "\t\t{}\n\t\tinclude @DIR@/duplex.conf;"),
               "in the server, after the include": ("\t\tinclude @DIR@/duplex.conf;", "\t\tinclude @DIR@/duplex.conf;\n\t\t{}"),
               "in the http block": ("\taccess_log off;", "\taccess_log off;\n\t{}"),
               "at the top of our location": ("serialize/echo/)$ {", "serialize/echo/)$ {{\n\t{}"),
               "at the end of our location": ("\tfastcgi_pass $duplex_fastcgi;", "\tfastcgi_pass $duplex_fastcgi;\n\t{}")}
NGINX_HELPER = ("\t\tlocation /app {", "\t\tlocation = /ask { internal; if ($http_authorization = \"" + CREDENTIALS.split(": ")[1] + "\") { return 204; } return 401; }\n\t\tlocation /app {")

APACHE_BASIC = 'AuthType Basic\nAuthName members\nAuthUserFile "@DIR@/users"\nRequire valid-user'
APACHE_HOST = "<VirtualHost 127.0.0.1:@HTTP@>\n"
APACHE_WHERE = {"in a Location before the Include": (APACHE_HOST, APACHE_HOST + '<Location "/echo">\n{}\n</Location>\n'),
                "in a Location after the Include": ('\tInclude "@DIR@/duplex.conf"\n', '\tInclude "@DIR@/duplex.conf"\n<Location "/">\n{}\n</Location>\n'),
                "in our LocationMatch": ('<LocationMatch "${DUPLEX_PATHS}">\n', '<LocationMatch "${{DUPLEX_PATHS}}">\n{}\n')}
APACHE_MODULES = ("LoadModule dir_module", "\n".join(f"LoadModule {name}_module modules/mod_{name}.so" for name in (
    "authn_core", "authn_file", "auth_basic", "authz_user", "authz_host")) + "\nLoadModule dir_module")

LIGHTTPD_BASIC = ('auth.backend = "plain"\nauth.backend.plain.userfile = "@DIR@/plain"\n'
                  'auth.require = ( "/echo" => ( "method" => "basic", "realm" => "members", "require" => "valid-user" ) )')
LIGHTTPD_DENY = '$HTTP["remoteip"] != "192.0.2.1" { url.access-deny = ( "" ) }'
LIGHTTPD_WHERE = {"before the include": ('include "duplex.conf"', '{}\ninclude "duplex.conf"'),
                  "after the include": ('include "duplex.conf"', 'include "duplex.conf"\n{}'),
                  "in our paths": ('$HTTP["url"] =~ var.duplex_paths {', '$HTTP["url"] =~ var.duplex_paths {{\n{}')}

CADDY_BASIC = "basicauth {\n alice $2b$04$WgqU13J06Z4VxNhbMf/EPOsq.AWdJ/UkU7w.4.Frba6qWpy84L6ia\n}"
CADDY_ASK = "forward_auth unix/@DIR@/ask.sock {\n uri /ask\n}"
CADDY_ASKED = ("http://localhost:@HTTP@ {", 'http://:@HTTP@ {\nbind unix/@DIR@/ask.sock\n@known header Authorization "' + CREDENTIALS.split(": ")[1]
               + '"\nrespond @known 204\nrespond 401\n}\nhttp://localhost:@HTTP@ {')
CADDY_WHERE = {"before the import": ("\timport duplex.conf", "{}\n\timport duplex.conf"),
               "after the import": ("\timport duplex.conf", "\timport duplex.conf\n{}")}
CADDY_IN = {"in our handle": ("handle @duplex {", "handle @duplex {{\n{}\n")}
CADDY_OWN = {"in a handle of its own before the import": ("\timport duplex.conf", "@others not remote_ip 192.0.2.1\nhandle @others {{\n{}\n}}\n\timport duplex.conf")}

HAPROXY_LINE = "\n\tacl duplex path_reg"
HAPROXY_USERS = ("frontend site\n", "userlist members\n\tuser alice insecure-password secret\nfrontend site\n")
HAPROXY_AUTH = "\n\thttp-request auth unless { http_auth(members) }"


def rules(where, name, opens, text, *more):
    """The same rule at each of these places."""
    return [(f"{name} {place}", opens, ((old, new.format(text)), *more)) for place, (old, new) in where.items()]


RULES = {
    "nginx": [*rules(NGINX_WHERE, "auth_basic", True, NGINX_BASIC), *rules(NGINX_WHERE, "auth_request", True, NGINX_ASK, NGINX_HELPER),
              *rules(NGINX_WHERE, "deny", False, "deny all;")],
    "apache": [*rules(APACHE_WHERE, "Require valid-user", True, APACHE_BASIC, APACHE_MODULES),
               *rules(APACHE_WHERE, "Require ip", False, "Require ip 192.0.2.1", APACHE_MODULES)],
    "lighttpd": [*rules(LIGHTTPD_WHERE, "auth.require", True, LIGHTTPD_BASIC, ('"mod_access", ', '"mod_access", "mod_auth", "mod_authn_file", ')),
                 *rules(LIGHTTPD_WHERE, "url.access-deny", False, LIGHTTPD_DENY)],
    "caddy": [*rules({**CADDY_WHERE, **CADDY_IN}, "basicauth", True, CADDY_BASIC),
              *rules({**CADDY_WHERE, **CADDY_IN}, "forward_auth", True, CADDY_ASK, CADDY_ASKED),
              *rules(CADDY_IN, "respond", False, "@others not remote_ip 192.0.2.1\nrespond @others 403"),
              *rules(CADDY_IN, "error", False, "@others not remote_ip 192.0.2.1\nerror @others 403"),
              *rules(CADDY_IN, "abort", False, "@others not remote_ip 192.0.2.1\nabort @others"),
              *rules(CADDY_OWN, "abort", False, "abort"), *rules(CADDY_OWN, "respond", False, "respond 403")],
    "haproxy": [("http-request auth in the frontend", True, ((HAPROXY_LINE, HAPROXY_AUTH + HAPROXY_LINE), HAPROXY_USERS)),
                ("http-request auth in our backends", True, (("\tmode http", "\tmode http" + HAPROXY_AUTH), HAPROXY_USERS)),
                ("http-request deny in the frontend", False, ((HAPROXY_LINE, "\n\thttp-request deny if !{ src 192.0.2.1 }" + HAPROXY_LINE),)),
                ("http-request deny in our backends", False, (("\tmode http\n\ttimeout tunnel", "\tmode http\n\thttp-request deny\n\ttimeout tunnel"),
                                                              ("backend duplex-http\n", "backend duplex-http\n\thttp-request deny\n"))),
                ("tcp-request connection reject in the frontend", False, ((HAPROXY_LINE, "\n\ttcp-request connection reject if !{ src 192.0.2.1 }" + HAPROXY_LINE),))],
}


def shake(site, path, headers):
    request = hostile.request(site, *hostile.SHAKE, *headers, path=path)
    return hostile.status_of(hostile.converse(site.http, request, lambda got: b"\r\n\r\n" in got))


def reached(site, *headers):
    """What of our paths is reached: over HTTP, and over WebSocket."""
    lines = [part for header in headers for part in ("-H", header)]
    over_http = {sites.ask(site, path, *lines).status for path in ("/echo?message=hi", "/echo/echo.js", "/echo/..%2fecho?message=hi")}
    handshakes = {shake(site, path, headers) for path in ("/echo", "/echo/x")}
    return [what for what, statuses, open_ in (("HTTP", over_http, 200), ("WebSocket", handshakes, 101)) if open_ in statuses]


def check_rule(site, name, opens, edits):
    site.stop("server")
    site.configure(*edits)
    if not tap.ok(site.start_server(), f"{site.name} starts with {name}"):
        print("".join(f"# {line}\n" for line in site.log().splitlines()[-5:]))
        return
    before = site.log().count("| CONNECT")
    tap.equal(reached(site), [], f"{site.name}, {name}: nothing is reached without it")
    tap.equal(site.log().count("| CONNECT"), before, f"{site.name}, {name}: websocketd saw no handshake")
    if opens:
        tap.equal(reached(site, CREDENTIALS), ["HTTP", "WebSocket"], f"{site.name}, {name}: the password opens both")


def write_passwords(site):
    hashed = subprocess.run(["openssl", "passwd", "-apr1", "secret"], check=True, capture_output=True, text=True).stdout
    (site.directory / "users").write_text(f"alice:{hashed}")
    (site.directory / "plain").write_text("alice:secret\n")


for server, table in RULES.items():
    with sites.Site(server) as site:
        write_passwords(site)
        tap.equal(reached(site), ["HTTP", "WebSocket"], f"{server} without a rule is open")
        for row in table:
            check_rule(site, *row)
tap.done()
