"""What the README says of a run: six ratios, higher is better."""
from figures import ratio

PEERS = {"Node + ws": "Node with ws", "libwebsockets": "libwebsockets"}
WAYS = {"resident": "resident", "duplex": "by websocketd"}


def rate(found, way, peer):
    return ratio(found[way]["rate"], found[peer]["rate"])["ratio"]


def figures_of(results, way, peer):
    """The ratios of a way to a peer, in the order of NAMES."""
    behind, memory = results["peers"]["behind"], results["memory"]
    yield rate(results["http"]["behind"], "duplex", peer)  # HTTP is the same whichever way the WebSocket takes
    for cell in ("1x1", "50x16", "500x1"):
        yield rate(behind[cell], way, peer)
    yield ratio(behind["500x1"][way]["opens"], behind["500x1"][peer]["opens"])["ratio"]
    yield memory[peer]["4000"]["idle"]["pss"] / memory[way]["4000"]["idle"]["pss"]


NAMES = ("HTTP requests/s", "messages/s: 1 connection with 1 message in flight", "messages/s: 50 connections with 16", "messages/s: 500 connections with 1",
         "connections opened/s", "idle connections in the same memory")


def is_whole(results):
    return all(part in results for part in ("http", "peers", "memory")) and \
        all(name in results["peers"].get("behind", {}).get("1x1", {}) and name in results["memory"] for name in (*WAYS, *PEERS))


def rounded(found):
    return f"{found:.1f}" if found >= 1.95 else f"{found:.2f}"


def summary(results):
    """The table; empty where a part or a peer was left out."""
    if not is_whole(results):
        return ""
    columns = [list(figures_of(results, way, peer)) for way in WAYS for peer in PEERS]
    heads = [f"{way_name}, to {peer_name}" for way_name in WAYS.values() for peer_name in PEERS.values()]
    lines = [["behind lighttpd; higher is better", *heads], ["---"] * (1 + len(heads)), *([name, *map(rounded, found)] for name, *found in zip(NAMES, *columns))]
    return "".join("| " + " | ".join(line) + " |\n" for line in lines)
