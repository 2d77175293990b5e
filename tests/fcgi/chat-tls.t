#!/usr/bin/python3
"""
rediss://: Redis over TLS, with a certificate that must be valid for its host; or, where hiredis has no TLS, the one line that
says so.
"""
import pathlib
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, f"{sys.path[0]}/../lib")
import fcgi
import stack
import tap

stack.need("openssl", "redis-server", "redis-cli")
import talk

PASSWORD = "secret"


def shell(command):
    subprocess.run(command, shell=True, cwd=directory, capture_output=True, check=True)


def make_certificates():
    """An authority, and a certificate of it for localhost and 127.0.0.1, but not for ::1."""
    shell("openssl req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.pem -days 2 -subj /CN=authority")
    shell("openssl req -newkey rsa:2048 -nodes -keyout redis.key -out redis.csr -subj /CN=localhost")
    pathlib.Path(directory, "names").write_text("subjectAltName=DNS:localhost,IP:127.0.0.1")
    shell("openssl x509 -req -in redis.csr -CA ca.pem -CAkey ca.key -CAcreateserial -out redis.pem -days 2 -extfile names")


def start_redis():
    """Redis with TLS alone, on a port that nobody else has."""
    while True:
        port = stack.free_port()
        process = subprocess.Popen(["redis-server", "--port", "0", "--tls-port", str(port), "--tls-cert-file", "redis.pem", "--tls-key-file", "redis.key",
                                    "--tls-ca-cert-file", "ca.pem", "--tls-auth-clients", "no", "--bind", "127.0.0.1", "::1", "--requirepass", PASSWORD,
                                    "--save", ""], cwd=directory, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        if stack.wait_until(lambda: process.poll() is not None or stack.is_listening(port, process.pid)) and process.poll() is None:
            return process, port


def ask(address, authority="ca.pem"):
    """The first line of the answer to a GET by CGI, the exit status, and what was said."""
    variables = {"REQUEST_METHOD": "GET", "SCRIPT_NAME": "/chat", "QUERY_STRING": "after=-1", "DUPLEX_REDIS": address, "SSL_CERT_FILE": f"{directory}/{authority}"}
    result = subprocess.run([stack.BUILD / "fcgi/duplex"], cwd=stack.ROOT, env={**fcgi.INHERITED, **variables}, capture_output=True, text=True, timeout=60)
    return result.stdout.partition("\n")[0].strip(), result.returncode, result.stderr


def check_refused(address, reason, name, **options):
    answer, _, said = ask(address, **options)
    tap.ok(answer == "Status: 503 Service Unavailable" and reason in said and said.count("\n") == 1 and PASSWORD not in said, f"{name}: 503, and one line with {reason}")
    return said


def check_tls(port):
    for host in ("localhost", "127.0.0.1"):
        tap.equal(ask(f"rediss://:{PASSWORD}@{host}:{port}/1"), ("Status: 200 OK", 0, ""), f"rediss://{host}: 200")
    check_refused(f"rediss://:{PASSWORD}@[::1]:{port}", "mismatch", "a host that the certificate is not for")
    check_refused(f"rediss://:{PASSWORD}@localhost:{port}", "certificate", "an authority that is not known", authority="redis.key")
    check_refused(f"rediss://:wrong@localhost:{port}", "WRONGPASS", "a wrong password over TLS")
    check_refused(f"redis://:{PASSWORD}@localhost:{port}", "Redis at localhost", "without TLS, at a port of TLS")


def check_stack(port):
    """Both ways through the whole stack: much text, and a Redis that says nothing."""
    with stack.Stack(DUPLEX_REDIS=f"rediss://:{PASSWORD}@localhost:{port}", SSL_CERT_FILE=f"{directory}/ca.pem") as site:
        texts = [f"{number} " + "x" * 16000 for number in range(50)]
        talk.request(site.url("/chat"), {"message": "ready"})
        with talk.Client(site.port, "/chat?after=-1") as one:
            one.lines(1)
            for text in texts:
                one.send(text)
            tap.ok([line["text"] for line in one.lines(50)] == texts, "50 long messages go over TLS and come back")
        body = talk.request(site.url("/chat?after=-5"))[1]
        tap.ok([line["text"] for line in talk.lines(body)] == texts[-5:], "messages can be read over HTTP from a Redis over TLS")
        redis.send_signal(stack.signal.SIGSTOP)
        began = time.monotonic()
        tap.equal([talk.request(site.url("/chat"), {"message": "hi"})[0] for _ in range(20)], [503] * 20, "a Redis that is stopped: 503")
        tap.ok(time.monotonic() - began < 15, "20 requests to a stopped Redis do not take a second each")
        redis.send_signal(stack.signal.SIGCONT)
        tap.ok(stack.wait_until(lambda: talk.request(site.url("/chat"), {"message": "hi"})[0] == 202), "when Redis goes on, a POST is answered 202")
        stack.finish(site, "duplex: .*Redis", *stack.GONE)


with tempfile.TemporaryDirectory() as directory:
    answer, status, said = ask("rediss://localhost:1")
    if status == 2:
        tap.ok(answer == "" and said == "duplex: DUPLEX_REDIS is not a valid address: rediss:// needs TLS, which hiredis has from version 1 on\n",
               "this hiredis has no TLS: exit 2, and one line that says so")
        tap.done()
    make_certificates()
    redis, port = start_redis()
    try:
        check_tls(port)
        check_stack(port)
    finally:
        redis.kill()
        redis.wait()
tap.done()
