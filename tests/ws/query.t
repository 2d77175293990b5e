#!/usr/bin/python3
"""Query decoding compared with Python's urllib.parse.parse_qsl, over many queries made of what is special in them."""
import random
import subprocess
import sys
import urllib.parse

sys.path.insert(0, f"{sys.path[0]}/../lib")
import stack
import tap

COUNT = 20000
PIECES = ["message", "message=", "&", "&&", "=", "+", "%", "%4", "%41", "%zz", "%00", "%26", "%3D", "%2B", "%25", "%6Dessage",
          "mess%61ge", "%C3%A9", "%ff", "\xe9", "a", "0", ";", "#", "?", "/", "%0A", "%0d", "%%", "%2", "x=y", "messag", "e="] + ["&message="] * 6

generator = random.Random(4711)
queries = ["".join(generator.choices(PIECES, k=generator.randrange(0, 14))) for _ in range(COUNT)]


def reference(query):
    """The last value of message. Latin-1 is one character a byte, so nothing is replaced."""
    pairs = urllib.parse.parse_qsl(query, keep_blank_values=True, encoding="latin-1")
    values = [value for name, value in pairs if name == "message"]
    return values[-1].encode("latin-1").hex() if values else "-"


output = subprocess.run([stack.BUILD / "tests/ws/query", "decode"], input="".join(q + "\n" for q in queries).encode("latin-1"),
                        stdout=subprocess.PIPE, check=True).stdout.decode().split("\n")
wrong = [(query, got, reference(query)) for query, got in zip(queries, output) if got != reference(query)]
tap.equal(len(output), COUNT + 1, "every query has an answer")
tap.equal(wrong[:5], [], f"{COUNT} queries are decoded alike")
tap.ok(sum(reference(query) != "-" for query in queries) > COUNT / 4, "many of the queries have a message")
tap.done()
