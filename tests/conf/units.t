#!/usr/bin/python3
"""
The systemd units: verified, hardened, and their commands run as they stand. systemd itself does not run here, so
systemd-socket-activate has the socket, and what the units forbid is compared with what the programs were seen to do.
"""
import asyncio
import os
import pathlib
import re
import resource
import signal
import subprocess
import sys
import tempfile

sys.path.insert(0, f"{sys.path[0]}/../lib")
import namespace
import frames
import resident
import rfc6455
import stack
import tap
import units

stack.need("redis-server", "systemd-analyze", "systemd-socket-activate", "multiwatch", "websocketd", "cgi-fcgi", "strace")
namespace.enter()

from redis_server import Redis

SERVICES = ("duplex-fcgi.service", "duplex-ws.service", "duplex-redis.service", "duplex-resident@echo.service")
CLIENTS = 100


def check_files():
    paths = [directory / name for name in (*SERVICES, "duplex-fcgi.socket", "duplex-resident@echo.socket")]
    result = subprocess.run(["systemd-analyze", "verify", "--man=no", *paths], capture_output=True)
    tap.equal((result.returncode, result.stdout, result.stderr), (0, b"", b""), "systemd-analyze verify finds nothing in the units")
    for name in SERVICES:
        output = subprocess.run(["systemd-analyze", "security", "--offline=true", directory / name], capture_output=True).stdout.decode()
        level = float(re.search(r"exposure level for \S+: ([\d.]+)", output)[1])
        tap.ok(level <= 1.5, f"{name}: systemd-analyze security says {level}")
    for path in paths:
        template = path.with_name(path.name.replace("@echo", "@"))
        for page, section in re.findall(r"man:([\w-]+)\((\d)\)", template.read_text()):
            tap.ok((prefix / f"share/man/man{section}/{page}.{section}").exists(), f"{path.name}: its manual {page}({section}) is installed")


def group(name):
    """Returns the system calls in a group of systemd's, or the one call of that name."""
    if not name.startswith("@"):
        return {name}
    output = subprocess.run(["systemd-analyze", "syscall-filter", name], capture_output=True, check=True).stdout.decode()
    calls = set()
    for line in map(str.strip, output.splitlines()[1:]):
        calls |= group(line) if line and not line.startswith("#") else set()
    return calls


def allowed():
    calls = set()
    for value in units.read(directory / "duplex-.service.d/sandbox.conf")["Service", "SystemCallFilter"]:
        for name in value.lstrip("~").split():
            calls = calls - group(name) if value.startswith("~") else calls | group(name)
    return calls


def used(trace):
    """Returns the system calls in what strace wrote, without those that do not exist or were refused."""
    return set(re.findall(r"^(?:\d+ +)?(\w+)\(", trace.read_text(errors="replace"), re.M))


def names(pids):
    return [stack.name_of(pid) for pid in pids]


def check_fcgi():
    """The FastCGI service on a socket of systemd's own tool, traced by strace."""
    path = prefix / "fcgi.sock"
    trace = prefix / "fcgi.trace"
    command = units.command(directory / "duplex-fcgi.service")
    service = subprocess.Popen(["systemd-socket-activate", "--inetd", "-l", path, "strace", "-f", "-qq", "-o", trace, *command],
                               stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    stack.wait_until(lambda: stack.is_socket(path))
    for query, wanted in (("message=hi", b"hi"), ("", b"<!DOCTYPE html>")):
        answer = subprocess.run(["cgi-fcgi", "-bind", "-connect", path], capture_output=True, stdin=subprocess.DEVNULL, timeout=60,
                                env={"PATH": os.environ["PATH"], "REQUEST_METHOD": "GET", "SCRIPT_NAME": "/echo", "QUERY_STRING": query}).stdout
        tap.ok(wanted in answer, f"the command of duplex-fcgi.service answers: {wanted.decode()}")
    multiwatch = next(pid for pid in stack.descendants(service.pid) if stack.name_of(pid) == "multiwatch")
    forks = int(next(part for part in command if part.startswith("--forks=")).partition("=")[2])
    tap.ok(stack.wait_until(lambda: names(stack.children(multiwatch)) == ["duplex-fcgi"] * forks), f"the command of duplex-fcgi.service starts {forks} workers")
    workers = stack.children(multiwatch)
    os.kill(workers[0], signal.SIGKILL)
    tap.ok(stack.wait_until(lambda: names(set(stack.children(multiwatch)) - set(workers)) == ["duplex-fcgi"]), "a worker that was killed is replaced")
    peak = max(stack.memory(pid, "VmHWM", "status") for pid in stack.children(multiwatch))
    limit = int(units.read(directory / "duplex-fcgi.service")["Service", "MemoryMax"][0].rstrip("M"))
    tap.ok(peak * forks / 1024 < limit / 2 or stack.SANITIZED, f"the workers of duplex-fcgi.service, of {peak} KiB each, are within half of {limit} MiB")
    os.kill(multiwatch, signal.SIGTERM)
    service.wait(30)
    tap.equal(names(filter(stack.is_alive, workers)), [], "SIGTERM to multiwatch ends the workers")
    tap.equal(used(trace) - allowed(), set(), f"the HTTP side makes no system call that its unit forbids, of {len(used(trace))}")
    text = trace.read_text(errors="replace")
    tap.equal(re.findall(r"socket\(AF_(?!UNIX)\w+", text), [], "the HTTP side opens no socket of a family that its unit forbids")
    written = re.findall(r"open(?:at)?\([^)\n]*(?:O_WRONLY|O_RDWR|O_CREAT)[^)\n]*", text)
    tap.equal([call for call in written if "/dev/" not in call], [], "the HTTP side opens no file to write to it")


async def check_clients(service):
    """Measures what a connection costs websocketd, and compares that with the limits of the unit."""
    async def connect():
        client = await rfc6455.connect("ws://127.0.0.1:9001/echo", origin=stack.ORIGIN)
        await client.send("hi")
        tap.equal(await asyncio.wait_for(client.recv(), 30), "hi", "a message comes back from duplex-ws.service") if not clients else await client.recv()
        clients.append(client)

    clients = []
    await connect()
    before = cost(service)
    for _ in range(CLIENTS):
        await connect()
    after = cost(service)
    for client in clients:
        await client.close()
    tap.ok(stack.wait_until(lambda: not stack.children(service)), "when the clients of duplex-ws.service are gone, no process is left")
    return [(now - then) / CLIENTS for then, now in zip(before, after)]


def cost(service):
    """Tasks of the whole service, descriptors of websocketd, KiB of the whole service."""
    everything = [service, *stack.descendants(service)]
    tasks = sum(len(list(pathlib.Path(f"/proc/{pid}/task").iterdir())) for pid in everything)
    return tasks, len(os.listdir(f"/proc/{service}/fd")), sum(stack.memory(pid, "Pss") for pid in everything)


def check_limits(service):
    tasks, descriptors, kib = asyncio.run(check_clients(service))
    settings = units.read(directory / "duplex-ws.service")
    most = int(next(part for part in units.command(directory / "duplex-ws.service") if part.startswith("--maxforks=")).partition("=")[2])
    limits = {name: int(settings["Service", name][0].replace("G", "048576")) for name in ("TasksMax", "LimitNOFILE", "MemoryMax")}
    tap.ok(tasks * most + 50 <= limits["TasksMax"], f"{most} clients of {tasks:.2f} tasks each are within TasksMax={limits['TasksMax']}")
    tap.ok(descriptors * most + 50 <= limits["LimitNOFILE"], f"{most} clients of {descriptors:.2f} descriptors each are within LimitNOFILE={limits['LimitNOFILE']}")
    tap.ok(kib * most <= limits["MemoryMax"] / 2 or stack.SANITIZED, f"{most} idle clients of {kib:.0f} KiB each are within half of MemoryMax")


def allow_descriptors():
    """LimitNOFILE is the limit and the bound of it; where they differ, Go's runtime raises the limit by itself."""
    bound = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (bound, bound))


def check_ws():
    """The WebSocket service by its own command, first alone, then traced by strace."""
    command = units.command(directory / "duplex-ws.service")
    for prelude, check in (([], check_limits), (["strace", "-f", "-qq", "-o", prefix / "ws.trace"], None)):
        service = subprocess.Popen([*prelude, *command], stdin=subprocess.DEVNULL, stdout=log, stderr=log, preexec_fn=allow_descriptors,
                                   env={"PATH": "/usr/bin:/bin", **{name: os.environ[name] for name in os.environ if name.endswith("SAN_OPTIONS")}})
        tap.ok(stack.wait_until(lambda: stack.is_listening(9001, service.pid)), "the command of duplex-ws.service listens on port 9001")
        websocketd = next(pid for pid in (service.pid, *stack.descendants(service.pid)) if stack.name_of(pid) == "websocketd")
        check(websocketd) if check else asyncio.run(check_clients(websocketd))
        os.kill(websocketd, signal.SIGTERM)
        service.wait(30)
    trace = prefix / "ws.trace"
    tap.equal(used(trace) - allowed(), set(), f"the WebSocket side makes no system call that its unit forbids, of {len(used(trace))}")
    families = units.read(directory / "duplex-ws.service")["Service", "RestrictAddressFamilies"][0].split()
    tap.equal(set(re.findall(r"socket\((AF_\w+)", trace.read_text(errors="replace"))) - set(families), set(), "the WebSocket side opens no socket of a family that its unit forbids")
    tap.equal(re.findall(r"mmap\([^)]*PROT_WRITE\|PROT_EXEC", trace.read_text(errors="replace")), [], "the WebSocket side maps no memory that is both written and run")


def count_workers(processors, **variables):
    """How many workers the command of duplex-resident@ starts on a machine of so many processors."""
    path = prefix / f"machine-{processors}"
    path.mkdir(exist_ok=True)
    (path / "nproc").write_text(f"#!/bin/sh\necho {processors}\n")
    (path / "nproc").chmod(0o755)
    command = [part.replace("$$", "$").replace("/usr/bin/multiwatch", "echo") for part in units.command(directory / "duplex-resident@.service")]
    output = subprocess.run(command, capture_output=True, env={"PATH": f"{path}:/usr/bin:/bin", **variables}).stdout.decode()
    return int(re.search(r"--forks=(\d+) ", output)[1])


def check_workers():
    """By default the workers of a resident endpoint are no more than fit its memory together, however large the machine is."""
    tap.equal([count_workers(processors) for processors in (1, 2, 6, 7, 64)], [1, 2, 6, 6, 6], "duplex-resident@: there is a worker for each processor, up to six")
    tap.equal([count_workers(64, DUPLEX_WORKERS="9"), count_workers(2, DUPLEX_WORKERS="9")], [9, 9], "duplex-resident@: DUPLEX_WORKERS counts on every machine")
    tap.equal(units.read(directory / "duplex-resident@.service").get(("Service", "OOMPolicy")), ["continue"], "duplex-resident@: the end of one worker for its memory does not stop the others")


def check_resident():
    """A resident endpoint by the command of its service, on a socket as its .socket unit makes it."""
    unit = directory / "duplex-resident@.service"
    command = [part.replace("$$", "$").replace("%i", "echo") for part in units.command(unit)]
    held = units.HeldSocket(prefix / "echo.sock")
    trace = prefix / "resident.trace"
    service = subprocess.Popen(["strace", "-f", "-qq", "-o", trace, *command], stdin=held.listener, stdout=log, stderr=log,
                               env={"PATH": "/usr/bin:/bin", "DUPLEX_WORKERS": "2", "ASAN_OPTIONS": "detect_leaks=0"})
    client = resident.Client(str(held.path), after=frames.text(b"hi"), timeout=60)
    tap.equal(client.frame(), (frames.TEXT, b"hi"), "duplex-resident@: its command echoes a message")
    multiwatch = next(pid for pid in stack.descendants(service.pid) if stack.name_of(pid) == "multiwatch")
    workers = stack.children(multiwatch)
    tap.equal(len(workers), 2, "duplex-resident@: DUPLEX_WORKERS is the number of its workers")
    os.kill(workers[0], signal.SIGKILL)
    tap.ok(stack.wait_until(lambda: len(set(stack.children(multiwatch)) - set(workers)) == 1), "duplex-resident@: another worker takes the place of one that was killed")
    stack.wait_until(lambda: all(map(resident.takes_signals, stack.children(multiwatch))))  # it does not tell one that is just starting
    settings = units.read(unit)
    memory, files = int(settings["Service", "MemoryMax"][0].rstrip("G")) << 30, int(settings["Service", "LimitNOFILE"][0])
    tap.ok(files >= 10000 + 1000 + 50, "duplex-resident@: LimitNOFILE is enough for WEBSOCKET_MAX_CLIENTS and those that are refused")
    tap.ok(memory >= 6 * ((256 << 20) + 10000 * 6144), "duplex-resident@: MemoryMax is enough for six workers at their own limits")
    os.kill(multiwatch, signal.SIGTERM)
    service.wait(60)
    held.close()
    tap.equal(used(trace) - allowed(), set(), f"duplex-resident@: no system call that the unit forbids, of {len(used(trace))}")
    text = trace.read_text(errors="replace")
    tap.equal(re.findall(r"socket\(AF_(?!UNIX)\w+", text), [], "duplex-resident@: no socket of a family that the unit forbids")
    tap.equal(re.findall(r"mmap\([^)]*PROT_WRITE\|PROT_EXEC", text), [], "duplex-resident@: no memory that is both written and run")


def check_redis():
    """The Redis service by its own command, where its default address is ours as well."""
    path = pathlib.Path("/run/duplex-redis/redis.sock")
    trace = prefix / "redis.trace"
    path.parent.mkdir()
    service = subprocess.Popen(["strace", "-f", "-qq", "-o", trace, *units.command(directory / "duplex-redis.service")],
                               stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=log)
    tap.ok(stack.wait_until(path.exists), "the command of duplex-redis.service makes its socket")
    variables = {"PATH": os.environ["PATH"], "SCRIPT_NAME": "/chat", "REQUEST_METHOD": "GET", "QUERY_STRING": "after=-1"}
    answer = subprocess.run([prefix / "sbin/duplex-fcgi", f"--page={prefix}/share/duplex/html"], env=variables, capture_output=True).stdout
    tap.ok(answer.startswith(b"Status: 200 "), "/chat finds the Redis of duplex-redis.service")
    redis = next(pid for pid in stack.descendants(service.pid) if stack.name_of(pid) == "redis-server")
    os.kill(redis, signal.SIGTERM)
    tap.equal(service.wait(30), 0, "SIGTERM ends the Redis of duplex-redis.service with 0")
    tap.equal(used(trace) - allowed(), set(), f"Redis makes no system call that its unit forbids, of {len(used(trace))}")
    text = trace.read_text(errors="replace")
    tap.equal(re.findall(r"socket\(AF_(?!UNIX)\w+", text), [], "Redis opens no socket of a family that its unit forbids")


def check_machines():
    """What duplex(7) has for several machines: the services may reach the one Redis, and nothing else."""
    written = units.for_machines(prefix / "share/man/man7/duplex.7")
    for name in ("duplex-ws", "duplex-fcgi", "duplex-resident@chat"):
        override = directory / f"{name}.service.d/override.conf"
        override.parent.mkdir()
        override.write_text(written[name])
        result = subprocess.run(["systemd-analyze", "verify", "--man=no", directory / f"{name}.service"], capture_output=True)
        tap.equal((result.returncode, result.stdout, result.stderr), (0, b"", b""), f"systemctl edit {name}: systemd-analyze verify finds nothing")
        output = subprocess.run(["systemd-analyze", "security", "--offline=true", directory / f"{name}.service"], capture_output=True).stdout.decode()
        level = float(re.search(r"exposure level for \S+: ([\d.]+)", output)[1])
        tap.ok(level <= 1.7, f"systemctl edit {name}: systemd-analyze security says {level}")
        tap.equal(units.read(override)["Service", "EnvironmentFile"], [f"{prefix}/etc/duplex/redis"], f"systemctl edit {name}: the address of Redis comes from its file")
    trace = prefix / "redis-by-network.trace"
    with Redis(tcp=True) as redis:
        variables = {"PATH": os.environ["PATH"], "SCRIPT_NAME": "/chat", "REQUEST_METHOD": "GET", "QUERY_STRING": "after=-1", "DUPLEX_REDIS": redis.address}
        answer = subprocess.run(["strace", "-f", "-qq", "-o", trace, prefix / "sbin/duplex-fcgi", f"--page={prefix}/share/duplex/html"],
                                env={**variables, "ASAN_OPTIONS": "detect_leaks=0"}, capture_output=True).stdout
    tap.ok(answer.startswith(b"Status: 200 "), "the HTTP side reaches Redis over the network, as several machines need it")
    let = [family for path in (directory / "duplex-fcgi.service", override) for family in units.read(path)["Service", "RestrictAddressFamilies"]]
    tap.equal(set(re.findall(r"socket\((AF_\w+)", trace.read_text(errors="replace"))) - set(let), set(), f"to reach Redis it opens no socket of a family other than {' and '.join(let)}")
    tap.equal(used(trace) - allowed(), set(), "to reach Redis it makes no system call that the unit forbids")


with tempfile.TemporaryDirectory() as top, tempfile.TemporaryFile("w+") as log:
    prefix = pathlib.Path(top)
    directory = prefix / "lib/systemd/system"
    tap.equal(units.install("install", prefix), (0, "", ""), "make install ends with 0 and says nothing")
    check_files()
    check_fcgi()
    check_ws()
    check_workers()
    check_resident()
    check_redis()
    check_machines()
    log.seek(0)
    ordinary = r"^Listening on|^Communication attempt|^Execing|^Spawning child|file already closed|SIG(INT|TERM|KILL) unsuccessful to" + "|LeakSanitizer|LSAN_OPTIONS|ASan doesn't fully support makecontext" * stack.SANITIZED  # not under strace
    unexpected = [line for line in log.read().splitlines() if not re.search(ordinary, line)]
    tap.equal(unexpected, [], "nothing unexpected is in the log")
tap.done()
