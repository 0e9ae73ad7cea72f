"""`postern-device` as one of several devices on one machine, with the unmodified update modules of Debian's mender-client."""

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
    as for a network namespace. With `own_files`, which needs root, it runs like DebianMender in a mount namespace of its
    own, in which its directory lies over the place that artifacts install to."""

    def __init__(self, work, *, program, mac, server_url=None, ca=None, device_type="postern-demo", verify_key=None,
                 poll_seconds=1, prefix=(), certificate=None, certificate_key=None, own_files=True, options=(), settings=None):
        self.work = pathlib.Path(work)
        self.program = str(program)
        self.prefix = list(prefix)
        self.mac = mac
        self.own_files = own_files
        self.options = list(options)
        self.process = None
        self.etc, self.data, self.store, self.files = (self.work / n for n in ("etc", "data", "store", "files"))
        for directory in (self.etc, self.data / "identity", self.data / "inventory", self.data / "modules/v3", self.store,
                          self.files):
            directory.mkdir(parents=True, exist_ok=True)
        for module in DEBIAN_MODULES.iterdir():
            link = self.data / "modules/v3" / module.name
            if not link.exists():
                link.symlink_to(module)
        self.script(self.data / "identity/mender-device-identity", f"#!/bin/sh\necho mac={mac}\n")
        (self.store / "device_type").write_text(f"device_type={device_type}\n")
        config = {
            "UpdatePollIntervalSeconds": poll_seconds,
            "InventoryPollIntervalSeconds": 5,
            "RetryPollIntervalSeconds": 2,
            "Postern": {"RetryMinimumSeconds": 1, "DownloadRetrySeconds": 1},
        }
        if server_url:
            config |= {"ServerURL": server_url, "ServerCertificate": str(ca)}
        if verify_key:
            config["ArtifactVerifyKey"] = str(verify_key)
        if certificate:
            config["HttpsClient"] = {"Certificate": str(certificate), "Key": str(certificate_key)}
        (self.etc / "mender.conf").write_text(json.dumps(config | (settings or {})))

    @staticmethod
    def script(path, text):
        path.write_text(text)
        path.chmod(0o755)

    def environment(self, fault=None):
        environment = {name: value for name, value in os.environ.items() if name != "POSTERN_FAULT_POINT"}
        environment |= {"MENDER_CONF_DIR": str(self.etc), "MENDER_DATA_DIR": str(self.data),
                        "MENDER_DATASTORE_DIR": str(self.store)}
        if fault:
            environment["POSTERN_FAULT_POINT"] = fault
        return environment

    def command(self, *arguments):
        plain = [self.program, *map(str, arguments)]
        if not self.own_files:
            return [*self.prefix, *plain]
        inner = f"mount --bind {shlex.quote(str(self.files))} {INSTALL_DIRECTORY} && exec {shlex.join(plain)}"
        return [*self.prefix, "unshare", "--mount", "--propagation", "private", "sh", "-c", inner]

    @property
    def log_path(self):
        return self.work / "device.log"

    def log(self):
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    def start(self, *, fault=None):
        """`fault` names the fault point at which the process kills itself."""
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(self.command(*self.options, "daemon"), stdin=subprocess.DEVNULL, stdout=log,
                                            stderr=log, env=self.environment(fault))

    def stop(self, *, seconds=40):
        """An orderly end; returns the exit status, or None when it did not run."""
        if self.process is None:
            return None
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self._wait(seconds)

    def wait_for_death(self, *, seconds=60):
        """Waits for a process that kills itself; returns the signal's number."""
        return -self._wait(seconds)

    def _wait(self, seconds):
        process, self.process = self.process, None
        try:
            return process.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise

    def installed_artifact(self):
        """What the client itself says is installed. The daemon may run meanwhile."""
        done = subprocess.run(self.command("show-artifact"), capture_output=True, text=True, timeout=30, check=True,
                              env=self.environment())
        return done.stdout.strip().splitlines()[-1]

    def file_sha256(self, name):
        """Checksum of a file in the directory that artifacts of this device install to; None when there is none."""
        path = self.files / name
        if not path.exists():
            return None
        with open(path, "rb") as content:
            return hashlib.file_digest(content, "sha256").hexdigest()
