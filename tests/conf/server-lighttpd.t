#!/usr/bin/python3
"""conf/lighttpd.conf in a site of its own: the table in servers.py."""
import sys

sys.path.insert(0, f"{sys.path[0]}/../lib")
import servers

servers.run("lighttpd")
