"""The demo: one cloud, two of Debian's mender clients, one signed artifact of 64 MiB."""

import hashlib
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))
sys.path.insert(0, str(ROOT / "tests/e2e"))

from clients.debian_mender import DebianMender, write_single_file_artifact  # noqa: E402
from harness import PASSWORD, USER, Cloud, tool  # noqa: E402

PAYLOAD_BYTES = 64 << 20
DEVICES = 2
PORT = 8443
RELEASE = "release-1"


def say(text):
    print(f"\033[1m==>\033[0m {text}" if sys.stdout.isatty() else f"==> {text}", flush=True)


def free_port():
    """The demo's own port, or any other when that is taken."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", PORT))
            return PORT
        except OSError:
            return 0


class Demo:
    def __init__(self, work):
        self.work = work
        self.cloud = None
        self.devices = []
        self.environment = {**os.environ, "XDG_CONFIG_HOME": str(work / "config"), "POSTERN_PASSWORD": PASSWORD}

    def postern(self, *arguments):
        """Runs the operator's command; its progress is the demo's."""
        done = subprocess.run([tool("postern"), *arguments], env=self.environment, stdout=subprocess.PIPE, text=True)
        if done.returncode not in (0, 3):
            raise RuntimeError(f"postern {' '.join(arguments)} failed with {done.returncode}")
        return done.stdout

    def start_cloud(self):
        say("starting the cloud: certificates by postern-pki, first user by postern-cloud create-user")
        self.cloud = Cloud(self.work / "cloud")
        self.cloud.port = free_port()
        self.cloud.start()
        self.postern("--server", self.cloud.url, "--ca", str(self.cloud.ca), "login", USER)

    def start_devices(self, verify_key):
        say(f"starting {DEVICES} unmodified Debian mender clients, each in its own mount namespace")
        for number in range(1, DEVICES + 1):
            device = DebianMender(self.work / f"device-{number}", server_url=self.cloud.url, ca=self.cloud.ca,
                                  mac=f"02:00:00:00:00:{number:02x}", verify_key=verify_key)
            device.start()
            self.devices.append(device)
        print(self.postern("device", "accept", "--all", "--wait", str(DEVICES), "--timeout", "2m"), end="")

    def make_artifact(self):
        say(f"making a signed artifact of {PAYLOAD_BYTES >> 20} MiB with mender-artifact")
        key = self.work / "artifact.key"
        public = self.work / "artifact.pub"
        # The older PKCS#1 form is the one that Debian's mender-artifact reads.
        subprocess.run(["openssl", "genrsa", "-traditional", "-out", key, "3072"], check=True, capture_output=True)
        subprocess.run(["openssl", "pkey", "-in", key, "-pubout", "-out", public], check=True, capture_output=True)
        payload = self.work / "firmware.bin"
        digest = hashlib.sha256()
        with open(payload, "wb") as file:
            for _ in range(PAYLOAD_BYTES >> 20):
                piece = os.urandom(1 << 20)
                digest.update(piece)
                file.write(piece)
        artifact = write_single_file_artifact(self.work / f"{RELEASE}.mender", name=RELEASE, device_type="postern-demo",
                                              payload=payload, key=key)
        payload.unlink()
        return artifact, public, digest.hexdigest()

    def roll_out(self, artifact):
        say("uploading it, and rolling it out to every accepted device")
        self.postern("artifact", "upload", str(artifact))
        artifact.unlink()
        before = {device.mac: device.installed_artifact() for device in self.devices}
        deployment = self.postern("deployment", "create", "--name", "demo", "--artifact", RELEASE, "--all").strip()
        self.postern("deployment", "watch", deployment, "--timeout", "10m")
        return deployment, before

    def report(self, deployment, before, checksum):
        """Prints the table; True when every device has what it should have."""
        devices = json.loads(self.postern("device", "list", "--output", "json"))
        ids = {device["identity_data"]["mac"]: device["id"] for device in devices}
        rows = {row["id"]: row for row in self.cloud.manage("GET", f"v1/deployments/deployments/{deployment}/devices").json()}
        print()
        print(f"{'DEVICE':<19}{'OLD':<11}{'NEW':<11}{'STATUS':<10}{'SECONDS':>8}  INSTALLED FILE (SHA-256)")
        good = True
        for device in self.devices:
            row = rows.get(ids[device.mac], {"status": "never asked"})
            new = device.installed_artifact()
            found = device.file_sha256("firmware.bin")
            matches = found == checksum
            good = good and matches and row["status"] == "success" and new == RELEASE
            verdict = f"{found[:16]}… {'matches' if matches else 'DIFFERS'}" if found else "missing"
            print(f"{device.mac:<19}{before[device.mac]:<11}{new:<11}{row['status']:<10}{seconds(row):>8}  {verdict}")
        print()
        return good

    def stop(self):
        for device in self.devices:
            device.stop()
        if self.cloud:
            self.cloud.stop()

    def show_logs(self):
        for path in sorted(self.work.rglob("*.log")):
            print(f"--- end of {path.relative_to(self.work)}", file=sys.stderr)
            print(path.read_text(errors="replace")[-3000:], file=sys.stderr)


def seconds(row):
    from datetime import datetime

    if "started" not in row or "finished" not in row:
        return "-"
    first, last = (datetime.fromisoformat(row[key].replace("Z", "+00:00")) for key in ("started", "finished"))
    return f"{(last - first).total_seconds():.1f}"


def invite(demo):
    say("the cloud stays up until Ctrl-C")
    print(f"    server    {demo.cloud.url}")
    print(f"    user      {USER}")
    print(f"    password  {PASSWORD}")
    print(f"    CA        {demo.cloud.ca}")
    print("  Look around from another terminal, for instance:")
    print(f"    export POSTERN_PASSWORD=\"{PASSWORD}\"")
    print(f"    {tool('postern')} --server {demo.cloud.url} --ca {demo.cloud.ca} login {USER}")
    print(f"    {tool('postern')} device list", flush=True)


def main():
    once = "--once" in sys.argv[1:]
    asked_to_end = threading.Event()

    def end(*_):
        asked_to_end.set()
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, end)
    started = time.monotonic()
    work = pathlib.Path(tempfile.mkdtemp(prefix="postern-demo-"))
    demo = Demo(work)
    good = False
    try:
        artifact, public, checksum = demo.make_artifact()
        demo.start_cloud()
        demo.start_devices(public)
        deployment, before = demo.roll_out(artifact)
        good = demo.report(deployment, before, checksum)
        say(f"{'done: every device runs what it should' if good else 'FAILED'} ({time.monotonic() - started:.0f} s)")
        if not good:
            demo.show_logs()
        if not once:
            invite(demo)
            while not asked_to_end.wait(3600):
                pass
    except KeyboardInterrupt:
        print()
        say("stopping")
    except Exception as error:  # whatever it was, the logs say more
        demo.show_logs()
        say(f"FAILED: {error}")
    finally:
        demo.stop()
        shutil.rmtree(work, ignore_errors=True)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
