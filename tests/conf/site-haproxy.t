#!/usr/bin/python3
"""conf/haproxy.cfg in sites as people have them (real_sites.py), and whose pages may open a WebSocket there (origins.py)."""
import sys

sys.path.insert(0, f"{sys.path[0]}/../lib")
import origins
import real_sites
import tap

origins.check("haproxy")
real_sites.check("haproxy")
tap.done()
