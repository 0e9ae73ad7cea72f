"""An independent stand-in for Mender's client for microcontrollers: Python's standard library and the openssl command.

It does what mender-mcu does, above all where that is unforgiving:
- its URL parser takes the first ':' after the scheme for the port's, so a bare ':' in a path or query breaks a link;
- `Host` never names the port, and on an artifact download it is sent twice;
- TLS 1.2 and nothing else; a header line beyond its 512-byte buffer is an error; redirects are not followed;
- `Retry-After` counts on a 429 only, in exactly this spelling, and as a decimal number;
- a 401 drops the token, and the request that got it is not repeated;
- the fallback to v1 puts its values into the query unencoded;
- inventory is a PUT at first and a PATCH from then on;
- a download is never resumed; a build may fetch it in ranges over one kept-alive connection, and then wants 206 each time;
- log lines have a comma in their time, and nulls where the client could not read its own line.

"Installs" the one file of an artifact into a directory. As a program: see --help.
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

USER_AGENT = "Mender/1.0.0 MCU Zephyr/4.0.0"
API = "/api/devices/v1"
NEXT_V2 = "/api/devices/v2/deployments/device/deployments/next"
NEXT_V1 = f"{API}/deployments/device/deployments/next"
RECEIVE_BUFFER = 512
TRANSPORT_ATTEMPTS = 5
RANGE_ATTEMPTS = 3
RANGE_INTERVAL = 0.5


class TransportError(Exception):
    """No connection, or it ended early."""


class BadAnswer(Exception):
    """Bytes that this client's HTTP stack cannot digest."""


class DeploymentFailed(Exception):
    """The client gives the deployment up and reports `failure`."""


class DeploymentAborted(DeploymentFailed):
    """The server said so with a 409."""


def split_url(url):
    """(host, port, path) as the real parser finds them. Raises BadAnswer where that one goes wrong."""
    scheme, separator, rest = url.partition("://")
    if not separator or scheme not in ("http", "https"):
        raise BadAnswer(f"URL without a scheme: {url}")
    slash, colon = rest.find("/"), rest.find(":")
    path = rest[slash:] if slash >= 0 else "/"
    if colon < 0:
        return rest[:slash] if slash >= 0 else rest, "443" if scheme == "https" else "80", path
    host = rest[:colon]
    port = rest[colon + 1:slash] if slash >= 0 else rest[colon + 1:]
    if "/" in host or not port.isdigit():
        raise BadAnswer(f"the parser takes {host!r} for the host and {port!r} for the port of {url}")
    return host, port, path


class Answer:
    def __init__(self, status, headers, body=b""):
        self.status = status
        self.headers = headers  #: (name, value) in the spelling received
        self.body = body

    def header(self, name):
        return next((value for key, value in self.headers if key.lower() == name.lower()), None)

    def retry_after(self):
        """Seconds, from a 429 that spells the name as this client does; None otherwise."""
        value = next((value for name, value in self.headers if name == "Retry-After"), "")
        return int(value) if self.status == 429 and value.isdigit() and int(value) > 0 else None


class Connection:
    """One TLS 1.2 connection. `used` says whether it has answered a request."""

    def __init__(self, host, port, tls, timeout):
        self._host = host
        self._data = b""
        try:
            raw = socket.create_connection((host, int(port)), timeout=timeout)
        except OSError as error:
            raise TransportError(str(error)) from error
        try:
            self._socket = tls.wrap_socket(raw, server_hostname=host)
        except OSError as error:
            raw.close()
            raise TransportError(str(error)) from error

    def ask(self, method, path, headers, body=None):
        """Sends a request and reads the head of its answer; `receive` gives the body."""
        # Zephyr writes its own Host first, then the fields of the application.
        lines = [f"{method} {path} HTTP/1.1", f"Host: {self._host}"] + [f"{name}: {value}" for name, value in headers]
        if body is not None:
            lines.append(f"Content-Length: {len(body)}")
        try:
            self._socket.sendall("\r\n".join(lines).encode() + b"\r\n\r\n" + (body or b""))
        except OSError as error:
            raise TransportError(str(error)) from error
        return self._read_head()

    def _read_line(self):
        while b"\r\n" not in self._data:
            if len(self._data) > RECEIVE_BUFFER:
                break
            self._fill()
        line, separator, rest = self._data.partition(b"\r\n")
        if not separator or len(line) > RECEIVE_BUFFER:
            raise BadAnswer(f"a line of {len(line)} bytes: {line[:60]!r}...")
        self._data = rest
        return line.decode("latin-1")

    def _fill(self):
        try:
            piece = self._socket.recv(RECEIVE_BUFFER)
        except OSError as error:
            raise TransportError(str(error)) from error
        if not piece:
            raise TransportError("closed early")
        self._data += piece

    def _read_head(self):
        first = self._read_line().split(" ", 2)
        if len(first) < 2 or not first[0].startswith("HTTP/1.") or not first[1].isdigit():
            raise BadAnswer(f"not a status line: {' '.join(first)!r}")
        headers = []
        while line := self._read_line():
            name, separator, value = line.partition(":")
            if not separator:
                raise BadAnswer(f"not a header: {line!r}")
            headers.append((name, value.strip()))
        return Answer(int(first[1]), headers)

    def receive(self, answer):
        """The body, in pieces as they arrive."""
        if answer.status in (204, 304) or answer.status < 200:
            return
        if (answer.header("transfer-encoding") or "").lower() == "chunked":
            yield from self._receive_chunks()
            return
        length = answer.header("content-length")
        yield from self._receive_bytes(int(length) if length else 0)

    def _receive_bytes(self, left):
        while left > 0:
            if not self._data:
                self._fill()
            piece, self._data = self._data[:left], self._data[left:]
            left -= len(piece)
            yield piece

    def _receive_chunks(self):
        while True:
            size = int(self._read_line().split(";")[0], 16)
            yield from self._receive_bytes(size)
            if size == 0:
                while self._read_line():
                    pass
                return
            self._read_line()

    def close(self):
        self._socket.close()


class Mcu:
    """One device; `work` is its flash. `certificate` and `certificate_key` are for servers that ask for one."""

    def __init__(self, work, *, server_url, ca, identity, device_type, tenant_token="", tier="micro", artifact_name="unknown",
                 certificate=None, certificate_key=None, range_bytes=None, commit_requires_auth=True, poll_seconds=0.2,
                 backoff_seconds=0.1, timeout=30.0):
        if range_bytes is not None and not 1 <= range_bytes <= 65536:
            raise ValueError("the client's ranges have 1 to 65536 bytes")
        self.work = pathlib.Path(work)
        self.work.mkdir(parents=True, exist_ok=True)
        self.server_url = server_url
        self.identity = identity
        self.device_type = device_type
        self.tenant_token = tenant_token
        self.tier = tier
        self.range_bytes = range_bytes
        self.commit_requires_auth = commit_requires_auth
        self.poll_seconds = poll_seconds
        self.backoff_seconds = backoff_seconds
        self.timeout = timeout
        self.artifact_name = artifact_name
        self.provides = {}
        self.attributes = {}  #: what the application adds to the inventory
        #: Lines that the client could not parse back from its own log; a strict server refuses a log that has one.
        self.unparsable_log_lines = []
        self.requests = []  #: (method, path, status) of everything that was answered
        self.waited = []  #: seconds that a Retry-After made it wait
        self._token = None
        self._inventory_sent = False
        self._log = []
        self._tls = ssl.create_default_context(cafile=str(ca))
        self._tls.minimum_version = self._tls.maximum_version = ssl.TLSVersion.TLSv1_2
        if certificate:
            self._tls.load_cert_chain(str(certificate), str(certificate_key))
        self.key = self.work / "key.pem"
        if not self.key.exists():
            self._openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", str(self.key))

    # Keys, by the openssl command

    @staticmethod
    def _openssl(*arguments):
        return subprocess.run(["openssl", *arguments], check=True, capture_output=True, timeout=60).stdout

    def public_key(self):
        return self._openssl("pkey", "-in", str(self.key), "-pubout").decode()

    def _sign(self, message):
        file = self.work / "to_sign"
        file.write_bytes(message)
        return base64.b64encode(self._openssl("dgst", "-sha256", "-sign", str(self.key), str(file))).decode()

    # HTTP

    def _ask(self, method, url, headers, body=None):
        """A request on a connection of its own, with the retries of the transport. Raises TransportError, BadAnswer."""
        host, port, path = split_url(url)
        for attempt in range(TRANSPORT_ATTEMPTS):
            try:
                return self._ask_once(host, port, method, path, headers, body)
            except TransportError:
                if attempt + 1 == TRANSPORT_ATTEMPTS:
                    raise
                time.sleep(0.1 * 2 ** attempt)

    def _ask_once(self, host, port, method, path, headers, body):
        connection = Connection(host, port, self._tls, self.timeout)
        try:
            answer = connection.ask(method, path, headers, body)
            answer.body = b"".join(connection.receive(answer))
        finally:
            connection.close()
        self.requests.append((method, path.split("?")[0], answer.status))
        return answer

    def _call(self, method, path, value=None):
        """An authorized call; None without a token. A 401 costs the token, and this call is lost."""
        if self._token is None and not self.authenticate():
            return None
        headers = [("User-Agent", USER_AGENT), ("Authorization", f"Bearer {self._token}")]
        body = None
        if value is not None:
            headers.append(("Content-Type", "application/json"))
            body = json.dumps(value, separators=(",", ":")).encode()
        answer = self._ask(method, self.server_url + path, headers, body)
        if answer.status == 401:
            self._token = None
        if (seconds := answer.retry_after()) is not None:
            self.waited.append(seconds)
            time.sleep(seconds)
        return answer

    # The protocol

    def authenticate(self):
        """One auth request; True when there is a token."""
        value = {"id_data": json.dumps(self.identity, separators=(",", ":")), "pubkey": self.public_key()}
        if self.tenant_token is not None:
            value["tenant_token"] = self.tenant_token
        value["tier"] = self.tier
        body = json.dumps(value, separators=(",", ":")).encode()
        headers = [("User-Agent", USER_AGENT), ("X-MEN-Signature", self._sign(body)), ("Content-Type", "application/json")]
        answer = self._ask("POST", f"{self.server_url}{API}/authentication/auth_requests", headers, body)
        self._token = answer.body.decode() if answer.status == 200 else None
        return self._token is not None

    def send_inventory(self):
        values = {"artifact_name": self.artifact_name, "device_type": self.device_type, **self.provides, **self.attributes}
        answer = self._call("PATCH" if self._inventory_sent else "PUT", f"{API}/inventory/device/attributes",
                            [{"name": name, "value": value} for name, value in values.items()])
        if answer is not None and answer.status == 200:
            self._inventory_sent = True
        return answer is not None and answer.status == 200

    def poll(self):
        """Asks for a deployment; its instruction or None."""
        provides = {"artifact_name": self.artifact_name, "device_type": self.device_type, **self.provides}
        answer = self._call("POST", NEXT_V2, {"device_provides": provides})
        if answer is not None and answer.status == 404:
            query = f"artifact_name={self.artifact_name}&device_type={self.device_type}"
            answer = self._call("GET", f"{NEXT_V1}?{query}")
        if answer is None or answer.status != 200:
            return None
        instruction = json.loads(answer.body)
        artifact = instruction["artifact"]
        if not artifact["artifact_name"] or self.device_type not in artifact["device_types_compatible"]:
            raise BadAnswer(f"an instruction that this client does not take: {instruction}")
        return instruction

    def report(self, deployment, status):
        """True when the server took the report. Raises DeploymentAborted on 409."""
        answer = self._call("PUT", f"{API}/deployments/device/deployments/{deployment}/status", {"status": status})
        if answer is not None and answer.status == 409:
            raise DeploymentAborted(f"409 on {status}")
        return answer is not None and answer.status == 204

    def send_log(self, deployment):
        """True when the server took the log."""
        messages = [{"timestamp": "1970-01-01T00:39:06,746000Z", "level": "err", "message": line} for line in self._log]
        messages += [{"timestamp": None, "level": None, "message": line} for line in self.unparsable_log_lines]
        answer = self._call("PUT", f"{API}/deployments/device/deployments/{deployment}/log", {"messages": messages})
        return answer is not None and answer.status == 204

    # Download

    def download(self, url):
        """The bytes of the artifact."""
        try:
            return self._download_in_ranges(url) if self.range_bytes else self._download_whole(url)
        except (TransportError, BadAnswer) as error:
            raise DeploymentFailed(f"download: {error}") from error

    @staticmethod
    def _download_headers(host):
        return [("Host", host), ("User-Agent", USER_AGENT)]

    def _download_whole(self, url):
        answer = self._ask("GET", url, self._download_headers(split_url(url)[0]))
        if answer.status != 200:
            raise DeploymentFailed(f"artifact GET was answered with {answer.status}")
        return answer.body

    def _download_in_ranges(self, url):
        host, port, path = split_url(url)
        content, total, connection, failed = bytearray(), None, None, 0
        try:
            while total is None or len(content) < total:
                try:
                    connection = connection or Connection(host, port, self._tls, self.timeout)
                    total = self._fetch_range(connection, path, host, content)
                    failed = 0
                except TransportError:
                    failed += 1
                    if failed == RANGE_ATTEMPTS:
                        raise
                    if connection:
                        connection.close()
                        connection = None
                    time.sleep(RANGE_INTERVAL)
        finally:
            if connection:
                connection.close()
        return bytes(content)

    def _fetch_range(self, connection, path, host, content):
        """Appends the next range; returns the artifact's length. A range beyond the end is the server's to clip."""
        first, last = len(content), len(content) + self.range_bytes - 1
        answer = connection.ask("GET", path, self._download_headers(host) + [("Range", f"bytes={first}-{last}")])
        self.requests.append(("GET", path.split("?")[0], answer.status))
        if answer.status != 206:
            raise DeploymentFailed(f"a ranged GET was answered with {answer.status}")
        given, _, total = (answer.header("content-range") or "").partition("/")
        if not total.isdigit():
            raise DeploymentFailed(f"Content-Range without a total: {answer.header('content-range')!r}")
        if given != f"bytes {first}-{min(last, int(total) - 1)}":
            raise DeploymentFailed(f"Content-Range is {given!r}, asked for {first}-{last}")
        piece = b"".join(connection.receive(answer))
        if len(piece) != min(last, int(total) - 1) - first + 1:
            raise DeploymentFailed(f"{len(piece)} bytes for the range {given!r}")
        content += piece
        return int(total)

    # Installing

    def install(self, content):
        """Checks the artifact's sums and writes its file. Returns the artifact's name and provides."""
        outer = self._entries(content)
        manifest = dict(reversed(line.split("  ", 1)) for line in outer["manifest"].decode().splitlines())
        header_name = next(name for name in outer if name.startswith("header.tar"))
        self._expect(manifest, header_name, outer[header_name])
        self._expect(manifest, "version", outer["version"])
        header = self._entries(outer[header_name])
        info = json.loads(header["header-info"])
        type_info = json.loads(header["headers/0000/type-info"])
        self._check_depends({**info["artifact_depends"], **(type_info.get("artifact_depends") or {})})
        payload = outer[next(name for name in outer if name.startswith("data/0000"))]
        files = self._entries(payload)
        for name, data in files.items():
            self._expect(manifest, f"data/0000/{name}", data)
        name = files["filename"].decode().strip() if type_info["type"] == "single-file" else next(iter(files))
        if "/" in name or name in ("", ".", ".."):
            raise DeploymentFailed(f"file name {name!r}")
        (self.work / "installed").mkdir(exist_ok=True)
        (self.work / "installed" / name).write_bytes(files[name])
        return info["artifact_provides"]["artifact_name"], type_info.get("artifact_provides") or {}

    @staticmethod
    def _entries(data):
        """Name to content of everything in a tar."""
        with tarfile.open(fileobj=io.BytesIO(data)) as archive:
            return {entry.name: archive.extractfile(entry).read() for entry in archive}

    def _check_depends(self, depends):
        mine = {"device_type": self.device_type, "artifact_name": self.artifact_name, **self.provides}
        for name, wanted in depends.items():
            if mine.get(name) not in (wanted if isinstance(wanted, list) else [wanted]):
                raise DeploymentFailed(f"the artifact depends on {name} {wanted}, this device has {mine.get(name)!r}")

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
            name, provides = self._update(deployment, instruction["artifact"]["source"]["uri"])
        except (DeploymentFailed, tarfile.TarError, KeyError, StopIteration) as failure:
            self._log.append(f"{type(failure).__name__}: {failure}")
            self._report_failure(deployment)
            return "failure"
        self.artifact_name, self.provides = name, provides
        try:
            # A report that was not taken is no outcome: the server offers the deployment again.
            return "success" if self.report(deployment, "success") else None
        except DeploymentAborted:
            return "failure"

    def _update(self, deployment, url):
        self.report(deployment, "downloading")
        content = self.download(url)
        self.report(deployment, "installing")
        installed = self.install(content)
        if self.commit_requires_auth:
            if not self.authenticate() or not self.report(deployment, "installing"):
                raise DeploymentFailed("the server did not take the report before the commit")
        return installed

    def _report_failure(self, deployment):
        try:
            if self.report(deployment, "failure"):
                self.send_log(deployment)
        except DeploymentAborted:
            pass  # The server has closed it; there is nothing more to say.

    def run(self, *, seconds):
        """Rounds until a deployment has ended; its outcome. Raises TimeoutError."""
        deadline = time.monotonic() + seconds
        trouble = None
        while time.monotonic() < deadline:
            try:
                outcome = self.step()
            except (TransportError, BadAnswer) as error:
                outcome, trouble = None, error
                time.sleep(self.backoff_seconds)
            if outcome is not None:
                return outcome
            time.sleep(self.poll_seconds)
        raise TimeoutError(f"no deployment ended within {seconds} s; last trouble: {trouble}")


def main():
    parser = argparse.ArgumentParser(description="A scripted microcontroller client: one device, until a deployment has ended.")
    parser.add_argument("--server", required=True, help="URL of the server")
    parser.add_argument("--ca", required=True, help="CA certificates (PEM)")
    parser.add_argument("--identity", required=True, help="mac address, the identity of the device")
    parser.add_argument("--device-type", default="postern-demo")
    parser.add_argument("--dir", required=True, help="the device's flash")
    parser.add_argument("--tenant-token", default="")
    parser.add_argument("--certificate", help="client certificate (PEM), for servers that ask for one")
    parser.add_argument("--certificate-key", help="its key (PEM)")
    parser.add_argument("--range-bytes", type=int, help="fetch artifacts in ranges of this size")
    parser.add_argument("--seconds", type=float, default=600.0, help="longest run")
    options = parser.parse_args()
    client = Mcu(options.dir, server_url=options.server, ca=options.ca, identity={"mac": options.identity},
                 device_type=options.device_type, tenant_token=options.tenant_token, certificate=options.certificate,
                 certificate_key=options.certificate_key, range_bytes=options.range_bytes)
    outcome = client.run(seconds=options.seconds)
    print(outcome)
    return 0 if outcome == "success" else 1


if __name__ == "__main__":
    sys.exit(main())
