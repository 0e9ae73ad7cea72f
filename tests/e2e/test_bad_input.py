"""Whatever comes from outside: the right status in the right shape, the server goes on, and nothing half-written stays."""

import base64
import gzip
import hashlib
import io
import json
import os
import socket
import subprocess
import tarfile
import unittest

from harness import PASSWORD, SLOWNESS, USER, Cloud, CloudTestCase, tool
from clients.debian_mender import wait_until
from clients.mender5 import Mender5

AUTH = "/api/devices/v1/authentication/auth_requests"
NEXT = "/api/devices/v2/deployments/device/deployments/next"
INVENTORY = "/api/devices/v1/inventory/device/attributes"
STATUS = "/api/devices/v1/deployments/device/deployments/{}/status"
POLL = {"device_provides": {"device_type": "t", "artifact_name": "a"}}


def tar(entries):
    """An archive of (name, content) pairs, in this order."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name, content in entries:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            info.mode = 0o600
            archive.addfile(info, io.BytesIO(content))
    return out.getvalue()


class Artifact:
    """A format 3 artifact whose parts a test can change before it is put together."""

    def __init__(self, name="bad", payload_type="single-file", file_name="f", content=b"hello"):
        self.version = b'{"format":"mender","version":3}'
        self.header = [
            ("header-info", json.dumps({"payloads": [{"type": payload_type}], "artifact_provides": {"artifact_name": name},
                                        "artifact_depends": {"device_type": ["t"]}}).encode()),
            ("headers/0000/type-info", json.dumps({"type": payload_type}).encode()),
        ]
        self.files = [(file_name, content)]
        self.sums = [(f"data/0000/{file_name}", hashlib.sha256(content).hexdigest())]

    def parts(self):
        header = gzip.compress(tar(self.header))
        sums = self.sums + [("version", hashlib.sha256(self.version).hexdigest()),
                            ("header.tar.gz", hashlib.sha256(header).hexdigest())]
        manifest = "".join(f"{digest}  {name}\n" for name, digest in sums).encode()
        return [("version", self.version), ("manifest", manifest), ("header.tar.gz", header),
                ("data/0000.tar.gz", gzip.compress(tar(self.files)))]

    def build(self):
        return tar(self.parts())


class BadInputTest(CloudTestCase):
    def tearDown(self):
        # Whatever was sent: the server still serves, and holds nothing that was refused.
        self.assertEqual(self.cloud.manage("GET", "v2/devauth/devices").status, 200)
        self.assertEqual(list((self.cloud.data / "artifacts").glob("*.upload")), [])

    def device_token(self):
        device = Mender5(self.work / "device", server_url=self.cloud.url, ca=self.cloud.ca, identity={"mac": "m1"},
                         device_type="t", timeout=30 * SLOWNESS)
        device.authenticate()
        self.cloud.accept("m1")
        self.assertTrue(device.authenticate())
        return device._token

    def post(self, path, body, headers=None, method="POST"):
        return self.cloud.ask(method, path, body, {"Content-Type": "application/json", **(headers or {})})

    def assert_error(self, answer, status):
        self.assertEqual(answer.status, status, answer)
        body = answer.json()
        self.assertTrue(body["error"])
        self.assertEqual(body["request_id"], answer.headers["X-MEN-RequestID"])
        self.assertTrue(answer.headers["Content-Type"].startswith("application/json"))

    def raw(self, request):
        """Sends bytes as they are; returns what comes back until the server closes."""
        connection = self.cloud.connect()
        connection.connect()
        connection.sock.settimeout(60 * SLOWNESS)
        received = b""
        try:
            connection.sock.sendall(request)
            while True:
                piece = connection.sock.recv(65536)
                if not piece:
                    break
                received += piece
        except (ConnectionResetError, BrokenPipeError):
            pass
        finally:
            connection.close()
        return received

    # JSON

    def test_malformed_json_gets_400(self):
        token = {"Authorization": f"Bearer {self.device_token()}"}
        for body in (b"", b"{", b"[]", b"nul", b'{"a":1}x', b"\xff\xfe", b"[" * 100_000):
            self.assert_error(self.post(AUTH, body, {"X-MEN-Signature": "AAAA"}), 400)
            self.assert_error(self.post(NEXT, body, token), 400)
            self.assert_error(self.post(STATUS.format("x"), body, token, "PUT"), 400)
            answer = self.cloud.ask("POST", "/api/management/v1/deployments/deployments", body,
                                    {"Authorization": f"Bearer {self.cloud.token}", "Content-Type": "application/json"})
            self.assert_error(answer, 400)

    def test_wrong_types_get_400(self):
        token = {"Authorization": f"Bearer {self.device_token()}"}
        for value in ({"device_provides": []}, {"device_provides": {"device_type": 1, "artifact_name": "a"}},
                      {"device_provides": {"device_type": "t", "artifact_name": None}}, {"device_provides": None}):
            self.assert_error(self.post(NEXT, json.dumps(value), token), 400)
        for value in ({}, {"name": "x"}, [1], [{"name": 1, "value": "x"}], [{"name": "x", "value": {}}],
                      [{"name": "x", "value": [1, "a"]}], [{"name": "x", "value": None}], [{"name": "x", "value": True}]):
            self.assert_error(self.post(INVENTORY, json.dumps(value), token, "PUT"), 400)
        for value in ({"name": 1, "artifact_name": "a", "devices": ["d"]}, {"name": "n", "artifact_name": "a", "devices": "d"},
                      {"name": "n", "artifact_name": "a", "devices": [1]},
                      {"name": "n", "artifact_name": "a", "all_devices": "yes"}):
            self.assert_error(self.cloud.manage("POST", "v1/deployments/deployments", value), 400)
        for value in ({"identity_data": "text", "pubkey": "x"}, {"identity_data": {}, "pubkey": "x"},
                      {"identity_data": {"mac": "x"}, "pubkey": "no key"}, {"identity_data": {"mac": "x"}}):
            self.assert_error(self.cloud.manage("POST", "v2/devauth/devices", value), 400)

    def test_another_media_type_gets_415(self):
        answer = self.cloud.ask("POST", "/api/management/v1/deployments/deployments", b"{}",
                                {"Authorization": f"Bearer {self.cloud.log_in()}", "Content-Type": "text/plain"})
        self.assert_error(answer, 415)
        answer = self.cloud.ask("POST", "/api/management/v1/deployments/artifacts", b"{}",
                                {"Authorization": f"Bearer {self.cloud.token}", "Content-Type": "application/json"})
        self.assert_error(answer, 415)

    # Sizes

    def test_oversized_header_fields_end_the_connection(self):
        for request in (b"GET / HTTP/1.1\r\nHost: x\r\nX-Long: " + b"a" * 100_000 + b"\r\n\r\n",
                        b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
                        b"GET / HTTP/1.1\r\nHost: x\r\n" + b"X-Many: a\r\n" * 20_000 + b"\r\n"):
            received = self.raw(request)
            self.assertTrue(received == b"" or received.startswith((b"HTTP/1.1 431", b"HTTP/1.1 414", b"HTTP/1.1 400")),
                            received[:200])

    def test_oversized_bodies_are_refused(self):
        token = {"Authorization": f"Bearer {self.device_token()}"}
        large = json.dumps({"device_provides": {"device_type": "t", "artifact_name": "a" * (9 << 20)}})
        self.assertEqual(self.post(NEXT, large, token).status, 400)
        answer = self.cloud.ask("PUT", "/api/management/v2/devauth/devices/x/auth/y/status", b" " * (2 << 20) + b"{}",
                                {"Authorization": f"Bearer {self.cloud.token}", "Content-Type": "application/json"})
        self.assert_error(answer, 413)

    def test_requests_that_could_be_smuggled_are_refused(self):
        for request in (
            b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
            b"GET / HTTP/1.1\nHost: x\n\n",
            b"GET / HTTP/1.1\r\nHost: x\r\nX-A: b\r\n folded\r\n\r\n",
            b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
            b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\n",
        ):
            received = self.raw(request + b"GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n")
            self.assertTrue(received == b"" or received.startswith(b"HTTP/1.1 4"), (request, received[:200]))
            self.assertLessEqual(received.count(b"HTTP/1.1 "), 1, (request, received))

    # Signatures and tokens

    def test_bad_signatures_get_401_with_an_empty_body_or_400(self):
        device = Mender5(self.work / "device", server_url=self.cloud.url, ca=self.cloud.ca, identity={"mac": "m1"},
                         device_type="t", timeout=30 * SLOWNESS)
        body = json.dumps({"id_data": '{"mac":"m1"}', "pubkey": device._public_key()}).encode()
        good = device._sign(body)
        for signature in (device._sign(body + b" "), "AAAA", "", "not base64 !"):
            answer = self.post(AUTH, body, {"X-MEN-Signature": signature})
            self.assertEqual((answer.status, answer.body), (401, b""), signature)
        self.assert_error(self.post(AUTH, body), 400)
        self.assertEqual(self.cloud.devices(), [], "a bad signature makes no device")
        self.assertEqual(self.post(AUTH, body, {"X-MEN-Signature": good}).status, 401)
        self.assertEqual(len(self.cloud.devices("pending")), 1)

    def test_tokens_that_are_not_ours_get_401_with_an_empty_body(self):
        token = self.device_token()
        header, claims, signature = token.split(".")

        def encode(value):
            return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")

        decoded = json.loads(base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4)))
        forged = [
            f"{encode({'alg': 'none', 'typ': 'JWT'})}.{claims}.",
            f"{encode({'alg': 'none', 'typ': 'JWT'})}.{claims}.{signature}",
            f"{encode({'alg': 'HS256', 'typ': 'JWT'})}.{claims}.{signature}",
            f"{header}.{encode({**decoded, 'sub': 'another'})}.{signature}",
            f"{header}.{encode({**decoded, 'exp': decoded['exp'] + 1})}.{signature}",
            f"{header}.{claims}.{signature[:-4]}AAAA",
            f"{header}.{claims}",
            "x" * 8_000,
            "..",
            "",
            self.cloud.token,
        ]
        for bad in forged:
            answer = self.post(NEXT, json.dumps(POLL), {"Authorization": f"Bearer {bad}"})
            self.assertEqual((answer.status, answer.body), (401, b""), bad[:80])
        self.assertEqual(self.post(NEXT, json.dumps(POLL), {"Authorization": f"Bearer {token}"}).status, 204)

    def test_a_token_of_another_server_is_refused(self):
        other = Cloud(self.work / "other")
        other.start()
        self.addCleanup(other.stop)
        device = Mender5(self.work / "there", server_url=other.url, ca=other.ca, identity={"mac": "m9"}, device_type="t",
                         timeout=30 * SLOWNESS)
        device.authenticate()
        other.accept("m9")
        self.assertTrue(device.authenticate())
        answer = self.post(NEXT, json.dumps(POLL), {"Authorization": f"Bearer {device._token}"})
        self.assertEqual((answer.status, answer.body), (401, b""))
        answer = self.cloud.ask("GET", "/api/management/v2/devauth/devices",
                                headers={"Authorization": f"Bearer {other.log_in()}"})
        self.assert_error(answer, 401)

    def test_operators_without_a_good_token_get_401(self):
        path = "/api/management/v2/devauth/devices"
        device_token = self.device_token()
        for headers in ({}, {"Authorization": "Bearer "}, {"Authorization": "Basic eDp5"}, {"Authorization": "Bearer"},
                        {"Authorization": f"Bearer {device_token}"}, {"Cookie": "JWT=x"}):
            self.assert_error(self.cloud.ask("GET", path, headers=headers), 401)
        self.assertEqual(self.cloud.ask("GET", path, headers={"Cookie": f"a=b; JWT={self.cloud.token}"}).status, 200)
        pair = base64.b64encode(f"{USER}:{PASSWORD}x".encode()).decode()
        self.assert_error(self.cloud.ask("POST", "/api/management/v1/useradm/auth/login",
                                         headers={"Authorization": f"Basic {pair}"}), 401)

    # Artifacts

    def refuse(self, content, status=400, starts=""):
        answer = self.cloud.upload(content)
        self.assert_error(answer, status)
        self.assertTrue(answer.json()["error"].startswith(starts), answer)
        self.assertEqual(self.cloud.artifacts(), [])

    def test_a_good_artifact_is_taken(self):
        self.assertEqual(self.cloud.upload(Artifact().build()).status, 201)

    def test_truncated_artifacts_are_refused(self):
        content = Artifact(content=os.urandom(100_000)).build()
        for size in (0, 1, 511, 512, 1024, 3000, len(content) // 2, len(content) - 20_000):
            self.refuse(content[:size])

    def test_reordered_artifacts_are_refused(self):
        parts = Artifact().parts()
        for order in ((1, 0, 2, 3), (0, 2, 1, 3), (0, 1, 3, 2), (3, 2, 1, 0), (0, 1, 2), (0, 1, 2, 2, 3), (2,)):
            self.refuse(tar([parts[i] for i in order]))

    def test_artifacts_whose_checksums_differ_are_refused(self):
        payload = Artifact()
        payload.files = [("f", b"HELLO")]
        self.refuse(payload.build(), starts="invalid checksum")
        parts = dict(Artifact().parts())
        parts["header.tar.gz"] = dict(Artifact(name="other").parts())["header.tar.gz"]
        self.refuse(tar(list(parts.items())), starts="invalid checksum")
        parts = dict(Artifact().parts())
        parts["version"] = b'{"version":3,"format":"mender"}'
        self.refuse(tar(list(parts.items())), starts="invalid checksum")

    def test_artifacts_with_names_that_lead_elsewhere_are_refused(self):
        for name in ("../f", "/etc/passwd", "a/../../f", "..", ".", "a/b", ""):
            self.refuse(Artifact(file_name=name).build())

    def test_artifacts_with_an_oversized_header_are_refused(self):
        huge = Artifact()
        huge.header.append(("headers/0000/meta-data", b'{"a":"' + b"x" * (80 << 20) + b'"}'))
        self.refuse(huge.build())
        many = Artifact(name="n" * 5000)
        self.refuse(many.build())

    def test_payload_types_with_a_slash_are_refused(self):
        for payload_type in ("a/b", "../single-file", "/bin/sh", ".."):
            self.refuse(Artifact(payload_type=payload_type).build())

    def test_other_formats_are_refused(self):
        future = Artifact()
        future.version = b'{"format":"mender","version":4}'
        self.refuse(future.build(), starts="unsupported version")
        self.refuse(b"\x7fELF" + os.urandom(5000))
        self.refuse(gzip.compress(Artifact().build()))

    def test_uploads_that_are_not_multipart_as_it_should_be_are_refused(self):
        token = {"Authorization": f"Bearer {self.cloud.log_in()}"}
        for content_type, body, status in (
            ("multipart/form-data", b"", 400),
            ("multipart/form-data; boundary=" + "b" * 80, b"", 400),
            ("multipart/form-data; boundary=B", b"--B--\r\n", 400),
            ("multipart/form-data; boundary=B", b"no boundary at all", 400),
            ("multipart/form-data; boundary=B", b'--B\r\nContent-Disposition: form-data; name="size"\r\n\r\nmany\r\n--B--\r\n', 400),
            ("multipart/form-data; boundary=B",
             b'--B\r\nContent-Disposition: form-data; name="artifact_id"\r\n\r\n../../x\r\n--B--\r\n', 400),
            ("multipart/form-data; boundary=B", b"--B\r\n" + b"X: " + b"a" * 20_000 + b"\r\n\r\n", 413),
        ):
            answer = self.cloud.ask("POST", "/api/management/v1/deployments/artifacts", body,
                                    {**token, "Content-Type": content_type})
            self.assertEqual(answer.status, status, (content_type, answer))

    def test_a_client_that_goes_away_during_an_upload_leaves_nothing(self):
        self.cloud.log_in()
        connection = self.cloud.connect()
        connection.putrequest("POST", "/api/management/v1/deployments/artifacts")
        connection.putheader("Authorization", f"Bearer {self.cloud.token}")
        connection.putheader("Content-Type", "multipart/form-data; boundary=B")
        connection.putheader("Content-Length", "10000000")
        connection.endheaders()
        connection.send(b'--B\r\nContent-Disposition: form-data; name="artifact"\r\n\r\n' +
                        Artifact(content=os.urandom(1 << 20)).build()[:900_000])
        connection.sock.shutdown(socket.SHUT_RDWR)
        connection.close()
        wait_until(lambda: "artifact.upload_refused" in self.cloud.log(), seconds=30 * SLOWNESS, what="the end of the upload")
        self.assertEqual(list((self.cloud.data / "artifacts").iterdir()), [])

    # Paths

    def test_unknown_paths_and_methods_are_told_apart(self):
        self.assert_error(self.cloud.ask("GET", "/api/none"), 404)
        self.assert_error(self.cloud.ask("GET", "/../../etc/passwd"), 404)
        self.assert_error(self.cloud.ask("DELETE", AUTH), 405)
        for path in ("v1/deployments/artifacts/..%2F..%2Fsecrets", "v1/deployments/deployments/x"):
            self.assert_error(self.cloud.manage("GET", path), 400)

    def test_secrets_never_reach_the_log(self):
        token = self.device_token()
        self.post(NEXT, json.dumps(POLL), {"Authorization": f"Bearer {token}"})
        self.post(NEXT, "{", {"Authorization": f"Bearer {token}"})
        log = self.cloud.log()
        for secret in (token, self.cloud.token, PASSWORD):
            self.assertNotIn(secret, log)


class CommandLineTest(unittest.TestCase):
    def test_wrong_usage_gets_status_2_and_a_reason(self):
        for command in (["postern-cloud", "--nonsense"], ["postern", "--nonsense"], ["postern"], ["postern", "artifact"]):
            done = subprocess.run([tool(command[0]), *command[1:]], capture_output=True, text=True, timeout=30 * SLOWNESS)
            self.assertEqual(done.returncode, 2, command)
            self.assertTrue(done.stderr, command)

    def test_missing_settings_are_named(self):
        done = subprocess.run([tool("postern-cloud")], capture_output=True, text=True, timeout=30 * SLOWNESS,
                              env={"PATH": os.environ["PATH"]})
        self.assertEqual(done.returncode, 1)
        self.assertIn("--data", done.stderr)


if __name__ == "__main__":
    unittest.main()
