"""What a gateway makes of bytes that no client sends: smuggled requests, malformed heads, and peers that take their time.

Everything goes over TLS with a device's own certificate and token, so that only the bytes can be the reason for a refusal.
"""

import contextlib
import socket
import ssl
import time
import unittest

from harness import SLOWNESS
from test_gateway_bad_input import NEXT_V1, ForeignSiteCase

INVENTORY = "/api/devices/v1/inventory/device/attributes"
BODY = b'[{"name":"a","value":"b"}]'


class RawCase(ForeignSiteCase):
    def setUp(self):
        super().setUp()
        self.device = self.mender5(1)
        self.assertTrue(self.device.authenticate())
        self.token = self.device._token

    def connect(self, *, receive_buffer=None):
        raw = socket.socket()
        if receive_buffer:
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        raw.settimeout(30 * SLOWNESS)
        raw.connect((self.gateway.address, self.gateway.port))
        tls = ssl.create_default_context(cafile=str(self.gateway.ca))
        tls.load_cert_chain(*self.device.certificate_files)
        connection = tls.wrap_socket(raw, server_hostname="localhost")
        self.addCleanup(connection.close)
        return connection

    @staticmethod
    def read_to_end(connection):
        received = b""
        with contextlib.suppress(ConnectionError, ssl.SSLError):
            while data := connection.recv(65536):
                received += data
        return received

    def head(self, *fields, line=f"PUT {INVENTORY} HTTP/1.1", host="Host: localhost"):
        lines = [line, *([host] if host else []), f"Authorization: Bearer {self.token}", "Content-Type: application/json", *fields]
        return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n"

    def seen(self):
        return len(self.upstream.server.api.seen())

    def assert_refused(self, data, *, status=400):
        """One refusal, then the end, and nothing of it at the upstream. `status` None: not even an answer."""
        before = self.seen()
        connection = self.connect()
        connection.sendall(data)
        answer = self.read_to_end(connection)
        if status is None:
            self.assertEqual(answer, b"", data[:200])
        else:
            self.assertTrue(answer.startswith(f"HTTP/1.1 {status} ".encode()), (data[:300], answer[:300]))
            self.assertEqual(answer.count(b"HTTP/1.1 "), 1, (data[:300], answer[:600]))
        self.assertEqual(self.seen(), before, data[:300])

    def assert_served(self):
        """Another request is answered at once."""
        begun = time.monotonic()
        answer = self.gateway.ask("GET", NEXT_V1, headers={"Authorization": f"Bearer {self.token}"},
                                  certificate=self.device.certificate_files)
        self.assertIn(answer.status, (200, 204))
        self.assertLess(time.monotonic() - begun, 5 * SLOWNESS)


class SmugglingTest(RawCase):
    def test_a_proper_request_gets_through(self):
        connection = self.connect()
        connection.sendall(self.head(f"Content-Length: {len(BODY)}", "Connection: close") + BODY)
        self.assertTrue(self.read_to_end(connection).startswith(b"HTTP/1.1 200 "))

    def test_lengths_that_two_servers_could_read_differently_are_refused(self):
        length = f"Content-Length: {len(BODY)}"
        chunked = f"{len(BODY):x}\r\n".encode() + BODY + b"\r\n0\r\n\r\n"
        for fields, body in [
                ([length, "Content-Length: 0"], BODY), ([length, length], BODY), ([length + f", {len(BODY)}"], BODY),
                (["Content-Length: +5"], BODY), (["Content-Length: 0x5"], BODY), (["Content-Length: -1"], BODY),
                (["Content-Length: 99999999999999999999999"], BODY), (["Content-Length: 5 5"], BODY),
                ([length, "Transfer-Encoding: chunked"], chunked), (["Transfer-Encoding: chunked", length], chunked),
                (["Transfer-Encoding: chunked, identity"], chunked), (["Transfer-Encoding: xchunked"], chunked),
                (["Transfer-Encoding: identity"], chunked), (["Transfer-Encoding: gzip, chunked"], chunked),
                (["Transfer-Encoding: chunked", "Transfer-Encoding: chunked"], chunked),
                (["Transfer-Encoding: chunked", "Transfer-encoding: cow"], chunked),
                (["Transfer-Encoding: \x0bchunked"], chunked), (['Transfer-Encoding: "chunked"'], chunked)]:
            with self.subTest(fields=fields):
                self.assert_refused(self.head(*fields) + body)
        with self.subTest("chunks in HTTP/1.0"):
            self.assert_refused(self.head("Transfer-Encoding: chunked", line=f"PUT {INVENTORY} HTTP/1.0") + chunked)

    def test_chunks_that_cannot_be_are_refused(self):
        head = self.head("Transfer-Encoding: chunked")
        for chunks in [b"11111111111111111\r\nx", b"-1\r\nx\r\n", b"0x2\r\n[]\r\n0\r\n\r\n", b"g\r\n", b"2\r\n[]]\r\n0\r\n\r\n",
                       b"2\n[]\n0\n\n", b"2;" + b"e" * 300 + b"\r\n[]\r\n0\r\n\r\n",
                       (b"1;" + b"e" * 200 + b"\r\n \r\n") * 100 + b"0\r\n\r\n"]:
            with self.subTest(chunks=chunks[:40]):
                self.assert_refused(head + chunks)
        with self.subTest("more than anyone needs"):
            self.assert_refused(head + b"fffffffffffffff\r\n" + b" " * (9 << 20), status=500)

    def test_malformed_heads_are_refused(self):
        length = f"Content-Length: {len(BODY)}"
        for name, data in {
                "bare line feed": self.head(length).replace(b"\r\n", b"\n") + BODY,
                "one bare line feed": self.head("X: a\nY: b", length) + BODY,
                "folded line": self.head("X: a\r\n b", length) + BODY,
                "blank before the name": self.head(" X: a", length) + BODY,
                "blank before the colon": self.head("X : a", length) + BODY,
                "tab before the colon": self.head("Content-Length\t: 5", length) + BODY,
                "no name": self.head(": a", length) + BODY,
                "no colon": self.head("X", length) + BODY,
                "NUL": self.head("X: a\0b", length) + BODY,
                "bare carriage return": self.head("X: a\rb", length) + BODY,
                "no host": self.head(length, host=None) + BODY,
                "two hosts": self.head("Host: other", length) + BODY,
                "absolute target": self.head(length, line=f"PUT https://localhost{INVENTORY} HTTP/1.1") + BODY,
                "authority target": self.head(line="CONNECT localhost:443 HTTP/1.1"),
                "target without a slash": self.head(length, line="PUT api HTTP/1.1") + BODY,
                "blank in the target": self.head(length, line=f"PUT {INVENTORY} x HTTP/1.1") + BODY,
                "HTTP/0.9": b"GET /\r\n\r\n",
                "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
                "HTTP/3.7": self.head(length, line=f"PUT {INVENTORY} HTTP/3.7") + BODY,
                "no HTTP": b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n"}.items():
            with self.subTest(name):
                self.assert_refused(data)

    def test_heads_beyond_their_bounds_are_refused(self):
        self.assert_refused(self.head(*["A: b"] * 200), status=431)
        self.assert_refused(self.head("A: " + "b" * 20_000), status=431)
        self.assert_refused(self.head(line=f"PUT {INVENTORY}?{'b' * 20_000} HTTP/1.1"), status=431)

    def test_a_parameter_cannot_lead_out_of_its_path(self):
        for parameter in ["..%2f..%2f..%2f..%2f..%2fmanagement%2fv1%2fx", "%2e%2e", "a%00b", "a%0d%0ab", "a%5cb"]:
            before = self.seen()
            connection = self.connect()
            connection.sendall(self.head("Content-Length: 2", "Connection: close",
                                         line=f"PUT /api/devices/v1/deployments/device/deployments/{parameter}/status HTTP/1.1")
                               + b"{}")
            self.assertRegex(self.read_to_end(connection), rb"^HTTP/1\.1 40[04] ", parameter)
            self.assertEqual(self.seen(), before)

    def test_two_equal_hosts_go_up_as_one(self):
        connection = self.connect()
        connection.sendall(self.head("Host: localhost", f"Content-Length: {len(BODY)}", "Connection: close") + BODY)
        self.assertTrue(self.read_to_end(connection).startswith(b"HTTP/1.1 200 "))
        [request] = self.upstream.server.api.seen("PUT", INVENTORY)
        self.assertEqual(len(request.header_values("host")), 1)
        self.assertEqual(request.header("host"), self.upstream.url.removeprefix("https://"))

    def test_requests_behind_each_other_are_answered_in_order(self):
        requests = [self.head(line=f"GET {NEXT_V1} HTTP/1.1"), self.head(f"Content-Length: {len(BODY)}") + BODY,
                    self.head("Connection: close", line="GET /nowhere HTTP/1.1")]
        connection = self.connect()
        connection.sendall(b"".join(requests))
        answers = self.read_to_end(connection)
        self.assertEqual([a[:3] for a in answers.split(b"HTTP/1.1 ")[1:]], [b"204", b"200", b"404"])

    def test_what_belongs_to_one_connection_stays_there(self):
        connection = self.connect()
        connection.sendall(self.head("TE: trailers", "Trailer: X", "Upgrade: h2c", "HTTP2-Settings: AAA", "Keep-Alive: 5",
                                     "Proxy-Authorization: Basic eDp5", "X-Forwarded-Host: evil", "Forwarded: for=evil",
                                     "X-Real-IP: 6.6.6.6", "X-Listed: secret", "X-Kept: yes",
                                     "Transfer-Encoding: chunked", "Connection: close,\tx-listed , Upgrade")
                           + b"1;x=y\r\n[\r\n1\r\n]\r\n0\r\nX-Trailer: t\r\nAuthorization: Bearer other\r\n\r\n")
        self.assertTrue(self.read_to_end(connection).startswith(b"HTTP/1.1 200 "))
        [request] = self.upstream.server.api.seen("PUT", INVENTORY)
        names = [name.lower() for name, _ in request.headers]
        self.assertEqual(request.hop_by_hop(), [])
        for name in ("transfer-encoding", "x-listed", "x-trailer", "http2-settings", "x-real-ip", "forwarded"):
            self.assertNotIn(name, names)
        self.assertFalse([name for name in names if name.startswith("x-forwarded")])
        self.assertEqual(request.header("x-kept"), "yes")
        self.assertEqual(request.header_values("authorization"), [f"Bearer {self.token}"])
        self.assertEqual(int(request.header("content-length")), len(request.body))

    def test_an_answer_cannot_bring_fields_of_the_other_connection(self):
        self.upstream.server.api.fail(r"next$", status=204, headers=[
            ("Connection", "X-Listed"), ("X-Listed", "secret"), ("Keep-Alive", "timeout=1"), ("Upgrade", "h2c"),
            ("Proxy-Authenticate", "Basic"), ("X-Kept", "yes")])
        answer = self.gateway.ask("GET", NEXT_V1, headers={"Authorization": f"Bearer {self.token}"},
                                  certificate=self.device.certificate_files)
        self.assertEqual(answer.status, 204)
        self.assertEqual(answer.headers["X-Kept"], "yes")
        for name in ("X-Listed", "Keep-Alive", "Upgrade", "Proxy-Authenticate"):
            self.assertIsNone(answer.headers[name], name)


class SlownessTest(RawCase):
    """Deadlines are short here, and others are served while somebody takes his time."""

    gateway_settings = {"Postern": {"Deadlines": {"Handshake": "1s", "Head": "1s", "Idle": "2s", "Progress": "1s", "Body": "3s"}}}

    def assert_ends(self, connection, *, after, send=b"", every=0.2):
        """The gateway ends the connection around so many seconds from now, while a byte of `send` goes out now and then."""
        begun = time.monotonic()
        connection.settimeout(every)
        for i in range(int(60 * SLOWNESS / every)):
            try:
                if not connection.recv(4096):
                    break
            except TimeoutError:
                pass
            except (ConnectionError, ssl.SSLError, OSError):
                break
            if i == 1:
                self.assert_served()
            with contextlib.suppress(ConnectionError, ssl.SSLError, OSError):
                if i < len(send):
                    connection.sendall(send[i:i + 1])
        took = time.monotonic() - begun
        self.assertGreater(took, after * 0.8)
        self.assertLess(took, (after + 3) * SLOWNESS + 2)

    def test_a_handshake_that_goes_nowhere_ends(self):
        raw = socket.create_connection((self.gateway.address, self.gateway.port))
        self.addCleanup(raw.close)
        self.assert_ends(raw, after=1)

    def test_an_idle_connection_ends(self):
        self.assert_ends(self.connect(), after=2)

    def test_a_slow_head_ends_however_steady_it_is(self):
        before = self.seen()
        self.assert_ends(self.connect(), after=1, send=self.head())
        self.assertLessEqual(self.seen() - before, 1, "the other device's poll only")

    def test_a_body_that_stops_ends(self):
        connection = self.connect()
        connection.sendall(self.head("Content-Length: 1000") + b"[")
        self.assert_ends(connection, after=1)

    def test_a_slow_body_ends_however_steady_it_is(self):
        connection = self.connect()
        connection.sendall(self.head("Content-Length: 1000") + b"[")
        self.assert_ends(connection, after=3, send=b" " * 900)
        self.assertEqual(self.upstream.server.api.seen("PUT", INVENTORY), [])

    def test_who_does_not_read_is_let_go(self):
        self.deployed(self.device, size=12_000_000)
        link = self.instruction(self.device)["artifact"]["source"]["uri"]
        target = link.removeprefix(self.gateway.url)
        connection = self.connect(receive_buffer=4096)
        connection.sendall(f"GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        time.sleep(4 * SLOWNESS)  # the time that a reader does not read, not a wait for something
        self.assert_served()
        received = self.read_to_end(connection)
        self.assertLess(len(received), 12_000_000)

    def test_many_who_are_silent_keep_nobody_from_being_served(self):
        silent = [self.connect() for _ in range(100)]
        self.assert_served()
        for connection in silent:
            self.assertEqual(self.read_to_end(connection), b"")
        self.assert_served()


if __name__ == "__main__":
    unittest.main()
