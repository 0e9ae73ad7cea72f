"""Debian's unmodified clients against the cloud."""

import hashlib
import os
import subprocess
import unittest

from harness import PASSWORD, USER, CloudTestCase, SLOWNESS
from clients.debian_mender import INSTALL_DIRECTORY, DebianMender, write_single_file_artifact, wait_until


class DebianMenderTest(CloudTestCase):
    def device(self, number, **options):
        device = DebianMender(self.work / f"device-{number}", server_url=self.cloud.url, ca=self.cloud.ca,
                              mac=f"02:00:00:00:00:0{number}", device_type="bench", **options)
        device.start()
        self.addCleanup(device.stop)
        return device

    def release(self, name, *, compression="none", key=None, destination=INSTALL_DIRECTORY):
        """Uploads an artifact with one file; returns that file's checksum."""
        payload = self.work / "payload.bin"
        content = os.urandom(200_000)
        payload.write_bytes(content)
        artifact = write_single_file_artifact(self.work / f"{name}.mender", name=name, device_type="bench", payload=payload,
                                              compression=compression, key=key, destination=destination)
        self.assertEqual(self.cloud.upload(artifact.read_bytes()).status, 201)
        return hashlib.sha256(content).hexdigest()

    def test_two_devices_install_one_release(self):
        devices = [self.device(1), self.device(2)]
        ids = self.cloud.accept(devices[0].mac, devices[1].mac)
        checksum = self.release("release-1")
        statistics = self.cloud.wait_for_deployment(self.cloud.deploy("release-1", ids))
        self.assertEqual(statistics["success"], 2)
        for device in devices:
            self.assertEqual(device.file_sha256("payload.bin"), checksum)
            self.assertEqual(device.installed_artifact(), "release-1")
        again = self.cloud.deploy("release-1", ids)
        self.assertEqual(self.cloud.wait_for_deployment(again)["already-installed"], 2)

    def test_a_compressed_release_is_installed(self):
        device = self.device(1)
        ids = self.cloud.accept(device.mac)
        checksum = self.release("packed", compression="gzip")
        self.assertEqual(self.cloud.wait_for_deployment(self.cloud.deploy("packed", ids))["success"], 1)
        self.assertEqual(device.file_sha256("payload.bin"), checksum)

    def test_a_device_with_a_verify_key_takes_signed_releases_only(self):
        key, public = self.work / "key.pem", self.work / "public.pem"
        subprocess.run(["openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", key], check=True)
        subprocess.run(["openssl", "pkey", "-in", key, "-pubout", "-out", public], check=True)
        device = self.device(1, verify_key=public)
        ids = self.cloud.accept(device.mac)
        self.release("unsigned")
        self.assertEqual(self.cloud.wait_for_deployment(self.cloud.deploy("unsigned", ids))["failure"], 1)
        checksum = self.release("signed", key=key)
        self.assertEqual(self.cloud.wait_for_deployment(self.cloud.deploy("signed", ids))["success"], 1)
        self.assertEqual(device.file_sha256("payload.bin"), checksum)

    def test_a_failing_install_is_reported_with_its_log(self):
        device = self.device(1)
        ids = self.cloud.accept(device.mac)
        (device.work / "files" / "no-directory").write_text("")
        self.release("broken", destination=f"{INSTALL_DIRECTORY}/no-directory/below")
        deployment = self.cloud.deploy("broken", ids)
        self.assertEqual(self.cloud.wait_for_deployment(deployment)["failure"], 1)
        path = f"v1/deployments/deployments/{deployment}/devices/{ids[0]}/log"
        log = wait_until(lambda: [a for a in [self.cloud.manage("GET", path)] if a.status == 200],
                         seconds=60 * SLOWNESS, what="the device's log")[0]
        self.assertIn(b"ArtifactInstall", log.body)

    def test_inventory_arrives(self):
        device = self.device(1)
        (device_id,) = self.cloud.accept(device.mac)

        def attributes():
            answer = self.cloud.manage("GET", f"v1/inventory/devices/{device_id}").json()
            return {a["name"]: a["value"] for a in answer["attributes"] if a["scope"] == "inventory"}

        self.assertEqual(wait_until(attributes, seconds=60 * SLOWNESS, what="the inventory")["device_type"], "bench")


class MenderCliTest(CloudTestCase):
    def cli(self, *arguments):
        environment = {**os.environ, "HOME": str(self.work), "XDG_CACHE_HOME": str(self.work / "cache"),
                       "SSL_CERT_FILE": str(self.cloud.ca)}
        return subprocess.run(["mender-cli", "--server", self.cloud.url, *arguments], env=environment,
                              capture_output=True, text=True, timeout=60 * SLOWNESS)

    def test_logs_in_uploads_lists_and_deletes(self):
        login = self.cli("login", "--username", USER, "--password", PASSWORD)
        self.assertEqual(login.returncode, 0, login.stderr)
        payload = self.work / "payload"
        payload.write_bytes(os.urandom(3_000_000))
        artifact = write_single_file_artifact(self.work / "a.mender", name="by-cli", device_type="bench", payload=payload)
        uploaded = self.cli("artifacts", "upload", "--no-progress", "--description", "from the command line", str(artifact))
        self.assertEqual(uploaded.returncode, 0, uploaded.stderr)
        listed = self.cli("artifacts", "list", "--detail", "3")
        self.assertEqual(listed.returncode, 0, listed.stderr)
        self.assertIn("by-cli", listed.stdout)
        artifact_id = self.cloud.artifacts()[0]["id"]
        deleted = self.cli("artifacts", "delete", artifact_id)
        self.assertEqual(deleted.returncode, 0, deleted.stderr)
        self.assertEqual(self.cloud.artifacts(), [])
        devices = self.cli("devices", "list")
        self.assertEqual(devices.returncode, 0, devices.stderr)

    def test_a_wrong_password_is_refused(self):
        login = self.cli("login", "--username", USER, "--password", "wrong")
        self.assertNotEqual(login.returncode, 0)
        self.assertIn("401", login.stderr)


if __name__ == "__main__":
    unittest.main()
