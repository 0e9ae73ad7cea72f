"""An independent stand-in for Mender's 5.x client: Python's standard library and the openssl command, no code of ours.

It does what the real client was seen to do, above all where that is unforgiving:
- a new TLS connection for every request, header fields in its order and spelling;
- a 401 with a body on `next` or inventory ends it (the real one aborts); a 401 without makes it authenticate again;
- a first artifact GET that is not answered with 200 fails the deployment; a closed connection is asked again later;
- a cut download goes on with a closed range, needs 206 and the exact Content-Range, and is stuck for ever otherwise;
- inventory is sent when it has changed, and its answer needs a Content-Length;
- before it commits it authenticates again.

Installs payloads of type `single-file` into a directory. As a program: see --help.
"""

import argparse
import base64
import hashlib
import io
import json
import pathlib
import socket
import ssl
import subprocess
import sys
import tarfile
import time
import urllib.parse

USER_AGENT = "Mender/dc6ff6ec"
API = "/api/devices/v1"
NEXT_V2 = "/api/devices/v2/deployments/device/deployments/next"
NEXT_V1 = f"{API}/deployments/device/deployments/next"


class ClientDied(Exception):
    """The real client would have crashed here."""


class ClientStuck(Exception):
    """The real client would hang here for ever."""


class DeploymentFailed(Exception):
    """The client gives the deployment up and reports `failure`."""


class ConnectionCut(Exception):
    """The connection ended early."""


class Answer:
    def __init__(self, status, headers, connection, rest):
        self.status = status
        self.headers = headers
        self._connection = connection
        self._rest = rest

    def length(self):
        value = self.headers.get("content-length")
        return None if value is None else int(value)

    def pieces(self):
        """The body as it arrives. Raises ConnectionCut when it ends early."""
        left = self.length()
        piece, self._rest = self._rest, b""
        while left is None or left > 0:
            if not piece:
                try:
                    piece = self._connection.recv(65536)
                except (OSError, ssl.SSLError) as error:
                    raise ConnectionCut(str(error)) from error
                if not piece:
                    if left is None:
                        return
                    raise ConnectionCut(f"{left} bytes are missing")
            if left is not None:
                piece = piece[:left]
                left -= len(piece)
            yield piece
            piece = b""

    def body(self):
        if self.status in (204, 304):
            return b""
        return b"".join(self.pieces())

    def close(self):
        self._connection.close()


class Mender5:
    """One device; `work` is its disk."""

    def __init__(self, work, *, server_url, ca, identity, device_type, key_type="ed25519", poll_seconds=0.2,
                 retry_seconds=60.0, timeout=30.0, certificate=None, certificate_key=None):
        self.work = pathlib.Path(work)
        self.work.mkdir(parents=True, exist_ok=True)
        self.server_url = server_url
        self.identity = identity
        self.device_type = device_type
        self.poll_seconds = poll_seconds
        self.retry_seconds = retry_seconds
        self.timeout = timeout
        #: Byte positions at which this client's own network cuts a download, each once.
        self.cuts = []
        #: Called between a cut and the request that goes on.
        self.before_resume = lambda: None
        self.artifact_name = "unknown"
        self.provides = {}
        self.requests = []  #: (method, path, status) of everything that was answered
        self.resumed_from = []
        self._token = None
        self._sent_inventory = None
        self._tls = ssl.create_default_context(cafile=str(ca))
        if certificate:
            self.use_certificate(certificate, certificate_key)
        self._log = []
        self.key = self.work / "mender-agent.pem"
        if not self.key.exists():
            self._make_key(key_type)

    def use_certificate(self, certificate, key):
        """Shows a client certificate on every connection from now on; the device's own key stays what it is."""
        self._tls.load_cert_chain(certificate, key)

    # Keys, by the openssl command

    def _make_key(self, key_type):
        options = {"ed25519": ["-algorithm", "ED25519"],
                   "rsa": ["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:3072"],
                   "ecdsa": ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"]}[key_type]
        subprocess.run(["openssl", "genpkey", *options, "-out", str(self.key)], check=True, capture_output=True)
        (self.work / "key_type").write_text(key_type)

    def _public_key(self):
        return subprocess.run(["openssl", "pkey", "-in", str(self.key), "-pubout"], check=True, capture_output=True,
                              text=True).stdout

    def _sign(self, message):
        file = self.work / "to_sign"
        file.write_bytes(message)
        if (self.work / "key_type").read_text() == "ed25519":
            command = ["openssl", "pkeyutl", "-sign", "-rawin", "-inkey", str(self.key), "-in", str(file)]
        else:
            command = ["openssl", "dgst", "-sha256", "-sign", str(self.key), str(file)]
        return base64.b64encode(subprocess.run(command, check=True, capture_output=True).stdout).decode()

    # HTTP, one connection a request

    def _ask(self, method, url, headers=(), body=None):
        parts = urllib.parse.urlsplit(url)
        raw = socket.create_connection((parts.hostname, parts.port or 443), timeout=self.timeout)
        try:
            connection = self._tls.wrap_socket(raw, server_hostname=parts.hostname)
        except OSError:
            raw.close()
            raise
        target = parts.path + (f"?{parts.query}" if parts.query else "")
        head = f"{method} {target} HTTP/1.1\r\nUser-Agent: {USER_AGENT}\r\nHOST: {parts.netloc}\r\n"
        head += "".join(f"{name}: {value}\r\n" for name, value in headers)
        if body is not None:
            head += f"Accept: application/json\r\nContent-Length: {len(body)}\r\nContent-Type: application/json\r\n"
        connection.sendall(head.encode() + b"\r\n" + (body or b""))
        try:
            answer = self._read_head(connection)
        except BaseException:
            connection.close()
            raise
        self.requests.append((method, parts.path, answer.status))
        return answer

    @staticmethod
    def _read_head(connection):
        data = b""
        while b"\r\n\r\n" not in data:
            try:
                piece = connection.recv(65536)
            except OSError as error:
                raise ConnectionCut(str(error)) from error
            if not piece:
                raise ConnectionCut("closed without an answer")
            data += piece
        head, rest = data.split(b"\r\n\r\n", 1)
        lines = head.decode("latin-1").split("\r\n")
        headers = {}
        for line in lines[1:]:
            name, value = line.split(":", 1)
            headers[name.strip().lower()] = value.strip()
        return Answer(int(lines[0].split(" ")[1]), headers, connection, rest)

    def _call(self, method, path, value):
        """An authorized call; returns (status, headers, body)."""
        body = None if value is None else json.dumps(value, separators=(",", ":")).encode()
        answer = self._ask(method, self.server_url + path, [("Authorization", f"Bearer {self._token}")], body)
        result = answer.status, answer.headers, answer.body()
        answer.close()
        return result

    # The protocol

    def authenticate(self):
        """One auth request; True when there is a token."""
        body = json.dumps({"id_data": json.dumps(self.identity, separators=(",", ":")), "pubkey": self._public_key(),
                           "tier": "standard"}, separators=(",", ":")).encode()
        headers = [("Authorization", "API_KEY"), ("X-MEN-Signature", self._sign(body))]
        answer = self._ask("POST", f"{self.server_url}{API}/authentication/auth_requests", headers, body)
        token = answer.body()
        answer.close()
        if answer.status != 200:
            self._token = None
            return False
        self._token = token.decode()
        return True

    def _authorized(self, method, path, value, *, fatal_body):
        """A call that authenticates again after a 401; None when the server keeps saying no."""
        for _ in range(2):
            if self._token is None and not self.authenticate():
                return None
            status, headers, body = self._call(method, path, value)
            if status != 401:
                return status, headers, body
            if body and fatal_body:
                raise ClientDied(f"401 with a body on {method} {path}: {body!r}")
            self._token = None
        return None

    def send_inventory(self):
        attributes = [{"name": "mender_client_version", "value": USER_AGENT.split("/")[1]},
                      {"name": "device_type", "value": self.device_type},
                      {"name": "artifact_name", "value": self.artifact_name}]
        if attributes == self._sent_inventory:
            return
        answer = self._authorized("PUT", f"{API}/inventory/device/attributes", attributes, fatal_body=True)
        if answer is None:
            return
        status, headers, _ = answer
        if status == 200:
            if "content-length" not in headers:
                raise ClientDied("the answer to the inventory has no Content-Length")
            self._sent_inventory = attributes

    def poll(self):
        """Asks for a deployment; its instruction or None."""
        provides = {"device_type": self.device_type, **self.provides, "artifact_name": self.artifact_name}
        answer = self._authorized("POST", NEXT_V2, {"device_provides": provides}, fatal_body=True)
        if answer is not None and answer[0] == 404:
            query = urllib.parse.urlencode({"artifact_name": self.artifact_name, "device_type": self.device_type})
            answer = self._authorized("GET", f"{NEXT_V1}?{query}", None, fatal_body=True)
        if answer is None or answer[0] != 200:
            return None
        return json.loads(answer[2])

    def report(self, deployment, status):
        path = f"{API}/deployments/device/deployments/{deployment}/status"
        answer = self._authorized("PUT", path, {"status": status}, fatal_body=False)
        if answer is not None and answer[0] == 409 and status in ("downloading", "installing"):
            raise DeploymentFailed(f"409 on {status}")
        return answer is not None and answer[0] in (200, 204)

    def send_log(self, deployment):
        messages = [{"timestamp": "2026-01-01T00:00:00.000001Z", "level": "error", "message": line} for line in self._log]
        self._authorized("PUT", f"{API}/deployments/device/deployments/{deployment}/log",
                         {"messages": messages or [{"timestamp": "2026-01-01T00:00:00Z", "level": "info", "message": "-"}]},
                         fatal_body=False)

    # Download

    def download(self, url):
        """The bytes of the artifact, over as many connections as it takes."""
        content = bytearray()
        total = None
        while total is None:
            try:
                answer = self._ask("GET", url)
            except ConnectionCut:
                time.sleep(self.retry_seconds)
                continue
            if answer.status != 200:
                answer.close()
                raise DeploymentFailed(f"artifact GET was answered with {answer.status}")
            total = answer.length()
            if total is None:
                raise DeploymentFailed("artifact without a Content-Length")
            self._receive(answer, content)
        while len(content) < total:
            self.before_resume()
            time.sleep(self.retry_seconds)
            self._resume(url, content, total)
        return bytes(content)

    def _resume(self, url, content, total):
        first, last = len(content), total - 1
        try:
            answer = self._ask("GET", url, [("Range", f"bytes={first}-{last}")])
        except ConnectionCut:
            return
        if answer.status != 206:
            answer.close()
            raise ClientStuck(f"a ranged GET was answered with {answer.status}")
        if answer.headers.get("content-range") not in (f"bytes {first}-{last}/{total}", f"bytes {first}-{last}/*"):
            raise DeploymentFailed(f"Content-Range is {answer.headers.get('content-range')}, asked {first}-{last}/{total}")
        self.resumed_from.append(first)
        self._receive(answer, content)

    def _receive(self, answer, content):
        try:
            for piece in answer.pieces():
                if self.cuts and len(content) + len(piece) > self.cuts[0]:
                    content += piece[:max(0, self.cuts.pop(0) - len(content))]
                    break
                content += piece
        except ConnectionCut:
            pass
        answer.close()

    # Installing

    def install(self, content):
        """Checks the artifact's sums and installs its file. Returns the artifact's name and provides."""
        outer = tarfile.open(fileobj=io.BytesIO(content))
        names = outer.getnames()
        manifest = {}
        for line in outer.extractfile("manifest").read().decode().splitlines():
            checksum, name = line.split("  ", 1)
            manifest[name] = checksum
        header_name = next(n for n in names if n.startswith("header.tar"))
        header_bytes = outer.extractfile(header_name).read()
        self._expect(manifest, header_name, header_bytes)
        header = tarfile.open(fileobj=io.BytesIO(header_bytes))
        info = json.load(header.extractfile("header-info"))
        if self.device_type not in info["artifact_depends"]["device_type"]:
            raise DeploymentFailed(f"the artifact is for {info['artifact_depends']['device_type']}")
        type_info = json.load(header.extractfile("headers/0000/type-info"))
        payload = tarfile.open(fileobj=io.BytesIO(outer.extractfile(next(n for n in names if n.startswith("data/0000"))).read()))
        files = {}
        for entry in payload:
            files[entry.name] = payload.extractfile(entry).read()
            self._expect(manifest, f"data/0000/{entry.name}", files[entry.name])
        if type_info["type"] != "single-file":
            raise DeploymentFailed(f"no module for {type_info['type']}")
        file_name = files["filename"].decode().strip()
        (self.work / "installed").mkdir(exist_ok=True)
        (self.work / "installed" / file_name).write_bytes(files[file_name])
        return info["artifact_provides"]["artifact_name"], type_info.get("artifact_provides", {})

    @staticmethod
    def _expect(manifest, name, content):
        if hashlib.sha256(content).hexdigest() != manifest.get(name):
            raise DeploymentFailed(f"checksum of {name} differs")

    def step(self):
        """One round: inventory, poll, and the deployment if there is one. Returns its outcome or None."""
        self.send_inventory()
        instruction = self.poll()
        if instruction is None:
            return None
        deployment = instruction["id"]
        try:
            self.report(deployment, "downloading")
            content = self.download(instruction["artifact"]["source"]["uri"])
            self.report(deployment, "installing")
            name, provides = self.install(content)
            self._commit(deployment)
        except DeploymentFailed as failure:
            self._log.append(str(failure))
            if self.report(deployment, "failure"):
                self.send_log(deployment)
            return "failure"
        self.artifact_name, self.provides = name, provides
        self._report_success(deployment)
        return "success"

    def _report_success(self, deployment):
        """The last report is sent again when its answer does not come."""
        for _ in range(100):
            try:
                self.report(deployment, "success")
                return
            except (ConnectionCut, OSError):
                time.sleep(self.retry_seconds)

    def _commit(self, deployment):
        while not self.authenticate():
            time.sleep(self.retry_seconds)
        if not self.report(deployment, "installing"):
            raise DeploymentFailed("the server did not take the report before the commit")

    def run(self, *, seconds):
        """Rounds until a deployment has ended; its outcome. Raises TimeoutError."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            try:
                outcome = self.step()
            except (ConnectionCut, OSError):
                outcome = None
            if outcome is not None:
                return outcome
            time.sleep(self.poll_seconds)
        raise TimeoutError(f"no deployment ended within {seconds} s")


def main():
    parser = argparse.ArgumentParser(description="A scripted 5.x client: one device, until a deployment has ended.")
    parser.add_argument("--server", required=True, help="URL of the server")
    parser.add_argument("--ca", required=True, help="CA certificates (PEM)")
    parser.add_argument("--identity", required=True, help="mac address, the identity of the device")
    parser.add_argument("--device-type", default="postern-demo")
    parser.add_argument("--dir", required=True, help="the device's disk")
    parser.add_argument("--key", default="ed25519", choices=("ed25519", "rsa", "ecdsa"))
    parser.add_argument("--cut-at", type=int, action="append", default=[], metavar="BYTE", help="cut the download there")
    parser.add_argument("--retry-seconds", type=float, default=60.0)
    parser.add_argument("--seconds", type=float, default=600.0, help="longest run")
    options = parser.parse_args()
    client = Mender5(options.dir, server_url=options.server, ca=options.ca, identity={"mac": options.identity},
                     device_type=options.device_type, key_type=options.key, retry_seconds=options.retry_seconds)
    client.cuts = sorted(options.cut_at)
    outcome = client.run(seconds=options.seconds)
    print(outcome)
    return 0 if outcome == "success" else 1


if __name__ == "__main__":
    sys.exit(main())
