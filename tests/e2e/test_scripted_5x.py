"""The scripted 5.x client against the cloud."""

import os
import time
import unittest

from harness import SLOWNESS, CloudTestCase
from clients.debian_mender import wait_until, write_single_file_artifact
from clients.mender5 import DeploymentFailed, Mender5

TYPE = "bench"


class Scripted5xCase(CloudTestCase):
    def device(self, number, **options):
        return Mender5(self.work / f"device-{number}", server_url=self.cloud.url, ca=self.cloud.ca,
                       identity={"mac": f"02:05:00:00:00:0{number}"}, device_type=TYPE, retry_seconds=0.1,
                       timeout=30 * SLOWNESS, **options)

    def accepted(self, number, **options):
        device = self.device(number, **options)
        self.assertFalse(device.authenticate())
        (device_id,) = self.cloud.accept(device.identity["mac"])
        return device, device_id

    def release(self, name, size=700_000, device_type=TYPE):
        payload = self.work / "payload.bin"
        content = os.urandom(size)
        payload.write_bytes(content)
        artifact = write_single_file_artifact(self.work / f"{name}.mender", name=name, device_type=device_type,
                                              payload=payload)
        self.assertEqual(self.cloud.upload(artifact.read_bytes()).status, 201)
        return content

    def installed(self, device):
        return (device.work / "installed" / "payload.bin").read_bytes()


class Scripted5xTest(Scripted5xCase):
    def test_devices_with_every_kind_of_key_end_in_success(self):
        devices = [self.accepted(number, key_type=key) for number, key in enumerate(("ed25519", "rsa", "ecdsa"), 1)]
        content = self.release("release-1")
        deployment = self.cloud.deploy("release-1", [device_id for _, device_id in devices])
        for device, _ in devices:
            self.assertEqual(device.run(seconds=60 * SLOWNESS), "success")
            self.assertEqual(self.installed(device), content)
        self.assertEqual(self.cloud.wait_for_deployment(deployment)["success"], 3)

    def test_a_download_that_is_cut_in_the_middle_goes_on_and_ends_in_success(self):
        device, device_id = self.accepted(1)
        content = self.release("release-1")
        device.cuts = [1, 300_000, 300_001, 690_000]
        deployment = self.cloud.deploy("release-1", [device_id])
        self.assertEqual(device.run(seconds=60 * SLOWNESS), "success")
        self.assertEqual(device.resumed_from, [1, 300_000, 300_001, 690_000])
        self.assertEqual(self.installed(device), content)
        self.assertEqual(self.cloud.wait_for_deployment(deployment)["success"], 1)

    def test_a_cut_download_goes_on_after_a_restart_of_the_cloud(self):
        device, device_id = self.accepted(1)
        content = self.release("release-1")
        device.cuts = [250_000]

        def restart():
            self.cloud.kill()
            self.cloud.start()

        device.before_resume = restart
        self.cloud.deploy("release-1", [device_id])
        self.assertEqual(device.run(seconds=60 * SLOWNESS), "success")
        self.assertEqual(self.installed(device), content)

    def test_a_failure_is_reported_with_its_log(self):
        device, device_id = self.accepted(1)
        self.release("release-1")

        def refuse(_):
            raise DeploymentFailed("the module said no")

        device.install = refuse
        deployment = self.cloud.deploy("release-1", [device_id])
        self.assertEqual(device.run(seconds=60 * SLOWNESS), "failure")
        self.assertEqual(self.cloud.wait_for_deployment(deployment)["failure"], 1)
        log = self.cloud.manage("GET", f"v1/deployments/deployments/{deployment}/devices/{device_id}/log")
        self.assertIn(b"the module said no", log.body)

    def test_an_abort_reaches_the_device_at_its_next_report(self):
        device, device_id = self.accepted(1)
        self.release("release-1")
        device.cuts = [100_000]
        deployment = self.cloud.deploy("release-1", [device_id])
        device.before_resume = lambda: self.cloud.manage("PUT", f"v1/deployments/deployments/{deployment}/status",
                                                         {"status": "aborted"})
        self.assertEqual(device.run(seconds=60 * SLOWNESS), "failure")
        self.assertEqual(self.cloud.deployment(deployment)["statistics"]["status"]["aborted"], 1)

    def test_a_rejected_device_survives_and_waits(self):
        device, device_id = self.accepted(1)
        self.assertIsNone(device.step())
        record = self.cloud.manage("GET", f"v2/devauth/devices/{device_id}").json()
        path = f"v2/devauth/devices/{device_id}/auth/{record['auth_sets'][0]['id']}/status"
        self.assertEqual(self.cloud.manage("PUT", path, {"status": "rejected"}).status, 204)
        self.assertIsNone(device.step())
        self.assertEqual(self.cloud.manage("PUT", path, {"status": "accepted"}).status, 204)
        wait_until(lambda: device.step() is None and device.requests[-1][2] == 204, seconds=30 * SLOWNESS,
                   what="a poll that is answered again")

    def test_the_unchanged_inventory_is_sent_once(self):
        device, device_id = self.accepted(1)
        for _ in range(3):
            device.step()
        puts = [r for r in device.requests if r[0] == "PUT"]
        self.assertEqual(len(puts), 1)
        attributes = self.cloud.manage("GET", f"v1/inventory/devices/{device_id}").json()["attributes"]
        self.assertIn({"name": "device_type", "value": TYPE, "scope": "inventory"}, attributes)


class ExpiringLinkTest(Scripted5xCase):
    settings = {"LinkLifetime": "2s"}

    def test_a_cut_download_goes_on_after_its_link_has_expired(self):
        device, device_id = self.accepted(1)
        content = self.release("release-1")
        device.cuts = [250_000]
        device.before_resume = lambda: time.sleep(2.5)
        self.cloud.deploy("release-1", [device_id])
        self.assertEqual(device.run(seconds=60 * SLOWNESS), "success")
        self.assertEqual(self.installed(device), content)


if __name__ == "__main__":
    unittest.main()
