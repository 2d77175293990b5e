#!/usr/bin/python3
"""conf/lighttpd.conf in a site of its own: the table in servers.py."""
import servers

servers.run("lighttpd")
