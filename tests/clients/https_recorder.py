"""An HTTPS listener for stand-ins: it keeps every request as it came, and can be told to misbehave.

Requests are parsed by hand, so that the spelling, order and repetition of header fields can be looked at.
"""

import collections
import pathlib
import re
import socket
import ssl
import subprocess
import threading
import time
import urllib.parse

HEAD_MAX = 64 << 10
BODY_MAX = 1 << 20
PIECE = 64 << 10
REASONS = {101: "Switching Protocols", 200: "OK", 201: "Created", 202: "Accepted", 204: "No Content", 206: "Partial Content", 400: "Bad Request",
           401: "Unauthorized", 403: "Forbidden", 404: "Not Found", 405: "Method Not Allowed", 409: "Conflict",
           413: "Request Entity Too Large", 415: "Unsupported Media Type", 416: "Range Not Satisfiable",
           429: "Too Many Requests", 500: "Internal Server Error", 503: "Service Unavailable"}
#: What a proxy must not pass on (RFC 9110 7.6.1); Transfer-Encoding is the proxy's own to use.
HOP_BY_HOP = ("connection", "keep-alive", "proxy-connection", "proxy-authenticate", "proxy-authorization", "te", "trailer",
              "upgrade")


class Request:
    """A request as received. `headers` are (name, value) in the spelling and order received; `body` is decoded."""

    def __init__(self, method, target, headers, connection, *, sni, tls_version):
        self.method = method
        self.target = target
        self.path, _, query = target.partition("?")
        self.query = urllib.parse.parse_qs(query, keep_blank_values=True)
        self.headers = headers
        self.body = b""
        self.connection = connection  #: number of the connection it came on
        self.sni = sni  #: server name that the TLS client asked for
        self.tls_version = tls_version
        self.received = time.monotonic()
        self.status = None  #: of the answer; None when there was none

    def header(self, name):
        """The first value; None without."""
        return next(iter(self.header_values(name)), None)

    def header_values(self, name):
        return [value for key, value in self.headers if key.lower() == name.lower()]

    def hop_by_hop(self):
        """Names of header fields that a proxy must not pass on."""
        return [name for name, _ in self.headers if name.lower() in HOP_BY_HOP]

    def __repr__(self):
        return f"<{self.method} {self.target} {self.status}>"


class Reply:
    """An answer. `pieces` (an iterable of bytes with `length` bytes in all) stands in for a large body. `tunnel(connection,
    stream)` is what the connection goes on as after a 101: it writes to the first and reads from the second."""

    def __init__(self, status, headers=(), body=b"", *, pieces=None, length=None, sent=None, tunnel=None):
        self.status = status
        self.headers = list(headers)
        self.body = body
        self.pieces = pieces if pieces is not None else [body]
        self.length = len(body) if length is None else length
        self.sent = sent  #: called with the size of each piece that leaves
        self.tunnel = tunnel


class Fault:
    """What goes wrong with a request; `hits` counts. See Recorder.fail."""

    def __init__(self, method, path, times, options):
        self.method = method
        self.path = re.compile(path)
        self.left = times
        self.hits = 0
        self.released = threading.Event()
        self.delay = options.pop("delay", 0)
        self.status = options.pop("status", None)
        self.headers = list(options.pop("headers", ()))
        self.body = options.pop("body", None)
        self.drop = options.pop("drop", False)
        self.garbage = options.pop("garbage", False)
        self.content_length = options.pop("content_length", None)
        self.cut_after = options.pop("cut_after", None)
        self.stall_after = options.pop("stall_after", None)
        if options:
            raise TypeError(f"unknown faults: {sorted(options)}")

    def release(self):
        """Lets a stalled answer go on."""
        self.released.set()


class Disconnect(Exception):
    """This connection ends here, after the bytes `last` if there are any."""

    def __init__(self, why, last=b""):
        super().__init__(why)
        self.last = last


TOO_LARGE = b"HTTP/1.1 413 Request Entity Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


class Recorder:
    """Listens on `listener`, a bound socket (by default a free port of the loopback), and answers by `handler(request)`.

    Threads: one that accepts, one for each connection. `handler` is called from those.
    """

    def __init__(self, handler, *, certificate, key, listener=None, client_ca=None):
        self._handler = handler
        self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._tls.minimum_version = ssl.TLSVersion.TLSv1_2
        self._tls.load_cert_chain(str(certificate), str(key))
        self._tls.sni_callback = self._note_sni
        if client_ca:
            self._tls.load_verify_locations(str(client_ca))
            self._tls.verify_mode = ssl.CERT_REQUIRED
        self._listener = listener or socket.create_server(("127.0.0.1", 0))
        self._listener.listen(64)
        self.address, self.port = self._listener.getsockname()[:2]
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._connections = {}  # number to socket
        self._threads = []
        self._accepted = 0
        self._faults = []
        self.requests = collections.deque(maxlen=100_000)
        self._acceptor = threading.Thread(target=self._accept, daemon=True)
        self._acceptor.start()

    # What tests use

    @property
    def accepted(self):
        """Connections so far."""
        return self._accepted

    def seen(self, method=None, path=r""):
        """The requests so far with this method, and a path in which the expression `path` is found."""
        return [r for r in list(self.requests) if method in (None, r.method) and re.search(path, r.path)]

    def fail(self, path=r"", *, method=None, times=1, **options):
        """Makes the next `times` requests (None: all from now on) with such a path and method go wrong:

        delay=S           answers after S seconds; may be combined with the others
        drop=True         closes the connection without an answer
        garbage=True      answers bytes that are not HTTP
        status=N          answers this instead, with `headers` and `body`; the request has no effect
        body=B            has its effect, but this is the answer's body
        content_length=N  says that the body has N bytes, sends the real one, and closes
        cut_after=N       closes after N bytes of the body
        stall_after=N     sends N bytes of the body, and the rest after the fault's release()
        """
        fault = Fault(method, path, times, options)
        with self._lock:
            self._faults.append(fault)
        return fault

    def clear_faults(self):
        with self._lock:
            faults, self._faults = self._faults, []
        for fault in faults:
            fault.release()

    def drop_connections(self):
        """Cuts everything that is connected."""
        with self._lock:
            connections = list(self._connections.values())
        for connection in connections:
            _shut(connection)

    def stop(self):
        """Ends all connections and threads. May be called again."""
        self._stopping.set()
        self.clear_faults()
        _shut(self._listener)
        self._listener.close()
        self._acceptor.join(timeout=10)
        self.drop_connections()
        for thread in self._threads:
            thread.join(timeout=10)

    # Connections

    def _note_sni(self, connection, name, _context):
        connection.postern_sni = name

    def _accept(self):
        while not self._stopping.is_set():
            try:
                raw, _ = self._listener.accept()
            except OSError:
                return
            raw.settimeout(60)
            with self._lock:
                self._accepted += 1
                number = self._accepted
                self._connections[number] = raw
            self._threads = [t for t in self._threads if t.is_alive()]
            thread = threading.Thread(target=self._serve, args=(raw, number), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, raw, number):
        connection = raw
        try:
            with self._lock:
                connection = self._tls.wrap_socket(raw, server_side=True, do_handshake_on_connect=False)
                self._connections[number] = connection
            connection.do_handshake()
            stream = connection.makefile("rb", buffering=PIECE)
            while not self._stopping.is_set():
                request = self._read(stream, connection, number)
                if reply := self._answer(connection, request):
                    reply.tunnel(connection, stream)
                    break
                if (request.header("connection") or "").lower() == "close":
                    break
        except (Disconnect, OSError):
            pass  # The peer is gone, or a fault says so.
        finally:
            with self._lock:
                self._connections.pop(number, None)
            connection.close()

    def _read(self, stream, connection, number):
        line = stream.readline(HEAD_MAX)
        parts = line.decode("latin-1").rstrip("\r\n").split(" ")
        if len(parts) != 3:
            raise Disconnect(f"request line {line!r}")
        headers, size = [], 0
        while (line := stream.readline(HEAD_MAX)) not in (b"\r\n", b"\n"):
            size += len(line)
            name, separator, value = line.decode("latin-1").partition(":")
            if not separator or size > HEAD_MAX:
                raise Disconnect(f"header {line!r}")
            headers.append((name, value.strip()))
        request = Request(parts[0], parts[1], headers, number, sni=getattr(connection, "postern_sni", None),
                          tls_version=connection.version())
        if (request.header("expect") or "").lower() == "100-continue":
            connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        try:
            request.body = self._read_body(stream, request)
        except Disconnect as end:
            connection.sendall(end.last)
            raise
        self.requests.append(request)
        return request

    @staticmethod
    def _read_body(stream, request):
        if (request.header("transfer-encoding") or "").lower() != "chunked":
            length = int(request.header("content-length") or 0)
            if length > BODY_MAX:
                raise Disconnect(f"a body of {length} bytes", TOO_LARGE)
            return _exactly(stream, length)
        body = b""
        while size := int(stream.readline(HEAD_MAX).split(b";")[0], 16):
            if len(body) + size > BODY_MAX:
                raise Disconnect("a chunked body beyond the limit", TOO_LARGE)
            body += _exactly(stream, size)
            stream.readline(HEAD_MAX)
        while stream.readline(HEAD_MAX) not in (b"\r\n", b"\n", b""):
            pass
        return body

    # Answers

    def _take_fault(self, request):
        with self._lock:
            for fault in self._faults:
                if fault.left != 0 and fault.method in (None, request.method) and fault.path.search(request.path):
                    fault.hits += 1
                    if fault.left is not None:
                        fault.left -= 1
                    return fault
        return None

    def _answer(self, connection, request):
        """Returns the Reply when the connection goes on as something else."""
        fault = self._take_fault(request)
        if fault is None:
            reply = self._handler(request)
            self._send(connection, request, reply, None)
            return reply if reply.tunnel else None
        if fault.delay and self._stopping.wait(fault.delay):
            raise Disconnect("stopping")
        if fault.drop:
            raise Disconnect("fault")
        if fault.garbage:
            connection.sendall(b"\x00\xff not HTTP at all\r\n\r\n" * 4)
            raise Disconnect("fault")
        if fault.status is not None:
            reply = Reply(fault.status, fault.headers, fault.body or b"")
        else:
            reply = self._handler(request)
            if fault.body is not None:
                reply = Reply(reply.status, reply.headers, fault.body)
        self._send(connection, request, reply, fault)
        return None

    def _send(self, connection, request, reply, fault):
        length = reply.length if fault is None or fault.content_length is None else fault.content_length
        lines = [f"HTTP/1.1 {reply.status} {REASONS.get(reply.status, 'Status')}"]
        lines += [f"{name}: {value}" for name, value in reply.headers]
        if reply.status not in (101, 204):
            lines.append(f"Content-Length: {length}")
        request.status = reply.status
        connection.sendall("\r\n".join(lines).encode("latin-1") + b"\r\n\r\n")
        if request.method != "HEAD" and reply.status not in (101, 204):
            self._send_body(connection, reply, fault)
        if length != reply.length:
            raise Disconnect("the Content-Length was a lie")

    def _send_body(self, connection, reply, fault):
        # The sizes at which something happens within the body.
        cut = fault.cut_after if fault else None
        stall = fault.stall_after if fault else None
        done = 0
        for piece in reply.pieces:
            while piece:
                edges = [edge - done for edge in (cut, stall) if edge is not None and edge >= done]
                part = piece[:min(edges)] if edges else piece
                if part:
                    # Counted before, so that whoever has received it finds it counted.
                    if reply.sent:
                        reply.sent(len(part))
                    connection.sendall(part)
                    done += len(part)
                    piece = piece[len(part):]
                if done == cut:
                    raise Disconnect("fault")
                if done == stall:
                    self._wait_for_release(fault)
                    stall = None

    def _wait_for_release(self, fault):
        while not fault.released.wait(0.1):
            if self._stopping.is_set():
                raise Disconnect("stopping")


def _exactly(stream, length):
    data = stream.read(length) if length else b""
    if len(data) != length:
        raise Disconnect("an early end")
    return data


def _shut(connection):
    try:
        # The plain call: SSLSocket's own would take the TLS state from under a thread that reads.
        socket.socket.shutdown(connection, socket.SHUT_RDWR)
    except OSError:
        pass  # It is not connected any more.


def make_certificate(directory, hosts, *, days=30, wrap=()):
    """A self-signed certificate for these names and addresses, which is its own CA file; returns (certificate, key). `wrap`
    is put before the command that makes it."""
    directory = pathlib.Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    certificate, key = directory / "server.crt", directory / "server.key"
    names = ",".join(f"{'IP' if re.fullmatch(r'[0-9.]+', host) else 'DNS'}:{host}" for host in hosts)
    subprocess.run([*wrap, "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                    "-days", str(days), "-subj", f"/CN={hosts[0]}", "-addext", f"subjectAltName={names}", "-keyout", str(key),
                    "-out", str(certificate)], check=True, capture_output=True, timeout=60)
    return certificate, key
