"""TAP for the tests in Python: ok() and equal() are a check each, done() ends the test."""
import os
import sys

prefix = ""  # of the names of the checks that follow
checks = 0
failures = 0


def ok(passed, name):
    global checks, failures
    checks += 1
    failures += not passed
    print(f"{'ok' if passed else 'not ok'} {checks} - {prefix}{name}", flush=True)
    return bool(passed)


def equal(got, wanted, name):
    if not ok(got == wanted, name):
        for label, value in (("got", got), ("wanted", wanted)):
            for part in value if isinstance(value, list) and value else [value]:
                print(f"# {label:6} {shorten(part)}", flush=True)
    return got == wanted


def shorten(value):
    text = repr(value)
    return text if len(text) < 600 else f"{text[:300]}... {len(text)} characters"


def skip_all(reason):
    """The test cannot run here. Under CI=true everything must, so that is a failure."""
    if os.environ.get("CI") == "true":
        ok(False, f"can run: {reason}")
        done()
    print(f"1..0 # SKIP {reason}")
    sys.exit(0)


def does_not_apply(reason):
    """The test has nothing to look at in this build, on any machine."""
    print(f"1..0 # SKIP {reason}")
    sys.exit(0)


def done():
    print(f"1..{checks}")
    sys.stdout.flush()
    sys.exit(1 if failures else 0)
