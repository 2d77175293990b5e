"""What the kernel and the packages say: processor time, memory, versions, and figures from many rounds."""
import contextlib
import os
import pathlib
import platform
import re
import statistics
import subprocess
import sys
import time

sys.path.append(str(pathlib.Path(__file__).resolve().parent.parent / "lib"))
from processes import children, descendants, wait_until  # the first and the last for systems.py

CELLS = ("1x1", "1x64", "50x16", "500x1")  # connections x messages in flight
TITLES = {
    "duplex": "duplex, by websocketd",
    "resident": "duplex, resident",
    "both": "duplex, in both ways",  # HTTP, of which there is one
    "musl": "duplex, by websocketd, musl",
    "duplex, behind lighttpd": "duplex, by websocketd, behind lighttpd",
    "resident chat": "duplex, resident",
    "resident chat, behind lighttpd": "duplex, resident, behind lighttpd",
    "resident chat with 4 workers": "duplex, resident, 4 workers",
    "resident chat with 4 workers, behind lighttpd": "duplex, resident, 4 workers, behind lighttpd",
    "smallest": "smallest libfcgi program",
    "static": "static file",
}
TICKS = os.sysconf("SC_CLK_TCK")
PACKAGES = ("gcc", "libc6", "libfcgi0ldbl", "lighttpd", "websocketd", "wrk", "libwslay1", "musl-tools", "valgrind", "nodejs", "node-ws",
            "python3", "python3-aiohttp", "python3-websockets", "python3-django", "python3-django-channels", "daphne", "libwebsockets17",
            "redis-server", "libhiredis0.14", "node-redis", "python3-channels-redis")


def title(name):
    """What a system is called in the tables and plots."""
    return TITLES.get(name, name)


def family(pid):
    return [pid, *descendants(pid)]


def name_of(pid):
    return pathlib.Path(f"/proc/{pid}/comm").read_text().strip()


def processor_seconds(pids):
    """Of each program by name, and under "ended" of the children that have ended and were waited for."""
    seconds = {}
    for pid in pids:
        with contextlib.suppress(OSError):
            fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
            own, ended = (sum(map(int, fields[at:at + 2])) / TICKS for at in (11, 13))
            seconds[name_of(pid)] = seconds.get(name_of(pid), 0) + own
            seconds["ended"] = seconds.get("ended", 0) + ended
    return seconds


def processor_clocks(pids):
    """Seconds of each program by name, to the nanosecond: what many processes spend on little (clock_getcpuclockid(3))."""
    seconds = {}
    for pid in pids:
        with contextlib.suppress(OSError):
            seconds[name_of(pid)] = seconds.get(name_of(pid), 0) + time.clock_gettime(~pid << 3 | 2)
    return seconds


def available():
    """KiB of memory that the whole system has left."""
    return int(re.search(r"^MemAvailable:\s+(\d+)", pathlib.Path("/proc/meminfo").read_text(), re.M)[1])


def memory(pid):
    """KiB that are the process's share (Pss), and its alone (private)."""
    text = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text()
    field = {name: int(kib) for name, kib in re.findall(r"^(\w+):\s+(\d+) kB$", text, re.M)}
    return {"pss": field["Pss"], "private": field["Private_Clean"] + field["Private_Dirty"]}


def versions():
    listed = subprocess.run(["dpkg-query", "-W", "-f", "${db:Status-Status} ${Package} ${Version}\n", *PACKAGES], capture_output=True, text=True).stdout
    installed = (line.split()[1:] for line in listed.splitlines() if line.startswith("installed "))
    return {package: re.sub(r"^\d+:|-[^-]*$", "", version) for package, version in installed}


def machine():
    model = re.search(r"^model name\s*: (.*)$", pathlib.Path("/proc/cpuinfo").read_text(), re.M)
    total = re.search(r"^MemTotal:\s+(\d+)", pathlib.Path("/proc/meminfo").read_text(), re.M)
    return {"date": time.strftime("%Y-%m-%d"), "processor": model[1] if model else platform.machine(), "cores": os.cpu_count(),
            "memory_MiB": int(total[1]) // 1024, "kernel": platform.release(), "load_before": round(os.getloadavg()[0], 2), "versions": versions()}


def spread(values):
    return {"min": min(values), "median": statistics.median(values), "max": max(values), "rounds": len(values)}


def ratio(these, those):
    """Of the medians, and the spread of the ratios of each round."""
    each = [this / that for this, that in zip(these, those) if that]
    return {"ratio": statistics.median(these) / statistics.median(those), "min": min(each), "max": max(each)}
