"""A site for tests with whole programs: a gateway, certificates for its devices, and either kind of upstream behind it."""

import base64
import contextlib
import http.client
import json
import os
import pathlib
import re
import shutil
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import unittest

from harness import SLOWNESS, Answer, Cloud, tool
from server_process import ServerProcess
from clients.debian_mender import DebianMender, wait_until, write_single_file_artifact
from clients.foreign_server import ForeignServer
from clients.https_recorder import make_certificate
from clients.mcu import Mcu
from clients.mender5 import Mender5
from clients.postern_device import PosternDevice

TYPE = "bench"
#: Size of the chunks in which a gateway stores artifacts.
CHUNK = 256 * 4096 - 16
CONNECT = "/api/devices/v1/deviceconnect/connect"


class Authority:
    """An authority by `postern-pki`: server, gateway and device certificates."""

    def __init__(self, work, name="plant"):
        self.directory = pathlib.Path(work) / f"pki-{name}"
        self.work = pathlib.Path(work)
        self._run("init", str(self.directory), "--name", name)
        self.server_ca = self.directory / "server-ca.crt"
        self.gateway_ca = self.directory / "gateway-ca.crt"
        self.device_ca = self.directory / "device-ca.crt"
        self.device_crl = self.directory / "device-ca.crl"
        self._count = 0

    @staticmethod
    def _run(*command, wrap=()):
        subprocess.run([*wrap, tool("postern-pki"), *command], check=True, capture_output=True, text=True,
                       timeout=60 * SLOWNESS)

    def issue(self, kind, name, *options):
        """Returns the paths of a new certificate and its key."""
        self._count += 1
        out = self.work / f"{kind}-{name}-{self._count}"
        self._run("issue", kind, "--ca", str(self.directory), "--name", name, "--out", str(out), *options)
        return f"{out}.crt", f"{out}.key"

    def revoke(self, certificate):
        self._run("revoke", "--ca", str(self.directory), certificate)


class CloudUpstream:
    """`postern-cloud`, which knows the gateway by its certificate."""

    def __init__(self, work, authority, *, settings=None, node=None, port=0, gateway="gw-1", site="plant-4"):
        self.cloud = Cloud(work / "cloud", settings={"GatewayCA": str(authority.gateway_ca), **(settings or {})}, node=node)
        self.cloud.port = port
        self.cloud.start()
        if not port:  # now that the port is known, links can begin with the URL that the gateway is given
            self.cloud.stop()
            self.cloud.start()
        self.ca = self.cloud.ca
        self.certificate, self.key = authority.issue("gateway", gateway, "--site", site)

    @property
    def url(self):
        return self.cloud.url

    def gateway_settings(self):
        return {"Postern": {"Upstream": {"Certificate": self.certificate, "Key": self.key}}}

    def stop(self):
        self.cloud.stop()

    def add_release(self, path):
        answer = self.cloud.upload(path.read_bytes())
        if answer.status != 201:
            raise RuntimeError(f"upload: {answer}")

    def device_id(self, mac):
        found = [d for d in self.cloud.devices("accepted") if d["identity_data"].get("mac") == mac]
        return found[0]["id"] if found else None

    def accept(self, mac):
        return self.cloud.accept(mac)[0]

    def deploy(self, name, device_ids):
        return self.cloud.deploy(name, device_ids)

    def statuses(self, deployment):
        return self.cloud.device_statuses(deployment)

    def attributes(self, device_id):
        answer = self.cloud.manage("GET", f"v1/inventory/devices/{device_id}").json()
        return {a["name"]: a["value"] for a in answer["attributes"] if a["scope"] == "inventory"}

    def served(self, gateway="gw-1"):
        """(first byte, body bytes) of every artifact GET that this gateway made, from the cloud's log."""
        found = re.findall(rf"download\.served .*?first=(\d+) size_bytes=(\d+) .*?gateway={gateway}\b", self.cloud.log())
        return [(int(first), int(size)) for first, size in found]


class ForeignUpstream:
    """Another Mender server, which knows the gateway as a user with a password."""

    make_certificate = staticmethod(make_certificate)

    def __init__(self, work, _authority):
        work.mkdir(parents=True, exist_ok=True)
        self.ca, key = self.make_certificate(work, ["localhost", "127.0.0.1"])
        self.server = ForeignServer(work / "foreign", certificate=self.ca, key=key)
        self.by_name = {}

    @property
    def url(self):
        return self.server.url

    def gateway_settings(self):
        return {"Features": {"mTLS": {"MenderUsername": self.server.user, "MenderPassword": self.server.password},
                             "ArtifactsProxy": {"DomainWhitelist": ["127.0.0.1"]}}}

    def stop(self):
        self.server.stop()

    def add_release(self, path):
        artifact = self.server.add_artifact(path)
        self.by_name[artifact.name] = artifact

    def device_id(self, mac):
        device = self.server.devauth.find(mac=mac)
        return device.id if device and device.status == "accepted" else None

    def accept(self, mac):
        device = wait_until(lambda: self.server.devauth.find(mac=mac), seconds=30 * SLOWNESS, what=f"an auth request of {mac}")
        self.server.accept(device)
        return device.id

    def deploy(self, name, device_ids):
        return self.server.create_deployment(name, device_ids)

    def statuses(self, deployment):
        return dict(deployment.statuses)

    def attributes(self, device_id):
        return next(d.attributes for d in self.server.devauth.devices() if d.id == device_id)

    def served(self):
        return [(download.first, download.sent) for download in self.server.downloads]


def merge(base, more):
    merged = dict(base)
    for key, value in more.items():
        merged[key] = merge(merged.get(key, {}), value) if isinstance(value, dict) else value
    return merged


class Gateway(ServerProcess):
    """`postern-gateway` on a free port of the loopback, or of a node of a test bed, with its state in `work`. It keeps its
    port over restarts."""

    program = "postern-gateway"

    def __init__(self, work, upstream, authority, *, settings=None, node=None):
        super().__init__(work, node)
        self.address = node.addresses["lan"] if node else "127.0.0.1"
        self.host = self.address if node else "localhost"
        self.upstream = upstream
        self.authority = authority
        self.port = 0
        self.metrics_port = 0
        self.settings = settings or {}
        self.wrap = ()  #: put before its command whenever it is started
        self.certificate, self.key = authority.issue("server", "gateway", "--dns", "localhost", "--ip", self.address)
        self.ca = authority.server_ca

    @property
    def url(self):
        return f"https://{self.host}:{self.port}"

    @property
    def cache_path(self):
        return self.work / "cache"

    def config(self):
        base = {
            "HTTPS": {"Enabled": True, "Listen": f"{self.address}:{self.port}", "ServerCertificate": self.certificate,
                      "ServerKey": self.key},
            "Metrics": {"Enabled": True, "Listen": f"127.0.0.1:{self.metrics_port}"},
            "UpstreamServer": {"URL": self.upstream.url, "CACertificate": str(self.upstream.ca)},
            "Features": {
                "mTLS": {"Enabled": True, "CACertificate": str(self.authority.device_ca)},
                "ArtifactsProxy": {"Enabled": True, "GatewayURL": f"https://{self.host}:{self.port or 1}",
                                   "ArtifactsCache": {"Enabled": True, "Path": str(self.cache_path)}},
                "DeviceSystem": {"Enabled": True, "SystemID": "press-line",
                                 "DefaultInventory": [{"Name": "hall", "Value": "4"}, {"Name": "site_label", "Value": "none"}]},
            },
            "Postern": {"StateDirectory": str(self.work / "state"), "Cache": {"FreeBytesMin": 0}},
        }
        return merge(merge(base, self.upstream.gateway_settings()), self.settings)

    def start(self, *, fault=None, wrap=()):
        if not self.port:
            self._start(None, wrap)  # to learn which ports are free; links need the port in the configuration
            self.stop()
        self._start(fault, wrap)

    def _start(self, fault, wrap):
        pattern = r"gateway\.started https=[0-9.]+:(\d+) http=\S+ metrics=127\.0\.0\.1:(\d+)"
        started = self.launch(self.config(), pattern, fault=fault, wrap=(*self.wrap, *wrap))
        self.port, self.metrics_port = int(started.group(1)), int(started.group(2))

    def metric(self, name):
        connection = http.client.HTTPConnection("127.0.0.1", self.metrics_port, timeout=30)
        with contextlib.closing(connection):
            if self.node:
                self.node.call(connection.connect)
            connection.request("GET", "/metrics")
            text = connection.getresponse().read().decode()
        found = re.search(rf"^{re.escape(name)} (\d+)$", text, re.M)
        return int(found.group(1)) if found else 0

    def ask(self, method, path, body=None, headers=None, *, certificate=None):
        """One request on a connection of its own; `certificate` is a pair of paths."""
        tls = ssl.create_default_context(cafile=str(self.ca))
        if certificate:
            tls.load_cert_chain(*certificate)
        connection = http.client.HTTPSConnection(self.host, self.port, timeout=30 * SLOWNESS, context=tls)
        with contextlib.closing(connection):
            connection.request(method, path, body=body, headers=headers or {})
            answer = connection.getresponse()
            return Answer(answer.status, answer.headers, answer.read())


class SiteTestCase(unittest.TestCase):
    """Has a running gateway in front of a running upstream. Prints the ends of all logs when a test fails."""

    authority_type = Authority
    upstream_type = CloudUpstream
    gateway_settings = None

    def setUp(self):
        self.work = pathlib.Path(tempfile.mkdtemp(prefix="postern-test-"))
        self.addCleanup(shutil.rmtree, self.work, ignore_errors=True)
        self.addCleanup(self._show_logs)
        self.authority = self.authority_type(self.work)
        self.upstream = self.upstream_type(self.work / "upstream", self.authority)
        self.addCleanup(self.upstream.stop)
        self.gateway = Gateway(self.work / "gateway", self.upstream, self.authority, settings=self.gateway_settings)
        self.gateway.start()
        self.addCleanup(self._stop_gateway)

    def _stop_gateway(self):
        status = self.gateway.stop()
        if status is not None:
            self.assertEqual(status, 0, "the gateway's exit status")

    def _show_logs(self):
        outcome = self._outcome.result if self._outcome else None
        failed = outcome and any(test is self for test, _ in outcome.failures + outcome.errors)
        if not failed:
            return
        for path in sorted(self.work.rglob("*.log")):
            sys.stderr.write(f"--- end of {path.relative_to(self.work)}\n{path.read_text(errors='replace')[-5000:]}\n")

    # Devices behind the gateway

    def mender5(self, number, *, certificate=None, work=None, **options):
        certificate = certificate or self.authority.issue("device", f"press-{number}")
        return Mender5(self.work / (work or f"mender5-{number}"), server_url=self.gateway.url, ca=self.gateway.ca,
                       identity={"mac": f"02:05:00:00:00:{number:02x}"}, device_type=TYPE, retry_seconds=0.2,
                       timeout=60 * SLOWNESS, certificate=certificate[0], certificate_key=certificate[1], **options)

    def mcu(self, number, **options):
        certificate = self.authority.issue("device", f"mcu-{number}")
        return Mcu(self.work / f"mcu-{number}", server_url=self.gateway.url, ca=self.gateway.ca,
                   identity={"mac": f"02:0c:00:00:00:{number:02x}"}, device_type=TYPE, timeout=60 * SLOWNESS,
                   certificate=certificate[0], certificate_key=certificate[1], **options)

    def debian(self, number, **options):
        certificate = self.authority.issue("device", f"debian-{number}")
        device = DebianMender(self.work / f"debian-{number}", server_url=self.gateway.url, ca=self.gateway.ca,
                              mac=f"02:03:00:00:00:{number:02x}", device_type=TYPE, certificate=certificate[0],
                              certificate_key=certificate[1], **options)
        device.start()
        self.addCleanup(device.stop)
        return device

    def postern_device(self, number, **options):
        certificate = self.authority.issue("device", f"postern-{number}")
        device = PosternDevice(self.work / f"postern-{number}", program=tool("postern-device"), server_url=self.gateway.url,
                               ca=self.gateway.ca, mac=f"02:09:00:00:00:{number:02x}", device_type=TYPE,
                               certificate=certificate[0], certificate_key=certificate[1], **options)
        device.start()
        self.addCleanup(device.stop)
        return device

    def release(self, name, *, size=3_000_000):
        """Gives an artifact with one file to the upstream; returns that file's content."""
        payload = self.work / "payload.bin"
        content = os.urandom(size)
        payload.write_bytes(content)
        artifact = write_single_file_artifact(self.work / f"{name}.mender", name=name, device_type=TYPE, payload=payload)
        self.artifact_size = artifact.stat().st_size
        self.upstream.add_release(artifact)
        return content

    def id_of(self, mac):
        return wait_until(lambda: self.upstream.device_id(mac), seconds=60 * SLOWNESS, what=f"the acceptance of {mac}")

    def installed(self, device):
        return (device.work / "installed" / "payload.bin").read_bytes()


class Deaths(list):
    """When the gateway died; with a way to wait while it lives."""

    def __init__(self, gateway):
        super().__init__()
        self.gateway = gateway
        self.over = threading.Event()
        self.alive = threading.Event()
        self.alive.set()

    def wait(self, seconds):
        """Waits; True when the gateway is up then."""
        time.sleep(seconds)  # a moment of the test's own choosing, not a wait for something
        return self.alive.is_set()

    def watch(self):
        while not self.over.wait(0.02):
            if self.gateway.process.poll() is None:
                continue
            self.alive.clear()
            self.append(time.monotonic())
            self.gateway.wait_for_death()
            self.gateway.start()
            self.alive.set()


@contextlib.contextmanager
def revived(gateway):
    """Starts the gateway again whenever it dies."""
    deaths = Deaths(gateway)
    thread = threading.Thread(target=deaths.watch)
    thread.start()
    try:
        yield deaths
    finally:
        deaths.over.set()
        thread.join()


def auth_body(key_path, mac):
    """(body, signature) of an auth request, made with the openssl command."""
    public = subprocess.run(["openssl", "pkey", "-in", key_path, "-pubout"], check=True, capture_output=True, text=True).stdout
    body = json.dumps({"id_data": json.dumps({"mac": mac}), "pubkey": public}).encode()
    with tempfile.NamedTemporaryFile() as file:
        file.write(body)
        file.flush()
        signature = subprocess.run(["openssl", "dgst", "-sha256", "-sign", key_path, file.name], check=True,
                                   capture_output=True).stdout
    return body, base64.b64encode(signature).decode()


def open_websocket(gateway, device, *, token=None, headers=()):
    """(connection, head of the answer) of a device that asks for deviceconnect's WebSocket."""
    tls = ssl.create_default_context(cafile=str(gateway.ca))
    tls.load_cert_chain(*device.certificate_files)
    raw = socket.create_connection((gateway.address, gateway.port), timeout=30 * SLOWNESS)
    connection = tls.wrap_socket(raw, server_hostname="localhost")
    key = base64.b64encode(b"0123456789abcdef").decode()
    lines = [f"GET {CONNECT} HTTP/1.1", "Host: localhost", f"Authorization: Bearer {token or device._token}",
             "Connection: keep-alive, Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13",
             f"Sec-WebSocket-Key: {key}", *headers, "", ""]
    connection.sendall("\r\n".join(lines).encode())
    head = b""
    while b"\r\n\r\n" not in head:
        data = connection.recv(1)
        if not data:
            break
        head += data
    return connection, head.decode()


def receive_exactly(connection, size):
    """Less when the connection ends before."""
    data = b""
    while len(data) < size:
        piece = connection.recv(size - len(data))
        if not piece:
            break
        data += piece
    return data
