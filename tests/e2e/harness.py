"""A cloud for tests with whole programs: certificates, a user, the server process, and the management API over HTTPS."""

import base64
import http.client
import json
import pathlib
import shutil
import ssl
import subprocess
import sys
import tempfile
import time
import unittest
import urllib.parse
import uuid

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))

from clients.debian_mender import wait_until  # noqa: E402
from server_process import SLOWNESS, ServerProcess, tool  # noqa: E402

USER = "admin"
PASSWORD = "an operator's password"


class Answer:
    def __init__(self, status, headers, body):
        self.status = status
        self.headers = headers
        self.body = body

    def json(self):
        return json.loads(self.body)

    def __repr__(self):
        return f"<{self.status} {self.body[:300]!r}>"


class Cloud(ServerProcess):
    """`postern-cloud` on a free port of the loopback, or of a node of a test bed, with its data in `work`. It can be
    stopped, killed and started again; it then keeps its port, because devices know its URL."""

    program = "postern-cloud"

    def __init__(self, work, *, settings=None, node=None):
        super().__init__(work, node)
        self.host = node.address if node else "localhost"
        self.settings = settings or {}
        self.port = 0
        self.token = None
        pki = self.work / "pki"
        self._run(tool("postern-pki"), "init", str(pki))
        self._run(tool("postern-pki"), "issue", "server", "--ca", str(pki), "--name", "cloud", "--dns", "localhost",
                  "--ip", self._address, "--out", str(self.work / "server"))
        self.ca = pki / "server-ca.crt"
        self.data = self.work / "data"
        self.user_id = self._run(tool("postern-cloud"), "create-user", USER, PASSWORD, "--data", str(self.data)).strip()
        self._tls = ssl.create_default_context(cafile=str(self.ca))

    @property
    def _address(self):
        return self.node.address if self.node else "127.0.0.1"

    @staticmethod
    def _run(*command):
        done = subprocess.run(command, capture_output=True, text=True, timeout=60 * SLOWNESS)
        if done.returncode != 0:
            raise RuntimeError(f"{command} failed with {done.returncode}: {done.stdout}{done.stderr}")
        return done.stdout

    @property
    def url(self):
        return f"https://{self.host}:{self.port}"

    def start(self, *, fault=None, wrap=()):
        config = {
            "DataDirectory": str(self.data),
            "Listen": f"{self._address}:{self.port}",
            "Certificate": str(self.work / "server.crt"),
            "Key": str(self.work / "server.key"),
            "FreeBytesMin": 0,
        }
        if self.port:
            config["URL"] = self.url
        config.update(self.settings)
        started = self.launch(config, r"cloud\.started listen=[0-9.]+:(\d+)", fault=fault, wrap=wrap)
        self.port = int(started.group(1))

    # Requests

    def connect(self):
        connection = http.client.HTTPSConnection(self.host, self.port, timeout=30 * SLOWNESS, context=self._tls)
        if self.node:
            self.node.call(connection.connect)
        return connection

    def ask(self, method, path, body=None, headers=None):
        """One request on a connection of its own."""
        connection = self.connect()
        try:
            connection.request(method, path, body=body, headers=headers or {})
            answer = connection.getresponse()
            return Answer(answer.status, answer.headers, answer.read())
        finally:
            connection.close()

    def log_in(self):
        pair = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        answer = self.ask("POST", "/api/management/v1/useradm/auth/login", headers={"Authorization": f"Basic {pair}"})
        if answer.status != 200:
            raise RuntimeError(f"login: {answer}")
        self.token = answer.body.decode()
        return self.token

    def manage(self, method, path, value=None):
        """A call of the management API, `path` from after /api/management/ on."""
        if self.token is None:
            self.log_in()
        headers = {"Authorization": f"Bearer {self.token}"}
        body = None
        if value is not None:
            headers["Content-Type"] = "application/json"
            body = json.dumps(value)
        return self.ask(method, f"/api/management/{path}", body, headers)

    def upload(self, content, *, fields=()):
        """Uploads the bytes of an artifact."""
        if self.token is None:
            self.log_in()
        boundary = "boundary-of-the-test"
        body = b""
        for name, value in fields:
            body += (f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n').encode()
        body += (f'--{boundary}\r\nContent-Disposition: form-data; name="artifact"; filename="a.mender"\r\n'
                 "Content-Type: application/octet-stream\r\n\r\n").encode()
        body += content + f"\r\n--{boundary}--\r\n".encode()
        return self.ask("POST", "/api/management/v1/deployments/artifacts", body,
                        {"Authorization": f"Bearer {self.token}",
                         "Content-Type": f"multipart/form-data; boundary={boundary}"})

    def artifacts(self):
        return self.manage("GET", "v1/deployments/artifacts").json()

    def devices(self, status=None):
        query = "?per_page=500" + (f"&status={status}" if status else "")
        return self.manage("GET", f"v2/devauth/devices{query}").json()

    def accept(self, *macs, seconds=60):
        """Waits until devices with these addresses ask to be let in, and lets them in; returns their ids in order."""
        ids = []
        for mac in macs:
            def pending(mac=mac):
                return [d for d in self.devices("pending") if d["identity_data"].get("mac") == mac]

            device = wait_until(pending, seconds=seconds * SLOWNESS, what=f"an auth request of {mac}")[0]
            answer = self.manage("PUT", f"v2/devauth/devices/{device['id']}/auth/{device['auth_sets'][0]['id']}/status",
                                 {"status": "accepted"})
            if answer.status != 204:
                raise RuntimeError(f"accept {mac}: {answer}")
            ids.append(device["id"])
        return ids

    def deploy(self, artifact_name, devices, *, name=None, **more):
        """Makes a deployment; returns its id."""
        answer = self.manage("POST", "v1/deployments/deployments",
                             {"name": name or str(uuid.uuid4()), "artifact_name": artifact_name, "devices": devices, **more})
        if answer.status != 201:
            raise RuntimeError(f"deploy {artifact_name}: {answer}")
        return answer.headers["Location"].rsplit("/", 1)[1]

    def deployment(self, deployment_id):
        return self.manage("GET", f"v1/deployments/deployments/{deployment_id}").json()

    def wait_for_deployment(self, deployment_id, *, seconds=120):
        """Waits for the end of a deployment; returns its statistics."""
        def finished():
            deployment = self.deployment(deployment_id)
            return deployment if deployment["status"] == "finished" else None

        return wait_until(finished, seconds=seconds * SLOWNESS,
                          what=f"the end of deployment {deployment_id}")["statistics"]["status"]

    def device_statuses(self, deployment_id):
        rows = self.manage("GET", f"v1/deployments/deployments/{deployment_id}/devices").json()
        return {row["id"]: row["status"] for row in rows}


class CloudTestCase(unittest.TestCase):
    """Has a running cloud. Prints the ends of all logs when a test fails."""

    settings = None

    def setUp(self):
        self.work = pathlib.Path(tempfile.mkdtemp(prefix="postern-test-"))
        self.addCleanup(shutil.rmtree, self.work, ignore_errors=True)
        self.addCleanup(self._show_logs)
        self.cloud = Cloud(self.work / "cloud", settings=self.settings)
        self.cloud.start()
        self.addCleanup(self._stop_cloud)

    def _stop_cloud(self):
        status = self.cloud.stop()
        if status is not None:
            self.assertEqual(status, 0, "the cloud's exit status")

    def _show_logs(self):
        outcome = self._outcome.result if self._outcome else None
        failed = outcome and any(test is self for test, _ in outcome.failures + outcome.errors)
        if not failed:
            return
        for path in sorted(self.work.rglob("*.log")):
            sys.stderr.write(f"--- end of {path.relative_to(self.work)}\n{path.read_text(errors='replace')[-4000:]}\n")


def quote(text):
    return urllib.parse.quote(text, safe="")


def now():
    return time.monotonic()
