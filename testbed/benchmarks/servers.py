"""What is measured, and what stands around it: the gateway, nginx, the bare loop, and the upstream of all three."""

import http.client
import json
import os
import pathlib
import re
import shutil
import socket
import ssl
import subprocess

from clients.debian_mender import wait_until, write_single_file_artifact
from gateway_harness import Authority, Gateway, auth_body
from measure import BenchError, Target
from server_process import tool

HERE = pathlib.Path(__file__).resolve().parent
API = "/api/devices/v1"
POLL = f"{API}/deployments/device/deployments/next"
ALIVE = "/api/internal/v1/gateway/alive"
#: A device's type that no artifact has.
NOTHING = "nothing"


def pinned(core):
    return ["taskset", "-c", str(core)]


def version_of(command):
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return (done.stdout + done.stderr).strip().splitlines()[0]


class Artifact:
    """An artifact of random bytes, by mender-artifact; a device is told to install the one that its type names."""

    def __init__(self, work, name, size):
        payload = work / f"{name}.bin"
        with open(payload, "wb") as file:
            for _ in range(size >> 20):
                file.write(os.urandom(1 << 20))
        self.name = name
        self.path = write_single_file_artifact(work / f"{name}.mender", name=name, device_type=name, payload=payload)
        payload.unlink()
        self.size = self.path.stat().st_size
        self.sha256 = subprocess.run(["sha256sum", self.path], check=True, capture_output=True, text=True).stdout.split()[0]


class BenchServer:
    """bench-server: with `client_ca` it is the bare loop, without the upstream."""

    def __init__(self, work, authority, artifacts, *, core, name, client_ca=None, node=None):
        self.name = name
        self.node = node
        self.address = node.address if node else "127.0.0.1"
        self.host = self.address if node else "localhost"
        self.ca = authority.server_ca
        certificate, key = authority.issue("server", name, "--dns", "localhost", "--ip", self.address)
        command = [*(node.prefix if node else ()), *pinned(core), tool("bench-server"), "--address", self.address,
                   "--host", self.host, "--certificate", certificate, "--key", key]
        if client_ca:
            command += ["--client-ca", str(client_ca)]
        for artifact in artifacts:
            command += ["--artifact", f"{artifact.name}={artifact.path}"]
        with open(work / f"{name}.log", "wb") as log:
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log, text=True)
        line = self._process.stdout.readline().strip()
        if not line:
            self.stop()
            raise BenchError(f"{name} did not start: {(work / f'{name}.log').read_text()}")
        self.port = int(line)

    @property
    def url(self):
        return f"https://{self.host}:{self.port}"

    @property
    def pid(self):
        return self._process.pid

    def gateway_settings(self):
        return {"Features": {"mTLS": {"MenderUsername": "gateway", "MenderPassword": "a gateway's password"}}}

    def target(self, path):
        return Target(self.name, path=path, address=self.address, port=self.port, name=self.host, ca=self.ca,
                      pid=self.pid)

    def downloads(self, artifact):
        return self.target(f"/artifacts/{artifact.name}")

    def counters(self):
        """What was asked for so far, and the body bytes of artifacts that were sent."""
        connection = http.client.HTTPSConnection(self.host, self.port, timeout=30,
                                                 context=ssl.create_default_context(cafile=str(self.ca)))

        def ask():
            connection.request("GET", "/bench/counters")
            return json.loads(connection.getresponse().read())

        try:
            return self.node.call(ask) if self.node else ask()
        finally:
            connection.close()

    def stop(self):
        self._process.kill()
        self._process.wait()
        self._process.stdout.close()


class BenchGateway:
    """`postern-gateway` on its core, with devices that it has let in."""

    name = "gateway"

    def __init__(self, work, upstream, authority, *, core, node=None):
        self._gateway = Gateway(work / "gateway", upstream, authority, node=node,
                                settings={"Postern": {"Threads": 1, "Cache": {"BytesMax": 4 << 30}}})
        self._core = core
        self._links = {}
        self.start()

    @property
    def pid(self):
        return self._gateway.process.pid

    def start(self):
        self._gateway.start(wrap=pinned(self._core))

    def stop(self):
        self._gateway.stop()

    def restart(self):
        self.stop()
        self.start()

    def admit(self, number, certificate, *, node=None):
        """Lets a device in; returns its token."""
        body, signature = auth_body(certificate[1], f"02:be:00:00:{number >> 8:02x}:{number & 255:02x}")
        answer = self._ask("POST", f"{API}/authentication/auth_requests", body,
                           {"Content-Type": "application/json", "X-MEN-Signature": signature}, certificate, node)
        if answer.status != 200:
            raise BenchError(f"the gateway does not let device {number} in: {answer}\n{self._gateway.log()[-2000:]}")
        return answer.body.decode()

    def learn_link(self, artifact, certificate, token, *, node=None):
        """Asks as a device what to install, and keeps the gateway's link for downloads()."""
        answer = self._ask("GET", f"{POLL}?artifact_name=none&device_type={artifact.name}", None,
                           {"Authorization": f"Bearer {token}"}, certificate, node)
        if answer.status != 200:
            raise BenchError(f"the gateway gives no link: {answer}\n{self._gateway.log()[-2000:]}")
        self._links[artifact.name] = re.sub(r"^https://[^/]+", "", answer.json()["artifact"]["source"]["uri"])

    def _ask(self, method, path, body, headers, certificate, node):
        def ask():
            return self._gateway.ask(method, path, body, headers, certificate=certificate)

        return node.call(ask) if node else ask()

    def target(self, path):
        return Target(self.name, path=path, address=self._gateway.address, port=self._gateway.port, name=self._gateway.host,
                      ca=self._gateway.ca, pid=self.pid)

    def downloads(self, artifact):
        return self.target(self._links[artifact.name])

    def alive(self):
        return self.target(ALIVE)

    def poll(self):
        return self.target(f"{POLL}?artifact_name=none&device_type={NOTHING}")

    @property
    def cache_files(self):
        return [path for path in self._gateway.cache_path.rglob("*") if path.is_file()]


class Nginx:
    """nginx with the configuration beside this file, on the same core, with a certificate of the same kind."""

    name = "nginx"

    def __init__(self, work, upstream, authority, *, core):
        program = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
        if program is None:
            raise BenchError("nginx is missing: apt-get install nginx-light, or run testbed/setup/packages")
        self._work = work / "nginx"
        self._work.mkdir()
        self._core = core
        self._program = program
        self.ca = authority.server_ca
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        certificate, key = authority.issue("server", "nginx", "--dns", "localhost")
        self._words = {"WORK": self._work, "CERTIFICATE": certificate, "KEY": key, "CLIENT_CA": authority.device_ca,
                       "UPSTREAM": f"127.0.0.1:{upstream.port}", "UPSTREAM_CA": upstream.ca, "UPSTREAM_NAME": upstream.host,
                       "LISTEN": f"127.0.0.1:{self.port}"}
        self._process = None
        self.configure()
        self.start()

    def configure(self, *, aio="off", listen_options=""):
        """What differs between rows; of effect from the next start."""
        words = {**self._words, "AIO": aio, "LISTEN_OPTIONS": listen_options}
        text = re.sub(r"@([A-Z_]+)@", lambda found: str(words[found[1]]), (HERE / "nginx.conf").read_text())
        (self._work / "nginx.conf").write_text(text)

    @property
    def version(self):
        return version_of([self._program, "-v"])

    @property
    def pid(self):
        return self._process.pid

    def start(self):
        log = self._work / "nginx.log"
        with open(self._work / "output.log", "ab") as output:
            self._process = subprocess.Popen([*pinned(self._core), self._program, "-p", str(self._work), "-e", str(log),
                                              "-c", str(self._work / "nginx.conf")], stdin=subprocess.DEVNULL,
                                             stdout=output, stderr=output)

        def listens():
            if self._process.poll() is not None:
                raise BenchError(f"nginx ended with {self._process.returncode}: {log.read_text()[-2000:]}")
            with socket.socket() as probe:
                return probe.connect_ex(("127.0.0.1", self.port)) == 0

        wait_until(listens, seconds=20, what="the start of nginx", every=0.05)

    def stop(self):
        self._process.terminate()
        self._process.wait(timeout=30)

    def restart(self):
        self.stop()
        self.start()

    def target(self, path):
        return Target(self.name, path=path, address="127.0.0.1", port=self.port, name="localhost", ca=self.ca, pid=self.pid)

    def downloads(self, artifact):
        return self.target(f"/artifacts/{artifact.name}")

    def alive(self):
        return self.target("/alive")

    def poll(self):
        return self.target(f"{POLL}?artifact_name=none&device_type={NOTHING}")

    @property
    def cache_files(self):
        return [path for path in (self._work / "cache").rglob("*") if path.is_file()]


def make_identities(path, authority, gateway, count, *, node=None):
    """Certificates and tokens of so many devices, which the gateway lets in, as a file for bench-load. Returns the first
    device's certificate and token."""
    first, lines = None, []
    for number in range(count):
        certificate = authority.issue("device", f"bench-{number}")
        token = gateway.admit(number, certificate, node=node)
        first = first or (certificate, token)
        lines.append(f"{certificate[0]} {certificate[1]} {token}\n")
    path.write_text("".join(lines))
    return first


__all__ = ["Artifact", "Authority", "BenchGateway", "BenchServer", "Nginx", "make_identities", "version_of"]
