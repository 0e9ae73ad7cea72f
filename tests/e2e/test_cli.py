"""The operator's command against a real cloud, with a scripted device."""

import json
import os
import subprocess
import unittest

from harness import PASSWORD, SLOWNESS, USER, CloudTestCase, tool
from clients.debian_mender import write_single_file_artifact
from clients.mender5 import Mender5


class CommandLineTest(CloudTestCase):
    def setUp(self):
        super().setUp()
        self.environment = {"PATH": os.environ["PATH"], "XDG_CONFIG_HOME": str(self.work / "config"),
                            "POSTERN_PASSWORD": PASSWORD}
        done = self.postern("--server", self.cloud.url, "--ca", str(self.cloud.ca), "login", USER)
        self.assertEqual(done.returncode, 0, done.stderr)

    def postern(self, *arguments):
        return subprocess.run([tool("postern"), *arguments], env=self.environment, capture_output=True, text=True,
                              timeout=60 * SLOWNESS)

    def good(self, *arguments):
        done = self.postern(*arguments)
        self.assertEqual(done.returncode, 0, (arguments, done.stdout, done.stderr))
        return done.stdout

    def artifact(self, name):
        payload = self.work / "payload.bin"
        payload.write_bytes(os.urandom(300_000))
        return write_single_file_artifact(self.work / f"{name}.mender", name=name, device_type="bench", payload=payload)

    def device(self, mac):
        return Mender5(self.work / mac, server_url=self.cloud.url, ca=self.cloud.ca, identity={"mac": mac},
                       device_type="bench", retry_seconds=0.1, timeout=30 * SLOWNESS)

    def test_a_rollout_from_upload_to_the_end(self):
        artifact_id = self.good("artifact", "upload", str(self.artifact("release-1")), "--description", "first").strip()
        listed = self.good("artifact", "list")
        self.assertIn("release-1", listed)
        self.assertIn(artifact_id, listed)
        self.assertIn("payload.bin", self.good("artifact", "show", "release-1"))
        device = self.device("m1")
        device.authenticate()
        self.assertIn("mac=m1", self.good("device", "list", "--status", "pending"))
        self.assertIn("accepted", self.good("device", "accept", "--all", "--wait", "1"))
        (row,) = json.loads(self.good("device", "list", "--output", "json"))
        deployment = self.good("deployment", "create", "--name", "spring", "--artifact", "release-1", "--all").strip()
        self.assertEqual(device.run(seconds=60 * SLOWNESS), "success")
        watched = self.good("deployment", "watch", deployment, "--timeout", "1m")
        self.assertIn("success", watched)
        self.assertIn(row["id"], watched)
        self.assertIn("finished", self.good("deployment", "list"))
        self.assertIn("success 1", self.good("deployment", "show", deployment))
        self.assertIn("device_type = bench", self.good("device", "show", row["id"]))
        self.assertIn("deleted", self.good("artifact", "delete", artifact_id))

    def test_a_deployment_that_does_not_succeed_ends_the_watch_with_status_3(self):
        self.good("artifact", "upload", str(self.artifact("release-1")))
        deployment = self.good("deployment", "create", "--name", "n", "--artifact", "release-1", "--device", "nobody").strip()
        self.assertIn("aborted", self.good("deployment", "abort", deployment))
        self.assertEqual(self.postern("deployment", "watch", deployment).returncode, 3)

    def test_devices_are_rejected_by_id(self):
        device = self.device("m1")
        device.authenticate()
        (row,) = json.loads(self.good("device", "list", "--output", "json"))
        self.good("device", "reject", row["id"])
        self.assertIn("rejected", self.good("device", "list"))

    def test_errors_say_what_to_do(self):
        def error(*arguments):
            done = self.postern(*arguments)
            self.assertEqual(done.returncode, 1, done.stdout)
            self.assertEqual(done.stdout, "")
            return done.stderr

        self.assertIn("No artifact", error("deployment", "create", "--name", "n", "--artifact", "none", "--device", "d"))
        self.assertIn("none", error("artifact", "show", "none"))
        self.assertIn("/no/such.mender", error("artifact", "upload", "/no/such.mender"))
        self.assertIn("--ca", error("--server", self.cloud.url.replace("localhost", "127.0.0.1"), "login", USER))
        self.environment["POSTERN_PASSWORD"] = "wrong password"
        self.assertIn("does not know", error("login", USER))
        self.good("logout")
        self.assertIn("postern login", error("device", "list"))
        self.cloud.stop()
        self.assertIn(self.cloud.url, error("login", USER))

    def test_the_session_file_is_for_its_owner_only(self):
        file = self.work / "config/postern/session.json"
        self.assertEqual(file.stat().st_mode & 0o777, 0o600)
        self.assertEqual(file.parent.stat().st_mode & 0o777, 0o700)


if __name__ == "__main__":
    unittest.main()
