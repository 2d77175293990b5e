#!/bin/sh
# One message to many by websocketd, with a process for each of a thousand subscribers.
cd "$(dirname "$0")/../ws" && SUBSCRIBERS=1000 exec ./push.t
