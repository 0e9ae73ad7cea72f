"""Certificates, keys and lists that come and go while a gateway runs, and the connections that hang on them."""

import datetime
import pathlib
import re
import shutil
import signal
import socket
import ssl
import threading
import time
import unittest

from harness import SLOWNESS
from gateway_harness import CloudUpstream, SiteTestCase, auth_body, merge, open_websocket, receive_exactly
from handmade_authority import HandmadeAuthority, openssl
from test_gateway_bad_input import AUTH, NEXT_V1, REFUSED, ForeignSiteCase
from clients.debian_mender import wait_until

ALIVE = "/api/internal/v1/gateway/alive"
#: A revocation has taken effect everywhere after this many seconds.
EFFECT = 5 * SLOWNESS


def serial_of(certificate):
    return openssl("x509", "-in", certificate, "-noout", "-serial").strip().split("=")[1]


class Connection:
    """A TLS connection that stays open."""

    def __init__(self, gateway, certificate):
        tls = ssl.create_default_context(cafile=str(gateway.ca))
        tls.load_cert_chain(*certificate)
        plain = socket.socket()
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        plain.settimeout(60 * SLOWNESS)
        plain.connect((gateway.address, gateway.port))
        self.socket = tls.wrap_socket(plain, server_hostname=gateway.host)
        self.host = gateway.host
        self.server_serial = int(self.socket.getpeercert()["serialNumber"], 16)

    def ask(self, path=ALIVE):
        self.socket.sendall(f"GET {path} HTTP/1.1\r\nHost: {self.host}\r\n\r\n".encode())
        head = b""
        while b"\r\n\r\n" not in head:
            piece = self.socket.recv(4096)
            if not piece:
                raise ConnectionError("closed")
            head += piece
        head, rest = head.split(b"\r\n\r\n", 1)
        return int(head.split()[1]), head, rest

    def wait_for_end(self, seconds):
        """Returns how long it took the gateway to close."""
        begun = time.monotonic()
        self.socket.settimeout(seconds)
        try:
            while self.socket.recv(65536):
                pass
        except TimeoutError:
            raise AssertionError(f"the connection is still open after {seconds} s")
        except (ssl.SSLError, ConnectionError):
            pass
        return time.monotonic() - begun

    def close(self):
        self.socket.close()


class Download(threading.Thread):
    """Reads slowly until it is told to hurry."""

    def __init__(self, gateway, certificate, path):
        super().__init__(daemon=True)
        self.connection = Connection(gateway, certificate)
        self.path = path
        self.body = b""
        self.hurry = threading.Event()
        self.size = 0
        self.ended_at = None
        self.expected = None
        self.start()

    def run(self):
        status, head, rest = self.connection.ask(self.path)
        self.expected = int(re.search(rb"Content-Length: (\d+)", head).group(1)) if status == 200 else 0
        pieces = [rest]
        self.size = len(rest)
        try:
            while self.size < self.expected:
                piece = self.connection.socket.recv(32768)
                if not piece:
                    break
                pieces.append(piece)
                self.size += len(piece)
                self.hurry.wait(0.01)
        except OSError:
            pass
        self.body = b"".join(pieces)
        self.ended_at = time.monotonic()

    def wait_until_under_way(self):
        wait_until(lambda: self.size > 500_000, seconds=60 * SLOWNESS, what="the download", every=0.02)
        return self

    def finish(self):
        self.hurry.set()
        self.join(60 * SLOWNESS)
        return self.body


class EchoingWebSocket:
    """A deviceconnect connection of a device. A busy one sends and receives all the time."""

    def __init__(self, gateway, device, upstream, *, is_busy=False):
        before = len(upstream.server.sockets)
        self.connection, head = open_websocket(gateway, device)
        if not head.startswith("HTTP/1.1 101 "):
            raise AssertionError(head)
        self.server_side = upstream.server.sockets[before]
        self.echo()
        self.ended_at = None
        self.thread = threading.Thread(target=self._keep_busy if is_busy else self._listen, daemon=True)

    def echo(self):
        self.connection.sendall(b"are you there?")
        return receive_exactly(self.connection, 14) == b"are you there?"

    def watch(self):
        """Until it ends, which is noted; nobody else uses it from now on."""
        self.connection.settimeout(60 * SLOWNESS)
        self.thread.start()
        return self

    def _keep_busy(self):
        try:
            while self.echo():
                pass
        except OSError:
            pass
        self.ended_at = time.monotonic()

    def _listen(self):
        try:
            self.connection.recv(1)
        except OSError:
            pass
        self.ended_at = time.monotonic()


class CertificateCase(ForeignSiteCase):
    def setUp(self):
        super().setUp()
        self.crl = self.work / "devices.crl"
        self.serials = self.work / "serials"
        self.device_ca = self.work / "device-ca.pem"
        shutil.copy(self.authority.device_ca, self.device_ca)
        shutil.copy(self.authority.device_crl, self.crl)
        self.serials.write_text("# none\n")

    def configure(self, **mtls):
        """Starts the gateway anew with all files in place; `mtls` are keys under Postern.mTLS."""
        self.gateway.stop()
        self.gateway.settings = merge(
            {"Features": {"mTLS": {"CACertificate": str(self.device_ca), "BlacklistPath": str(self.serials)}},
             "Postern": {"mTLS": {"CRL": str(self.crl)}}}, {"Postern": {"mTLS": mtls}})
        self.gateway.start()

    def connect(self, certificate):
        connection = Connection(self.gateway, certificate)
        self.addCleanup(connection.close)
        return connection

    def download(self, certificate, link):
        download = Download(self.gateway, certificate, link).wait_until_under_way()
        self.addCleanup(download.connection.close)
        return download

    def server_serial(self, certificate):
        """That of the certificate which a new connection is shown."""
        connection = Connection(self.gateway, certificate)
        connection.close()
        return connection.server_serial

    def is_welcome(self, certificate):
        try:
            return self.gateway.ask("POST", AUTH, b"{}", certificate=certificate).status == 400
        except REFUSED:
            return False

    def wait_for_log(self, pattern, seconds=20 * SLOWNESS):
        return wait_until(lambda: re.search(pattern, self.gateway.log()), seconds=seconds, what=f"{pattern} in the log", every=0.05)

    def failing(self, source):
        return self.gateway.metric(f'postern_gateway_reload_failing{{source="{source}"}}')

    def replace(self, path, text):
        """As a careful administrator does: whole or not at all."""
        path = pathlib.Path(path)
        fresh = path.with_name(path.name + ".new")
        fresh.write_bytes(text if isinstance(text, bytes) else text.encode())
        fresh.rename(path)

    def release_and_link(self, size):
        device = self.mender5(1)
        self.deployed(device, size=size)
        link = self.instruction(device)["artifact"]["source"]["uri"].removeprefix(self.gateway.url)
        self.artifact = (self.work / "release-1.mender").read_bytes()
        return device, link


class AuthorityTest(CertificateCase):
    def test_devices_of_every_authority_get_in_from_one_file_or_several(self):
        one, two, three = (HandmadeAuthority(self.work, f"authority {n}") for n in range(3))
        self.device_ca.write_text(one.certificate.read_text() + two.certificate.read_text())
        one.crl(self.crl, 1)
        self.configure(CACertificates=[str(three.certificate)])
        for authority in (one, two, three):
            self.assertTrue(self.is_welcome(authority.issue("press")))
        self.assertFalse(self.is_welcome(self.authority.issue("device", "press-1")))

    def test_a_key_takes_over_from_another_of_the_same_name_even_without_key_identifiers(self):
        old, new = (HandmadeAuthority(self.work, "Plant CA", is_plain=True) for _ in range(2))
        self.device_ca.write_text(old.certificate.read_text())
        old.crl(self.crl, 1)
        self.configure()
        of_old, of_new = old.issue("press-1"), new.issue("press-2")
        self.assertTrue(self.is_welcome(of_old))
        self.assertFalse(self.is_welcome(of_new))
        self.replace(self.device_ca, old.certificate.read_text() + new.certificate.read_text())
        wait_until(lambda: self.is_welcome(of_new), seconds=EFFECT, what="the new key's devices")
        self.assertTrue(self.is_welcome(of_old))
        self.replace(self.device_ca, new.certificate.read_text())
        wait_until(lambda: not self.is_welcome(of_old), seconds=EFFECT, what="the end of the old key")
        self.assertTrue(self.is_welcome(of_new))

    def test_an_intermediate_is_shown_by_its_devices_and_its_crl_counts_for_them(self):
        root = HandmadeAuthority(self.work, "Root")
        middle = HandmadeAuthority(self.work, "Hall 4", parent=root)
        self.device_ca.write_text(root.certificate.read_text())
        directory = self.work / "crls"
        directory.mkdir()
        root.crl(directory / "root.crl", 1)
        good, bad = middle.issue("press-1"), middle.issue("press-2")
        self.configure(CRL=str(directory))
        self.assertTrue(self.is_welcome(good) and self.is_welcome(bad))
        without = self.work / "alone.crt"
        without.write_text(re.match(r".*?-----END CERTIFICATE-----\n", pathlib.Path(good[0]).read_text(), re.S).group(0))
        self.assertFalse(self.is_welcome((str(without), good[1])), "nobody knows the intermediate")
        middle.revoke(bad)
        middle.crl(directory / "hall-4.der", 1, der=True)
        wait_until(lambda: not self.is_welcome(bad), seconds=EFFECT, what="the intermediate's CRL")
        self.assertTrue(self.is_welcome(good))
        root.revoke((str(middle.certificate), None))
        root.crl(directory / "root.crl", 2)
        wait_until(lambda: not self.is_welcome(good), seconds=EFFECT, what="the root's CRL")

    def test_a_crl_in_der_counts_for_its_issuer_only(self):
        one, two = HandmadeAuthority(self.work, "One"), HandmadeAuthority(self.work, "Two")
        self.device_ca.write_text(one.certificate.read_text() + two.certificate.read_text())
        stolen, other = one.issue("press-1", serial=0xABCD), two.issue("press-2", serial=0xABCD)
        self.assertEqual(serial_of(stolen[0]), serial_of(other[0]))
        one.revoke(stolen)
        one.crl(self.crl, 1, der=True)
        self.configure()
        self.assertFalse(self.is_welcome(stolen))
        self.assertTrue(self.is_welcome(other))
        self.replace(self.serials, "ab:cd  # wherever it comes from\n")
        wait_until(lambda: not self.is_welcome(other), seconds=EFFECT, what="the list of serial numbers")

    def test_an_authority_without_a_crl_is_refused_where_crls_are_required(self):
        one, two = HandmadeAuthority(self.work, "One"), HandmadeAuthority(self.work, "Two")
        self.device_ca.write_text(one.certificate.read_text() + two.certificate.read_text())
        one.crl(self.crl, 1)
        second = self.work / "two.crl"
        two.crl(second, 1)
        self.configure(RequireCRL=True)
        self.assertTrue(self.is_welcome(one.issue("press-1")))
        self.assertFalse(self.is_welcome(two.issue("press-2")))
        self.configure(RequireCRL=True, CRL=[str(self.crl), str(second)])
        self.assertTrue(self.is_welcome(two.issue("press-3")))


class RevocationTest(CertificateCase):
    def test_revoked_connections_end_whatever_they_do_and_healthy_ones_go_on(self):
        self.configure()
        device, link = self.release_and_link(40_000_000)
        stolen = [self.authority.issue("device", f"stolen-{n}") for n in range(3)]
        healthy = self.download(device.certificate_files, link)
        busy = self.download(stolen[0], link)
        idle = self.connect(stolen[1])
        self.assertEqual(idle.ask()[0], 204)
        calm = self.connect(device.certificate_files)
        self.assertEqual(calm.ask()[0], 204)
        late = HeldHandshake(self.gateway, stolen[2])
        self.addCleanup(late.socket.close)
        for certificate in stolen:
            self.authority.revoke(certificate[0])
        begun = time.monotonic()
        self.replace(self.crl, self.authority.device_crl.read_bytes())
        idle_took = idle.wait_for_end(EFFECT)
        busy.join(EFFECT)
        self.assertIsNotNone(busy.ended_at, "the download of a revoked device goes on")
        busy_took = busy.ended_at - begun
        self.assertLess(len(busy.body), busy.expected)
        late.finish()
        late_took = late.wait_for_end(EFFECT)
        # The connection ends before the line about it is written.
        wait_until(lambda: "lost its worth during the handshake" in self.gateway.log(), seconds=EFFECT,
                   what="a word about the late handshake", every=0.02)
        print(f"\nended after a revocation: idle {idle_took:.2f} s, downloading {busy_took:.2f} s; "
              f"a handshake that had begun before: {late_took:.2f} s after its last message")
        self.assertLess(max(idle_took, busy_took), EFFECT)
        self.assertEqual(calm.ask()[0], 204, "the healthy connection is still there")
        self.assertEqual(healthy.finish(), self.artifact)
        self.assertFalse(self.is_welcome(stolen[1]))

    def test_websockets_of_revoked_devices_end_and_a_healthy_one_goes_on(self):
        self.configure()
        devices = [self.mender5(number) for number in range(1, 6)]
        for device in devices:
            self.assertTrue(device.authenticate())
        sockets = [EchoingWebSocket(self.gateway, device, self.upstream, is_busy=number % 2 == 1)
                   for number, device in enumerate(devices)]
        for websocket in sockets:
            self.addCleanup(websocket.connection.close)
        healthy, *stolen = sockets
        for websocket in stolen:
            websocket.watch()
        took = {}

        def assert_end(kind, ended, begun):
            for websocket in ended:
                websocket.thread.join(EFFECT)
                self.assertIsNotNone(websocket.ended_at, f"a WebSocket outlives its certificate ({kind})")
                self.assertTrue(websocket.server_side.ended.wait(EFFECT), "the server is told")
            took[kind] = max(websocket.ended_at for websocket in ended) - begun
            self.assertLess(took[kind], EFFECT)
            self.assertTrue(healthy.echo())

        for device in devices[1:3]:
            self.authority.revoke(device.certificate_files[0])
        begun = time.monotonic()
        self.replace(self.crl, self.authority.device_crl.read_bytes())
        assert_end("CRL", stolen[:2], begun)
        self.assertEqual([websocket.ended_at for websocket in stolen[2:]], [None, None])
        begun = time.monotonic()
        self.replace(self.serials, "".join(f"{serial_of(device.certificate_files[0])}\n" for device in devices[3:]))
        assert_end("serial numbers", stolen[2:], begun)
        wait_until(lambda: self.gateway.metric("postern_gateway_tunnels") == 1, seconds=EFFECT, what="one tunnel")
        print(f"\nWebSockets ended {took['CRL']:.2f} s after a CRL, {took['serial numbers']:.2f} s after a list of serial numbers")
        self.assertFalse(self.is_welcome(devices[1].certificate_files))

    def test_devices_of_an_authority_that_is_removed_and_whoever_expires_are_thrown_out(self):
        other = HandmadeAuthority(self.work, "Guests")
        self.device_ca.write_text(self.device_ca.read_text() + other.certificate.read_text())
        self.configure()
        member = self.connect(self.authority.issue("device", "press-1"))
        soon = datetime.datetime.now(datetime.timezone.utc).replace(microsecond=0) + datetime.timedelta(seconds=6 * SLOWNESS)
        brief = self.connect(other.issue("brief", end=soon.strftime("%Y%m%d%H%M%SZ")))
        guest = self.connect(other.issue("guest"))
        self.assertEqual((member.ask()[0], brief.ask()[0], guest.ask()[0]), (204, 204, 204))
        brief.wait_for_end(15 * SLOWNESS)
        over = (datetime.datetime.now(datetime.timezone.utc) - soon).total_seconds()
        self.assertEqual(guest.ask()[0], 204)
        self.replace(self.device_ca, self.authority.device_ca.read_text())
        removed = guest.wait_for_end(EFFECT)
        print(f"\nended {over:.2f} s after expiry, {removed:.2f} s after the authority was removed")
        self.assertTrue(0 <= over < EFFECT)
        self.assertEqual(member.ask()[0], 204)
        self.assertGreaterEqual(self.gateway.metric("postern_gateway_connections_ended_total"), 2)

    def test_a_crl_that_is_cut_short_or_older_leaves_the_one_in_force(self):
        self.configure()
        old = self.crl.read_bytes()
        stolen = self.authority.issue("device", "stolen")
        honest = self.authority.issue("device", "honest")
        self.authority.revoke(stolen[0])
        new = self.authority.device_crl.read_bytes()
        self.replace(self.crl, new)
        wait_until(lambda: not self.is_welcome(stolen), seconds=EFFECT, what="the revocation")
        for bad, why in ((new[:len(new) // 2], "cannot decode revocation list"), (b"", "no revocation list"),
                         (old, "older than the one in force")):
            self.crl.write_bytes(bad)
            self.wait_for_log(rf"reload_failed source=crl .*{why}")
            self.assertEqual(self.failing("crl"), 1)
            self.assertEqual((self.is_welcome(stolen), self.is_welcome(honest)), (False, True))
        self.crl.unlink()
        self.wait_for_log("reload_failed source=crl .*stays in force")
        self.assertFalse(self.is_welcome(stolen))
        self.replace(self.crl, new)
        wait_until(lambda: self.failing("crl") == 0, seconds=EFFECT, what="the end of the alarm")

    def test_a_list_of_serials_that_is_cut_short_leaves_the_one_in_force(self):
        self.configure()
        stolen = self.authority.issue("device", "stolen")
        text = f"{serial_of(stolen[0])}\nab12\n"
        self.replace(self.serials, text)
        wait_until(lambda: not self.is_welcome(stolen), seconds=EFFECT, what="the list of serial numbers")
        for bad in (text[:10], "", "nonsense\n"):
            self.serials.write_text(bad)
            failures = self.gateway.log().count("reload_failed source=serials")
            wait_until(lambda: self.gateway.log().count("reload_failed source=serials") > failures or self.failing("serials"),
                       seconds=EFFECT, what="the alarm")
            self.assertFalse(self.is_welcome(stolen))
        self.replace(self.serials, "# found again\n")
        wait_until(lambda: self.is_welcome(stolen), seconds=EFFECT, what="the empty list")


class HeldHandshake:
    """A TLS 1.3 handshake whose last message, the client's Finished, is kept back."""

    def __init__(self, gateway, certificate):
        tls = ssl.create_default_context(cafile=str(gateway.ca))
        tls.minimum_version = ssl.TLSVersion.TLSv1_3
        tls.load_cert_chain(*certificate)
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = tls.wrap_bio(self.incoming, self.outgoing, server_hostname=gateway.host)
        self.socket = socket.create_connection((gateway.address, gateway.port), timeout=60 * SLOWNESS)
        while True:
            try:
                self.tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                self.socket.sendall(self.outgoing.read())
                self.incoming.write(self.socket.recv(65536))
        records, rest = [], self.outgoing.read()
        while rest:
            size = 5 + int.from_bytes(rest[3:5], "big")
            records.append(rest[:size])
            rest = rest[size:]
        self.socket.sendall(b"".join(records[:-1]))
        self.last = records[-1]

    def finish(self):
        self.socket.sendall(self.last)

    def wait_for_end(self, seconds):
        begun = time.monotonic()
        self.socket.settimeout(seconds)
        try:
            while self.socket.recv(65536):
                pass
        except ConnectionError:
            pass
        return time.monotonic() - begun


class ReloadTest(CertificateCase):
    def write_server(self, name="gateway", **options):
        certificate, key = self.authority.issue("server", name, "--dns", "localhost", "--ip", "127.0.0.1")
        return pathlib.Path(certificate), pathlib.Path(key)

    def setUp(self):
        super().setUp()
        self.server = self.work / "inside.crt", self.work / "inside.key"
        for path, source in zip(self.server, (self.gateway.certificate, self.gateway.key)):
            shutil.copy(source, path)
        self.gateway.certificate, self.gateway.key = map(str, self.server)

    def test_a_download_goes_on_while_everything_is_exchanged(self):
        approved = self.work / "approved"
        approved.write_text("")
        self.configure()
        self.gateway.stop()
        self.gateway.settings = merge(self.gateway.settings, {"Postern": {"Binding": {"ApprovedPath": str(approved)}}})
        self.gateway.start()
        device, link = self.release_and_link(40_000_000)
        download = self.download(device.certificate_files, link)
        guests = HandmadeAuthority(self.work, "Guests")
        guest, stolen, listed = guests.issue("guest"), self.authority.issue("device", "stolen"), self.authority.issue("device", "lost")
        first = self.connect(device.certificate_files)

        self.replace(self.device_ca, self.authority.device_ca.read_text() + guests.certificate.read_text())
        wait_until(lambda: self.is_welcome(guest), seconds=EFFECT, what="the new authority")
        self.authority.revoke(stolen[0])
        self.replace(self.crl, self.authority.device_crl.read_bytes())
        self.replace(self.serials, serial_of(listed[0]) + "\n")
        wait_until(lambda: not self.is_welcome(stolen) and not self.is_welcome(listed), seconds=EFFECT, what="the revocations")
        certificate, key = self.write_server()
        for path, source in zip(self.server, (certificate, key)):
            self.replace(path, source.read_bytes())
        wait_until(lambda: self.server_serial(device.certificate_files) == int(serial_of(certificate), 16),
                   seconds=EFFECT, what="the new server certificate")
        approved.write_text("no fingerprint\n")
        wait_until(lambda: self.failing("approved") == 1, seconds=EFFECT, what="the alarm about the approved list")
        approved.write_text("# none\n")
        wait_until(lambda: self.failing("approved") == 0, seconds=EFFECT, what="its end")

        self.assertEqual(first.ask()[0], 204)
        self.assertIsNone(download.ended_at)
        self.assertEqual(download.finish(), self.artifact)
        for source in ("device_ca", "crl", "serials", "server", "approved"):
            self.assertGreaterEqual(
                self.gateway.metric(f'postern_gateway_reloads_total{{source="{source}",result="ok"}}'), 1, source)

    def test_a_key_that_does_not_fit_changes_nothing_until_it_does(self):
        self.configure()
        device = self.authority.issue("device", "press-1")
        before = self.server_serial(device)
        certificate, key = self.write_server()
        self.replace(self.server[0], certificate.read_bytes())
        self.wait_for_log("reload_failed source=server .*does not belong")
        self.assertEqual(self.failing("server"), 1)
        self.assertEqual(self.server_serial(device), before)
        self.replace(self.server[1], key.read_bytes())
        wait_until(lambda: self.server_serial(device) == int(serial_of(certificate), 16), seconds=EFFECT,
                   what="the new pair")

    def test_a_hangup_signal_reads_everything_again(self):
        self.configure()
        self.gateway.process.send_signal(signal.SIGHUP)
        self.wait_for_log("gateway.reload_done")
        self.assertTrue(self.is_welcome(self.authority.issue("device", "press-1")))

    def test_the_authority_of_the_upstream_is_exchanged(self):
        trusted = self.work / "upstream-ca.pem"
        shutil.copy(self.upstream.ca, trusted)
        self.gateway.stop()
        self.gateway.settings = {"UpstreamServer": {"CACertificate": str(trusted)}}
        self.gateway.start()
        device = self.mender5(1)
        self.assertTrue(device.authenticate())
        poll = lambda: self.gateway.ask("GET", NEXT_V1, headers={"Authorization": f"Bearer {device._token}"},
                                        certificate=device.certificate_files).status
        self.assertEqual(poll(), 204)
        self.replace(trusted, self.authority.server_ca.read_bytes())
        wait_until(lambda: poll() == 500, seconds=EFFECT, what="the end of trust in the upstream")
        self.replace(trusted, pathlib.Path(self.upstream.ca).read_bytes())
        wait_until(lambda: poll() == 204, seconds=EFFECT, what="trust in the upstream")

    def test_certificates_that_end_soon_are_warned_of_and_measured(self):
        authority = HandmadeAuthority(self.work, "Short")
        soon = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(days=5)
        request, key = self.work / "short.csr", self.work / "short.key"
        openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=localhost", "-keyout", key,
                "-out", request)
        authority.sign(request, self.server[0], extensions="subjectAltName=DNS:localhost", end=soon.strftime("%Y%m%d%H%M%SZ"))
        shutil.copy(key, self.server[1])
        self.configure()
        self.assertRegex(self.gateway.log(), r"gateway\.certificate_ends which=server subject=\"CN=localhost\" .*days_left=4")
        serial = serial_of(self.server[0]).lower()
        left = self.gateway.metric(
            f'postern_gateway_certificate_expiry_seconds{{which="server",subject="CN=localhost",serial="{serial}"}}')
        self.assertTrue(4 * 86400 < left <= 5 * 86400, left)
        authority.sign(request, self.work / "past.crt", extensions="subjectAltName=DNS:localhost",
                       end=(datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=1)).strftime("%Y%m%d%H%M%SZ"))
        self.replace(self.server[0], (self.work / "past.crt").read_bytes())
        self.wait_for_log(r"gateway\.certificate_expired which=server")


class UpstreamCertificateTest(SiteTestCase):
    upstream_type = CloudUpstream

    def test_our_own_certificate_for_the_upstream_is_exchanged(self):
        outside = self.work / "outside.crt", self.work / "outside.key"
        for path, source in zip(outside, (self.upstream.certificate, self.upstream.key)):
            shutil.copy(source, path)
        self.upstream.certificate, self.upstream.key = map(str, outside)
        self.gateway.stop()
        self.gateway.start()
        device = self.mender5(1)
        self.assertTrue(device.authenticate())
        self.release("release-1")
        self.upstream.deploy("release-1", [self.id_of(device.identity["mac"])])
        for path, source in zip(outside, self.authority.issue("gateway", "gw-2", "--site", "plant-4")):
            fresh = self.work / "fresh"
            shutil.copy(source, fresh)
            fresh.rename(path)
        wait_until(lambda: "gateway.reloaded source=upstream" in self.gateway.log(), seconds=EFFECT, what="the new pair")
        self.assertEqual(device.run(seconds=60 * SLOWNESS), "success")
        self.assertTrue(self.upstream.served("gw-2"))
        self.assertEqual(self.upstream.served("gw-1"), [])


class TlsVersionTest(CertificateCase):
    def version(self, version):
        tls = ssl.create_default_context(cafile=str(self.gateway.ca))
        tls.load_cert_chain(*self.authority.issue("device", "press"))
        tls.set_ciphers("DEFAULT:@SECLEVEL=0")
        tls.minimum_version = tls.maximum_version = version
        with socket.create_connection((self.gateway.address, self.gateway.port), timeout=30) as plain:
            with tls.wrap_socket(plain, server_hostname=self.gateway.host) as secured:
                secured.sendall(f"GET {ALIVE} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
                self.assertIn(b" 204 ", secured.recv(4096))
                return secured.version(), secured.cipher()[0]

    def test_old_versions_are_refused_with_the_alert_that_says_so(self):
        for minimum, good, bad in (("1.2", ("TLSv1.2", "TLSv1.3"), ("TLSv1_1",)), ("1.3", ("TLSv1.3",), ("TLSv1_1", "TLSv1_2"))):
            self.gateway.stop()
            self.gateway.settings = {"HTTPS": {"MinimumTLSVersion": minimum}}
            self.gateway.start()
            for name in good:
                version, cipher = self.version(getattr(ssl.TLSVersion, name.replace(".", "_")))
                self.assertEqual(version, name)
                self.assertIn("GCM", cipher)
            for name in bad:
                with self.assertRaisesRegex(ssl.SSLError, "(?i)alert_protocol_version|alert protocol version"):
                    self.version(getattr(ssl.TLSVersion, name))
            # A handshake is counted when it has ended on the gateway's side, which is after the client has its alert.
            wait_until(lambda: self.gateway.metric('postern_gateway_handshakes_total{result="protocol"}') >= len(bad),
                       seconds=10 * SLOWNESS, what="the count of refused handshakes")


class RebindingTest(ForeignSiteCase):
    def policy(self, rebinding, **more):
        self.gateway.stop()
        self.gateway.settings = {"Postern": {"Binding": {"Rebinding": rebinding, **more}}}
        self.gateway.start()

    def authenticate(self, certificate, mac, key=None):
        body, signature = auth_body(key or certificate[1], mac)
        headers = {"X-MEN-Signature": signature, "Content-Type": "application/json"}
        return self.gateway.ask("POST", AUTH, body, headers, certificate=certificate).status

    def test_same_key_takes_a_renewed_certificate_for_the_same_key_only(self):
        authority = HandmadeAuthority(self.work, "Plant")
        self.gateway.authority = type("", (), {"device_ca": authority.certificate})()
        self.policy("same-key")
        first = authority.issue("press-1")
        self.assertEqual(self.authenticate(first, "02:00"), 200)
        renewed = self.work / "renewed.crt"
        request = self.work / "renewed.csr"
        openssl("req", "-new", "-key", first[1], "-subj", "/CN=press-1 renewed", "-out", request)
        authority.sign(request, renewed)
        self.assertEqual(self.authenticate((str(renewed), first[1]), "02:00"), 200)
        other = authority.issue("press-1")
        self.assertEqual(self.authenticate(other, "02:00"), 401)
        self.assertEqual(self.authenticate(first, "02:00", key=other[1]), 401, "another device key")

    def test_any_lets_every_trusted_certificate_take_over(self):
        self.policy("any")
        first, second = (self.authority.issue("device", name) for name in ("press-1", "press-2"))
        self.assertEqual(self.authenticate(first, "02:00"), 200)
        self.assertEqual(self.authenticate(second, "02:00"), 200)
        self.assertEqual(self.authenticate(second, "02:01"), 200)

    def test_approved_takes_what_an_operator_has_written_down(self):
        approved = self.work / "approved"
        approved.write_text("# none\n")
        self.policy("approved", ApprovedPath=str(approved))
        first, second = (self.authority.issue("device", name) for name in ("press-1", "press-2"))
        self.assertEqual(self.authenticate(first, "02:00"), 200)
        self.assertEqual(self.authenticate(second, "02:00"), 401)
        print_ = openssl("x509", "-in", second[0], "-noout", "-fingerprint", "-sha256").split("=")[1]
        approved.write_text(print_)
        self.assertEqual(self.authenticate(second, "02:00"), 200)
        approved.write_text(print_[:20])
        self.assertEqual(self.authenticate(first, "02:00"), 401)
        self.assertIn("gateway.approved_unreadable", self.gateway.log())

    def test_a_name_field_tells_certificates_apart_where_keys_do_not(self):
        self.policy("same-key", NameField="CN")
        first, renewed, other = (self.authority.issue("device", name) for name in ("press-1", "press-1", "press-2"))
        device_key = first[1]
        self.assertEqual(self.authenticate(first, "02:00"), 200)
        self.assertEqual(self.authenticate(renewed, "02:00", key=device_key), 200, "the same name with a new key")
        self.assertEqual(self.authenticate(other, "02:00", key=device_key), 401)
        self.assertEqual(self.authenticate(renewed, "02:01", key=renewed[1]), 401, "the name is bound already")


if __name__ == "__main__":
    unittest.main()
