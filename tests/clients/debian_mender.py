"""Debian's unmodified `mender` 3.4, run as one of several devices on one machine.

The client's paths for scripts are fixed, so each runs in a mount namespace of its own in which its directory lies over
/etc/mender, /usr/share/mender/{identity,inventory} and the place that artifacts install to. Needs root, or sudo without a password.
"""

import contextlib
import hashlib
import json
import os
import pathlib
import shlex
import signal
import subprocess
import time


#: Where artifacts for these devices install to; each device sees its own directory there.
INSTALL_DIRECTORY = "/srv"


class DebianMender:
    """One device. `work` is its disk: it stays when the client stops. `prefix` is put before the command that runs it,
    as for a network namespace."""

    def __init__(self, work, *, server_url, ca, mac, device_type="postern-demo", verify_key=None, poll_seconds=1, prefix=(),
                 certificate=None, certificate_key=None):
        self.work = pathlib.Path(work)
        self.prefix = list(prefix)
        self.mac = mac
        self.device_type = device_type
        self._process = None
        etc, data, identity, inventory = (self.work / n for n in ("etc", "data", "identity", "inventory"))
        for directory in (etc, data, identity, inventory, self.work / "files"):
            directory.mkdir(parents=True, exist_ok=True)
        config = {
            "ServerURL": server_url,
            "ServerCertificate": str(ca),
            "UpdatePollIntervalSeconds": poll_seconds,
            "InventoryPollIntervalSeconds": 5,
            "RetryPollIntervalSeconds": 2,
            "DeviceTypeFile": str(data / "device_type"),
            "UpdateLogPath": str(data),
            "DBus": {"Enabled": False},
        }
        if verify_key:
            config["ArtifactVerifyKey"] = str(verify_key)
        if certificate:
            config["HttpsClient"] = {"Certificate": str(certificate), "Key": str(certificate_key)}
        (etc / "mender.conf").write_text(json.dumps(config))
        (etc / "artifact_info").write_text("artifact_name=initial\n")
        (data / "device_type").write_text(f"device_type={device_type}\n")
        script = identity / "mender-device-identity"
        script.write_text(f"#!/bin/sh\necho mac={mac}\n")
        script.chmod(0o755)

    def _command(self, *arguments):
        mounts = "".join(
            f"mount --bind {shlex.quote(str(self.work / source))} {target} && "
            for source, target in (
                ("etc", "/etc/mender"),
                ("identity", "/usr/share/mender/identity"),
                ("inventory", "/usr/share/mender/inventory"),
                ("files", INSTALL_DIRECTORY),
            )
        )
        mender = ["mender", "--no-syslog", "--config", "/etc/mender/mender.conf", "--data", str(self.work / "data")]
        inner = mounts + "exec " + shlex.join(mender + list(arguments))
        command = [*self.prefix, "unshare", "--mount", "--propagation", "private", "sh", "-c", inner]
        return command if os.geteuid() == 0 else ["sudo", "-n"] + command

    @property
    def log_path(self):
        return self.work / "mender.log"

    def log(self):
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    def start(self):
        with open(self.log_path, "ab") as log:
            self._process = subprocess.Popen(
                self._command("daemon"), stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )

    def stop(self):
        if self._process is None:
            return
        process, self._process = self._process, None
        for number in (signal.SIGTERM, signal.SIGKILL):
            self._signal(process.pid, number)
            try:
                process.wait(timeout=10)
                return
            except subprocess.TimeoutExpired:
                continue
        raise RuntimeError(f"mender of {self.work} does not end")

    @staticmethod
    def _signal(group, number):
        if os.geteuid() == 0:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(group, number)
        else:
            subprocess.run(["sudo", "-n", "kill", f"-{int(number)}", "--", f"-{group}"], check=False, capture_output=True)

    def running(self):
        return self._process is not None and self._process.poll() is None

    def installed_artifact(self):
        """What the client itself says is installed. The daemon may run meanwhile."""
        done = subprocess.run(self._command("show-artifact"), capture_output=True, text=True, timeout=30, check=True)
        return done.stdout.strip().splitlines()[-1]

    def file_sha256(self, name):
        """Checksum of a file in the directory that artifacts of this device install to; None when there is none."""
        path = self.work / "files" / name
        if not path.exists():
            return None
        digest = hashlib.sha256()
        with open(path, "rb") as content:
            for piece in iter(lambda: content.read(1 << 20), b""):
                digest.update(piece)
        return digest.hexdigest()


def write_single_file_artifact(output, *, name, device_type, payload, destination=INSTALL_DIRECTORY, key=None,
                               compression="none"):
    """Makes an artifact for the client's single-file update module with Debian's `mender-artifact`.

    `destination` is the directory that the file is installed to, under the payload's own name.
    """
    output = pathlib.Path(output)
    payload = pathlib.Path(payload)
    parts = output.parent / (output.name + ".parts")
    parts.mkdir(parents=True, exist_ok=True)
    (parts / "dest_dir").write_text(f"{destination}\n")
    (parts / "filename").write_text(f"{payload.name}\n")
    (parts / "permissions").write_text("644\n")
    command = ["mender-artifact", "write", "module-image", "-T", "single-file", "-n", name, "-t", device_type]
    command += ["-o", str(output), "--compression", compression]
    for file in (parts / "dest_dir", parts / "filename", parts / "permissions", payload):
        command += ["-f", str(file)]
    if key:
        command += ["-k", str(key)]
    subprocess.run(command, check=True, capture_output=True, text=True, timeout=300)
    return output


def wait_until(condition, *, seconds, what, every=0.2):
    """Waits for `condition` to hold; returns what it returned. Raises TimeoutError, saying `what` did not happen."""
    deadline = time.monotonic() + seconds
    while True:
        result = condition()
        if result:
            return result
        if time.monotonic() >= deadline:
            raise TimeoutError(f"{what} did not happen within {seconds} s")
        time.sleep(every)
