#!/usr/bin/python3
"""conf/haproxy.cfg in a site of its own: the table in servers.py."""
import servers

servers.run("haproxy")
