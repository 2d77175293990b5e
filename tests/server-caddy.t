#!/usr/bin/python3
"""conf/Caddyfile in a site of its own: the table in servers.py."""
import servers

servers.run("caddy")
