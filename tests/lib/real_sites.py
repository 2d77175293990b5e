"""
The fragments in sites as people have them: a front controller, an application at every path, assets by extension, a page of errors
of their own, compression, Debian's own configuration. In each site our paths are ours, in both ways of running, the site's own
rule still does what it is for, and conf/check-site finds nothing wrong. Where a fragment stands at the wrong place, or a rule
cannot be overcome, conf/check-site says so.
"""
import os
import re
import subprocess

import hostile
import served
import sites
import stack
import tap

# The site's own answer to a path that is neither ours nor a file: the front controller, or the application that tells its variables.
FRONT = ("/nothing", b"FRONT CONTROLLER\n")
APP = ("/nothing", b'"REQUEST_URI": "/nothing')
SITE = ("/", b"the site\n")

HTACCESS = r"""<IfModule mod_rewrite.c>
RewriteEngine On
RewriteRule .* - [E=HTTP_AUTHORIZATION:%{HTTP:Authorization}]
RewriteBase /
RewriteRule ^index\.php$ - [L]
RewriteCond %{REQUEST_FILENAME} !-f
RewriteCond %{REQUEST_FILENAME} !-d
RewriteRule . /index.php [L]
</IfModule>
"""

APACHE = '\tInclude "@DIR@/duplex.conf"\n'
OVERRIDE = ("\tRequire all granted", "\tRequire all granted\n\tAllowOverride All\n\tOptions FollowSymLinks")


def apache(before, after, *more, modules=()):
    lines = "".join(f"LoadModule {name}_module modules/mod_{name}.so\n" for name in modules)
    return ((APACHE, f"{before}\n{APACHE}{after}\n"), ("LoadModule dir_module", lines + "LoadModule dir_module"), *more)


APACHE_APP = 'ProxyPass "/" "unix:@DIR@/app.sock|fcgi://app/"'
APACHE_FRONT = "RewriteEngine On\nRewriteCond %{DOCUMENT_ROOT}%{REQUEST_URI} !-f\nRewriteRule ^/. /index.php [L]"
APACHE_ERRORS = "ErrorDocument 404 /index.php\nErrorDocument 403 /index.php\nErrorDocument 405 /index.php\nProxyErrorOverride On"

NGINX = "\t\tinclude @DIR@/duplex.conf;\n"
NGINX_TEMPORARY = "location / { try_files $uri $uri/ /index.php; }\n"
NGINX_ASSETS = r"location ~* \.(js|css|svg|png|ico)$ { expires 30d; }"
NGINX_CACHES = ("\tserver {", "\tfastcgi_cache_path @DIR@/tmp/1 keys_zone=one:1m;\n\tproxy_cache_path @DIR@/tmp/2 keys_zone=two:1m;\n\tserver {")
NGINX_ERRORS = "error_page 403 404 405 /index.php; fastcgi_intercept_errors on; proxy_intercept_errors on;"


def nginx(before, after):
    return ((NGINX, f"{before}\n{NGINX}{after}\n"),)


CADDY = "\timport duplex.conf\n"
CADDY_ROOT = "root * @DIR@/htdocs"
CADDY_ASSETS = "@assets path *.js *.css *.svg\nhandle @assets {\n root * @DIR@/htdocs\n file_server\n}"


def caddy(before, after):
    return ((CADDY, f"{before}\n{CADDY}{after}\n"),)


LIGHTTPD = 'include "duplex.conf"\n'
LIGHTTPD_FRONT = 'url.rewrite-once = ( "^/(?!static/)." => "/index.php" )'
LIGHTTPD_APP = 'fastcgi.server = ( "/" => (( "socket" => "@DIR@/app.sock", "check-local" => "disable" )) )'
LIGHTTPD_OLD_APP = 'fastcgi.server = ( "/app" => (( "socket" => "@DIR@/app.sock", "check-local" => "disable" )) )\n'
PHP = ('mimetype.assign = ( ".html" => "text/html" )', 'mimetype.assign = ( ".html" => "text/html", ".php" => "text/html" )')


def lighttpd(before, after, *more):
    return ((LIGHTTPD, f"{before}\n{LIGHTTPD}{after}\n"), PHP, *more)


def debian(*names):
    """What lighttpd-enable-mod would include, in the order of Debian."""
    return "\n".join(f'include "/etc/lighttpd/conf-available/{name}.conf"' for name in names)


HAPROXY = "\tuse_backend duplex-websocket if duplex { req.hdr(Upgrade) -i websocket }\n\tuse_backend duplex-http if duplex\n"
HAPROXY_OWN = (SITES_404 := "\thttp-request return status 404 if !duplex !{ path /app /own-socket }\n", "")
HAPROXY_CHECKS = ("defaults\n", "defaults\n\toption httpchk\n\thttp-check expect status 299\n\tdefault-server check inter 10ms fall 1 maxconn 1\n")
HAPROXY_ASSETS = "\tuse_backend app if { path_end .js .css .svg }\n"


def haproxy(before, after):
    return ((HAPROXY, before + HAPROXY + after), HAPROXY_OWN)


# Each site: its name, a path of its own and what is there, and the edits of the site's files.
RIGHT = {
    "apache": [
        ("WordPress's .htaccess", FRONT, apache("", "", OVERRIDE)),
        ("FallbackResource", FRONT, apache("", "", ("\tRequire all granted", "\tRequire all granted\n\tFallbackResource /index.php"))),
        ("ProxyPass / to an application, after the Include", APP, apache("", APACHE_APP)),
        ("ProxyPass / to an application, before the Include", APP, apache(APACHE_APP, "")),
        ("[P] to an application, after the Include", APP, apache("", 'RewriteRule ^(/nothing.*|/echo.*) "unix:@DIR@/app.sock|fcgi://app$1" [P]')),
        ("a front controller of the VirtualHost, after the Include", FRONT, apache("", APACHE_FRONT)),
        ("Alias of our path", SITE, apache('Alias "/echo" "@DIR@/htdocs/echoes"', "", modules=("alias",))),
        ("pages of errors of its own", FRONT, apache(APACHE_ERRORS, "")),
        ("a folder that nobody may read", ("/nothing", b"Forbidden"), apache("", "", ("\tRequire all granted", "\tRequire all denied"))),
        ("mod_deflate and mod_expires for everything", SITE,
         apache("SetOutputFilter DEFLATE\nExpiresActive On\nExpiresDefault \"access plus 1 month\"", "", modules=("expires",))),
    ],
    "nginx": [
        ("try_files and assets by extension after the include", FRONT, nginx(NGINX_TEMPORARY, NGINX_ASSETS)),
        ("location / that is an application", APP, nginx("location / { include /etc/nginx/fastcgi_params; fastcgi_pass unix:@DIR@/app.sock; }", "")),
        ("include inside of location ^~ /", FRONT, ((NGINX, f"location ^~ / {{\n{NGINX}try_files $uri $uri/ /index.php; }}\n"),)),
        ("include inside of location /", FRONT, ((NGINX, f"location / {{\n{NGINX}try_files $uri $uri/ /index.php; }}\n"),)),
        ("gzip, expires and headers for everything", SITE, nginx('gzip on; gzip_types *; gzip_min_length 1; expires 30d; add_header X-Frame-Options DENY;', "")),
        ("pages of errors of its own", ("/nothing", b"FRONT CONTROLLER\n"), nginx("", NGINX_ERRORS)),
        ("ssi for everything", SITE, nginx("ssi on; ssi_types *;", "")),
        ("a cache for everything", SITE, (NGINX_CACHES, *nginx("fastcgi_cache one; fastcgi_cache_key $uri; fastcgi_cache_valid any 1m; fastcgi_ignore_headers Cache-Control; proxy_cache two;", ""))),
        ("a rewrite in location /", FRONT, nginx("location / { if (!-e $request_filename) { rewrite ^ /index.php last; } }", "")),
    ],
    "caddy": [
        ("a single-page application by try_files, after the import", FRONT, caddy("", CADDY_ROOT + "\ntry_files {path} /index.php")),
        ("a single-page application by try_files, before the import", FRONT, caddy(CADDY_ROOT + "\ntry_files {path} /index.php", "")),
        ("rewrite of everything", FRONT, caddy(CADDY_ROOT + "\n@none not file\nrewrite @none /index.php", "")),
        ("uri replace", SITE, caddy("uri replace /echo /echoes", "")),
        ("assets by extension after the import", SITE, caddy("", CADDY_ASSETS)),
        ("php_fastcgi", SITE, caddy("", "root * @DIR@/htdocs\nphp_fastcgi unix/@DIR@/app.sock")),
        ("encode and header for everything", SITE, caddy("encode zstd gzip\nheader X-Frame-Options DENY", "")),
        ("a route in an order of its own", FRONT,
         ((CADDY, f"route {{\n{CADDY}{CADDY_ROOT}\ntry_files {{path}} /index.php\n"), ("\t\tfile_server\n\t}\n}\n", "\t\tfile_server\n\t}\n}\n}\n"))),
    ],
    "lighttpd": [
        ("url.rewrite-once before the include", FRONT, lighttpd(LIGHTTPD_FRONT, "")),
        ("url.rewrite-once after the include", FRONT, lighttpd("", LIGHTTPD_FRONT)),
        ("url.rewrite-if-not-file", FRONT, lighttpd('url.rewrite-if-not-file = ( "^/" => "/index.php" )', "")),
        ("url.rewrite-repeat", FRONT, lighttpd('url.rewrite-repeat = ( "^/(?!index.php)." => "/index.php" )', "")),
        ("rules for a host of its own before the include", FRONT, lighttpd('$HTTP["host"] =~ "" { ' + LIGHTTPD_FRONT + " }", "")),
        ("an error handler", FRONT, lighttpd('server.error-handler-404 = "/index.php"', "")),
        ("mod_expire for everything", SITE, lighttpd('server.modules += ( "mod_expire" )\nexpire.url = ( "" => "access plus 1 months" )', "")),
        ("pages of errors of its own", SITE, lighttpd('server.error-intercept = "enable"\nserver.error-handler = "/index.php"', "")),
        ("an application at every path", APP, lighttpd("", "", (LIGHTTPD_OLD_APP, LIGHTTPD_APP + "\n"))),
        ("what Debian's conf-enabled has", SITE,
         lighttpd(debian("05-setenv", "10-cgi", "10-dir-listing", "10-expire", "10-fastcgi", "10-proxy", "10-rewrite", "10-status", "20-deflate"),
                  'deflate.cache-dir := "@DIR@/tmp/"')),
    ],
    "haproxy": [
        ("assets by extension after our lines", SITE, haproxy("", HAPROXY_ASSETS)),
        ("an application at every path", APP, haproxy("", "")),
        ("a redirect of its own after our lines", SITE, haproxy("", "\tuse_backend app if { path_beg /echo }\n")),
        ("checks of its own servers", SITE, (HAPROXY_CHECKS, *haproxy("", ""))),
        ("compression for everything", SITE, haproxy("\tcompression algo gzip\n\tcompression type text/html text/plain\n", "")),
    ],
}

# Sites that swallow our paths, and what conf/check-site says first.
ANOTHER = r"another (part|rule) of the site"
WRONG = {
    "apache": [("a front controller of the VirtualHost, before the Include", ANOTHER, apache(APACHE_FRONT, "")),
               ("a redirect to another address", r"answered 301 .* give duplex-check the address that it leads to", apache("RewriteEngine On\nRewriteRule ^/(.*) https://localhost/$1 [R=301,L]", ""))],
    "nginx": [("assets by extension before the include", r"which the page needs, is answered 404 .*files that end like this comes before", nginx(NGINX_ASSETS, "")),
              ("location ^~ / beside the include", ANOTHER, nginx("location ^~ / { try_files $uri /index.php; }", "")),
              ("a rewrite of the server", ANOTHER, nginx("", "if (!-e $request_filename) { rewrite ^ /index.php last; }"))],
    "caddy": [("assets by extension before the import", r"which the page needs, is answered 404 .*files that end like this comes before", caddy(CADDY_ASSETS, "")),
              ("a handle for everything before the import", r"the echo over HTTP is answered 404", caddy("handle /echo* {\nroot * @DIR@/htdocs\nfile_server\n}", ""))],
    "lighttpd": [("rules for a host of its own after the include", ANOTHER, lighttpd("", '$HTTP["host"] =~ "" { ' + LIGHTTPD_FRONT + " }"))],
    "haproxy": [("assets by extension before our lines", r"which the page needs, has the type \"application/json\"", haproxy(HAPROXY_ASSETS, "")),
                ("an application before our lines", ANOTHER, haproxy("\tuse_backend app if { path_beg /echo }\n", ""))],
}


def ask_check_site(site):
    log = f"/proc/{os.getpid()}/fd/{site.log_file.fileno()}"
    result = subprocess.run([stack.ROOT / "conf/check-site", f"--log={log}", site.url("/echo")], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                            env={"PATH": os.environ["PATH"], "LC_ALL": "C"})
    return result.returncode, re.findall(r"^(?:wrong|skipped): .*$", result.stdout, re.M)


def start(site, name, edits, **options):
    site.stop("server")
    site.configure(*edits)
    (site.directory / "htdocs/index.php").write_text("FRONT CONTROLLER\n")
    (site.directory / "htdocs/.htaccess").write_text(HTACCESS if OVERRIDE in edits else "")
    if not tap.ok(site.start_server(**options), f"{name}: the server starts"):
        print("".join(f"# {line}\n" for line in site.log().splitlines()[-5:]))
        return False
    return True


def shake(site, path="/echo", *headers):
    return hostile.status_of(hostile.converse(site.http, hostile.request(site, *hostile.SHAKE, *headers, path=path), lambda got: b"\r\n\r\n" in got))


def check_ours(site, name):
    answers = {path: sites.ask(site, path) for path in ("/echo?message=a%20b", "/serialize/echo/?message=a%2Bb", "/echo?message=%2Findex.php%3Fa", "/echo/echo.js", "/echo", "/echo/no.js")}
    wanted = (b"a b", b"a+b", b"/index.php?a", served.file("echo.js"), served.file("echo.html"), b"Not Found\n")
    tap.equal(tuple(answer.body for answer in answers.values()), wanted, f"{name}: over HTTP our paths are ours")
    tap.equal(answers["/echo?message=a%20b"].headers.get("cache-control"), "no-store", f"{name}: an echo is not to be stored")
    post = sites.ask(site, "/echo", "-d", "x")
    tap.equal((post.status, post.body), (405, b"Method Not Allowed\n"), f"{name}: a POST is refused by us")
    statuses = [shake(site), shake(site, "/serialize/echo/"), shake(site, "/echo/x?a=b"), shake(site, "/echo", f"Origin: http://localhost:{site.http}"), shake(site, "/echo", "Origin: http://evil.example")]
    tap.equal(statuses, [101, 101, 101, 101, 403], f"{name}: over WebSocket our paths are ours")
    zipped = sites.ask(site, "/echo/echo.js", "-H", "Accept-Encoding: gzip")
    again = sites.ask(site, "/echo/echo.js", "-H", "Accept-Encoding: gzip", "-H", f"If-None-Match: {zipped.headers.get('etag')}")
    tap.equal((again.status, again.body), (304, b""), f"{name}: a file is asked for once")


def check_right(site, row):
    name, (path, wanted), edits = row
    if not start(site, name, edits):
        return
    own = sites.ask(site, path).body
    tap.ok(wanted in own, f"{name}: the site's rule does what it is for: {own[:60]}")
    check_ours(site, name)
    if site.way == "websocketd":
        tap.equal(ask_check_site(site), (0, []), f"{name}: conf/check-site finds nothing wrong")


def check_wrong(site, row):
    name, wanted, edits = row
    if start(site, f"wrong: {name}", edits):
        status, lines = ask_check_site(site)
        if not tap.ok(status == 1 and lines and re.search(wanted, lines[0]), f"wrong: {name}: conf/check-site says so"):
            print("".join(f"# {line}\n" for line in lines))


def check(server):
    stack.need("curl")
    for way in sites.WAYS:
        tap.prefix = f"{way}: "
        with sites.Site(server, way=way) as site:
            for row in RIGHT[server]:
                check_right(site, row)
            for row in WRONG[server] if way == "websocketd" else ():
                check_wrong(site, row)
