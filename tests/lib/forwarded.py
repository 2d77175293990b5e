"""
What the programs behind a web server are told of a client and its request, and that a request comes to them once. What a
client lies about is in hostile.py.
"""
import asyncio
import contextlib
import http.client
import json
import shutil

import hostile
import sites
import stack
import tap


async def who(site, scheme):
    async with sites.connect(site, "/echo", scheme) as client:
        return await asyncio.wait_for(client.recv(), 20)  # then it is asked once more


def ask_who(site, scheme):
    try:
        return asyncio.run(who(site, scheme))
    except OSError:
        return None


def check_resident(site):
    """The same of a resident endpoint, from which nothing that a client says of itself comes back."""
    shutil.copy(stack.BUILD / "tests/views", site.directory / "who/echo")
    site.stop_endpoints()
    site.start_resident(directory="who")
    forged = {spelled: hostile.FORGED for name in hostile.NAMES for spelled in hostile.spellings(name)}
    for scheme, port in (("ws", site.http), ("wss", site.https)):
        for headers in ({}, forged):
            tap.equal(asyncio.run(ask_views(site, scheme, headers)), ["127.0.0.1", "127.0.0.1", scheme.replace("ws", "http"), f"localhost:{port}", *["-"] * len(hostile.ABSENT)],
                      f"{scheme}: the endpoint is told the client's address, the scheme and the host, whatever else {len(headers)} headers say")
    site.stop_endpoints()
    site.start_endpoints()


async def ask_views(site, scheme, headers):
    async with sites.connect(site, "/echo/variables", scheme, headers=headers) as client:
        return [await sites.echo(client, name) for name in ("REMOTE_ADDR", "HTTP_X_FORWARDED_FOR", "HTTP_X_FORWARDED_PROTO", "HTTP_HOST", *hostile.ABSENT)]


def check_endpoint(site):
    if site.resident:
        return check_resident(site)
    site.stop("websocketd")
    site.start_websocketd("who")
    for scheme, web, port in (("ws", "http", site.http), ("wss", "https", site.https)):
        told = []  # None until websocketd is there
        stack.wait_until(lambda: told.append(ask_who(site, scheme)) or told[-1] is not None)
        tap.equal(told[-1], f"127.0.0.1|{web}|localhost:{port}", f"{scheme}: the endpoint is told the client's address, the scheme and the host")
    site.stop("websocketd")
    site.start_websocketd()


def scheme_of(variables):
    """What a CGI program takes for the scheme (RFC 3875 leaves it open)."""
    return "https" if variables.get("HTTPS") == "on" else variables.get("REQUEST_SCHEME", "http")


def check_variables(site, scheme, port):
    origin = f"{scheme}://localhost:{port}"
    variables = json.loads(sites.ask(site, "/echo?a=1", "-H", f"Origin: {origin}", scheme=scheme).body)
    tap.equal((variables["REMOTE_ADDR"], variables.get("QUERY_STRING"), scheme_of(variables)), ("127.0.0.1", "a=1", scheme),
              f"{scheme}: the FastCGI program is told the client's address, the query and the scheme")
    tap.equal((variables["HTTP_HOST"], variables["HTTP_ORIGIN"]), (f"localhost:{port}", origin),
              f"{scheme}: the FastCGI program has Host and Origin as a browser sends them, with the port")


def check_once(site, program):
    """A FastCGI program that ends with a request in its hands: a POST is never sent again, which would publish it twice."""
    program.breaks_off = True
    for method, path in (("POST", "/echo/post"), ("PUT", "/echo/put")):
        statuses = [sites.ask(site, path, "-X", method, "-d", "message=once").status for _ in range(3)]
        count = sum(variables["REQUEST_URI"] == path for variables in program.seen)
        tap.ok(count == 3 and min(statuses) >= 500, f"a program that breaks off has 3 {method} requests {count} times: {statuses}")
    program.breaks_off = False
    check_once_kept(site, program)


def check_once_kept(site, program):
    """The same of a connection that had an answer before: a browser sends again what has none there."""
    for kept in range(3):
        with contextlib.closing(http.client.HTTPConnection("localhost", site.http, timeout=60)) as client:
            client.request("GET", "/echo")
            client.getresponse().read()
            program.breaks_off = True
            status = post_status(client, f"/echo/kept{kept}")
            tap.ok(status >= 500, f"a request that is broken off on a kept connection is answered, so that no browser sends it again: {status}")
            program.breaks_off = False
        tap.equal(sum(variables["REQUEST_URI"] == f"/echo/kept{kept}" for variables in program.seen), 1, "a request that is broken off on a kept connection comes to the program once")


def post_status(client, path):
    """The status of the answer, or 0 if there is none."""
    try:
        client.request("POST", path, "message=once")
        return client.getresponse().status
    except (http.client.HTTPException, OSError):
        return 0


def check(site):
    check_endpoint(site)
    site.stop("fastcgi")
    (site.directory / "fcgi.sock").unlink(missing_ok=True)
    program = sites.FastcgiProgram(site.directory / "fcgi.sock")
    stack.wait_until(lambda: sites.ask(site, "/echo").status == 200)
    check_variables(site, "http", site.http)
    check_variables(site, "https", site.https)
    check_once(site, program)
    program.close()
    (site.directory / "fcgi.sock").unlink(missing_ok=True)
    site.start_fastcgi()
    stack.wait_until(lambda: sites.ask(site, "/echo?message=hi").body == b"hi")
