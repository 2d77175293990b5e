#!/usr/bin/python3
"""The pages in Firefox: the shorter table."""
import sys

sys.path.insert(0, f"{sys.path[0]}/../lib")
import stack
import tap

stack.need("redis-server")
import firefox
import visit
from redis_server import Redis

with Redis() as redis, stack.Stack(DUPLEX_REDIS=redis.address) as site:
    visit.visit(firefox, site)
    stack.finish(site)
tap.done()
