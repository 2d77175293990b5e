"""What differs by the web server and by the way that an endpoint is run, each with the reason."""

DEFAULT = {
    "options": (),               # what it is started with besides
    "upgrade header": True,      # 426 comes with Upgrade: websocket
    "long URL": {414},           # 64 KiB of query
    "many headers": {400, 431},  # 128 headers of 600 bytes
    "NUL in path": {400, 404},
    "raw query": True,           # a query that is not a URI is passed on
    "down": {502, 503},          # FastCGI or websocketd is stopped
    "waits": False,              # a request may wait for it instead
    "slow": {400, 408, None},    # a request that never ends; None: cut off without an answer
    "slow request": True,        # a client that sends a byte now and then is cut off
    "reload": "kill -USR1 {p}",  # how it reads its configuration again
    "sockets survive": True,     # a reload leaves WebSockets open
    "origin is told": True,      # an endpoint has the client's Origin as HTTP_X_ORIGIN
}

DIFFERENT = {
    "lighttpd": {
        "upgrade header": False,   # it takes Upgrade out of what FastCGI answers
        "long URL": {431},
        "slow request": False,     # its limit is for silence; such a client costs a descriptor and no more
        "sockets survive": False,  # it ends them after 8 seconds
        "origin is told": False,   # its configuration cannot copy a header
    },
    "nginx": {
        "reload": "kill -HUP {p}",
    },
    "caddy": {
        "upgrade header": False,     # it takes Upgrade out of what FastCGI answers
        "long URL": {200},           # it takes a megabyte
        "many headers": {200, 431},
        "NUL in path": {500},        # by its own file server: the path is not one of ours
        "waits": True,
        "reload": "env DUPLEX_FASTCGI=unix/{d}/fcgi.sock caddy reload --force --config {d}/Caddyfile --adapter caddyfile --address unix/{d}/admin.sock",
        "sockets survive": False,    # it closes them at once
    },
    "haproxy": {
        "options": ("-W",),          # only a master process reloads
        "long URL": {400, 414},
        "raw query": False,          # it answers 400 to bytes that a URI must escape
        "waits": True,
        "reload": "kill -USR2 {p}",
    },
}

WAYS = {
    "websocketd": {
        "process": True,    # each client has one of its own
        "queue": 17,        # MiB of it for a client that sends and does not read: those of the messages that wait, and some more
        "newline": "two",   # messages are made of a text with one: websocketd takes it for the end
        "binary": False,    # websocketd does not tell it from text, and the echo ends
        "code": 1006,       # when the endpoint ends: websocketd sends no close frame
        "too large": 1006,  # for the same reason
        "not UTF-8": 1006,
        "line": rb"\| echo: ",  # before what an endpoint logs: websocketd puts the URL before it
        "port": True,       # a program of the machine can connect around the web server; that of a socket only who may open it
    },
    "resident": {
        "process": False,
        "queue": 34,        # a resident endpoint takes in all that the queue may have, for which the memory may be twice as much
        "newline": "one",
        "binary": True,
        "code": 1001,       # the server stops
        "too large": 1009,
        "not UTF-8": 1007,
        "line": rb"^echo: ",
        "port": False,
    },
}
