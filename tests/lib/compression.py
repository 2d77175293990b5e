"""The page and its files are compressed behind each server and known again, and an echo is never compressed (sites.py)."""
import gzip

import sites
import tap

GZIP = ("-H", "Accept-Encoding: gzip")


def check_file(site, path):
    plain = sites.ask(site, path)
    zipped = sites.ask(site, path, *GZIP)
    tap.equal((plain.status, plain.headers.get("content-encoding")), (200, None), f"{path} is not compressed for a client that does not ask for it")
    if not tap.equal((zipped.status, zipped.headers.get("content-encoding")), (200, "gzip"), f"{path} is compressed for a client that asks for it"):
        return
    tap.ok(gzip.decompress(zipped.body) == plain.body and len(zipped.body) < 0.65 * len(plain.body), f"{path} is the same, in {len(zipped.body)} bytes for {len(plain.body)}")
    again = sites.ask(site, path, *GZIP, "-H", f"If-None-Match: {zipped.headers.get('etag')}")
    tap.equal((again.status, again.body), (304, b""), f"{path} is known again by the ETag that it has when compressed")
    again = sites.ask(site, path, *GZIP, "-H", f"If-None-Match: {again.headers.get('etag')}")
    tap.equal((again.status, again.body), (304, b""), f"{path} is known again by the ETag of that answer")
    tap.equal([answer.headers.get("vary", "").lower() for answer in (plain, zipped, again)], ["accept-encoding"] * 3, f"each answer of {path} says that it varies")


def check(site):
    for path in ("/echo", "/echo/echo.js", "/echo/echo.css", "/echo/echo.js?v=0"):
        check_file(site, path)
    for message in ("hi", "x" * 3000):
        answer = sites.ask(site, f"/echo?message={message}", *GZIP)
        tap.equal((answer.body, answer.headers.get("content-encoding"), answer.headers.get("content-length")), (message.encode(), None, str(len(message))),
                  f"an echo of {len(message)} bytes comes back byte for byte to a client that takes it compressed")
