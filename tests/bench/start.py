"""Instructions of an endpoint from its start to its first read, for a message, and for a request, as callgrind counts them."""
import os
import pathlib
import re
import shutil
import socket
import subprocess
import tempfile
import time

import systems

import fcgi

ENVIRONMENT = {"PATH": os.environ["PATH"], "GATEWAY_INTERFACE": "websocketd-CGI/0.1"}


# what lighttpd says of a GET by curl
VARIABLES = {
    "CONTENT_LENGTH": "0", "SCRIPT_NAME": "/echo", "PATH_INFO": "", "SCRIPT_FILENAME": "/var/www/html/echo", "DOCUMENT_ROOT": "/var/www/html/",
    "REQUEST_URI": "/echo?message=Hello%2C+World%21", "QUERY_STRING": "message=Hello%2C+World%21", "REQUEST_METHOD": "GET",
    "SERVER_PROTOCOL": "HTTP/1.1", "SERVER_SOFTWARE": "lighttpd/1.4.69", "GATEWAY_INTERFACE": "CGI/1.1", "REQUEST_SCHEME": "http",
    "SERVER_PORT": "8080", "SERVER_ADDR": "127.0.0.1", "SERVER_NAME": "localhost:8080", "REMOTE_ADDR": "127.0.0.1", "REMOTE_PORT": "40000",
    "HTTP_HOST": "localhost:8080", "HTTP_USER_AGENT": "curl/7.88.1", "HTTP_ACCEPT": "*/*",
}
PARAMS = b"".join(fcgi.pair(name.encode(), value.encode()) for name, value in VARIABLES.items())
REQUEST = fcgi.BEGIN + fcgi.record(4, PARAMS) + fcgi.record(4) + fcgi.record(5)


def total(part):
    return int(re.search(r"^(?:totals|summary): (\d+)", part.read_text(), re.M)[1])


def count(program, messages, *options):
    """Instructions in each part that callgrind wrote; every message is sent when the one before it is back."""
    with tempfile.TemporaryDirectory() as directory:
        output = pathlib.Path(directory) / "callgrind"
        command = ["valgrind", "-q", "--tool=callgrind", f"--callgrind-out-file={output}", *options, str(program)]
        with subprocess.Popen(command, env=ENVIRONMENT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
            for _ in range(messages):
                process.stdin.write(b"Hello, World!\n")
                process.stdin.flush()
                process.stdout.readline()
            process.stdin.close()
            process.wait(60)
        parts = sorted(pathlib.Path(directory).glob("callgrind*"))
        return [total(part) for part in parts]


def serve(command, requests):
    """Instructions of a FastCGI program that answers so many requests."""
    with tempfile.TemporaryDirectory() as directory, socket.socket(socket.AF_UNIX) as listener:
        output = pathlib.Path(directory) / "callgrind"
        listener.bind(f"{directory}/socket")
        listener.listen()
        with subprocess.Popen(["valgrind", "-q", "--tool=callgrind", f"--callgrind-out-file={output}", *command], env=ENVIRONMENT,
                              stdin=listener, stderr=subprocess.DEVNULL) as process:
            for _ in range(requests):
                with socket.socket(socket.AF_UNIX) as client:
                    client.settimeout(60)
                    client.connect(f"{directory}/socket")
                    client.sendall(REQUEST)
                    while client.recv(65536):
                        pass
            while process.poll() is None:  # the smallest may miss one just before its accept
                process.terminate()
                time.sleep(0.1)
        return total(output)


def to_first_read(program):
    """The part before the first call of the C library's read, by any of its names."""
    parts = count(program, 1, "--dump-before=read", "--dump-before=__read", "--dump-before=__libc_read")
    return parts[1] if len(parts) > 1 else None


def instructions():
    if shutil.which("valgrind") is None:
        return None
    endpoints = {}
    for name, program in (("gcc -static", systems.BUILD / "ws/echo"), ("musl-gcc -static", systems.BUILD / "bench/echo-musl")):
        if program.exists():
            many, few = sum(count(program, 1100)), sum(count(program, 100))
            endpoints[name] = {"to_first_read": to_first_read(program), "per_message": (many - few) / 1000, "bytes": program.stat().st_size}
    commands = {"duplex": [systems.BUILD / "fcgi/duplex", f"--page={systems.ROOT / 'html'}"], "smallest": [systems.BUILD / "bench/smallest-fcgi"]}
    requests = {name: (serve(command, 1100) - serve(command, 100)) / 1000 for name, command in commands.items()}
    return {"endpoints": endpoints, "requests": requests}
