"""The results as plots (SVG, by gnuplot). A system has the same colour in each of them: both ways of duplex are blue."""
import subprocess

from figures import CELLS, ratio, spread, title

COLOURS = {"resident": "#0b4f9e", "resident chat": "#0b4f9e", "resident chat with 4 workers": "#3f7fc9", "both": "#0b4f9e", "duplex": "#7db8e8", "musl": "#c4dff5", "cat": "#bbbbbb", "libwebsockets": "#2e8b57",
           "Node + ws": "#dd8800", "ws + node-redis": "#dd8800", "aiohttp": "#b07aa1", "websockets": "#8c6d31", "Channels": "#c44e52",
           "Channels + channels_redis": "#c44e52", "smallest": "#bbbbbb", "static": "#e4e4e4"}
HEAD = """set terminal svg size 960,440 font "sans,12" background "white"
set output "{output}/{name}.svg"
set title "{heading}" font "sans,14"
set border 3
set tics nomirror
set grid y
set style fill solid 0.9 noborder
"""


def gnuplot(output, name, heading, script):
    subprocess.run(["gnuplot"], input=HEAD.format(output=output, name=name, heading=heading) + script, text=True, check=True)


def colour(name):
    return COLOURS.get(name, "#555555")


def in_order(names):
    """The resident way first, then the other, then the rest."""
    first = [name for name in ("resident", "resident chat", "resident chat with 4 workers", "duplex") if name in names]
    return first + [name for name in names if name not in first]


def bars(output, name, heading, ylabel, columns, rows, logarithmic=True):
    """A group of bars for each column, a bar for each row, from the least to the most."""
    names = in_order(rows)
    data = "".join(f'"{column}"' + "".join(f" {found['median']} {found['min']} {found['max']}" for found in (rows[one][column] for one in names)) + "\n"
                   for column in columns)
    plots = ", ".join(f'$data using {3 * at + 2}:{3 * at + 3}:{3 * at + 4}:xtic(1) title "{title(one)}" linecolor "{colour(one)}"' for at, one in enumerate(names))
    gnuplot(output, name, heading, f"""set ylabel "{ylabel}"
set style data histograms
set style histogram errorbars gap 1.5 linewidth 1
set key outside right top noenhanced
set format y "%.0s%c"
set errorbars small linecolor "#333333"
{'set logscale y' if logarithmic else 'set yrange [0:*]'}
$data << end
{data}end
plot {plots}
""")


def curves(output, name, heading, rounds):
    """The median and the 99th percentile by the number of subscribers, a colour for each system."""
    names = [one for one in in_order(list(next(iter(rounds.values())))) if not one.endswith(", behind lighttpd")]
    data = "".join(count + "".join(f" {spread(each[one][key])['median'] / 1000 if one in each else 'NaN'}" for one in names for key in ("p50", "p99")) + "\n"
                   for count, each in rounds.items())
    plots = ", ".join(f'$data using 1:{2 * at + 2 + later} with linespoints pointtype {7 - later} dashtype {1 + later} linewidth 2 '
                      f'linecolor "{colour(one)}" title "{title(one)}, {key}"'
                      for at, one in enumerate(names) for later, key in enumerate(("p50", "p99")))
    gnuplot(output, name, heading, f"""set xlabel "subscribers"
set ylabel "ms until a subscriber has it"
set logscale xy
set xrange [{int(min(rounds, key=int)) * 0.8}:{int(max(rounds, key=int)) * 1.25}]
set xtics ({', '.join(rounds)})
set key outside right top noenhanced
$data << end
{data}end
plot {plots}
""")


def compared(results, names, peer):
    """What each of these systems is to a peer, behind lighttpd where both were measured so: a label, and a ratio for each that was measured."""
    behind = results["peers"]["behind"]
    for cell in CELLS:
        connections, in_flight = cell.split("x")
        yield f"messages/s,\\n{connections} x {in_flight}", {name: ratio(behind[cell][name]["rate"], behind[cell][peer]["rate"])["ratio"] for name in names if name in behind[cell]}
    yield "connections\\nopened/s", {name: ratio(one["opens"], behind["500x1"][peer]["opens"])["ratio"] for name, one in behind["500x1"].items() if name in names}
    memory = results.get("memory", {})
    if peer in memory:
        most = list(memory[peer])[-1]
        yield "idle clients in\\nthe same memory", {name: memory[peer][most]["idle"]["pss"] / memory[name][most]["idle"]["pss"] for name in names if name in memory}
    rounds = (results.get("push") or {}).get("rounds", {}).get("1000", {})
    pushed = {"duplex": "duplex", "resident": "resident chat"}
    if "ws + node-redis" in rounds:
        theirs = rounds["ws + node-redis"]["p50"]
        yield "speed of one\\nmessage to 1,000", {name: ratio(theirs, rounds[one]["p50"])["ratio"] for name, one in pushed.items() if one in rounds}


def glance(output, results, peer="Node + ws"):
    """One picture of it all: what the two ways are to a peer, up for better and down for worse."""
    names = ("resident", "libwebsockets", "duplex")
    groups = list(compared(results, names, peer))
    blocks, texts = {name: "" for name in names}, ""
    for group, (_, ratios) in enumerate(groups):
        for at, name in enumerate(names):
            if name in ratios and ratios[name] > 0:
                x, value = group + 0.27 * (at - 1), ratios[name]
                blocks[name] += f"{x} {value} {x - 0.12} {x + 0.12} {min(1, value)} {max(1, value)}\n"
                texts += f"set label \"{value:.{1 if value >= 1.95 else 2}f}\" at {x},{value} center offset 0,{0.6 if value >= 1 else -0.7} font \"sans,10\"\n"
    shown = [name for name in names if blocks[name]]
    data = "".join(f"$block{at} << end\n{blocks[name]}end\n" for at, name in enumerate(shown))
    plots = ", ".join(f'$block{at} using 1:2:3:4:5:6 with boxxyerror linecolor "{colour(name)}" title "{title(name)}"' for at, name in enumerate(shown))
    labels = ", ".join(f'"{label}" {group}' for group, (label, _) in enumerate(groups))
    values = [value for _, ratios in groups for value in ratios.values() if value > 0]
    gnuplot(output, "glance", "Compared with Node and ws, behind the same lighttpd: up is better", f"""set ylabel "times as much as Node with ws"
set logscale y 2
set yrange [{min([0.5, *values]) / 1.6}:{max([2, *values]) * 1.6}]
set xrange [-0.6:{len(groups) - 0.4}]
set xtics ({labels}) font "sans,10" scale 0
set format y "%g"
set bmargin 4
set key top center outside horizontal noenhanced
set arrow from graph 0,first 1 to graph 1,first 1 nohead linewidth 2 linecolor "{colour(peer)}" front
{texts}{data}plot {plots}
""")


def of(found, key="rate"):
    return {cell: spread(found[cell][key]) for cell in found}


def by_name(found):
    """Cells of names to names of cells."""
    return {name: of({cell: found[cell][name] for cell in found}) for name in next(iter(found.values()))}


def plot(results, output):
    """Makes the pictures. Returns the one that says most for the page of results, or nothing where it was not measured."""
    peers = results.get("peers", {})
    if "floors" in results:
        bars(output, "floors", "WebSocket, direct: ws/echo resident, by websocketd, and cat in its place", "messages/s", CELLS, by_name(results["floors"]))
    if results.get("http"):
        rows = {"both" if name == "duplex" else name: {"behind lighttpd": spread(one["rate"])} for name, one in {**results["http"]["lighttpd"], **results["http"].get("behind", {})}.items()}
        bars(output, "http", "HTTP behind the same lighttpd", "requests/s", ["behind lighttpd"], rows, logarithmic=False)
    for where in peers:
        bars(output, f"peers-{where}", f"WebSocket, {'direct' if where == 'direct' else 'behind the same lighttpd'}: connections x messages in flight", "messages/s", CELLS,
             by_name(peers[where]))
    if "memory" in results:
        rows = {name: {count: spread([max(0.1, one["idle"]["pss"])]) for count, one in counts.items()} for name, counts in results["memory"].items()}
        bars(output, "memory", "Memory of all processes (Pss) for an idle connection, by their number", "KiB", list(rows["duplex"]), rows)
    if results.get("push"):
        rounds = results["push"]["rounds"]
        first = next(iter(rounds.values()))
        curves(output, "push", "One message to many, through Redis", {count: each for count, each in rounds.items() if set(each) == set(first)})
    if {"resident", "duplex", "Node + ws"} <= set(peers.get("behind", {}).get("1x1", {})):
        glance(output, results)
        return "![Both ways, compared with Node](glance.svg)\n"
    return ""
