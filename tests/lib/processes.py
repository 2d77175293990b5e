"""Processes and those that they have started, and waiting until something holds."""
import contextlib
import pathlib
import time


PATIENCE = 60  # seconds, for what takes a moment on a quiet machine and longer on a loaded one


def wait_until(condition, seconds=PATIENCE):
    """Whether the condition comes true within so many seconds."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.005)
    return True


def children(pid):
    found = []
    with contextlib.suppress(OSError):
        for file in list(pathlib.Path(f"/proc/{pid}/task").glob("*/children")):
            with contextlib.suppress(OSError):
                found += [int(child) for child in file.read_text().split()]
    return found


def descendants(pid):
    found = children(pid)
    for child in list(found):
        found += descendants(child)
    return found
