"""A stand-in for a foreign Mender server (the open-source one) and its object store, for gateways and clients to talk to.

Python's standard library and the openssl command, no code of ours. What it does as the real one:
- `next` of v2 is unknown: a 404 with an error body; v1 by POST and by GET;
- artifacts come from presigned links on a second host, that end; without a redirect; for GET alone; ranges exactly;
- success of a status or log is 204, of an inventory 200 with `Content-Length: 0`;
- a 401 has a body when the header is missing, and none when the token is bad; an ended token is a 403 once, then a 401;
- deviceconnect's WebSocket, of which only the handshake is understood: what comes is sent back;
- a known identity is preauthorized with `force` only, and a user's token ends.

Runs in threads: `with ForeignServer(work, certificate=..., key=...) as server`. As a program: see --help.
"""

import argparse
import base64
import datetime
import hashlib
import io
import json
import pathlib
import secrets
import sys
import tarfile
import threading
import time
import urllib.parse
import uuid

if __package__ in (None, ""):
    sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from clients.foreign_devauth import DevAuth, Refused, Tokens  # noqa: E402
from clients.https_recorder import PIECE, Recorder, Reply  # noqa: E402

DEVICES = "/api/devices/v1"
MANAGEMENT = "/api/management"
BUCKET = "mender-artifact-storage"
#: What a device may report on its way; the server adds `pending`.
GOING = ("downloading", "installing", "rebooting", "pause_before_installing", "pause_before_committing",
         "pause_before_rebooting")
ACTIVE = ("pending", *GOING)
REPORTS = (*GOING, "success", "failure", "already-installed")


class Download:
    """One GET of an artifact's link: the first byte asked for, the answer's status, and the bytes that have left."""

    def __init__(self, artifact_id, first, status):
        self.artifact_id = artifact_id
        self.first = first
        self.status = status
        self.sent = 0

    def count(self, size):
        self.sent += size

    def __repr__(self):
        return f"<{self.status} from {self.first}: {self.sent} bytes>"


class Artifact:
    """An artifact's file, and what the server reads from its header."""

    def __init__(self, path):
        self.path = pathlib.Path(path)
        self.id = str(uuid.uuid4())
        self.size = self.path.stat().st_size
        with tarfile.open(self.path) as outer:
            name = next(n for n in outer.getnames() if n.startswith("header.tar"))
            with tarfile.open(fileobj=io.BytesIO(outer.extractfile(name).read())) as header:
                info = json.load(header.extractfile("header-info"))
        self.name = info["artifact_provides"]["artifact_name"]
        self.device_types = info["artifact_depends"]["device_type"]


class WebSocket:
    """A device's deviceconnect connection: sends everything back as it came."""

    GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

    def __init__(self, request):
        self.request = request
        self.received = b""
        self.ended = threading.Event()  #: the device's side has ended

    def reply(self):
        key = self.request.header("sec-websocket-key") or ""
        accept = base64.b64encode(hashlib.sha1((key + self.GUID).encode()).digest()).decode()
        return Reply(101, [("Upgrade", "websocket"), ("Connection", "Upgrade"), ("Sec-WebSocket-Accept", accept)],
                     tunnel=self._echo)

    def _echo(self, connection, stream):
        try:
            while data := stream.read1(PIECE):
                self.received += data
                connection.sendall(data)
        finally:
            self.ended.set()


class Deployment:
    """One release for some devices; `statuses` and `logs` by device id."""

    def __init__(self, artifact_name, device_ids):
        self.id = str(uuid.uuid4())
        self.artifact_name = artifact_name
        self.device_ids = list(device_ids)
        self.statuses = dict.fromkeys(self.device_ids, "pending")
        self.reports = {device_id: [] for device_id in self.device_ids}  #: everything reported, in order
        self.logs = {}
        self.asked = {}  # device id to (artifact name, device type)

    @property
    def finished(self):
        return all(status not in ACTIVE for status in self.statuses.values())


class ForeignServer:
    """The server: `devauth` knows devices; `api` and `links` are the two listeners (see Recorder: seen, fail, accepted).

    `api_host` and `link_host` are the names in URLs, and must be in the certificate. `api_listener` and `link_listener`
    are bound sockets, for instance of another network namespace. `link_seconds` is the life of links to come.
    """

    def __init__(self, work, *, certificate, key, api_host="localhost", link_host="127.0.0.1", api_listener=None,
                 link_listener=None, user="gateway", password="a gateway's password", user_token_seconds=604800,
                 device_token_seconds=604800, link_seconds=86400):
        self.work = pathlib.Path(work)
        self.work.mkdir(parents=True, exist_ok=True)
        self.user = user
        self.password = password
        self.link_seconds = link_seconds
        self.devauth = DevAuth(device_token_seconds)
        self.user_tokens = Tokens(user_token_seconds)
        self.artifacts = []
        self.deployments = []
        self.downloads = []  #: Download of every GET that was answered with content
        self.sockets = []  #: WebSocket of every deviceconnect connection
        self._links = {}  # target of a link to (artifact, deadline, life in seconds)
        self._lock = threading.RLock()
        self.api = Recorder(self._answer_api, certificate=certificate, key=key, listener=api_listener)
        self.links = Recorder(self._answer_link, certificate=certificate, key=key, listener=link_listener)
        self.url = f"https://{api_host}:{self.api.port}"
        self.link_host = f"{link_host}:{self.links.port}"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        self.api.stop()
        self.links.stop()

    # What tests do and look at

    def add_artifact(self, artifact):
        """Takes a path, or the bytes of an artifact; returns its Artifact."""
        if isinstance(artifact, bytes):
            path = self.work / f"{hashlib.sha256(artifact).hexdigest()}.mender"
            path.write_bytes(artifact)
            artifact = path
        added = Artifact(artifact)
        with self._lock:
            self.artifacts.append(added)
        return added

    def create_deployment(self, artifact_name, device_ids):
        """Takes ids of devices; returns the Deployment, which changes as devices report."""
        deployment = Deployment(artifact_name, device_ids)
        with self._lock:
            self.deployments.append(deployment)
        return deployment

    def abort(self, deployment):
        with self._lock:
            for device_id, status in deployment.statuses.items():
                if status in ACTIVE:
                    deployment.statuses[device_id] = "aborted"

    def accept(self, device):
        """Accepts a device's newest auth set."""
        self.devauth.set_status(device.id, device.sets[-1].id, "accepted")

    def expire_links(self, seconds=0):
        """Makes all links that are out end within so many seconds."""
        end = time.monotonic() + seconds
        with self._lock:
            self._links = {target: (artifact, min(end, deadline), life)
                           for target, (artifact, deadline, life) in self._links.items()}

    def bytes_sent(self, artifact):
        """Body bytes of an artifact that left, over all its downloads."""
        return sum(d.sent for d in self.downloads if d.artifact_id == artifact.id)

    def download_count(self, artifact):
        return sum(1 for d in self.downloads if d.artifact_id == artifact.id)

    # The API

    def _answer_api(self, request):
        request_id = request.header("x-men-requestid") or str(uuid.uuid4())
        try:
            reply = self._route(request)
        except Refused as refused:
            reply = error_reply(refused, request_id)
        reply.headers.append(("X-MEN-RequestID", request_id))
        return reply

    def _route(self, request):
        """Only the two kinds of log-in are open to everyone."""
        path = request.path
        if path == f"{DEVICES}/authentication/auth_requests":
            return self._authenticate(request)
        if path == f"{MANAGEMENT}/v1/useradm/auth/login":
            return self._log_in(request)
        if path.startswith(f"{MANAGEMENT}/"):
            self.user_tokens.check(request, expired_status=401)
            return self._manage(request, path.removeprefix(f"{MANAGEMENT}/"))
        if path.startswith("/api/devices/"):
            return self._answer_device(request, self.devauth.check(request))
        raise Refused(404, "not found")

    def _authenticate(self, request):
        require(request, "POST")
        require_json(request)
        return Reply(200, [("Content-Type", "application/jwt")], self.devauth.authenticate(request).encode())

    def _answer_device(self, request, device):
        parts = request.path.removeprefix(f"{DEVICES}/").split("/")
        if request.path == f"{DEVICES}/deployments/device/deployments/next":
            return self._next(request, device)
        if request.path.startswith(f"{DEVICES}/inventory/"):
            # The real one's edge takes any path below this for the attributes.
            return self._take_inventory(request, device)
        if request.path == f"{DEVICES}/deviceconnect/connect":
            return self._connect(request)
        if len(parts) == 5 and parts[:3] == ["deployments", "device", "deployments"]:
            if parts[4] == "status":
                return self._take_status(request, device, parts[3])
            if parts[4] == "log":
                return self._take_log(request, device, parts[3])
        raise Refused(404, "not found")

    def _connect(self, request):
        require(request, "GET")
        if (request.header("upgrade") or "").lower() != "websocket" or request.header("sec-websocket-version") != "13":
            raise Refused(400, "websocket: the client is not using the websocket protocol")
        socket = WebSocket(request)
        with self._lock:
            self.sockets.append(socket)
        return socket.reply()

    # Deployments

    def _next(self, request, device):
        require(request, "GET", "POST")
        if request.method == "POST":
            require_json(request)
            value = decode(request)
            asked = value.get("artifact_name"), value.get("device_type")
        else:
            asked = tuple(request.query.get(name, [""])[0] for name in ("artifact_name", "device_type"))
        if not all(isinstance(text, str) and 0 < len(text) <= 4096 for text in asked):
            raise Refused(400, "artifact_name and device_type must be provided")
        with self._lock:
            instruction = self._select(device, *asked)
        return Reply(204) if instruction is None else json_reply(200, instruction)

    def _select(self, device, artifact_name, device_type):
        """The oldest deployment that is not over for this device decides; at most one in an answer."""
        deployment = next((d for d in self.deployments if d.statuses.get(device.id, "") in ACTIVE), None)
        if deployment is None:
            return None
        if deployment.asked.setdefault(device.id, (artifact_name, device_type)) != (artifact_name, device_type):
            deployment.statuses[device.id] = "failure"
            raise Refused(409, "Device provided conflicting request data")
        fitting = [a for a in self.artifacts if a.name == deployment.artifact_name and device_type in a.device_types]
        if not fitting:
            deployment.statuses[device.id] = "noartifact"
            return None
        artifact = min(fitting, key=lambda a: a.size)
        if artifact.name == artifact_name and deployment.statuses[device.id] == "pending":
            deployment.statuses[device.id] = "already-installed"
            return None
        uri, expire = self._presign(artifact)
        return {"id": deployment.id,
                "artifact": {"id": artifact.id, "artifact_name": artifact.name,
                             "source": {"uri": uri, "expire": expire, "method": "GET"},
                             "device_types_compatible": artifact.device_types}}

    def _deployment_of(self, device, deployment_id, error):
        deployment = next((d for d in self.deployments if d.id == deployment_id), None)
        if deployment is None or device.id not in deployment.statuses:
            raise Refused(404, error)
        return deployment

    def _take_status(self, request, device, deployment_id):
        require(request, "PUT")
        require_json(request)
        status = decode(request).get("status")
        if status not in REPORTS:
            raise Refused(400, "unknown status value")
        with self._lock:
            deployment = self._deployment_of(device, deployment_id, "Resource not found")
            deployment.reports[device.id].append(status)
            if deployment.statuses[device.id] == "aborted":
                raise Refused(409, "Deployment aborted")
            deployment.statuses[device.id] = status
        return Reply(204)

    def _take_log(self, request, device, deployment_id):
        require(request, "PUT")
        require_json(request)
        messages = decode(request).get("messages")
        if not isinstance(messages, list) or not messages:
            raise Refused(400, "messages: cannot be blank.")
        for message in messages:
            # Null times and empty levels are refused, and the whole log is lost with them.
            if not all(isinstance(message.get(name), str) and message[name] for name in ("timestamp", "level", "message")):
                raise Refused(400, "messages: timestamp, level and message cannot be blank.")
        with self._lock:
            self._deployment_of(device, deployment_id, "Deployment not found").logs[device.id] = messages
        return Reply(204)

    def _take_inventory(self, request, device):
        require(request, "PUT", "PATCH")
        require_json(request)
        attributes = decode(request, kind=list)
        for attribute in attributes:
            value = attribute.get("value") if isinstance(attribute, dict) else None
            if not isinstance(value, (str, int, float, list)) or isinstance(value, bool) or not attribute.get("name"):
                raise Refused(400, "failed to decode request body: supported types are string, float64, and arrays thereof")
        merged = {} if request.method == "PUT" else dict(device.attributes)
        merged.update({a["name"]: a["value"] for a in attributes})
        if len(merged) > 100:
            raise Refused(400, "the number of attributes in the scope is above the limit")
        device.attributes = merged
        return Reply(200)

    # Management

    def _log_in(self, request):
        require(request, "POST")
        scheme, _, pair = (request.header("authorization") or "").partition(" ")
        if scheme.lower() != "basic":
            raise Refused(401, "invalid or missing auth header")
        if pair != base64.b64encode(f"{self.user}:{self.password}".encode()).decode():
            raise Refused(401, "unauthorized")
        token = self.user_tokens.issue(str(uuid.uuid4()), str(uuid.uuid4()), {"mender.user": True, "mender.trial": False})
        return Reply(200, [("Content-Type", "application/jwt")], token.encode())

    def _manage(self, request, path):
        parts = path.split("/")
        if parts[:3] == ["v1", "deployments", "artifacts"]:
            require(request, "GET")
            return self._answer_artifacts(request, parts[3:])
        if parts[:3] != ["v2", "devauth", "devices"]:
            raise Refused(404, "not found")
        if len(parts) == 3:
            require(request, "GET", "POST")
            if request.method == "POST":
                return self._preauthorize(request)
            status = request.query.get("status", [None])[0]
            return json_reply(200, [d.as_json() for d in self.devauth.devices(status)])
        if len(parts) == 4:
            require(request, "GET", "DELETE")
            device = self.devauth.device(parts[3])
            if device is None:
                raise Refused(404, "device not found")
            if request.method == "GET":
                return json_reply(200, device.as_json())
            self.devauth.remove(device.id)
            return Reply(204)
        if len(parts) == 7 and parts[4] == "auth" and parts[6] == "status":
            require(request, "PUT")
            self.devauth.set_status(parts[3], parts[5], decode(request).get("status"))
            return Reply(204)
        raise Refused(404, "not found")

    def _answer_artifacts(self, request, parts):
        if not parts:
            name = request.query.get("name", [""])[0].lower()
            return json_reply(200, [{"id": a.id, "name": a.name, "size": a.size, "device_types_compatible": a.device_types}
                                    for a in self.artifacts if name in a.name.lower()])
        artifact = next((a for a in self.artifacts if a.id == parts[0]), None)
        if artifact is None or parts[1:] != ["download"]:
            raise Refused(404, "Resource not found")
        uri, expire = self._presign(artifact)
        return json_reply(200, {"uri": uri, "expire": expire, "method": "GET"})

    def _preauthorize(self, request):
        require_json(request)
        device, added = self.devauth.preauthorize(request.body)
        if not added:
            return json_reply(409, {**device.as_json(), "auth_sets": None})
        return Reply(201, [("Location", f"devices/{device.id}")])

    # The object store

    def _presign(self, artifact):
        """(link, its end) in the form of a SigV4 query-presigned GET. Nothing after the host has a bare colon."""
        now = datetime.datetime.now(datetime.timezone.utc)
        query = urllib.parse.urlencode({
            "X-Amz-Algorithm": "AWS4-HMAC-SHA256",
            "X-Amz-Credential": f"mender/{now:%Y%m%d}/us-east-1/s3/aws4_request",
            "X-Amz-Date": f"{now:%Y%m%dT%H%M%SZ}",
            "X-Amz-Expires": str(int(self.link_seconds)),
            "X-Amz-SignedHeaders": "host",
            "response-content-disposition": f'attachment; filename="{artifact.name}.mender"',
            "response-content-type": "application/vnd.mender-artifact",
            "x-id": "GetObject",
            "X-Amz-Signature": secrets.token_hex(32)}, quote_via=urllib.parse.quote, safe="")
        target = f"/{BUCKET}/{artifact.id}?{query}"
        self._links[target] = artifact, time.monotonic() + self.link_seconds, self.link_seconds
        end = now + datetime.timedelta(seconds=self.link_seconds)
        return f"https://{self.link_host}{target}", end.strftime("%Y-%m-%dT%H:%M:%S.%fZ")

    def _answer_link(self, request):
        with self._lock:
            artifact, deadline, life = self._links.get(request.target, (None, 0, 0))
        # The signature is of the method, the target and the host; some clients leave the port away.
        hosts = set(request.header_values("host"))
        if artifact is None or request.method != "GET" or not hosts <= {self.link_host, self.link_host.split(":")[0]}:
            return xml_reply(403, "SignatureDoesNotMatch",
                             "The request signature we calculated does not match the signature you provided.")
        if time.monotonic() >= deadline:
            now = datetime.datetime.now(datetime.timezone.utc)
            return xml_reply(403, "AccessDenied", "Request has expired",
                             f"<X-Amz-Expires>{int(life)}</X-Amz-Expires><ServerTime>{now:%Y-%m-%dT%H:%M:%SZ}</ServerTime>")
        return self._send_artifact(request, artifact)

    def _send_artifact(self, request, artifact):
        headers = [("Accept-Ranges", "bytes"), ("Content-Type", "application/vnd.mender-artifact"),
                   ("Content-Disposition", f'attachment; filename="{artifact.name}.mender"'),
                   ("ETag", f'"{artifact.id.replace("-", "")}"'), ("x-amz-request-id", secrets.token_hex(8).upper())]
        status, first, end = 200, 0, artifact.size
        if (asked := request.header("range")) is not None and (found := parse_range(asked, artifact.size)) is not None:
            if found == "unsatisfiable":
                reply = xml_reply(416, "InvalidRange", "The requested range is not satisfiable")
                reply.headers.append(("Content-Range", f"bytes */{artifact.size}"))
                return reply
            status, (first, end) = 206, found
            headers.append(("Content-Range", f"bytes {first}-{end - 1}/{artifact.size}"))
        download = Download(artifact.id, first, status)
        with self._lock:
            self.downloads.append(download)
        return Reply(status, headers, pieces=file_pieces(artifact.path, first, end), length=end - first, sent=download.count)


def file_pieces(path, first, end):
    """The bytes of a file from `first` up to `end`."""
    with open(path, "rb") as file:
        file.seek(first)
        left = end - first
        while left > 0:
            piece = file.read(min(PIECE, left))
            if not piece:
                raise OSError(f"{path} has become shorter")
            left -= len(piece)
            yield piece


def parse_range(text, size):
    """(first, end) of a single byte range, "unsatisfiable", or None for what a server ignores."""
    unit, _, spec = text.partition("=")
    first, dash, last = spec.partition("-")
    if unit != "bytes" or not dash or "," in spec or not all(part == "" or part.isdigit() for part in (first, last)):
        return None
    if first == "":
        if last == "":
            return None
        return (max(0, size - int(last)), size) if int(last) and size else "unsatisfiable"
    if last != "" and int(last) < int(first):
        return None
    if int(first) >= size:
        return "unsatisfiable"
    return int(first), size if last == "" else min(int(last) + 1, size)


def json_reply(status, value):
    return Reply(status, [("Content-Type", "application/json")], json.dumps(value, separators=(",", ":")).encode())


def error_reply(refused, request_id):
    if refused.error is None:
        return Reply(refused.status, refused.headers)
    body = json.dumps({"error": refused.error, "request_id": request_id}).encode()
    return Reply(refused.status, [*refused.headers, ("Content-Type", "application/json; charset=utf-8")], body)


def xml_reply(status, code, message, more=""):
    body = (f'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>{code}</Code><Message>{message}</Message>{more}'
            f"<RequestId>{secrets.token_hex(8).upper()}</RequestId></Error>")
    return Reply(status, [("Content-Type", "application/xml")], body.encode())


def require(request, *methods):
    if request.method not in methods:
        raise Refused(405, "method not allowed")


def require_json(request):
    if (request.header("content-type") or "").split(";")[0].strip().lower() != "application/json":
        raise Refused(415, "Bad Content-Type, expected 'application/json'")


def decode(request, *, kind=dict):
    try:
        value = json.loads(request.body)
    except ValueError as error:
        raise Refused(400, f"failed to decode request body: {error}") from error
    if not isinstance(value, kind):
        raise Refused(400, "failed to decode request body: unexpected type")
    return value


def main():
    parser = argparse.ArgumentParser(
        description="A stand-in for a foreign Mender server. Prints its URL, accepts every device, and gives each the last "
                    "artifact named here. Runs until its standard input ends.")
    parser.add_argument("--certificate", required=True, help="certificate chain (PEM) for both hosts")
    parser.add_argument("--key", required=True, help="its key (PEM)")
    parser.add_argument("--dir", required=True, help="where it may write")
    parser.add_argument("--api-host", default="localhost", help="host name in its URL")
    parser.add_argument("--link-host", default="127.0.0.1", help="host name in links")
    parser.add_argument("--artifact", action="append", default=[], help="an artifact's file; may be repeated")
    options = parser.parse_args()
    with ForeignServer(options.dir, certificate=options.certificate, key=options.key, api_host=options.api_host,
                       link_host=options.link_host) as server:
        server.devauth.accept_everything = True
        artifacts = [server.add_artifact(path) for path in options.artifact]
        print(json.dumps({"url": server.url, "links": server.link_host}), flush=True)
        reader = threading.Thread(target=sys.stdin.read, daemon=True)
        reader.start()
        known = set()
        while reader.is_alive():
            new = {device.id for device in server.devauth.devices("accepted")} - known
            if new and artifacts:
                server.create_deployment(artifacts[-1].name, new)
            known |= new
            reader.join(timeout=0.2)
        for deployment in server.deployments:
            print(json.dumps(deployment.statuses))


if __name__ == "__main__":
    main()
