#!/usr/bin/python3
"""conf/Caddyfile in sites as people have them (real_sites.py), and whose pages may open a WebSocket there (origins.py)."""
import sys

sys.path.insert(0, f"{sys.path[0]}/../lib")
import origins
import real_sites
import tap

origins.check("caddy")
real_sites.check("caddy")
tap.done()
