"""`postern-device` for tests with whole programs, and artifacts for the update modules of Debian."""

import pathlib
import re
import subprocess

from harness import CloudTestCase, SLOWNESS, tool
from clients.debian_mender import wait_until
from clients.postern_device import PosternDevice

DEVICE_TYPE = "bench"

#: A module of ours that replaces one file and says that it reboots something. Content that begins with "bad" does not
#: pass its verification. A file `kill-STATE` in its directory has it kill the client in that state, once.
SLOT_MODULE = """#!/bin/sh
set -e
target="$(cat files/where 2>/dev/null || true)"
replace() { cp "$1" "$target.tmp"; sync "$target.tmp"; mv "$target.tmp" "$target"; }
kill_client() { if test -e "WORK/kill-$1"; then rm "WORK/kill-$1"; kill -9 "$PPID"; exit 1; fi; }
case "$1" in
NeedsArtifactReboot) echo Yes ;;
SupportsRollback) echo Yes ;;
ArtifactInstall) cp "$target" tmp/backup; sync tmp/backup; replace files/payload; kill_client "$1" ;;
ArtifactVerifyReboot) kill_client "$1"; if grep -q ^bad "$target"; then echo "it is bad" >&2; exit 1; fi ;;
ArtifactRollback) if test -e tmp/backup; then replace tmp/backup; fi; kill_client "$1" ;;
*) kill_client "$1" ;;
esac
"""


class Device(PosternDevice):
    """One device that talks to the test's cloud, if any, and installs to where its artifacts say."""

    def __init__(self, work, *, cloud=None, mac="02:00:00:00:01:01", settings=None):
        server = {"server_url": cloud.url, "ca": cloud.ca} if cloud else {}
        super().__init__(work, program=tool("postern-device"), mac=mac, device_type=DEVICE_TYPE, own_files=False,
                         options=("--log-level", "debug"), **server,
                         settings={"RetryPollIntervalSeconds": 1, "ModuleTimeoutSeconds": 60, **(settings or {})})
        self.script(self.data / "modules/v3/slot", SLOT_MODULE.replace("WORK", str(self.work)))
        self.script(self.data / "inventory/mender-inventory-place", "#!/bin/sh\necho place=bench\n")

    def run(self, *arguments, fault=None, **options):
        """Runs a command to its end."""
        return subprocess.run(self.command(*arguments), env=self.environment(fault), capture_output=True,
                              timeout=60 * SLOWNESS, **options)

    def lines(self, *arguments, status=0, **options):
        """What a command says on standard output."""
        done = self.run(*arguments, **options)
        if done.returncode != status:
            raise AssertionError(f"{arguments} ended with {done.returncode}: {done.stdout.decode()}{done.stderr.decode()}")
        return done.stdout.decode().splitlines()

    def stop(self):
        return super().stop(seconds=40 * SLOWNESS)

    def wait_for_death(self):
        return super().wait_for_death(seconds=60 * SLOWNESS)

    def artifact_name(self):
        return self.lines("show-artifact")[0]

    def wait_for_log(self, pattern, *, seconds=30):
        return wait_until(lambda: re.search(pattern, self.log()), seconds=seconds * SLOWNESS, what=f"{pattern} in the log")


def write_artifact(output, *, module, name, files, more=()):
    """Makes an artifact with Debian's `mender-artifact`; `files` is name: content."""
    output = pathlib.Path(output)
    parts = output.parent / (output.name + ".parts")
    parts.mkdir(parents=True, exist_ok=True)
    command = ["mender-artifact", "write", "module-image", "-T", module, "-n", name, "-t", DEVICE_TYPE, "-o", str(output),
               *map(str, more)]
    for file, content in files.items():
        (parts / file).write_bytes(content if isinstance(content, bytes) else content.encode())
        command += ["-f", str(parts / file)]
    subprocess.run(command, check=True, capture_output=True, text=True, timeout=300)
    return output


def single_file(output, *, name, directory, filename, content, more=()):
    """For Debian's module `single-file`: puts one file into a directory."""
    return write_artifact(output, module="single-file", name=name, more=more,
                          files={"dest_dir": f"{directory}\n", "filename": f"{filename}\n", "permissions": "644\n",
                                 filename: content})


class DeviceTestCase(CloudTestCase):
    def device(self, **options):
        device = Device(self.work / "device", cloud=self.cloud, **options)
        self.addCleanup(device.stop)
        return device

    def upload(self, artifact):
        answer = self.cloud.upload(artifact.read_bytes())
        self.assertEqual(answer.status, 201, answer)

    def update(self, name, device_id):
        """Deploys a release; returns the device's status at the end."""
        return self.end_of(self.cloud.deploy(name, [device_id]), device_id)

    def end_of(self, deployment, device_id):
        self.cloud.wait_for_deployment(deployment)
        return self.cloud.device_statuses(deployment)[device_id]

    def log_of(self, deployment, device_id):
        path = f"v1/deployments/deployments/{deployment}/devices/{device_id}/log"
        found = wait_until(lambda: [a for a in [self.cloud.manage("GET", path)] if a.status == 200],
                           seconds=60 * SLOWNESS, what="the device's log")
        return found[0].body.decode()
