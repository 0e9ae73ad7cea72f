"""Artifacts and releases of the real program: nothing half-stored survives a kill, and generated artifacts are valid."""

import json
import os
import re
import subprocess
import unittest

from harness import SLOWNESS, CloudTestCase
from clients.debian_mender import write_single_file_artifact

GENERATE = "/api/management/v1/deployments/artifacts/generate"


class CloudReleasesTest(CloudTestCase):
    def generate(self, name, content):
        if self.cloud.token is None:
            self.cloud.log_in()
        fields = {
            "name": name, "type": "single_file", "device_types_compatible": "bench", "description": "made here",
            "args": json.dumps({"filename": "app.conf", "dest_dir": "/srv"}),
        }
        body = b""
        for field, value in fields.items():
            body += f'--B\r\nContent-Disposition: form-data; name="{field}"\r\n\r\n{value}\r\n'.encode()
        body += b'--B\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n\r\n' + content + b"\r\n--B--\r\n"
        return self.cloud.ask("POST", GENERATE, body, {"Authorization": f"Bearer {self.cloud.token}",
                                                       "Content-Type": "multipart/form-data; boundary=B"})

    def files(self):
        return sorted(path.name for path in (self.cloud.data / "artifacts").iterdir())

    def assert_nothing_is_there(self):
        self.assertEqual(self.cloud.artifacts(), [])
        self.assertEqual(self.files(), [])
        self.assertEqual(self.cloud.manage("GET", "v1/deployments/limits/storage").json()["usage"], 0)

    def test_a_kill_at_any_point_leaves_nothing_half_stored(self):
        payload = self.work / "payload.bin"
        payload.write_bytes(os.urandom(300_000))
        artifact = write_single_file_artifact(self.work / "a.mender", name="r", device_type="bench",
                                              payload=payload).read_bytes()
        points = {
            "upload.during_body": lambda: self.cloud.upload(artifact),
            "upload.before_rename": lambda: self.cloud.upload(artifact),
            "upload.after_rename": lambda: self.cloud.upload(artifact),
            "generate.after_file": lambda: self.generate("g", payload.read_bytes()),
            "generate.after_packing": lambda: self.generate("g", payload.read_bytes()),
        }
        for point, act in points.items():
            with self.subTest(point=point):
                self.assertEqual(self.cloud.stop(), 0)
                self.cloud.start(fault=point)
                with self.assertRaises(OSError):
                    act()
                self.assertEqual(self.cloud.wait_for_death(), 9)
                self.cloud.start()
                self.assert_nothing_is_there()
        self.assertEqual(self.cloud.upload(artifact).status, 201)
        usage = self.cloud.manage("GET", "v1/deployments/limits/storage").json()
        self.assertEqual(usage, {"limit": 0, "usage": len(artifact)})

    def test_a_generated_artifact_is_valid_for_mender_artifact(self):
        content = os.urandom(200_000) + b"text " * 100_000
        made = self.generate("config-1", content)
        self.assertEqual(made.status, 201, made)
        artifact_id = made.headers["Location"].rsplit("/", 1)[1]
        link = self.cloud.manage("GET", f"v1/deployments/artifacts/{artifact_id}/download").json()
        file = self.work / "made.mender"
        got = self.cloud.ask("GET", re.sub(r"^https://[^/]+", "", link["uri"]))
        self.assertEqual(got.status, 200, got)
        file.write_bytes(got.body)
        for command in ("validate", "read"):
            done = subprocess.run(["mender-artifact", command, str(file)], capture_output=True, text=True,
                                  timeout=60 * SLOWNESS)
            self.assertEqual(done.returncode, 0, done)
        self.assertIn("rootfs-image.single-file.version: config-1", done.stdout)
        self.assertIn("app.conf", done.stdout)


if __name__ == "__main__":
    unittest.main()
