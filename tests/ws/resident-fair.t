#!/usr/bin/python3
"""
A client that floods a resident endpoint gets its turn and no more, and one that never reads costs the others nothing. It is
counted, not timed, so that a loaded machine changes nothing: the view numbers the messages of all clients as it takes them.
How long 50 others wait, alone and beside these two, is told for the reader.
"""
import select
import signal
import statistics
import sys
import threading
import time

sys.path.insert(0, f"{sys.path[0]}/../lib")
import frames
import stack
import tap
from resident import NO_LIMIT, Endpoint

VIEWS = stack.BUILD / "tests/views"
OTHERS = 50
WINDOW = 16384  # what is read of a client in one turn
FLOOD = frames.text(b"x" * 100)


def queue(client, data):
    """Sends until the socket is full; how many bytes it took."""
    client.socket.setblocking(False)
    sent = 0
    while True:
        try:
            sent += client.socket.send(data)
        except BlockingIOError:
            client.socket.settimeout(30)
            return sent


def check_turns():
    with Endpoint(VIEWS, **NO_LIMIT) as views:
        flood, never, *others = [views.connect("/views/count-all") for _ in range(2 + OTHERS)]
        tap.ok(stack.wait_until(lambda: views.figures()[0] == 2 + OTHERS), f"{2 + OTHERS} clients are connected")
        queue(never, FLOOD * 100)  # and reads nothing of what comes back
        views.processes[0].send_signal(signal.SIGSTOP)
        queued = queue(flood, FLOOD * 10) // len(FLOOD)
        for client in others:
            client.send(frames.text(b"hi"))
        views.processes[0].send_signal(signal.SIGCONT)
        numbers = [int(client.texts(1)[0]) for client in others]
        start = int(flood.texts(1)[0])
        before = max(numbers) - start
        # the flood's and the other's own turns, of those that had begun when the others' messages came: two windows each
        most = OTHERS + 4 * (WINDOW // len(FLOOD) + 1)
        tap.ok(before <= most, f"beside {queued} messages of a client that floods, {OTHERS} others wait for {before} at most, of {most} that are fair")
        tap.ok(queued > 2 * most or before <= queued, f"the flood was {queued} messages long")


def ask(clients, rounds):
    """The 99th percentile of the others' times in milliseconds."""
    times = []
    for _ in range(rounds):
        sent = {}
        for client in clients:
            client.send(FLOOD)
            sent[client.socket] = client, time.perf_counter()
        while sent:
            for ready in select.select(list(sent), [], [])[0]:
                client, start = sent.pop(ready)
                client.frame()
                times.append(1000 * (time.perf_counter() - start))
    return statistics.quantiles(times, n=100)[98]


def tell_times():
    with Endpoint(VIEWS, **NO_LIMIT) as views:
        flood, never, *others = [views.connect("/views/echo") for _ in range(2 + OTHERS)]
        alone = ask(others, 100)
        stop = threading.Event()
        flooded = 0

        def run():
            nonlocal flooded
            flood.send(FLOOD * 64)
            while not stop.is_set():
                flood.receive()
                came = len(flood.arrived) // (2 + 100)
                del flood.arrived[:came * 102]
                flood.send(FLOOD * came)
                flooded += came

        thread = threading.Thread(target=run)
        thread.start()
        queue(never, FLOOD * 100)
        beside = ask(others, 100)
        stop.set()
        thread.join()
        print(f"# the 99th percentile of {OTHERS} others: {alone:.2f} ms alone, {beside:.2f} ms beside {flooded} messages of a flood and a client that does not read")
        tap.ok(flooded > 0, "the flood and the others are served side by side")


def processor_seconds(pid):
    return time.clock_gettime(~pid << 3 | 2)  # clock_getcpuclockid(3)


def check_rest():
    """A worker looks for a moment whether the next message comes at once; without one it sleeps."""
    with Endpoint(VIEWS, **NO_LIMIT) as views:
        client = views.connect()
        for number in range(500):
            client.send(frames.text(b"%d" % number))
            client.frame()
        pid = views.processes[0].pid
        before = processor_seconds(pid)
        time.sleep(1)  # the rest itself is what is tested
        spent = processor_seconds(pid) - before
        tap.ok(spent < 0.05, f"a worker without work sleeps: it takes {spent * 1000:.1f} ms of a second")
        client.close()
        views.stop()


check_rest()
check_turns()
tell_times()
tap.done()
