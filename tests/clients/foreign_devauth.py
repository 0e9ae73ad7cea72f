"""Who may talk to the stand-in for a foreign server: its devices with their auth sets and tokens, and its users' tokens.

States and answers are the open-source Mender server's. Signatures are checked by the openssl command.
"""

import base64
import binascii
import json
import pathlib
import secrets
import subprocess
import tempfile
import threading
import time
import uuid

STRENGTH = ("accepted", "preauthorized", "pending", "rejected")
#: Object identifiers inside a public key's DER, by which the kinds are told apart.
KEY_KINDS = {bytes.fromhex("2a864886f70d010101"): "rsa", bytes.fromhex("2a8648ce3d0201"): "ecdsa",
             bytes.fromhex("06032b6570"): "ed25519"}


class Refused(Exception):
    """An answer other than success: its status, and the text of its error body (None: no body)."""

    def __init__(self, status, error=None, headers=()):
        super().__init__(f"{status} {error}")
        self.status = status
        self.error = error
        self.headers = headers


def canonical_identity(value):
    """The server's own text of an identity object: sorted, dense, and escaped as Go does it."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def canonical_key(pem):
    """The key's text with 64-column lines. Raises Refused."""
    done = subprocess.run(["openssl", "pkey", "-pubin", "-pubout"], input=pem.encode(), capture_output=True, timeout=60)
    if done.returncode != 0 or not pem.startswith("-----BEGIN PUBLIC KEY-----"):
        raise Refused(400, "invalid auth request: cannot decode public key")
    return done.stdout.decode()


def signature_is_good(pem, body, signature_base64):
    """Checks X-MEN-Signature over the very bytes of a body, with the key in it."""
    try:
        signature = base64.b64decode(signature_base64.replace("\r", "").replace("\n", ""), validate=True)
    except binascii.Error:
        return False
    der = base64.b64decode("".join(pem.split("-----")[2].split()))
    kind = next((kind for oid, kind in KEY_KINDS.items() if oid in der[:40]), None)
    with tempfile.TemporaryDirectory(prefix="foreign-") as directory:
        paths = {name: str(pathlib.Path(directory) / name) for name in ("key", "body", "signature")}
        for name, content in (("key", pem.encode()), ("body", body), ("signature", signature)):
            pathlib.Path(paths[name]).write_bytes(content)
        if kind == "ed25519":
            command = ["openssl", "pkeyutl", "-verify", "-pubin", "-inkey", paths["key"], "-rawin", "-in", paths["body"],
                       "-sigfile", paths["signature"]]
        else:
            command = ["openssl", "dgst", "-sha256", "-verify", paths["key"], "-signature", paths["signature"], paths["body"]]
        return subprocess.run(command, capture_output=True, timeout=60).returncode == 0


def jwt(claims):
    """A token in the form of a JWT. Nobody outside the server can check its signature, so that is random."""
    def part(content):
        return base64.urlsafe_b64encode(content).rstrip(b"=").decode()

    head = json.dumps({"alg": "RS256", "kid": 0, "typ": "JWT"}, separators=(",", ":")).encode()
    return f"{part(head)}.{part(json.dumps(claims, separators=(',', ':')).encode())}.{part(secrets.token_bytes(256))}"


class Tokens:
    """The tokens that a server has given out; `seconds` is the life of those to come."""

    def __init__(self, seconds):
        self.seconds = seconds
        self.issued = 0
        self._lock = threading.RLock()
        self._live = {}  # token to (subject, jti, deadline)

    def issue(self, subject, jti, claims):
        now = time.time()
        token = jwt({"jti": jti, "sub": subject, "exp": int(now + self.seconds), "iat": int(now), "nbf": -62135596800,
                     "iss": "Mender", **claims})
        with self._lock:
            self._live[token] = (subject, jti, time.monotonic() + self.seconds)
            self.issued += 1
        return token

    def check(self, request, *, expired_status):
        """(subject, jti) of a request's token. Raises Refused with the body that the edge gives, or without."""
        value = request.header("authorization")
        realm = [("WWW-Authenticate", 'Bearer realm="ManagementJWT"')]
        if value is None:
            raise Refused(401, "Authorization not present in header", realm)
        parts = value.split(" ")
        if len(parts) != 2:
            raise Refused(401, "malformed Authorization header", realm)
        if parts[0].lower() != "bearer":
            raise Refused(401, f"unknown Authorization method {parts[0]}", realm)
        subject, jti, deadline = self._live.get(parts[1], (None, None, 0))
        if subject is None:
            raise Refused(401)
        if time.monotonic() > deadline:
            # The record goes with the first use after the end, so the next use gives a 401.
            self.revoke(jti)
            raise Refused(expired_status)
        return subject, jti

    def revoke(self, jti):
        with self._lock:
            self._live = {token: entry for token, entry in self._live.items() if entry[1] != jti}

    def expire(self):
        """Makes all that are out end now."""
        with self._lock:
            self._live = {token: (subject, jti, 0) for token, (subject, jti, _) in self._live.items()}


class AuthSet:
    def __init__(self, key, status):
        self.id = str(uuid.uuid4())
        self.key = key
        self.status = status
        self.created = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


class Device:
    def __init__(self, identity):
        self.id = str(uuid.uuid4())
        self.identity = identity
        self.sets = []
        self.attributes = {}  #: inventory, by name

    @property
    def status(self):
        return next((status for status in STRENGTH if any(s.status == status for s in self.sets)), "noauth")

    def find_set(self, key):
        return next((s for s in self.sets if s.key == key), None)

    def as_json(self):
        sets = [{"id": s.id, "pubkey": s.key, "identity_data": self.identity, "status": s.status, "ts": s.created}
                for s in self.sets]
        return {"id": self.id, "identity_data": self.identity, "status": self.status, "auth_sets": sets,
                "decommissioning": False}


class DevAuth:
    """All devices. Its calls may come from any thread."""

    def __init__(self, token_seconds):
        self.lock = threading.RLock()
        self.tokens = Tokens(token_seconds)
        self.accept_everything = False
        self._devices = {}  # canonical identity to device

    def devices(self, status=None):
        with self.lock:
            return [d for d in self._devices.values() if status in (None, d.status)]

    def device(self, device_id):
        return next((d for d in self.devices() if d.id == device_id), None)

    def find(self, **identity):
        """The device whose identity has these values; None without."""
        return next((d for d in self.devices() if all(d.identity.get(k) == v for k, v in identity.items())), None)

    def authenticate(self, request):
        """The token for an auth request, which may create a device on its way to a 401. Raises Refused."""
        identity, key = self._parse(request)
        signature = request.header("x-men-signature")
        if not signature:
            raise Refused(400, "missing request signature header")
        if not signature_is_good(key, request.body, signature):
            raise Refused(401, "signature verification failed")
        with self.lock:
            device = self._devices.setdefault(canonical_identity(identity), Device(identity))
            auth_set = device.find_set(key)
            if auth_set is None:
                auth_set = AuthSet(key, "pending")
                device.sets.append(auth_set)
            if auth_set.status == "preauthorized" or self.accept_everything:
                self._accept(device, auth_set)
            if auth_set.status != "accepted":
                raise Refused(401, "dev auth: unauthorized")
            claims = {"mender.device": True, "mender.plan": "enterprise", "mender.trial": False,
                      "mender.addons": [{"name": n, "enabled": True} for n in ("configure", "troubleshoot", "monitor")]}
            return self.tokens.issue(device.id, auth_set.id, claims)

    @staticmethod
    def _parse(request):
        try:
            body = json.loads(request.body)
            text, key = body.get("id_data"), body.get("pubkey")
        except (ValueError, AttributeError) as error:
            raise Refused(400, f"failed to decode auth request: {error}") from error
        for name, value in (("id_data", text), ("pubkey", key)):
            if not isinstance(value, str) or not value:
                raise Refused(400, f"invalid auth request: {name} must be provided")
        key = canonical_key(key)
        try:
            identity = json.loads(text)
        except ValueError as error:
            raise Refused(400, f"invalid auth request: {error}") from error
        if not isinstance(identity, dict):
            raise Refused(400, "invalid auth request: id_data is not an object")
        return identity, key

    def _accept(self, device, auth_set):
        for other in device.sets:
            if other is not auth_set and other.status == "accepted":
                other.status = "rejected"
                self.tokens.revoke(other.id)
        auth_set.status = "accepted"

    def check(self, request):
        """The device of a request's token. Raises Refused."""
        with self.lock:
            device_id, jti = self.tokens.check(request, expired_status=403)
            device = self.device(device_id)
            if device is None or not any(s.id == jti and s.status == "accepted" for s in device.sets):
                raise Refused(401)
            return device

    def preauthorize(self, body):
        """(device, True) when it was added; (device, False) when the identity is known and `force` is not set."""
        try:
            value = json.loads(body)
            identity, key, force = value["identity_data"], value["pubkey"], value.get("force", False)
            if not isinstance(identity, dict) or not identity or not isinstance(key, str) or not isinstance(force, bool):
                raise ValueError("identity_data, pubkey or force")
            key = canonical_key(key)
        except (ValueError, KeyError, TypeError, AttributeError, Refused) as error:
            raise Refused(400, f"failed to decode preauth request: {error}") from error
        with self.lock:
            known = self._devices.get(canonical_identity(identity))
            if known is not None and not force:
                return known, False
            device = known or self._devices.setdefault(canonical_identity(identity), Device(identity))
            auth_set = device.find_set(key)
            if auth_set is None:
                device.sets.append(AuthSet(key, "preauthorized"))
            else:
                # Also an accepted one: its tokens are no good until the device authenticates again.
                auth_set.status = "preauthorized"
            return device, True

    def set_status(self, device_id, set_id, status):
        with self.lock:
            device = self.device(device_id)
            auth_set = next((s for s in device.sets if s.id == set_id), None) if device else None
            if auth_set is None:
                raise Refused(404, "authorization set not found")
            if status not in ("accepted", "rejected", "pending"):
                raise Refused(400, "incorrect device status")
            if auth_set.status == "preauthorized":
                raise Refused(400, "dev auth: bad request")
            if status == "accepted":
                self._accept(device, auth_set)
            else:
                if auth_set.status == "accepted":
                    self.tokens.revoke(auth_set.id)
                auth_set.status = status

    def remove(self, device_id):
        with self.lock:
            device = self.device(device_id)
            if device is None:
                raise Refused(404)
            for auth_set in device.sets:
                self.tokens.revoke(auth_set.id)
            del self._devices[canonical_identity(device.identity)]
