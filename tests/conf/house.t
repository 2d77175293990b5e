#!/usr/bin/python3
"""
The house rules: who may include whom, that each outside library is known by one file, that no module needs itself by way of
another, that headers stand alone, and how long functions and files may be. That a further endpoint and its view need no
edit of a Makefile is in endpoint.t.
"""
import re
import statistics
import subprocess
import sys

sys.path.insert(0, f"{sys.path[0]}/../lib")
import stack
import tap

stack.need("cc", "clang++", "nm")
PUBLIC = ("websocket.h", "push.h")
# How the headers of an outside library begin, and the one file that includes them.
OUTSIDE = {"fcgi|fastcgi": "fcgi/fastcgi.c", "hiredis/hiredis_ssl|openssl": "ws/lib/push/redis-tls.c", "hiredis": "ws/lib/push/redis.c", "sha1": "ws/lib/resident/handshake-answer.c", "resolv": "ws/lib/resident/handshake-answer.c"}
# A part of the name of each header that belongs to the C library, to POSIX or to Linux.
SYSTEM = re.compile(r"(arpa|netinet|sanitizer|sys|linux)/|(dlfcn|err|errno|fcntl|getopt|inttypes|limits|malloc|netdb|poll|pthread|sched|setjmp|signal|stdarg|stdbool|stddef|stdint|stdio|stdlib|stdnoreturn"
                    r"|string|strings|time|ucontext|unistd)\.h$")


def sources(*patterns):
    return {path.relative_to(stack.ROOT).as_posix(): path.read_text() for pattern in patterns for path in sorted(stack.ROOT.glob(pattern)) if path.is_file()}


CODE = sources("fcgi/*.[ch]", "ws/*.[ch]", "ws/*/*.[ch]", "ws/lib/*/*.[ch]")


def without_comments(text):
    return re.sub(r"/\*.*?\*/", "", text, flags=re.S)


def included(file):
    """What a file includes of ours, as it is found: beside it, or in ws/lib."""
    names = re.findall(r'^#include "(.+)"', without_comments(CODE[file]), re.M)
    beside = file.rpartition("/")[0] + "/"
    return [beside + name if beside + name in CODE else "ws/lib/" + name for name in names]


def is_endpoint(file):
    return file.startswith("ws/") and not file.startswith("ws/lib/")


def check_direction():
    lost = [f"{file}: {name}" for file in CODE for name in included(file) if name not in CODE or ".." in name]
    tap.equal(lost, [], "every header of ours is found beside its reader or below ws/lib, without a way up")
    up = [f"{file}: {name}" for file in CODE for name in included(file) if not file.startswith("fcgi/") and name.startswith("fcgi/")]
    tap.equal(up, [], "nothing in ws/ includes a header of fcgi/")
    allowed = {f"ws/lib/{name}" for name in PUBLIC}
    private = [f"{file}: {name}" for file in CODE if is_endpoint(file) for name in included(file)
               if name not in allowed and name.rpartition("/")[0] != file.removesuffix(".c")]
    tap.equal(private, [], "an endpoint includes nothing but the public headers, and those of its own folder")
    beyond = [f"{header}: {name}" for header in PUBLIC for name in included(f"ws/lib/{header}") if name not in allowed]
    tap.equal(beyond, [], "a public header includes no private one")


def check_outside():
    users = {}
    for file, text in CODE.items():
        for name in re.findall(r"^#include <(.+)>", without_comments(text), re.M):
            if not SYSTEM.match(name):
                library = next((library for library in OUTSIDE if re.match(library, name)), name)
                users.setdefault(library, set()).add(file)
    tap.equal(users, {library: {file} for library, file in OUTSIDE.items()}, "each outside library is included by the one file that knows it")


def undefined_and_defined(file):
    output = subprocess.run(["nm", "-P", stack.BUILD / "obj" / (file.removesuffix(".c") + ".o")], capture_output=True, check=True).stdout.decode()
    symbols = [line.split()[:2] for line in output.splitlines()]
    return {name for name, kind in symbols if kind == "U"}, {name for name, kind in symbols if kind in "TDBRV"}


def find_circle(edges):
    """A way from a file back to itself, or an empty list."""
    done = set()

    def walk(file, way):
        if file in way:
            return way[way.index(file):] + [file]
        if file in done:
            return []
        for following in sorted(edges[file]):
            if found := walk(following, way + [file]):
                return found
        done.add(file)
        return []

    return next((found for file in sorted(edges) if (found := walk(file, []))), [])


def module(file):
    """What a file of C is a part of: client-close.c belongs to client.c, and both have client.h."""
    return re.sub(r"-[^/]*\.c$", ".c", file) if re.sub(r"-[^/]*\.c$", ".h", file) in CODE else file


def check_circles():
    includes = {file: {name for name in included(file) if name in CODE} for file in CODE}
    tap.equal(find_circle(includes), [], "no header includes itself by way of others")
    objects = {file: undefined_and_defined(file) for file in CODE if file.endswith(".c")}
    home = {name: file for file, (_, defined) in objects.items() if not is_endpoint(file) and file != "fcgi/main.c" for name in defined}
    calls = {module(file): set() for file in objects}
    for file, (undefined, _) in objects.items():
        calls[module(file)] |= {module(home[name]) for name in undefined if name in home} - {module(file)}
    tap.ok(sum(map(len, calls.values())) > 20, f"{len(calls)} modules call one another")
    tap.equal(find_circle(calls), [], "no module calls itself by way of others")


def check_headers():
    for file in (file for file in CODE if file.endswith(".h") and not file.endswith("/routes.h")):
        command = ["cc", "-std=c11", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-fsyntax-only", f"-I{stack.ROOT}/ws/lib", "-x", "c",
                   stack.ROOT / file]
        result = subprocess.run(command, capture_output=True)
        tap.equal((result.returncode, result.stderr.decode()), (0, ""), f"{file} compiles alone")
    for file in PUBLIC:
        for compiler, standard in (("cc", "c99"), ("clang++", "c++11"), ("clang++", "c++20")):
            language = "c++" if "++" in standard else "c"
            command = [compiler, f"-std={standard}", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-fsyntax-only", f"-I{stack.ROOT}/ws/lib", "-x", language, "-"]
            result = subprocess.run(command, input=f"#include <{file}>\n".encode(), capture_output=True)
            tap.equal((result.returncode, result.stderr.decode()), (0, ""), f"{file} compiles alone as {standard}")


def functions(file, text):
    """Each function in a file of C and its number of lines."""
    start = None
    for number, line in enumerate(text.split("\n"), 1):
        if line == "{":
            start = number
        elif line == "}" and start:
            yield number - start - 1, f"{file}:{start}"
            start = None


def check_lengths():
    lengths = sorted(length for file, text in CODE.items() for length in functions(file, text))
    median = statistics.median(length for length, _ in lengths)
    tap.ok(len(lengths) > 150 and median <= 10, f"half of the {len(lengths)} functions have at most 10 lines: {median}")
    tap.equal([where for length, where in lengths if length > 40], [], "no function has more than 40 lines")
    files = {**CODE, **sources("Makefile", "tests/tests.mk", "html/*.[chj]*", "conf/*.conf", "conf/Caddyfile", "conf/haproxy.cfg", "conf/install/*", "conf/run/*[a-z]")}
    tap.equal([file for file, text in files.items() if text.count("\n") > 350], [], "no file has more than 350 lines")


def check_makefile():
    """The Makefile may treat a source in a way of its own (leave it out, give it a flag), but none is an ingredient by its name."""
    text = (stack.ROOT / "Makefile").read_text()
    text = re.sub(r"\$\(filter-out [^,]*,", "", re.sub(r"^[^\t\n]*: (CPPFLAGS \+= .*|Makefile)$", "", text, flags=re.M))
    named = {file for file in CODE if re.search(rf"(?<![\w-]){file.rpartition('/')[2].removesuffix('.c')}\.[co]\b", text)}
    tap.equal(named, set(), "the Makefile lists no source file")



check_direction()
check_outside()
check_circles()
check_headers()
check_lengths()
check_makefile()
tap.done()
