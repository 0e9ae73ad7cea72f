"""The scripted peers themselves: a microcontroller's client against the cloud, and all clients against the foreign server."""

import base64
import http.client
import json
import os
import pathlib
import shutil
import socket
import ssl
import subprocess
import tempfile
import time
import unittest
import urllib.parse

from harness import SLOWNESS, Answer, CloudTestCase
from clients.debian_mender import DebianMender, wait_until, write_single_file_artifact
from clients.foreign_server import ForeignServer, parse_range
from clients.https_recorder import Recorder, Reply, make_certificate
from clients.mcu import BadAnswer, Connection, Mcu, TransportError, split_url
from clients.mender5 import Mender5

TYPE = "bench"


def make_release(work, name, *, size=300_000, destination="/srv"):
    """(path of an artifact, content of its file)."""
    payload = work / "payload.bin"
    content = os.urandom(size)
    payload.write_bytes(content)
    return write_single_file_artifact(work / f"{name}.mender", name=name, device_type=TYPE, payload=payload,
                                      destination=destination), content


def installed(device):
    return (device.work / "installed" / "payload.bin").read_bytes()


class McuTest(CloudTestCase):
    def accepted(self, **options):
        device = Mcu(self.work / "mcu", server_url=self.cloud.url, ca=self.cloud.ca, identity={"mac": "02:0c:00:00:00:01"},
                     device_type=TYPE, timeout=30 * SLOWNESS, **options)
        self.assertFalse(device.authenticate())
        (device_id,) = self.cloud.accept(device.identity["mac"])
        return device, device_id

    def release(self, name, **options):
        artifact, content = make_release(self.work, name, **options)
        self.assertEqual(self.cloud.upload(artifact.read_bytes()).status, 201)
        return content

    def test_a_microcontroller_ends_in_success_and_takes_the_next_release_too(self):
        device, device_id = self.accepted(tenant_token="a token")
        for name in ("release-1", "release-2"):
            content = self.release(name)
            deployment = self.cloud.deploy(name, [device_id])
            self.assertEqual(device.run(seconds=60 * SLOWNESS), "success")
            self.assertEqual(installed(device), content)
            self.assertEqual(self.cloud.wait_for_deployment(deployment)["success"], 1)
        self.assertEqual([r[0] for r in device.requests if r[1].endswith("/attributes")][:2], ["PUT", "PATCH"])

    def test_a_microcontroller_that_downloads_in_ranges_ends_in_success(self):
        device, device_id = self.accepted(range_bytes=65536)
        content = self.release("release-1")
        self.cloud.deploy("release-1", [device_id])
        self.assertEqual(device.run(seconds=60 * SLOWNESS), "success")
        self.assertEqual(installed(device), content)
        self.assertGreater(sum(status == 206 for _, _, status in device.requests), 4)

    def test_a_failure_of_a_microcontroller_is_reported_with_a_log_that_has_nulls(self):
        device, device_id = self.accepted()
        device.unparsable_log_lines.append("*** Booting Zephyr OS ***")
        self.release("release-1")
        device.download = lambda url: b"\0" * 10240
        deployment = self.cloud.deploy("release-1", [device_id])
        self.assertEqual(device.run(seconds=60 * SLOWNESS), "failure")
        self.assertEqual(self.cloud.wait_for_deployment(deployment)["failure"], 1)
        log = self.cloud.manage("GET", f"v1/deployments/deployments/{deployment}/devices/{device_id}/log")
        self.assertIn(b"Booting Zephyr", log.body)


class McuQuirksTest(unittest.TestCase):
    def test_the_first_colon_after_the_scheme_is_taken_for_the_port(self):
        self.assertEqual(split_url("https://localhost:8443/a/b?c=d"), ("localhost", "8443", "/a/b?c=d"))
        self.assertEqual(split_url("https://localhost/a?c=d%3Ae"), ("localhost", "443", "/a?c=d%3Ae"))
        for url in ("https://localhost/a?c=d:e", "https://localhost/a:b/c", "localhost/a"):
            with self.assertRaises(BadAnswer):
                split_url(url)


class ForeignServerCase(unittest.TestCase):
    options = {}

    def setUp(self):
        self.work = pathlib.Path(tempfile.mkdtemp(prefix="postern-test-"))
        self.addCleanup(shutil.rmtree, self.work, ignore_errors=True)
        self.ca, key = make_certificate(self.work / "certificate", ["localhost", "127.0.0.1"])
        self.server = ForeignServer(self.work / "server", certificate=self.ca, key=key, **self.options)
        self.addCleanup(self.server.stop)
        self.tls = ssl.create_default_context(cafile=str(self.ca))

    def ask(self, method, url, body=None, headers=None):
        parts = urllib.parse.urlsplit(url)
        connection = http.client.HTTPSConnection(parts.hostname, parts.port, timeout=30 * SLOWNESS, context=self.tls)
        self.addCleanup(connection.close)
        connection.request(method, parts.path + (f"?{parts.query}" if parts.query else ""), body, headers or {})
        answer = connection.getresponse()
        return Answer(answer.status, answer.headers, answer.read())

    def mender5(self, number=1, **options):
        return Mender5(self.work / f"mender5-{number}", server_url=self.server.url, ca=self.ca, device_type=TYPE,
                       identity={"mac": f"02:05:00:00:00:{number:02x}"}, retry_seconds=0.1, timeout=30 * SLOWNESS, **options)

    def mcu(self, number=1, **options):
        return Mcu(self.work / f"mcu-{number}", server_url=self.server.url, ca=self.ca, device_type=TYPE,
                   identity={"mac": f"02:0c:00:00:00:{number:02x}"}, timeout=30 * SLOWNESS, **options)

    def accepted(self, device):
        self.assertFalse(device.authenticate())
        known = self.server.devauth.find(**device.identity)
        self.server.accept(known)
        return known.id

    def release(self, name="release-1", **options):
        path, content = make_release(self.work, name, **options)
        return self.server.add_artifact(path), content


class ClientsTest(ForeignServerCase):
    def test_every_scripted_client_ends_in_success(self):
        devices = [self.mcu(1), self.mcu(2, range_bytes=65536), self.mender5(1), self.mender5(2, key_type="rsa"),
                   self.mender5(3, key_type="ecdsa")]
        ids = [self.accepted(device) for device in devices]
        artifact, content = self.release()
        deployment = self.server.create_deployment("release-1", ids)
        for device in devices:
            self.assertEqual(device.run(seconds=60 * SLOWNESS), "success")
            self.assertEqual(installed(device), content)
        self.assertTrue(deployment.finished)
        self.assertEqual(set(deployment.statuses.values()), {"success"})
        self.assertEqual(deployment.reports[ids[0]], ["downloading", "installing", "installing", "success"])
        self.assertEqual(self.server.bytes_sent(artifact), 5 * artifact.size)
        v2 = self.server.api.seen("POST", "/v2/")
        self.assertEqual({request.status for request in v2}, {404})

    def test_debians_client_ends_in_success(self):
        device = DebianMender(self.work / "debian", server_url=self.server.url, ca=self.ca, mac="02:00:00:00:00:01",
                              device_type=TYPE)
        device.start()
        self.addCleanup(device.stop)
        known = wait_until(lambda: self.server.devauth.find(mac=device.mac), seconds=60 * SLOWNESS, what="an auth request")
        self.server.accept(known)
        self.release()
        deployment = self.server.create_deployment("release-1", [known.id])
        wait_until(lambda: deployment.finished, seconds=60 * SLOWNESS, what="the end of the deployment")
        self.assertEqual(deployment.statuses[known.id], "success")
        self.assertEqual(device.installed_artifact(), "release-1")
        wait_until(lambda: known.attributes.get("artifact_name") == "release-1", seconds=60 * SLOWNESS, what="the inventory")

    def test_a_microcontroller_leaves_the_port_out_and_sends_the_host_of_a_download_twice(self):
        device = self.mcu()
        device_id = self.accepted(device)
        self.release()
        self.server.create_deployment("release-1", [device_id])
        self.assertEqual(device.run(seconds=60 * SLOWNESS), "success")
        self.assertEqual({tuple(r.header_values("host")) for r in self.server.api.requests}, {("localhost",)})
        (download,) = self.server.links.requests
        self.assertEqual(download.header_values("host"), ["127.0.0.1", "127.0.0.1"])

    def test_a_failure_leaves_its_log(self):
        device = self.mcu()
        device_id = self.accepted(device)
        self.release()
        self.server.links.fail(status=500, times=None)
        deployment = self.server.create_deployment("release-1", [device_id])
        self.assertEqual(device.run(seconds=60 * SLOWNESS), "failure")
        self.assertIn("500", deployment.logs[device_id][0]["message"])


class McuHttpTest(ForeignServerCase):
    def test_a_microcontroller_waits_when_the_name_is_spelled_its_way_and_the_status_is_429(self):
        device = self.mcu()
        self.accepted(device)
        for status, name in ((429, "retry-after"), (503, "Retry-After"), (429, "Retry-After")):
            self.server.api.fail("/next$", status=status, headers=[(name, "1")])
            self.assertIsNone(device.poll())
        self.assertEqual(device.waited, [1])

    def test_a_header_line_beyond_the_buffer_and_a_redirect_are_errors(self):
        device = self.mcu()
        self.accepted(device)
        self.server.api.fail("/next$", status=204, headers=[("X-Long", "x" * 600)])
        with self.assertRaises(BadAnswer):
            device.poll()
        self.server.api.fail("/next$", status=302, headers=[("Location", "/elsewhere")])
        self.assertIsNone(device.poll())
        self.assertEqual(self.server.api.seen(path="/elsewhere"), [])


    def test_a_microcontroller_shows_its_certificate_and_speaks_tls_1_2(self):
        client, client_key = make_certificate(self.work / "client", ["a device"])
        recorder = Recorder(lambda request: Reply(401), certificate=self.ca, key=self.work / "certificate/server.key",
                            client_ca=client)
        self.addCleanup(recorder.stop)
        self.server.url = f"https://localhost:{recorder.port}"
        self.assertFalse(self.mcu(1, certificate=client, certificate_key=client_key).authenticate())
        (request,) = recorder.requests
        self.assertEqual((request.tls_version, request.sni), ("TLSv1.2", "localhost"))
        with self.assertRaises(TransportError):
            self.mcu(2).authenticate()


class ManagementTest(ForeignServerCase):
    def log_in(self, password=None):
        pair = f"{self.server.user}:{password or self.server.password}".encode()
        return self.ask("POST", f"{self.server.url}/api/management/v1/useradm/auth/login",
                        headers={"Authorization": f"Basic {base64.b64encode(pair).decode()}"})

    def preauthorize(self, token, device, **more):
        body = {"identity_data": device.identity, "pubkey": device.public_key(), **more}
        return self.ask("POST", f"{self.server.url}/api/management/v2/devauth/devices", json.dumps(body),
                        {"Authorization": f"Bearer {token}", "Content-Type": "application/json"})

    def test_a_preauthorized_device_is_let_in_at_its_first_request(self):
        device = self.mcu()
        token = self.log_in().body.decode()
        self.assertEqual(self.preauthorize(token, device).status, 201)
        self.assertTrue(device.authenticate())
        self.assertEqual(self.server.devauth.find(**device.identity).status, "accepted")

    def test_a_known_identity_needs_force_and_then_its_old_token_is_no_good(self):
        device = self.mcu()
        device_id = self.accepted(device)
        self.assertTrue(device.authenticate())
        token = self.log_in().body.decode()
        refused = self.preauthorize(token, device)
        self.assertEqual((refused.status, refused.json()["id"]), (409, device_id))
        self.assertEqual(self.preauthorize(token, device, force=True).status, 201)
        self.assertIsNone(device.poll())
        self.assertEqual(device.requests[-1][2], 401)
        self.assertTrue(device.authenticate())

    def test_a_users_token_ends(self):
        token = self.log_in().body.decode()
        self.server.user_tokens.expire()
        self.assertEqual(self.preauthorize(token, self.mcu()).status, 401)
        self.assertEqual(self.preauthorize(self.log_in().body.decode(), self.mcu()).status, 201)
        self.assertEqual(self.log_in("wrong").status, 401)

    def test_the_body_of_a_401_depends_on_why(self):
        url = f"{self.server.url}/api/devices/v1/inventory/device/attributes"
        missing = self.ask("PUT", url, "[]", {"Content-Type": "application/json"})
        self.assertEqual((missing.status, missing.json()["error"]), (401, "Authorization not present in header"))
        bad = self.ask("PUT", url, "[]", {"Content-Type": "application/json", "Authorization": "Bearer a.b.c"})
        self.assertEqual((bad.status, bad.body), (401, b""))

    def test_an_ended_device_token_is_a_403_once(self):
        device = self.mcu()
        self.accepted(device)
        self.assertTrue(device.authenticate())
        self.server.devauth.tokens.expire()
        self.assertFalse(device.send_inventory())
        self.assertFalse(device.send_inventory())
        self.assertEqual([status for _, _, status in device.requests[-2:]], [403, 401])
        self.assertTrue(device.send_inventory())

    def test_a_signature_is_of_the_very_bytes(self):
        device = self.mcu()
        device._sign = lambda message: Mcu._sign(device, message + b"\n")
        self.assertFalse(device.authenticate())
        self.assertEqual(self.server.devauth.devices(), [])


class LinksTest(ForeignServerCase):
    def setUp(self):
        super().setUp()
        self.artifact, _ = self.release()
        self.content = self.artifact.path.read_bytes()
        self.device = self.mcu()
        self.server.create_deployment("release-1", [self.accepted(self.device)])
        self.link = self.device.poll()["artifact"]["source"]["uri"]

    def test_a_link_is_for_get_alone_on_the_second_host_and_cannot_be_changed(self):
        self.assertEqual(self.ask("GET", self.link).body, self.content)
        self.assertNotEqual(urllib.parse.urlsplit(self.link).netloc, urllib.parse.urlsplit(self.server.url).netloc)
        self.assertEqual(self.ask("HEAD", self.link).status, 403)
        self.assertEqual(self.ask("GET", self.link[:-1] + "!").status, 403)
        self.assertEqual(self.ask("GET", self.link, headers={"Host": "elsewhere"}).status, 403)

    def test_ranges_are_exact(self):
        size = len(self.content)
        for text, first, end in (("bytes=0-99", 0, 100), ("bytes=100-", 100, size), (f"bytes=5000-{size + 5}", 5000, size)):
            answer = self.ask("GET", self.link, headers={"Range": text})
            self.assertEqual((answer.status, answer.body), (206, self.content[first:end]))
            self.assertEqual(answer.headers["Content-Range"], f"bytes {first}-{end - 1}/{size}")
        beyond = self.ask("GET", self.link, headers={"Range": f"bytes={size}-"})
        self.assertEqual((beyond.status, beyond.headers["Content-Range"]), (416, f"bytes */{size}"))
        self.assertIsNone(parse_range("bytes=1-2,4-5", 10))
        self.assertEqual(parse_range("bytes=-3", 10), (7, 10))

    def test_an_expired_link_is_refused_with_xml(self):
        self.server.expire_links()
        answer = self.ask("GET", self.link)
        self.assertEqual(answer.status, 403)
        self.assertIn(b"<Message>Request has expired</Message>", answer.body)
        fresh = self.device.poll()["artifact"]["source"]["uri"]
        self.assertEqual(self.ask("GET", fresh).status, 200)

    def test_faults_do_what_they_say(self):
        links = self.server.links
        links.fail(cut_after=100_000)
        with self.assertRaises(http.client.IncompleteRead) as cut:
            self.ask("GET", self.link)
        self.assertEqual(cut.exception.partial, self.content[:100_000])
        links.fail(content_length=10**6)
        with self.assertRaises(http.client.IncompleteRead):
            self.ask("GET", self.link)
        links.fail(drop=True)
        with self.assertRaises(http.client.RemoteDisconnected):
            self.ask("GET", self.link)
        links.fail(garbage=True)
        with self.assertRaises(http.client.BadStatusLine):
            self.ask("GET", self.link)
        before = time.monotonic()
        links.fail(delay=0.3)
        self.assertEqual(self.ask("GET", self.link).body, self.content)
        self.assertGreaterEqual(time.monotonic() - before, 0.3)
        self.assertEqual(self.server.bytes_sent(self.artifact), 100_000 + 2 * len(self.content))

    def test_a_stalled_answer_goes_on_when_it_is_released(self):
        fault = self.server.links.fail(stall_after=1000)
        host, port, path = split_url(self.link)
        connection = Connection(host, port, self.tls, 1.0)
        self.addCleanup(connection.close)
        pieces = connection.receive(connection.ask("GET", path, []))
        got = b""
        while len(got) < 1000:
            got += next(pieces)
        fault.release()
        self.assertEqual(got + b"".join(pieces), self.content)

    def test_a_cut_connection_can_be_seen_and_made(self):
        raw = socket.create_connection(("127.0.0.1", self.server.links.port), timeout=10)
        connection = self.tls.wrap_socket(raw, server_hostname="127.0.0.1")
        self.addCleanup(connection.close)
        self.assertEqual(self.server.links.accepted, 1)
        self.server.links.drop_connections()
        self.assertEqual(connection.recv(1), b"")


class ProgramTest(ForeignServerCase):
    def test_as_a_program_it_takes_every_device_to_success(self):
        path, content = make_release(self.work, "release-1")
        programs = pathlib.Path(__file__).resolve().parents[1] / "clients"
        server = subprocess.Popen(
            ["python3", str(programs / "foreign_server.py"), "--certificate", str(self.ca), "--key",
             str(self.work / "certificate/server.key"), "--dir", str(self.work / "program"), "--artifact", str(path)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.enterContext(server)
        self.addCleanup(server.kill)
        url = json.loads(server.stdout.readline())["url"]
        client = subprocess.run(
            ["python3", str(programs / "mcu.py"), "--server", url, "--ca", str(self.ca), "--identity", "02:0c:00:00:00:09",
             "--device-type", TYPE, "--dir", str(self.work / "mcu"), "--seconds", str(60 * SLOWNESS)],
            capture_output=True, text=True, timeout=90 * SLOWNESS)
        self.assertEqual((client.returncode, client.stdout), (0, "success\n"), client.stderr)
        self.assertEqual((self.work / "mcu/installed/payload.bin").read_bytes(), content)
        server.stdin.close()
        self.assertEqual(list(json.loads(server.stdout.readline()).values()), ["success"])
        self.assertEqual(server.wait(timeout=30), 0)


if __name__ == "__main__":
    unittest.main()
