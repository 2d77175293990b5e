"""Stands between a browser and the stack. What is frozen stays open and is acknowledged, but nothing of it passes."""
import socket
import threading


class Forwarder:
    def __init__(self, port):
        self.target = port
        self.frozen = lambda is_websocket, is_old: False
        self.changed = threading.Condition()
        self.age = 0
        self.handshakes = 0  # WebSocket's, those that are frozen among them
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def freeze(self, frozen):
        """From now on a connection is frozen for which this says so: (is_websocket, is_old), the latter if it was there before."""
        with self.changed:
            self.frozen = frozen
            self.age += 1
            self.changed.notify_all()

    def thaw(self):
        self.freeze(lambda is_websocket, is_old: False)

    def accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(client, self.age), daemon=True).start()

    def serve(self, client, born):
        try:
            head = client.recv(65536)
            kind = [self.is_handshake(head)]
            self.wait(kind, born)
            server = socket.create_connection(("127.0.0.1", self.target))
            server.sendall(head)
        except OSError:
            client.close()
            return
        for source, target in ((client, server), (server, client)):
            threading.Thread(target=self.pump, args=(source, target, kind, born), daemon=True).start()

    def is_handshake(self, data):
        found = b"upgrade: websocket" in data.lower()
        with self.changed:
            self.handshakes += found
        return found

    def wait(self, kind, born):
        with self.changed:
            self.changed.wait_for(lambda: not self.frozen(kind[0], born < self.age))

    def pump(self, source, target, kind, born):
        try:
            while data := source.recv(65536):
                kind[0] = kind[0] or self.is_handshake(data)
                self.wait(kind, born)
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def __enter__(self):
        return self

    def __exit__(self, *arguments):
        self.thaw()
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
