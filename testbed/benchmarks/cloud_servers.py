"""The servers of `testbed/bench cloud`: postern-cloud with a fleet that was written into its store, and nginx."""

import contextlib
import os
import pathlib
import re
import shutil
import socket
import subprocess
import time
import uuid

from clients.debian_mender import wait_until
from harness import Cloud
from measure import BenchError, Target
from server_process import tool
from servers import HERE, pinned, version_of

API = "/api/devices/v1"
POLL = f"{API}/deployments/device/deployments/next?artifact_name=release-0&device_type=press-0"
#: Types that the devices of bench-fleet say they are.
TYPES = [f"press-{number}" for number in range(12)]


class BenchCloud:
    """`postern-cloud` on its core, with so many devices."""

    name = "cloud"

    def __init__(self, work, devices, *, tokens, core):
        self._core = core
        self.devices = devices
        self._work = work
        self._cloud = Cloud(work, settings={"Threads": 1, "DatabaseBytesMax": 64 << 30})
        tokens_file = work / "tokens"
        done = subprocess.run([tool("bench-fleet"), "--data", str(self._cloud.data), "--devices", str(devices), "--tokens",
                               str(min(tokens, devices)), "--tokens-file", str(tokens_file)], capture_output=True, text=True)
        if done.returncode != 0:
            raise BenchError(f"bench-fleet: {done.stderr.strip()[-500:]}")
        self.tokens = [line.split() for line in tokens_file.read_text().splitlines()]
        self.fleet_bytes = self.disk_bytes
        self.start()

    def start(self):
        self._cloud.start(wrap=pinned(self._core))
        self._cloud.token = None

    def stop(self):
        self._cloud.stop()

    @property
    def pid(self):
        return self._cloud.process.pid

    @property
    def data(self):
        return self._cloud.data

    @property
    def disk_bytes(self):
        """What the database takes on the disk."""
        return sum(path.stat().st_blocks * 512 for path in (self._cloud.data / "database").iterdir())

    def target(self):
        return Target(self.name, path=POLL, address="127.0.0.1", port=self._cloud.port, name="localhost", ca=self._cloud.ca,
                      pid=self.pid)

    def draws(self, name, lines):
        """A file of requests for bench-load; `lines` are (method, target, token, body)."""
        path = self._work / f"{name}.draws"
        with open(path, "w") as file:
            for line in lines:
                file.write("\t".join(line) + "\n")
        return path

    def polls(self):
        return self.draws("polls", (("GET", POLL, token) for _, token in self.tokens))

    def manage(self, method, path, value=None, *, statuses=(200, 201, 204)):
        answer = self._cloud.manage(method, path, value)
        if answer.status not in statuses:
            raise BenchError(f"{method} {path}: {answer}")
        return answer

    @property
    def operator_token(self):
        return self._cloud.token or self._cloud.log_in()

    def upload(self, name):
        """A small artifact for all types of device."""
        payload = self._work / f"{name}.bin"
        payload.write_bytes(os.urandom(1024))
        path = self._work / f"{name}.mender"
        done = subprocess.run(["mender-artifact", "write", "module-image", "-T", "single-file", "-n", name, "-f", str(payload),
                               "-o", str(path), *(word for kind in TYPES for word in ("-t", kind))], capture_output=True,
                              text=True)
        if done.returncode != 0:
            raise BenchError(f"mender-artifact: {done.stderr}")
        answer = self._cloud.upload(path.read_bytes(), fields=[("size", str(path.stat().st_size))])
        if answer.status != 201:
            raise BenchError(f"upload of {name}: {answer}")
        return name

    def deploy(self, artifact_name, devices):
        return self._cloud.deploy(artifact_name, devices, name=str(uuid.uuid4()))

    def deploy_to_all(self, artifact_name):
        """Seconds until a deployment to everyone had been made."""
        began = time.monotonic()
        self.manage("POST", "v1/deployments/deployments",
                    {"name": str(uuid.uuid4()), "artifact_name": artifact_name, "all_devices": True})
        return time.monotonic() - began

    def abort(self, deployment):
        self.manage("PUT", f"v1/deployments/deployments/{deployment}/status", {"status": "aborted"})


class FixedNginx:
    """nginx with nginx-cloud.conf on the same core, with a certificate of the same kind."""

    name = "nginx"
    ANSWER = '{"answer":"' + "x" * 187 + '"}'  # 200 bytes

    def __init__(self, work, cloud, *, core):
        program = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
        if program is None:
            raise BenchError("nginx is missing: apt-get install nginx-light, or run testbed/setup/packages")
        self._program = program
        work.mkdir()
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        files = cloud.data.parent
        self.ca = files / "pki/server-ca.crt"
        words = {"WORK": work, "CERTIFICATE": files / "server.crt", "KEY": files / "server.key", "ANSWER": self.ANSWER,
                 "LISTEN": f"127.0.0.1:{self.port}"}
        text = re.sub(r"@([A-Z_]+)@", lambda found: str(words[found[1]]), (HERE / "nginx-cloud.conf").read_text())
        (work / "nginx.conf").write_text(text)
        self._process = subprocess.Popen([*pinned(core), program, "-p", str(work), "-e", str(work / "nginx.log"), "-c",
                                          str(work / "nginx.conf")], stdin=subprocess.DEVNULL)

        def listens():
            if self._process.poll() is not None:
                raise BenchError(f"nginx ended with {self._process.returncode}: {(work / 'nginx.log').read_text()[-2000:]}")
            with socket.socket() as probe:
                return probe.connect_ex(("127.0.0.1", self.port)) == 0

        wait_until(listens, seconds=20, what="the start of nginx", every=0.05)

    @property
    def version(self):
        return version_of([self._program, "-v"])

    @property
    def pid(self):
        return self._process.pid

    def target(self):
        return Target(self.name, path="/", address="127.0.0.1", port=self.port, name="localhost", ca=self.ca, pid=self.pid)

    def stop(self):
        self._process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=30)


def fsync_ms(directory, count=200):
    """The median time of a small write that is made durable, in milliseconds."""
    path = pathlib.Path(directory) / "fsync-probe"
    times = []
    descriptor = os.open(path, os.O_CREAT | os.O_WRONLY, 0o600)
    try:
        for number in range(count):
            began = time.monotonic()
            os.pwrite(descriptor, b"x" * 4096, number * 4096)
            os.fdatasync(descriptor)
            times.append(time.monotonic() - began)
    finally:
        os.close(descriptor)
        path.unlink()
    return sorted(times)[count // 2] * 1e3


__all__ = ["API", "BenchCloud", "FixedNginx", "POLL", "fsync_ms"]
