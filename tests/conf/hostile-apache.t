#!/usr/bin/python3
"""What hostile clients send to a site with conf/apache.conf, and what of it comes through: the checks in hostile.py."""
import sys

sys.path.insert(0, f"{sys.path[0]}/../lib")
import hostile

hostile.run("apache")
