#!/usr/bin/python3
"""conf/apache.conf in a site of its own: the table in servers.py."""
import servers

servers.run("apache")
