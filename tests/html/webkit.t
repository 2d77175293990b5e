#!/usr/bin/python3
"""The pages in WebKitGTK: the shorter table."""
import sys

sys.path.insert(0, f"{sys.path[0]}/../lib")
import webkit
import visit

visit.visit(webkit)
