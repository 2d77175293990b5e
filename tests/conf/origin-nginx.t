#!/usr/bin/python3
"""Whose pages may open a WebSocket behind conf/nginx.conf: the table in origins.py."""
import sys

sys.path.insert(0, f"{sys.path[0]}/../lib")
import origins
import tap

origins.check("nginx")
tap.done()
