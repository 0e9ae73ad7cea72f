"""`postern-device` as one of several devices on one machine, with the unmodified update modules of Debian's mender-client.

Like DebianMender it runs in a mount namespace of its own, in which its directory lies over the place that artifacts
install to. Needs root.
"""

import hashlib
import json
import os
import pathlib
import shlex
import signal
import subprocess

from clients.debian_mender import INSTALL_DIRECTORY

DEBIAN_MODULES = pathlib.Path("/usr/share/mender/modules/v3")


class PosternDevice:
    """One device. `work` is its disk: it stays when the client stops. `prefix` is put before the command that runs it,
    as for a network namespace."""

    def __init__(self, work, *, program, server_url, ca, mac, device_type="postern-demo", verify_key=None, poll_seconds=1,
                 prefix=(), certificate=None, certificate_key=None):
        self.work = pathlib.Path(work)
        self.program = str(program)
        self.prefix = list(prefix)
        self.mac = mac
        self._process = None
        self._etc, self._data, self._store = (self.work / name for name in ("etc", "share", "store"))
        for directory in (self._etc, self._data / "identity", self._data / "inventory", self._data / "modules/v3", self._store,
                          self.work / "files"):
            directory.mkdir(parents=True, exist_ok=True)
        for module in DEBIAN_MODULES.iterdir():
            link = self._data / "modules/v3" / module.name
            if not link.exists():
                link.symlink_to(module)
        self._script(self._data / "identity/mender-device-identity", f"echo mac={mac}")
        self._script(self._data / "inventory/mender-inventory-own", "echo site_label=own")
        (self._store / "device_type").write_text(f"device_type={device_type}\n")
        config = {
            "ServerURL": server_url,
            "ServerCertificate": str(ca),
            "UpdatePollIntervalSeconds": poll_seconds,
            "InventoryPollIntervalSeconds": 5,
            "RetryPollIntervalSeconds": 2,
            "Postern": {"RetryMinimumSeconds": 1, "DownloadRetrySeconds": 1},
        }
        if verify_key:
            config["ArtifactVerifyKey"] = str(verify_key)
        if certificate:
            config["HttpsClient"] = {"Certificate": str(certificate), "Key": str(certificate_key)}
        (self._etc / "mender.conf").write_text(json.dumps(config))

    @staticmethod
    def _script(path, line):
        path.write_text(f"#!/bin/sh\n{line}\n")
        path.chmod(0o755)

    def _environment(self, fault=None):
        environment = {name: value for name, value in os.environ.items() if name != "POSTERN_FAULT_POINT"}
        environment |= {"MENDER_CONF_DIR": str(self._etc), "MENDER_DATA_DIR": str(self._data),
                        "MENDER_DATASTORE_DIR": str(self._store)}
        if fault:
            environment["POSTERN_FAULT_POINT"] = fault
        return environment

    def _command(self, *arguments):
        inner = f"mount --bind {shlex.quote(str(self.work / 'files'))} {INSTALL_DIRECTORY} && exec "
        inner += shlex.join([self.program, *arguments])
        return [*self.prefix, "unshare", "--mount", "--propagation", "private", "sh", "-c", inner]

    @property
    def log_path(self):
        return self.work / "device.log"

    def log(self):
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    def start(self, *, fault=None):
        """`fault` names the fault point at which the process kills itself."""
        with open(self.log_path, "ab") as log:
            self._process = subprocess.Popen(self._command("daemon"), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                             env=self._environment(fault), start_new_session=True)

    def stop(self):
        """An orderly end; returns the exit status, or None when it did not run."""
        if self._process is None:
            return None
        process, self._process = self._process, None
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        try:
            return process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise

    def kill(self):
        process, self._process = self._process, None
        process.kill()
        process.wait()

    def installed_artifact(self):
        """What the client itself says is installed. The daemon may run meanwhile."""
        done = subprocess.run(self._command("show-artifact"), capture_output=True, text=True, timeout=30, check=True,
                              env=self._environment())
        return done.stdout.strip().splitlines()[-1]

    def file_sha256(self, name):
        """Checksum of a file in the directory that artifacts of this device install to; None when there is none."""
        path = self.work / "files" / name
        if not path.exists():
            return None
        with open(path, "rb") as content:
            return hashlib.file_digest(content, "sha256").hexdigest()
