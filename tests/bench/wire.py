"""Bytes of a 13-byte message there and back on a connection that is kept: of TCP, and of IP with its headers and acknowledgements."""
import socket
import struct

MESSAGE = b"Hello, World!"
ASKED = b"/echo?message=Hello%2C+World%21"
TIMES = 100
CURL = "User-Agent: curl/7.88.1\r\nAccept: */*\r\n"
BROWSER = (  # what fetch() of Chromium 150 sends to its own site; a cookie would come on top
    'Connection: keep-alive\r\nsec-ch-ua-platform: "Linux"\r\n'
    'User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/150.0.0.0 Safari/537.36\r\n'
    'sec-ch-ua: "Chromium";v="150", "Not)A;Brand";v="24"\r\nsec-ch-ua-mobile: ?0\r\nAccept: */*\r\nSec-Fetch-Site: same-origin\r\n'
    "Sec-Fetch-Mode: cors\r\nSec-Fetch-Dest: empty\r\nReferer: http://127.0.0.1:8080/\r\nAccept-Encoding: gzip, deflate, br, zstd\r\nAccept-Language: en-US,en;q=0.9\r\n")
HANDSHAKE = ("Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n")
FRAME = bytes([0x81, 0x80 | len(MESSAGE)]) + bytes(4) + MESSAGE  # RFC 6455 5.2, masked by zeros


def segments(client):
    """Of this connection so far, ours and theirs: tcp_info in linux/tcp.h."""
    return sum(struct.unpack_from("II", client.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 256), 136))


def receive(client, length):
    answer = b""
    while len(answer) < length:
        part = client.recv(length - len(answer))
        if not part:
            raise ConnectionError("the server closed the connection")
        answer += part
    return answer


def response(client):
    """One with a Content-Length: its bytes, and its body."""
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        head += receive(client, 1)
    lengths = [line.split(b":")[1] for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")]
    body = receive(client, int(lengths[0])) if lengths else b""
    return len(head) + len(body), body


def request(host, path, headers):
    return b"GET " + path + f" HTTP/1.1\r\nHost: {host}\r\n{headers}\r\n".encode()


def by_http(host, path, headers, wanted):
    def exchange(client):
        asked = request(host, path, headers)
        client.sendall(asked)
        length, body = response(client)
        assert body == wanted, body
        return len(asked), length
    return exchange


def by_websocket(client):
    client.sendall(FRAME)
    assert receive(client, 2 + len(MESSAGE)) == bytes([0x81, len(MESSAGE)]) + MESSAGE
    return len(FRAME), 2 + len(MESSAGE)


def measure(address, exchange, opening=None):
    host, _, path = address.partition("/")
    with socket.create_connection((host.split(":")[0], int(host.split(":")[1]))) as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if opening:
            client.sendall(request(host, b"/" + path.encode(), opening))
            response(client)
        exchange(client)
        before = segments(client)
        out, back = map(sum, zip(*(exchange(client) for _ in range(TIMES))))
        # 20 bytes of IP and 32 of TCP with time stamps for each segment
        return {"out": out / TIMES, "in": back / TIMES, "ip": (out + back + 52 * (segments(client) - before)) / TIMES}


def table(address):
    host = address.split("/")[0]
    found = {}
    for name, headers in (("curl", CURL), ("a browser", BROWSER)):
        found[f"GET, headers of {name}"] = measure(address, by_http(host, ASKED, headers, MESSAGE))
        found[f"empty poll, headers of {name}"] = measure(address, by_http(host, b"/echo?message=", headers, b""))
    found["WebSocket"] = measure(address, by_websocket, HANDSHAKE)
    return found
