"""How a gateway reaches its upstream: WebSockets, proxies, several servers, redirects, IPv6."""

import contextlib
import http.client
import os
import socket
import ssl
import threading
import time
import unittest

from harness import SLOWNESS
from gateway_harness import CONNECT, ForeignUpstream, Gateway, open_websocket, receive_exactly
from test_gateway_bad_input import NEXT_V1, ForeignSiteCase
from clients.debian_mender import wait_until
from clients.foreign_server import ForeignServer
from clients.https_recorder import Recorder, Reply, make_certificate
from clients.proxy import Proxy

PASSWORD = "pass-word-of-the-proxy"


class RelayCase(ForeignSiteCase):
    def authenticated(self, number=1):
        device = self.mender5(number)
        self.assertTrue(device.authenticate())
        return device

    def ask(self, device, method="GET", path=NEXT_V1, body=None, headers=None):
        return self.gateway.ask(method, path, body, {"Authorization": f"Bearer {device._token}", **(headers or {})},
                                certificate=device.certificate_files)

    def restart(self, settings):
        self.gateway.stop()
        self.gateway.settings = settings
        self.gateway.start()


class WebSocketTest(RelayCase):
    gateway_settings = {"Postern": {"Relay": {"TunnelsMax": 2}}}

    def open(self, device, **options):
        connection, head = open_websocket(self.gateway, device, **options)
        self.addCleanup(connection.close)
        return connection, head

    def assert_ends(self, connection):
        with contextlib.suppress(ConnectionError, ssl.SSLError):
            self.assertEqual(connection.recv(1), b"")

    def test_bytes_pass_both_ways_as_they_are(self):
        device = self.authenticated()
        connection, head = self.open(device, headers=["Sec-WebSocket-Protocol: protomsg/msgpack", "X-Forwarded-For: x"])
        self.assertTrue(head.startswith("HTTP/1.1 101 "), head)
        # The accepted key is RFC 6455's function of ours: nobody on the way has made a handshake of its own.
        self.assertIn("Sec-WebSocket-Accept: BACScCJPNqyz+UBoqMH89VmURoA=", head)
        self.assertRegex(head, r"(?i)\r\nUpgrade: websocket\r\n")
        self.assertRegex(head, r"(?i)\r\nConnection: Upgrade\r\n")
        self.assertNotRegex(head, r"(?i)Sec-WebSocket-Protocol")
        content = os.urandom(300_000)
        for begin in range(0, len(content), 10_000):
            piece = content[begin:begin + 10_000]
            connection.sendall(piece)
            self.assertEqual(receive_exactly(connection, len(piece)), piece)
        [websocket] = self.upstream.server.sockets
        self.assertEqual(websocket.received, content)
        names = {name.lower(): value for name, value in websocket.request.headers}
        self.assertEqual(names["connection"].lower(), "upgrade")
        self.assertEqual(names["sec-websocket-protocol"], "protomsg/msgpack")
        self.assertNotIn("x-forwarded-for", names)
        self.assertEqual(self.gateway.metric("postern_gateway_tunnels"), 1)
        connection.close()
        self.assertTrue(websocket.ended.wait(30 * SLOWNESS), "the end is passed on")
        wait_until(lambda: self.gateway.metric("postern_gateway_tunnels") == 0, seconds=30 * SLOWNESS, what="the end")
        self.assertEqual(self.gateway.metric("postern_gateway_tunnel_up_bytes_total"), len(content))
        self.assertNotIn(device._token, self.gateway.log())

    def test_an_end_of_the_server_reaches_the_device(self):
        connection, _ = self.open(self.authenticated())
        self.upstream.server.api.drop_connections()
        self.assert_ends(connection)

    def test_only_its_own_token_opens_one(self):
        device, other = self.authenticated(1), self.authenticated(2)
        for token in ("nonsense", other._token):
            _, head = self.open(device, token=token)
            self.assertTrue(head.startswith("HTTP/1.1 401 "), head)
        self.assertEqual(self.upstream.server.sockets, [])

    def test_there_are_no_more_than_allowed(self):
        device = self.authenticated()
        kept = [self.open(device)[0] for _ in range(2)]
        _, head = self.open(device)
        self.assertTrue(head.startswith("HTTP/1.1 500 "), head)
        kept.pop().close()
        wait_until(lambda: self.gateway.metric("postern_gateway_tunnels") == 1, seconds=30 * SLOWNESS, what="room")
        self.assertTrue(self.open(device)[1].startswith("HTTP/1.1 101 "))

    def test_a_request_that_is_none_is_passed_on_like_any_other(self):
        answer = self.ask(self.authenticated(), path=CONNECT)
        self.assertEqual(answer.status, 400)
        self.assertIn(b"websocket", answer.body)

    def test_the_gateways_end_ends_them_at_once(self):
        connection, _ = self.open(self.authenticated())
        begun = time.monotonic()
        self.assertEqual(self.gateway.stop(), 0)
        self.assertLess(time.monotonic() - begun, 5 * SLOWNESS)
        self.assert_ends(connection)


class ProxyTest(RelayCase):
    def setUp(self):
        super().setUp()
        self.proxy = Proxy(credentials=f"gw:{PASSWORD}")
        self.addCleanup(self.proxy.stop)

    def through(self, **more):
        return {"Postern": {"Upstream": {"Proxy": f"http://gw:{PASSWORD}@127.0.0.1:{self.proxy.port}", **more}}}

    def test_everything_goes_through_it_by_connect(self):
        self.restart(self.through())
        device = self.mender5(1)
        content = self.deployed(device)
        device.run(seconds=60 * SLOWNESS)
        self.assertEqual(self.installed(device), content)
        hosts = {line.split(" ")[1] for line in self.proxy.asked}
        self.assertEqual(hosts, {f"localhost:{self.upstream.server.api.port}", self.upstream.server.link_host})
        self.assertTrue(all(line.startswith("CONNECT ") for line in self.proxy.asked))
        self.assertNotIn(PASSWORD, self.gateway.log())

    def test_exceptions_are_reached_directly(self):
        self.restart(self.through(NoProxy=["localhost"]))
        self.authenticated()
        self.assertEqual(self.proxy.asked, [])

    def test_a_proxy_that_refuses_is_named_and_its_password_is_not(self):
        device = self.authenticated()
        for status, word in ((407, "does not take the user and the password"), (502, "answers 502")):
            self.proxy.status = status
            self.restart(self.through())
            self.assertEqual(self.ask(device).status, 500)
            self.assertIn(word, self.gateway.log())
        self.assertNotIn(PASSWORD, self.gateway.log())
        self.proxy.status = None
        self.assertEqual(self.ask(device).status, 204, "it works as soon as the proxy does")


class SeveralUpstreamsTest(RelayCase):
    def setUp(self):
        super().setUp()
        self.device = self.authenticated()
        # A second way to the same server, which can be closed: a proxy of bytes is another address for it.
        self.first = Forwarder(self.upstream.server.api.port)
        self.addCleanup(self.first.close)
        self.restart({"UpstreamServer": {"URL": f"https://localhost:{self.first.port}"},
                      "Postern": {"Upstream": {"URLs": [self.upstream.url], "ReturnAfter": "2s"}}})

    def up(self, url):
        return self.gateway.metric(f'postern_gateway_upstream_up{{upstream="{url}"}}')

    def test_another_one_stands_in_and_the_first_is_returned_to(self):
        first_url = f"https://localhost:{self.first.port}"
        self.assertEqual(self.ask(self.device).status, 204)
        self.assertEqual(self.up(first_url), 1)
        self.first.close()
        for _ in range(3):
            self.assertEqual(self.ask(self.device).status, 204)
        self.assertEqual((self.up(first_url), self.up(self.upstream.url)), (0, 1))
        self.assertEqual(self.gateway.log().count("upstream.down"), 1)
        self.first.open()
        wait_until(lambda: self.ask(self.device).status == 204 and self.up(first_url), seconds=30 * SLOWNESS,
                   what="the return to the first")
        self.assertGreater(self.first.accepted, 0)

    def test_nothing_is_reported_twice(self):
        fault = self.upstream.server.api.fail("devicemonitor/alert", drop=True, times=None)
        answer = self.ask(self.device, "POST", "/api/devices/v1/devicemonitor/alert", b"[]", {"Content-Type": "application/json"})
        self.assertEqual(answer.status, 500)
        self.assertEqual(fault.hits, 1)

    def test_an_artifact_is_the_same_whoever_names_it(self):
        content = self.release("release-1")
        other = self.mender5(2)
        self.assertTrue(other.authenticate())
        ids = [self.id_of(d.identity["mac"]) for d in (self.device, other)]
        self.upstream.deploy("release-1", ids)
        self.device.run(seconds=60 * SLOWNESS)
        self.first.close()
        other.run(seconds=60 * SLOWNESS)
        for device in (self.device, other):
            self.assertEqual(self.installed(device), content)
        self.assertEqual(len(self.upstream.served()), 1)


class RedirectTest(RelayCase):
    """The object store sends the gateway on."""

    def redirect(self, location):
        self.deployed(self.device)
        return self.upstream.server.links.fail(status=302, headers=[("Location", location)], times=None)

    def setUp(self):
        super().setUp()
        self.device = self.mender5(1)
        self.stranger_seen = []
        certificate, key = make_certificate(self.work / "stranger", ["localhost"])
        self.stranger = Recorder(lambda r: self.stranger_seen.append(r) or Reply(200, body=b"x"), certificate=certificate, key=key)
        self.addCleanup(self.stranger.stop)

    def download(self):
        link = self.instruction(self.device)["artifact"]["source"]["uri"]
        with self.assertRaises((http.client.HTTPException, ConnectionError)):
            self.gateway.ask("GET", link.removeprefix(self.gateway.url), certificate=self.device.certificate_files)

    def test_a_host_that_is_not_allowed_is_not_asked(self):
        # Another port of an allowed host is allowed; another name is not.
        self.redirect(f"https://localhost:{self.stranger.port}/x?X-Amz-Signature=topsecret")
        self.download()
        self.assertEqual(self.stranger.accepted, 0)
        self.assertIn("DomainWhitelist", self.gateway.log())
        self.assertNotIn("topsecret", self.gateway.log())

    def test_a_way_from_https_to_http_is_not_taken(self):
        self.redirect("http://127.0.0.1/x")
        self.download()
        self.assertIn("from https to http", self.gateway.log())

    def test_a_loop_ends(self):
        fault = self.redirect("?again")
        self.download()
        self.assertLess(fault.hits, 40)


@unittest.skipUnless(socket.has_ipv6, "no IPv6 here")
class Ipv6Test(RelayCase):
    def test_all_of_it_works_over_ipv6(self):
        self._stop_gateway()  # another one takes its place
        listeners = [socket.create_server(("::1", 0), family=socket.AF_INET6) for _ in range(2)]
        upstream = ForeignUpstream(self.work / "v6", self.authority)
        upstream.server.stop()
        certificate, key = make_certificate(self.work / "v6-tls", ["localhost", "127.0.0.1"])
        # Addresses as names of a certificate need an IP entry of their own.
        self.openssl("req", "-x509", "-key", key, "-days", "30", "-subj", "/CN=v6", "-addext", "subjectAltName=IP:::1",
                     "-out", certificate)
        upstream.ca = certificate
        upstream.server = ForeignServer(self.work / "v6-server", certificate=certificate, key=key, api_host="[::1]",
                                        link_host="[::1]", api_listener=listeners[0], link_listener=listeners[1])
        self.addCleanup(upstream.stop)
        gateway = V6Gateway(self.work / "gateway-6", upstream, self.authority,
                            settings={"Features": {"ArtifactsProxy": {"DomainWhitelist": ["[::1]"]}}})
        gateway.start()
        self.addCleanup(gateway.stop)
        self.upstream, self.gateway = upstream, gateway
        device = self.mender5(1)
        content = self.deployed(device)
        device.run(seconds=60 * SLOWNESS)
        self.assertEqual(self.installed(device), content)


class V6Gateway(Gateway):
    """A gateway at ::1, whose links begin with an address."""

    def __init__(self, work, upstream, authority, **options):
        super().__init__(work, upstream, authority, **options)
        self.address = "[::1]"
        self.host = "[::1]"
        self.certificate, self.key = authority.issue("server", "gateway-6", "--dns", "localhost", "--ip", "::1")

    def _start(self, fault, wrap):
        pattern = r"gateway\.started https=\[::1\]:(\d+) http=\S+ metrics=127\.0\.0\.1:(\d+)"
        started = self.launch(self.config(), pattern, fault=fault, wrap=wrap)
        self.port, self.metrics_port = int(started.group(1)), int(started.group(2))


class Forwarder:
    """A port that leads to another one while it is open."""

    def __init__(self, target):
        self._target = target
        self.port = 0
        self.accepted = 0
        self.open()

    def open(self):
        self.accepted = 0
        self._sockets = []
        self._listener = socket.create_server(("127.0.0.1", self.port))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, args=(self._listener, self._sockets), daemon=True).start()

    def close(self):
        for each in [self._listener, *self._sockets]:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()

    def _accept(self, listener, sockets):
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            self.accepted += 1
            server = socket.create_connection(("127.0.0.1", self._target))
            sockets += [client, server]
            for ends in ((client, server), (server, client)):
                threading.Thread(target=self._copy, args=ends, daemon=True).start()

    @staticmethod
    def _copy(source, sink):
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                sink.sendall(data)
        with contextlib.suppress(OSError):
            sink.shutdown(socket.SHUT_RDWR)


if __name__ == "__main__":
    unittest.main()
