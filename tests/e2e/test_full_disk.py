"""A full disk: an upload gets a clean error and leaves nothing, devices go on as long as there is room kept for them."""

import os
import pathlib
import unittest

from harness import SLOWNESS, CloudTestCase
from clients.debian_mender import wait_until, write_single_file_artifact
from clients.mender5 import Mender5

DISK_BYTES = 24 << 20
KEPT_BYTES = 8 << 20


class FullDiskTest(CloudTestCase):
    settings = {"FreeBytesMin": KEPT_BYTES}

    def setUp(self):
        super().setUp()
        self.assertEqual(self.cloud.stop(), 0)
        # The data moves to a small file system that only this cloud sees.
        mount = ('mount -t tmpfs -o size=$1 tmpfs "$2" && cp -a "$2.moved/." "$2" && shift 2 && exec "$@"')
        data = self.cloud.data
        data.rename(f"{data}.moved")
        data.mkdir()
        user = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
        self.cloud.start(wrap=["unshare", *user, "--mount", "--propagation", "private", "sh", "-c", mount, "sh",
                               str(DISK_BYTES), str(data)])

    def disk(self):
        """The data directory as the cloud sees it."""
        return pathlib.Path(f"/proc/{self.cloud.process.pid}/root{self.cloud.data}")

    def artifact(self, name, size):
        payload = self.work / "payload.bin"
        payload.write_bytes(os.urandom(size))
        return write_single_file_artifact(self.work / f"{name}.mender", name=name, device_type="bench",
                                          payload=payload).read_bytes()

    def test_an_upload_that_does_not_fit_is_refused_and_the_rest_goes_on(self):
        device = Mender5(self.work / "device", server_url=self.cloud.url, ca=self.cloud.ca, identity={"mac": "m1"},
                         device_type="bench", retry_seconds=0.1, timeout=30 * SLOWNESS)
        device.authenticate()
        (device_id,) = self.cloud.accept("m1")
        self.assertEqual(self.cloud.upload(self.artifact("small", 1_000_000)).status, 201)
        answer = self.cloud.upload(self.artifact("large", 20 << 20))
        self.assertEqual(answer.status, 507, answer)
        self.assertIn("storage is full", answer.json()["error"])
        self.assertEqual([a["name"] for a in self.cloud.artifacts()], ["small"])
        self.assertEqual(len(list((self.disk() / "artifacts").iterdir())), 1)
        deployment = self.cloud.deploy("small", [device_id])
        self.assertEqual(device.run(seconds=60 * SLOWNESS), "success")
        self.assertEqual(self.cloud.wait_for_deployment(deployment)["success"], 1)
        self.assertEqual(self.cloud.upload(self.artifact("fits", 1_000_000)).status, 201)

    def test_without_any_room_reports_fail_with_500_and_are_taken_later(self):
        device = Mender5(self.work / "device", server_url=self.cloud.url, ca=self.cloud.ca, identity={"mac": "m1"},
                         device_type="bench", retry_seconds=0.1, timeout=30 * SLOWNESS)
        device.authenticate()
        (device_id,) = self.cloud.accept("m1")
        self.assertTrue(device.authenticate())
        self.assertEqual(self.cloud.upload(self.artifact("small", 100_000)).status, 201)
        deployment = self.cloud.deploy("small", [device_id])
        self.assertEqual(device.poll()["id"], deployment)
        filler = self.disk() / "filler"
        with open(filler, "wb", buffering=0) as file:
            with self.assertRaises(OSError):
                while True:
                    file.write(b"\0" * 4096)
        # Pages that became free in the database are used first, so it takes some reports until there is none.
        path = f"/api/devices/v1/deployments/device/deployments/{deployment}/log"
        entry = {"timestamp": "2026-01-01T00:00:00Z", "level": "info", "message": "m" * 200_000}

        def refused():
            status, _, body = device._call("PUT", path, {"messages": [entry] * 4})
            self.assertIn(status, (204, 500))
            return status == 500 and b"internal error" in body

        wait_until(refused, seconds=60 * SLOWNESS, what="the end of the room", every=0)
        self.assertEqual(self.cloud.deployment(deployment)["status"], "pending")
        filler.unlink()
        self.assertTrue(device.report(deployment, "downloading"))
        self.assertEqual(device._call("PUT", path, {"messages": [entry]})[0], 204)


if __name__ == "__main__":
    unittest.main()
