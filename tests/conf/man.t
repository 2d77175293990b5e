#!/usr/bin/python3
"""The man pages: without a warning, complete, in agreement with the headers and --help, and with examples that work."""
import os
import pathlib
import re
import subprocess
import sys
import tempfile

sys.path.insert(0, f"{sys.path[0]}/../lib")
import stack
import tap

stack.need("mandoc")
HEADERS = {"ws/lib/websocket.3": "ws/lib/websocket.h", "ws/lib/websocket_subscribe.3": "ws/lib/push.h"}
# what the library itself is linked with
NEEDED = re.findall(r"-l(?!websocket)\w+", re.search(r"^Libs: (.*)", (stack.ROOT / "ws/lib/duplex.pc").read_text(), re.M)[1])
PAGES = (*HEADERS, "conf/duplex.7", "conf/duplex-check.8", "fcgi/duplex-fcgi.8")


def source(page):
    """A page as it is installed: those of the library are made with its headers."""
    if page not in HEADERS:
        return (stack.ROOT / page).read_text()
    made = subprocess.run([stack.ROOT / "conf/install/manual", stack.ROOT / HEADERS[page], stack.ROOT / page], capture_output=True)
    tap.equal((made.returncode, made.stderr.decode()), (0, ""), f"{page} is made with {HEADERS[page]}")
    return made.stdout.decode()


def run_mandoc(page, *options):
    return subprocess.run(["mandoc", *options], input=SOURCES[page].encode(), capture_output=True).stdout.decode()


def rendered(page):
    return re.sub(r".\x08", "", run_mandoc(page, "-Tutf8"))


def check_lint():
    for page in PAGES:
        output = run_mandoc(page, "-Tlint", "-Wstyle")
        # what a page refers to need not be installed here, and it names the version that it belongs to
        found = [line for line in output.splitlines() if "referenced manual not found" not in line and "operating system explicitly" not in line]
        tap.equal(found, [], f"mandoc finds nothing in {page}")


def check_functions(header, page, least):
    text = SOURCES[page]
    name_of_header = header
    header = (stack.ROOT / header).read_text()
    header = re.sub(r"/\*.*?\*/", "", header, flags=re.S)
    prototypes = re.findall(r"^([a-z][^;{}()#]*?)\b((?:is_)?websocket\w*)\(((?:[^()]|\([^()]*\))*)\)[ \nA-Z_]*;", header, re.M)
    tap.ok(len(prototypes) >= least, f"{name_of_header} declares {len(prototypes)} functions, of at least {least}")
    names = re.findall(r"^\.Nm (\w+)", text, re.M)
    tap.equal(sorted(names), sorted(name for _, name, _ in prototypes), f"{page} names each function of {name_of_header}")
    synopsis = re.search(r"\.Sh SYNOPSIS\n(.*?)\.Sh", text, re.S)[1]
    for kind, name, arguments in prototypes:
        parts = " ".join(f'"{part.strip()}"' if " " in part.strip() else part.strip() for part in re.sub(r"\s+", " ", arguments).split(","))
        wanted = f".Ft {kind.strip()}\n.Fn {name} {parts}\n"
        tap.ok(wanted in synopsis, f"{page} has the prototype of {name}") or print(f"# wanted {wanted!r}")
        tap.ok(re.search(rf"^\.Ss {name}\n[^.]", text, re.M), f"{page} says what {name} does")


def check_values():
    header = (stack.ROOT / "ws/lib/websocket.h").read_text()
    text = rendered("ws/lib/websocket.3")
    values = re.findall(r"^\t(WEBSOCKET_\w+) = ", header, re.M)
    tap.ok(len(values) == 4 and all(f"{value} = " in text for value in values), f"websocket(3) has each value of the enum: {values}")
    errors = re.findall(r"^\t? \* +(E[A-Z0-9]+) +(\w+ \w+ \w+)", header, re.M)
    lacking = [error for error, cause in errors if not re.search(rf"\b{error} +{cause}", text)]
    tap.ok(len(errors) > 7 and not lacking, f"websocket(3) has each errno of the header with its cause; it lacks {lacking}")


def check_options():
    usage = subprocess.run([stack.BUILD / "fcgi/duplex", "--help"], capture_output=True).stdout.decode()
    options = set(re.findall(r"^  --(\w+)", usage, re.M))
    tap.equal(set(re.findall(r"^\.It Fl -(\w+)", SOURCES["fcgi/duplex-fcgi.8"], re.M)), options, "duplex-fcgi(8) has the options of --help")


GIVEN = {"GATEWAY_INTERFACE", "PATH_INFO", "QUERY_STRING", "REMOTE_ADDR", "REQUEST_METHOD", "REQUEST_URI", "SCRIPT_NAME"}  # by CGI, not set by anybody
OURS = r"\b(?:DUPLEX|WEBSOCKET)_[A-Z_]+\b"


def variables_of_sources():
    """What the programs, the units and make run take from the environment."""
    found = set()
    for pattern in ("fcgi/*.c", "ws/*.c", "ws/lib/*.c", "ws/lib/*/*.c"):
        for path in stack.ROOT.glob(pattern):
            found |= set(re.findall(rf'getenv\("(\w+)"\)|"({OURS})"', path.read_text()))
    found = {name for pair in found for name in pair if name}
    for path in stack.ROOT.glob("conf/systemd/*"):
        if path.is_file():
            found |= set(re.findall(OURS, path.read_text()))
    return found


def check_variables():
    """Each variable of the environment has its place in a manual, and a manual has none that nothing heeds."""
    found = variables_of_sources()
    tap.ok(len(found) > 12, f"the programs and units heed {len(found)} variables of the environment")
    words = {name for page in PAGES for name in re.findall(r"\b[A-Z_]{4,}\b", SOURCES[page])}
    tap.equal(found - words - GIVEN, set(), "the manuals have every variable of the environment that the programs and units heed")
    documented = {name for page in PAGES for name in re.findall(rf"^\.(?:It )?Ev ({OURS})", SOURCES[page], re.M)}
    documented |= set(re.findall(r"\bDUPLEX_[A-Z_]+\b", (stack.ROOT / "ws/lib/push.h").read_text()))
    tap.equal(documented - found, set(), "no manual has a variable that nothing heeds")
    limits = set(re.findall(r'^\t\{"(WEBSOCKET_\w+)"', (stack.ROOT / "ws/lib/settings.c").read_text(), re.M))
    tap.equal(set(re.findall(rf"^\.It Ev ({OURS})", SOURCES["ws/lib/websocket.3"], re.M)), limits, "websocket(3) has each limit of ws/lib/settings.c")


def check_defaults():
    """The value that websocket(3) gives for each limit is the one of the table."""
    rows = re.findall(r'\{"(WEBSOCKET_\w+)", offsetof\([^)]*\),\s*(\w+),', (stack.ROOT / "ws/lib/settings.c").read_text())
    page = SOURCES["ws/lib/websocket.3"]
    told = dict(re.findall(rf"^\.It Ev ({OURS})\n(?:(?!\.It)[^\n]*\n)*?[^\n]*by\s+default\s+(\d+)", page, re.M))
    named = dict(re.findall(r"^#define (\w+) (\d+)$", (stack.ROOT / "ws/lib/websocket.h").read_text(), re.M))
    tap.equal(told, {name: named.get(value, value) for name, value in rows}, "websocket(3) has the default of each limit")


def check_make_run():
    usage = subprocess.run([stack.ROOT / "conf/run/launch", "--help"], capture_output=True).stdout.decode()
    scripts = "".join(path.read_text() for pattern in ("conf/run/launch", "conf/run/*.sh") for path in stack.ROOT.glob(pattern))
    heeded = set(re.findall(r"\$\{([A-Z_]+)[:}]", scripts)) - {"TMPDIR"}
    tap.equal(heeded - set(re.findall(r"\b[A-Z_]{2,}\b", usage)), set(), "conf/run/launch --help names what make run heeds of the environment")


def check_answers():
    page = SOURCES["fcgi/duplex-fcgi.8"]
    answers = page.partition(".Ss Answers")[2].partition(".Sh ENVIRONMENT")[0]
    known = set(re.findall(r"^\t\{(\d\d\d), ", (stack.ROOT / "ws/lib/status.c").read_text(), re.M))
    code = "".join(re.sub(r"/\*.*?\*/", "", path.read_text(), flags=re.S) for path in sorted(stack.ROOT.glob("fcgi/*.c")))
    statuses = known & set(re.findall(r"\b\d{3}\b", code))
    tap.ok(len(statuses) >= 13, f"the sources of fcgi/ have {len(statuses)} statuses")
    tap.equal({status for status in statuses if not re.search(rf"\b{status}\b", answers)}, set(), "duplex-fcgi(8) has every status that is answered")
    routes = set(re.findall(r'^([A-Z]+)\("(.+?)"', (stack.ROOT / "fcgi/routes.h").read_text(), re.M))
    # a route with a final "*" is described with a name in its place
    lacking = {(method, path) for method, path in routes if not re.search(rf"{method} {re.escape(path.removesuffix('*'))}(\s|$)", answers, re.M)}
    tap.equal(lacking, set(), "duplex-fcgi(8) has every path of the route table, with its method")


def example(page):
    return re.search(r"^ *(#include <.*?\n *int main\(void\)\n.*?\n *}\n)", rendered(page).partition("\nEXAMPLES\n")[2], re.S | re.M)[1]


def compile_example(page, program, *libraries):
    """The example of a page, compiled as it stands."""
    program.with_suffix(".c").write_text(example(page))
    sanitizers = ["-fsanitize=address,undefined"] if stack.SANITIZED else []
    result = subprocess.run(["cc", "-std=c11", "-Wall", "-Wextra", "-Wpedantic", "-Werror", *sanitizers, program.with_suffix(".c"), "-o", program,
                             "-I", stack.ROOT / "ws/lib", stack.BUILD / "libwebsocket.a", *libraries, *NEEDED], capture_output=True)
    tap.equal((result.returncode, result.stderr.decode()), (0, ""), f"the example of {page} is compiled without a warning")


def check_example():
    """The example of websocket(3), asked as websocketd would."""
    with tempfile.TemporaryDirectory() as directory:
        program = pathlib.Path(directory) / "measure"
        compile_example("ws/lib/websocket_subscribe.3", pathlib.Path(directory) / "chat", "-lhiredis")
        compile_example("ws/lib/websocket.3", program)
        result = subprocess.run([program], input=b"abc\n\n", capture_output=True, env={**os.environ, "GATEWAY_INTERFACE": "websocketd-CGI/0.1"})
        tap.equal((result.returncode, result.stdout, result.stderr), (0, b"3 bytes\n0 bytes\n", b""), "the example of websocket(3) works")


def check_request():
    """The example of duplex-fcgi(8), typed as it stands, by somebody who is anywhere."""
    with tempfile.TemporaryDirectory() as directory:
        site = pathlib.Path(directory, "duplex")
        site.mkdir()
        (site / "html").symlink_to(stack.ROOT / "html")
        (site / "duplex-fcgi").symlink_to(stack.BUILD / "fcgi/duplex")
        typed = re.findall(r"^ +\$ (.*)$", rendered("fcgi/duplex-fcgi.8").replace("@datadir@", directory).partition("\nEXAMPLES\n")[2], re.M)
        result = subprocess.run(["sh", "-c", "\n".join(typed)], cwd="/", capture_output=True, env={"PATH": f"{site}:/usr/bin:/bin"})
        tap.equal((result.returncode, result.stdout.partition(b"\r\n\r\n")[2], result.stderr), (0, b"hi", b""), "the example of duplex-fcgi(8) works")


SOURCES = {page: source(page) for page in PAGES}
check_lint()
check_functions("ws/lib/websocket.h", "ws/lib/websocket.3", 14)
check_functions("ws/lib/push.h", "ws/lib/websocket_subscribe.3", 2)
check_values()
check_options()
check_variables()
check_defaults()
check_make_run()
check_answers()
check_example()
check_request()
tap.done()
