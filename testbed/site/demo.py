"""The demo: a cloud, an isolated site behind a gateway, eight devices of two kinds, one signed artifact of 64 MiB."""

import hashlib
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from datetime import datetime

ROOT = pathlib.Path(__file__).resolve().parents[2]
for folder in ("tests", "tests/e2e", "testbed"):
    sys.path.insert(0, str(ROOT / folder))

from clients.debian_mender import DebianMender, wait_until, write_single_file_artifact  # noqa: E402
from clients.postern_device import PosternDevice  # noqa: E402
from gateway_harness import Authority, CloudUpstream, Gateway  # noqa: E402
from harness import PASSWORD, USER, tool  # noqa: E402
from net.site import Site  # noqa: E402

PAYLOAD_BYTES = 64 << 20
PORT = 443  # every node has a network of its own
RELEASE = "release-1"
SITE = "plant-4"
#: What may cross the uplink for all devices of the site together, as a share of the artifact.
UPLINK_SHARE_MAX = 1.02


def say(text):
    print(f"\033[1m==>\033[0m {text}" if sys.stdout.isatty() else f"==> {text}", flush=True)


class Device:
    """A device, and what the table says about it."""

    def __init__(self, client, kind, path):
        self.client = client
        self.kind = kind
        self.path = path
        self.before = None


class Demo:
    def __init__(self, work, site):
        self.work = work
        self.site = site
        self.upstream = None
        self.gateway = None
        self.devices = []
        self.environment = {**os.environ, "XDG_CONFIG_HOME": str(work / "config"), "POSTERN_PASSWORD": PASSWORD}

    @property
    def cloud(self):
        return self.upstream.cloud

    def postern(self, *arguments):
        """Runs the operator's command beside the cloud; its progress is the demo's."""
        done = subprocess.run([*self.site.cloud.prefix, tool("postern"), *arguments], env=self.environment,
                              stdout=subprocess.PIPE, text=True)
        if done.returncode not in (0, 3):
            raise RuntimeError(f"postern {' '.join(arguments)} failed with {done.returncode}")
        return done.stdout

    def show_isolation(self):
        say("proving that the site has no way out: ping and curl towards the cloud")
        for what, got_through in self.site.prove_isolation():
            if what.endswith(f"to {self.site.cloud.address}"):
                print(f"    {what:<40} {'gets through' if got_through else 'fails'}")

    def start_servers(self):
        say("starting cloud and gateway, with certificates by postern-pki")
        self.authority = Authority(self.work, SITE)
        self.upstream = CloudUpstream(self.work, self.authority, node=self.site.cloud, port=PORT, site=SITE)
        self.gateway = Gateway(self.work / "gateway", self.upstream, self.authority, node=self.site.gateway)
        self.gateway.port = PORT
        self.gateway.start()
        self.postern("--server", self.cloud.url, "--ca", str(self.cloud.ca), "login", USER)

    def add(self, kind, node, number, verify_key, *, certificate=None):
        server = self.gateway if certificate else self.cloud
        options = {"server_url": server.url, "ca": server.ca, "mac": f"02:00:00:00:00:{number:02x}", "verify_key": verify_key,
                   "prefix": node.prefix}
        if certificate:
            options |= {"certificate": certificate[0], "certificate_key": certificate[1]}
        if kind == "postern-device":
            client = PosternDevice(self.work / node.name, program=tool("postern-device"), **options)
        else:
            client = DebianMender(self.work / node.name, **options)
        client.start()
        self.devices.append(Device(client, kind, "gateway" if certificate else "direct"))

    def start_devices(self, verify_key):
        say("starting devices: behind the gateway 5 postern-device and 1 Debian mender 3.4, directly 1 and 1")
        behind = [*["postern-device"] * 5, "mender 3.4"]
        for number, (kind, node) in enumerate(zip(behind, self.site.devices), 1):
            self.add(kind, node, number, verify_key, certificate=self.authority.issue("device", node.name))
        for number, (kind, node) in enumerate(zip(("postern-device", "mender 3.4"), self.site.direct), len(behind) + 1):
            self.add(kind, node, number, verify_key)
        # Those behind the gateway are let in by their certificates; only the direct ones need a hand.
        print(self.postern("device", "accept", "--all", "--wait", "2", "--timeout", "2m"), end="")
        wait_until(lambda: len(self.cloud.devices("accepted")) == len(self.devices), seconds=60, what="acceptance of all devices")

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
        self.artifact_bytes = artifact.stat().st_size
        artifact.unlink()
        for device in self.devices:
            device.before = device.client.installed_artifact()
        deployment = self.postern("deployment", "create", "--name", "demo", "--artifact", RELEASE, "--all").strip()
        self.postern("deployment", "watch", deployment, "--timeout", "10m")
        return deployment

    def report(self, deployment, checksum):
        """Prints the table; True when every device has what it should have."""
        devices = json.loads(self.postern("device", "list", "--output", "json"))
        ids = {device["identity_data"]["mac"]: device["id"] for device in devices}
        rows = {row["id"]: row for row in self.cloud.manage("GET", f"v1/deployments/deployments/{deployment}/devices").json()}
        print()
        print(f"{'DEVICE':<19}{'PATH':<9}{'CLIENT':<16}{'OLD':<10}{'NEW':<11}{'STATUS':<9}{'SECONDS':>7}  INSTALLED FILE (SHA-256)")
        good = True
        for device in self.devices:
            mac = device.client.mac
            row = rows.get(ids[mac], {"status": "never asked"})
            new = device.client.installed_artifact()
            found = device.client.file_sha256("firmware.bin")
            matches = found == checksum
            good = good and matches and row["status"] == "success" and new == RELEASE
            verdict = f"{found[:16]}… {'matches' if matches else 'DIFFERS'}" if found else "missing"
            print(f"{mac:<19}{device.path:<9}{device.kind:<16}{device.before:<10}{new:<11}{row['status']:<9}{seconds(row):>7}  {verdict}")
        return self.report_uplink() and good

    def report_uplink(self):
        """Prints what crossed the uplink, as the gateway and as the cloud counted it; True when it is about one artifact."""
        by_gateway = self.gateway.metric("postern_gateway_uplink_artifact_bytes_total")
        by_cloud = sum(size for _, size in self.upstream.served("gw-1"))
        to_devices = self.gateway.metric("postern_gateway_site_artifact_bytes_total")
        behind = sum(device.path == "gateway" for device in self.devices)
        print()
        print(f"artifact                          {self.artifact_bytes:>12} bytes")
        print(f"over the uplink, by the gateway   {by_gateway:>12} bytes   {by_gateway / self.artifact_bytes:.3f} x artifact")
        print(f"over the uplink, by the cloud     {by_cloud:>12} bytes   {by_cloud / self.artifact_bytes:.3f} x artifact")
        print(f"to {behind} devices in the site          {to_devices:>12} bytes   {to_devices / self.artifact_bytes:.3f} x artifact")
        print()
        print(self.postern("gateway", "list"))
        return by_gateway == by_cloud and by_gateway <= UPLINK_SHARE_MAX * self.artifact_bytes

    def stop(self):
        for device in self.devices:
            device.client.stop()
        if self.gateway:
            self.gateway.stop()
        if self.upstream:
            self.upstream.stop()

    def show_logs(self):
        for path in sorted(self.work.rglob("*.log")):
            print(f"--- end of {path.relative_to(self.work)}", file=sys.stderr)
            print(path.read_text(errors="replace")[-3000:], file=sys.stderr)


def seconds(row):
    if "started" not in row or "finished" not in row:
        return "-"
    first, last = (datetime.fromisoformat(row[key].replace("Z", "+00:00")) for key in ("started", "finished"))
    return f"{(last - first).total_seconds():.1f}"


def invite(demo):
    inside = " ".join(demo.site.cloud.prefix)
    say("all of it stays up until Ctrl-C")
    print(f"    server    {demo.cloud.url} (in the cloud's network namespace)")
    print(f"    user      {USER}")
    print(f"    password  {PASSWORD}")
    print(f"    CA        {demo.cloud.ca}")
    print("  Look around from another terminal, as root, for instance:")
    print(f"    export POSTERN_PASSWORD=\"{PASSWORD}\"")
    print(f"    {inside} {tool('postern')} --server {demo.cloud.url} --ca {demo.cloud.ca} login {USER}")
    print(f"    {inside} {tool('postern')} gateway show gw-1")
    print(f"    tail -f {demo.gateway.log_path}", flush=True)


def run(demo, once, asked_to_end):
    """True when every device runs what it should."""
    started = time.monotonic()
    artifact, public, checksum = demo.make_artifact()
    demo.show_isolation()
    demo.start_servers()
    demo.start_devices(public)
    good = demo.report(demo.roll_out(artifact), checksum)
    say(f"{'done: every device runs what it should' if good else 'FAILED'} ({time.monotonic() - started:.0f} s)")
    if not good:
        demo.show_logs()
    if not once:
        invite(demo)
        while not asked_to_end.wait(3600):
            pass
    return good


def main():
    asked_to_end = threading.Event()

    def end(*_):
        asked_to_end.set()
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, end)
    work = pathlib.Path(tempfile.mkdtemp(prefix="postern-demo-"))
    good = False
    with Site(devices=6, direct=2) as site:
        demo = Demo(work, site)
        try:
            good = run(demo, "--once" in sys.argv[1:], asked_to_end)
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
