"""A program whose system calls and allocations fail when they are told to (faults/faults.c), told so for each of their times."""
import errno
import pathlib
import tempfile

import tap

MOST = 60  # times that a call is made to fail, where a program would make it for ever
PARTIAL = 0  # not an error, but less than was asked for
directory = tempfile.TemporaryDirectory()
hit = pathlib.Path(directory.name) / "hit"


def describe(name, number, error):
    return f"{name} {number}: {errno.errorcode.get(error, 'a part')}"


def was_hit():
    found = hit.exists()
    hit.unlink(missing_ok=True)
    return found


def check(program, table, judge):
    """For each call and error of the table: judge(outcome, environment) runs the program with it failing at its first time,
    its second, and so on until there is no such time, and tells what is wrong, or None."""
    for name, error, outcome in table:
        wrong = []
        times = 0
        for number in range(1, MOST + 1):
            result = judge(outcome, {"FAULT": f"{name} {number} {error}", "FAULT_HIT": str(hit)})
            if not was_hit():
                break
            times = number
            wrong += [f"{describe(name, number, error)}: {result}"] if result else []
        tap.equal((wrong, times > 0), ([], True), f"{program}: {describe(name, f'1 to {times}', error)}: it {outcome}")
