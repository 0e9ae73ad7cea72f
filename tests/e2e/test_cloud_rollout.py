"""Planned deployments by the operator's command, against a real cloud with a scripted device."""

import json
import os
import subprocess
import unittest

from harness import PASSWORD, SLOWNESS, USER, CloudTestCase, tool
from clients.debian_mender import write_single_file_artifact
from clients.mender5 import Mender5


class RolloutTest(CloudTestCase):
    def postern(self, *arguments):
        environment = {"PATH": os.environ["PATH"], "XDG_CONFIG_HOME": str(self.work / "config"),
                       "POSTERN_PASSWORD": PASSWORD}
        return subprocess.run([tool("postern"), *arguments], env=environment, capture_output=True, text=True,
                              timeout=60 * SLOWNESS)

    def good(self, *arguments):
        done = self.postern(*arguments)
        self.assertEqual(done.returncode, 0, (arguments, done.stdout, done.stderr))
        return done.stdout

    def test_a_plan_holds_a_device_and_why_says_so(self):
        self.good("--server", self.cloud.url, "--ca", str(self.cloud.ca), "login", USER)
        payload = self.work / "payload.bin"
        payload.write_bytes(os.urandom(1000))
        self.good("artifact", "upload", str(write_single_file_artifact(
            self.work / "r.mender", name="r", device_type="bench", payload=payload)))
        device = Mender5(self.work / "m1", server_url=self.cloud.url, ca=self.cloud.ca, identity={"mac": "m1"},
                         device_type="bench", retry_seconds=0.1, timeout=30 * SLOWNESS)
        device.authenticate()
        (row,) = json.loads(self.good("device", "list", "--output", "json"))
        self.assertIn("accept it", self.good("why", row["id"]))
        self.good("device", "accept", row["id"])
        self.assertIn("create one", self.good("why", row["id"]))

        deployment = self.good("deployment", "create", "--name", "slow", "--artifact", "r", "--filter", "identity/mac=m1",
                               "--max-failures", "10%", "--window", "Mon-Sun 00:00-24:00", "--concurrent", "1",
                               "--concurrent-per-site", "1", "--retries", "1", "--phases", "100%@now").strip()
        self.assertIn("paused", self.good("deployment", "pause", deployment))
        self.assertIn("paused", self.good("deployment", "show", deployment))
        why = json.loads(self.good("why", row["id"], "--output", "json"))
        self.assertIn(why["reason"], ("paused", "not-seen-since"))
        self.assertEqual(why["deployment"]["id"], deployment)
        self.assertIn("resumed", self.good("deployment", "resume", deployment))
        self.assertEqual(device.run(seconds=60 * SLOWNESS), "success")
        self.assertIn("ended with success", self.good("why", row["id"]))
        self.assertEqual(json.loads(self.good("deployment", "stuck", "--output", "json")), [])
        self.assertIn("aborted", self.good("deployment", "abort", deployment))
        self.assertEqual(self.postern("deployment", "pause", deployment).returncode, 1)

    def test_what_makes_no_sense_is_refused(self):
        self.good("--server", self.cloud.url, "--ca", str(self.cloud.ca), "login", USER)
        for extra in (["--phases", "x%"], ["--max-failures", "0"], ["--window", "Someday"]):
            self.assertEqual(self.postern("deployment", "create", "--name", "n", "--artifact", "r", "--all",
                                          *extra).returncode, 1, extra)


if __name__ == "__main__":
    unittest.main()
