#!/usr/bin/python3
"""A site's own login at our paths behind nginx: the lines of conf/README.md, by login.py."""
import sys

sys.path.insert(0, f"{sys.path[0]}/../lib")
import login

login.run("nginx")
