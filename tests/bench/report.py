"""The results as tables (Markdown), with the plots of plots.py."""
import shutil

import plots
from figures import CELLS, ratio, spread, title
from summary import summary

def rounded(value):
    return f"{value:,.0f}"


def whole(values):
    """Median, with the least and the most."""
    found = spread(values)
    return f"{rounded(found['median'])} ({rounded(found['min'])}-{rounded(found['max'])})"


def median(values):
    return rounded(spread(values)["median"])


def times(found):
    return f"{found['ratio']:.2f} ({found['min']:.2f}-{found['max']:.2f})"


def table(head, rows):
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines) + "\n"


def floors(found):
    rows = []
    for cell in CELLS:
        mine, floor = found[cell]["duplex"], found[cell]["cat"]
        rows.append([cell, whole(mine["rate"]), whole(floor["rate"]), times(ratio(mine["rate"], floor["rate"])),
                     f"{median(mine['p50'])}, {median(mine['p99'])}", f"{median(floor['p50'])}, {median(floor['p99'])}"])
    return "## Messages/s behind the same websocketd: ws/echo, and cat in its place\n\n" + table(
        ["connections x in flight", "ws/echo", "cat", "ratio", "ws/echo p50, p99 in us", "cat p50, p99 in us"], rows)


def http(found):
    if found is None:
        return ""
    here = found["lighttpd"]
    rows = [[title("both" if name == "duplex" else name), whole(one["rate"]), times(ratio(here["duplex"]["rate"], one["rate"])), f"{median(one['p50'])}, {median(one['p99'])}"]
            for name, one in here.items()]
    text = "## Requests/s behind the same lighttpd (wrk, 32 connections)\n\n" + table(["", "requests/s", "duplex to it", "p50, p99 in us"], rows)
    if "behind" in found:
        rows = [[title("both" if name == "duplex" else name), whole(found["direct"][name]["rate"]) if name in found["direct"] else "", whole(one["rate"]),
                 times(ratio(found["behind"]["duplex"]["rate"], one["rate"]))] for name, one in found["behind"].items()]
        text += "\n## Requests/s of the peers\n\n" + table(["", "direct", "behind lighttpd", "duplex to it, behind lighttpd"], rows)
    return text


def peers(found):
    text = ""
    for where, heading in (("direct", "direct"), ("behind", "behind the same lighttpd")):
        cells = found[where]
        if len(cells["1x1"]) > 1:
            rows = [[title(name), *(f"{whole(cells[cell][name]['rate'])}; {median(cells[cell][name]['p50'])}, {median(cells[cell][name]['p99'])}" for cell in CELLS)]
                    for name in cells["1x1"]]
            text += f"## Messages/s; p50, p99 in us: peers, {heading}\n\n" + table(["", *CELLS], rows) + "\n"
    opens = [[title(name), whole(one["opens"])] for name, one in found["direct"]["500x1"].items()]
    return text + "## Connections opened/s, with a first message there and back (500)\n\n" + table(["", "connections/s"], opens)


def cpu(found):
    rows = [[title(name), ", ".join(f"{'the clients’ processes' if program == 'ended' else program} {spent}" for program, spent in one.items())]
            for name, one in found.items()]
    return "## Processor seconds for a million messages (50x16)\n\n" + table(["", "seconds by program"], rows)


def large(found):
    rows = [[title(name), f"{one['came back']} of 64", one["MB_per_second"] or "given up: nothing came back for 4 seconds"] for name, one in found.items()]
    return "## 64 messages of 1 MB, 16 in flight\n\n" + table(["", "came back", "MB/s"], rows)


def memory(found):
    rows = []
    for name, counts in found.items():
        for count, one in counts.items():
            idle, used = one["idle"], one["after 20 messages"]
            rows.append([title(name), count, idle["system"], used["system"], idle["pss"], used["pss"], idle["server"],
                         "" if idle["client"] is None else idle["client"], one["errors"]])
    return ("## KiB of memory for an idle connection\n\nSystem is what MemAvailable lost, without the load generator's own memory but with both ends of the sockets; "
            "Pss is of the server and all its processes; server is the private memory that websocketd or the peer gained, process the private memory of one client's "
            "process (median).\n\n" + table(["", "connections", "system", "after 20 more messages", "Pss", "after 20 more", "server", "process", "errors"], rows))


def wire(found):
    rows = [[name, f"{one['out']:.0f}", f"{one['in']:.0f}", f"{one['out'] + one['in']:.0f}", f"{one['ip']:.0f}"] for name, one in found.items()]
    browser, empty, socket = (found[name] for name in ("GET, headers of a browser", "empty poll, headers of a browser", "WebSocket"))
    held = empty["out"] + browser["in"]
    once_in_ten = 9 * (empty["out"] + empty["in"]) + held
    return ("## Bytes on the wire for a message of 13 bytes, on a kept connection\n\n" + table(["", "out", "in", "TCP", "IP"], rows) +
            f"\nComputed from these, with a browser's headers: by long polling a message from the server costs {held:.0f} bytes (an empty request, held until there is "
            f"an answer), by polling once a second and with a message every ten seconds {once_in_ten:.0f}, by WebSocket {socket['in']:.0f}.\n")


def start(found):
    if not found:
        return ""
    rows = [[name, one["to_first_read"], f"{one['per_message']:.0f}", one["bytes"]] for name, one in found["endpoints"].items()]
    requests = [[title(name), f"{one:.0f}"] for name, one in found["requests"].items()]
    return ("## Instructions of an endpoint (callgrind)\n\n" + table(["linked by", "start to first read", "a message", "bytes of the program"], rows) +
            "\n## Instructions for a request (callgrind)\n\n" + table(["", "a request"], requests))


def milliseconds(values):
    return f"{spread(values)['median'] / 1000:.1f}"


def program_times(rounds):
    """Of each program the median, and their sum."""
    medians = {program: spread([one.get(program, 0) for one in rounds])["median"] for program in rounds[0]}
    return f"{sum(medians.values()):.0f}: " + ", ".join(f"{program} {spent:.1f}" for program, spent in medians.items())


def push(found):
    if not found:
        return ""
    rows = [[count, title(name), *(milliseconds(one[key]) for key in ("p50", "p99", "max", "last")), program_times(one["spent"]), median(one["opens"]),
             sum(one["errors"])] for count, each in found["rounds"].items() for name, one in each.items()]
    kib = [[title(name), one["system"], one["pss"], one["server"], one["client"] or "", one["redis"]] for name, one in found["KiB"].items()]
    return ("## One message to many, through Redis\n\nFrom the sending to the arrival at each subscriber, in ms, and to that at the last of them (median of the "
            "messages). Processor time is in us for one arrival.\n\n" +
            table(["subscribers", "", "p50", "p99", "max", "all have it", "processor time", "opened/s", "errors"], rows) +
            ("\n## Messages/s of one client that publishes the next when it has the last\n\n" +
             table(["", "messages/s"], [[title(name), rounded(rate)] for name, rate in found["published"].items()]) if "published" in found else "") +
            f"\n## KiB of memory for a subscriber ({found['subscribers']:,})\n\n" + table(["", "system", "Pss", "server", "process", "Redis"], kib))


RESIDENT = {  # messages/s of the resident way to those of a peer at each of CELLS, at least
    "direct": {"Node + ws": (1.15, 5, 5, 1.5), "libwebsockets": (0.9, 4, 3, 0.85)},
    "behind": {"Node + ws": (1.15, 4, 4, 1.4), "libwebsockets": (1.0, 3, 3, 1.1)},
}


def resident_rates(where, peer, found, least):
    for cell, limit in zip(CELLS, least):
        mine, other = found[cell]["resident"], found[cell][peer]
        rate = ratio(mine["rate"], other["rate"])
        late = ratio(mine["p99"], other["p99"])
        yield f"resident to {title(peer)}, {where}, at {cell}", times(rate), f"{limit:.2f} or more", rate["ratio"] >= limit
        yield f"p99 of resident to {title(peer)}, {where}, at {cell}", times(late), "1.20 or less", late["ratio"] <= 1.2


def resident_memory(found):
    for count, one in found["resident"].items():
        if int(count) < 1000:  # what the process has kept free of earlier clients hides that few
            continue
        idle, used = one["idle"]["pss"], one["after 20 messages"]["pss"]
        yield f"KiB (Pss) of an idle client, resident, {count}", idle, "6 or less", idle <= 6
        yield f"KiB (Pss) of it after 20 messages, {count}", used, "10 % more at most", used <= 1.1 * idle + 0.1
        if "libwebsockets" in found:
            theirs = found["libwebsockets"][count]["idle"]["pss"]
            yield f"KiB (Pss) of an idle client, resident, beside libwebsockets' {theirs}, {count}", idle, "1 more at most", idle <= theirs + 1


def resident_must_hold(results):
    """The same for the resident way."""
    for where, found in results.get("peers", {}).items():
        if "resident" not in found["1x1"]:
            continue
        for peer, least in RESIDENT[where].items():
            if peer in found["1x1"]:
                yield from resident_rates(where, peer, found, least)
        opens = {name: one["opens"] for name, one in found["500x1"].items()}
        for peer, limit in (("libwebsockets", 0.9),) if where == "direct" else (("Node + ws", 1.0),):
            if peer in opens:
                one = ratio(opens["resident"], opens[peer])
                yield f"connections opened/s, resident to {title(peer)}, {where}", times(one), f"{limit:.2f} or more", one["ratio"] >= limit
    if "resident" in results.get("memory", {}):
        yield from resident_memory(results["memory"])
    large = results.get("large", {})
    if "resident" in large and large.get("Node + ws", {}).get("MB_per_second"):
        mine, other = large["resident"]["MB_per_second"] or 0, large["Node + ws"]["MB_per_second"]
        yield "64 messages of 1 MB, resident, MB/s", mine, f"{other}, Node's, or more", mine >= other


PUSH_TIMES = {"100": 0.8, "1000": 0.8, "3000": 1.0}  # of an arrival, resident to Node, behind lighttpd, at most
PUSH_PROCESSOR = 0.7


def served_in(one):
    """Microseconds of an arrival in each round, in the endpoint and Redis."""
    return [sum(spent for program, spent in each.items() if program not in ("lighttpd", "fanout")) for each in one["spent"]]


def push_must_hold(found):
    """The same for what is published, of the resident way."""
    for count, limit in PUSH_TIMES.items():
        each = found["rounds"].get(count, {})
        mine, node = (each.get(f"{name}, behind lighttpd") for name in ("resident chat", "ws + node-redis"))
        if mine and node:
            for key in ("p50", "p99"):
                one = ratio(mine[key], node[key])
                yield f"{key} of an arrival, resident to Node, {count} subscribers", times(one), f"{limit:.2f} or less", one["ratio"] <= limit
            one = ratio(served_in(mine), served_in(node))
            yield f"processor time of an arrival, resident to Node, {count}", times(one), f"{PUSH_PROCESSOR:.2f} or less", one["ratio"] <= PUSH_PROCESSOR
    if "resident chat" in found["KiB"]:
        kib = found["KiB"]["resident chat"]
        yield "KiB (Pss) of a subscriber, resident", kib["pss"], "8 or less", kib["pss"] <= 8
        yield "KiB of it in Redis", kib["redis"], "0.5 or less", kib["redis"] <= 0.5


def must_hold(results):
    """What is promised, and whether this run shows it."""
    rows = []

    def add(what, value, limit, held):
        rows.append([what, value, limit, "yes" if held else "NO"])

    for cell, limit in (("1x1", 0.95), ("1x64", 1.0), ("50x16", 1.0)):
        if "floors" in results:
            found = ratio(*(results["floors"][cell][name]["rate"] for name in ("duplex", "cat")))
            add(f"ws/echo to cat at {cell}", times(found), f"{limit:.2f} or more", found["ratio"] >= limit)
    if "large" in results:
        add("64 messages of 1 MB, 16 in flight, come back", results["large"]["duplex"]["came back"], "64", results["large"]["duplex"]["came back"] == 64)
    if results.get("http"):
        found = ratio(*(results["http"]["lighttpd"][name]["rate"] for name in ("duplex", "smallest")))
        add("duplex to the smallest libfcgi program", times(found), "0.95 or more", found["ratio"] >= 0.95)
    for row in resident_must_hold(results):
        add(*row)
    for count, one in results.get("memory", {}).get("duplex", {}).items():
        add(f"private KiB of an idle endpoint, {count} connections", one["idle"]["client"], "56 or less", one["idle"]["client"] <= 56)
    if results.get("push"):
        for row in push_must_hold(results["push"]):
            add(*row)
        errors = sum(sum(one["errors"]) for each in results["push"]["rounds"].values() for name, one in each.items() if name.startswith(("duplex", "resident")))
        add("subscribers that are refused or closed, or get a message not at all, twice or out of turn", errors, 0, errors == 0)
    return "## What must hold\n\n" + table(["", "found", "wanted", "holds"], rows)


def mebibytes(kib):
    return f"{kib / 1024:.1f}"


def small(found):
    """In the order in which the clients meet the programs."""
    order = ("lighttpd", "duplex", "multiwatch", "websocketd", "echo", "files")
    rows = [[way, count, mebibytes(sum(kib.values())), ", ".join(f"{name} {mebibytes(kib[name])}" for name in order if name in kib)]
            for way, counts in found["KiB"].items() for count, kib in counts.items()]
    sizes = [[name, f"{one / 1024:.0f}"] for name, one in found["bytes"].items()]
    return ("## MiB of memory of a whole site\n\nlighttpd, two FastCGI workers, and /echo by websocketd or by a resident worker for each processor; without Redis. "
            "Each client has sent a message and is silent. A program has its own pages; those of files (code, libraries) count once for all.\n\n" + table(["way", "clients", "all", "by program"], rows) +
            "\n## KiB of the programs, as installed\n\n" + table(["", "KiB"], sizes))


def head(results):
    machine = results["machine"]
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    missing = f" Not installed, so left out: {', '.join(results['missing'])}." if results["missing"] else ""
    return (f"# make bench, {machine['date']}\n\n{machine['processor']}, {machine['cores']} cores, {machine['memory_MiB']} MiB, Linux {machine['kernel']}, "
            f"load {machine['load_before']} before it began. {results['rounds']} rounds of {results['seconds']:g} s, three times as many and as short for ws/echo and cat, twice as many for "
            f"duplex and the smallest, {results['rounds_of_peers']} for the peers; "
            f"{results['took_seconds']} s in all.{missing}\n\n{versions}\n\n"
            "Figures are the median of the rounds, and in brackets the least and the most; a ratio is that of the medians, and in brackets "
            "the least and the most of the rounds. The load generator runs on the same cores.\n")


SECTIONS = {"small": small, "floors": floors, "http": http, "peers": peers, "cpu": cpu, "large": large, "memory": memory, "wire": wire, "start": start, "push": push}


def write(results, output):
    ratios = summary(results)
    parts = [head(results), ratios and f"## In six ratios\n\n{ratios}", must_hold(results), *(SECTIONS[part](results[part]) for part in SECTIONS if part in results)]
    if shutil.which("gnuplot"):
        parts.insert(1, plots.plot(results, output))
    else:
        parts.append("No plots: gnuplot is not installed.\n")
    text = "\n".join(part for part in parts if part)
    (output / "results.md").write_text(text)
    return text
