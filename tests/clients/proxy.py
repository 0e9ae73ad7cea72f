"""An HTTP proxy for tests: CONNECT, and requests with a whole URL; with or without a password. It keeps what it was asked.

Python's standard library. Threads: one that accepts, two for each connection.
"""

import base64
import contextlib
import socket
import threading
import urllib.parse

HEAD_MAX = 64 << 10
PIECE = 64 << 10


class Proxy:
    """Listens on a free port of the loopback. `credentials` is "user:password"; `status` answers that instead of doing
    anything, while it is set."""

    def __init__(self, *, credentials=None):
        self._wanted = "Basic " + base64.b64encode(credentials.encode()).decode() if credentials else None
        self.status = None
        self.asked = []  #: request lines, in order
        self.heads = []  #: whole heads
        self._sockets = []
        self._threads = []
        self._stopping = False
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._start(self._accept)

    def stop(self):
        self._stopping = True
        for each in [self._listener, *self._sockets]:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()
        for thread in self._threads:
            thread.join(timeout=10)

    def _start(self, target, *arguments):
        thread = threading.Thread(target=target, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self):
        while not self._stopping:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            client.settimeout(60)
            self._sockets.append(client)
            self._start(self._serve, client)

    def _serve(self, client):
        with contextlib.suppress(OSError, ValueError):
            head = b""
            while b"\r\n\r\n" not in head:
                data = client.recv(PIECE)
                if not data or len(head) > HEAD_MAX:
                    raise OSError("no request")
                head += data
            head, _, rest = head.partition(b"\r\n\r\n")
            self._answer(client, head.decode("latin-1"), rest)
        client.close()

    def _answer(self, client, head, rest):
        line, *fields = head.split("\r\n")
        self.asked.append(line)
        self.heads.append(head)
        method, target, _ = line.split(" ")
        given = next((f.split(": ", 1)[1] for f in fields if f.lower().startswith("proxy-authorization: ")), None)
        if self.status or (self._wanted and given != self._wanted):
            client.sendall(f"HTTP/1.1 {self.status or 407} Refused\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode())
            return
        if method == "CONNECT":
            host, _, port = target.rpartition(":")
            server = socket.create_connection((host.strip("[]"), int(port)), timeout=60)
            client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
        else:
            url = urllib.parse.urlsplit(target)
            server = socket.create_connection((url.hostname, url.port or 80), timeout=60)
            path = target.split(url.netloc, 1)[1]
            kept = [f for f in fields if not f.lower().startswith(("proxy-", "connection:"))]
            server.sendall("\r\n".join([f"{method} {path} HTTP/1.1", *kept, "Connection: close", "", ""]).encode("latin-1"))
        self._sockets.append(server)
        server.sendall(rest)
        self._start(self._copy, server, client)
        self._copy(client, server)

    @staticmethod
    def _copy(source, sink):
        with contextlib.suppress(OSError):
            while data := source.recv(PIECE):
                sink.sendall(data)
        with contextlib.suppress(OSError):
            sink.shutdown(socket.SHUT_WR)
