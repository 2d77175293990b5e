#!/usr/bin/python3
"""The pages in Firefox: the shorter table."""
import sys

sys.path.insert(0, f"{sys.path[0]}/../lib")
import firefox
import visit

visit.visit(firefox)
