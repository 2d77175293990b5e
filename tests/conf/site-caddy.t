#!/usr/bin/python3
"""conf/Caddyfile in sites as people have them: the tables in real_sites.py."""
import sys

sys.path.insert(0, f"{sys.path[0]}/../lib")
import real_sites
import tap

real_sites.check("caddy")
tap.done()
