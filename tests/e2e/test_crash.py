"""kill -9 during each kind of write: what was answered is there, what was not is there whole or not at all.

The process kills itself at named places: before a commit, and after it but before anybody is told.
"""

import base64
import collections
import http.client
import os
import subprocess
import sys
import unittest

from harness import PASSWORD, SLOWNESS, CloudTestCase, tool
from clients.debian_mender import write_single_file_artifact
from clients.mender5 import ConnectionCut, Mender5

NEXT = "/api/devices/v2/deployments/device/deployments/next"
INVENTORY = "/api/devices/v1/inventory/device/attributes"
POLL = {"device_provides": {"device_type": "bench", "artifact_name": "a"}}
BEFORE, AFTER = "writer.before_commit", "writer.after_commit"
PLACES = {BEFORE, AFTER, "upload.during_body", "upload.before_rename", "upload.after_rename"}
GONE = (ConnectionCut, ConnectionError, http.client.HTTPException, OSError)


class CrashTest(CloudTestCase):
    hits = collections.Counter()
    finished = 0

    def tearDown(self):
        type(self).finished += 1

    @classmethod
    def tearDownClass(cls):
        sys.stderr.write("crashes by place and kind of write:\n")
        for (place, kind), count in sorted(cls.hits.items()):
            sys.stderr.write(f"  {count}  {place:<24} {kind}\n")
        missed = PLACES - {place for place, _ in cls.hits}
        if missed and cls.finished == sum(name.startswith("test_") for name in dir(cls)):
            raise AssertionError(f"never crashed at {sorted(missed)}")

    def crash(self, place, kind, act):
        """Runs `act` on a cloud that dies at `place`; then starts it again."""
        self.cloud.stop()
        self.cloud.start(fault=place)
        try:
            result = act()
        except GONE:
            result = None
        self.assertEqual(self.cloud.wait_for_death(), 9, f"{kind} did not reach {place}")
        self.assertIsNone(result, f"{kind} was answered although the cloud died at {place}")
        self.hits[place.split(":")[0], kind] += 1
        self.cloud.start()

    def check(self, kind, act, look, *, old, new):
        """`look` sees `old` after a crash before the commit of `act`, and `new` after one behind it."""
        self.assertEqual(look(), old, f"{kind}: at the start")
        self.crash(BEFORE, kind, act)
        self.assertEqual(look(), old, f"{kind}: after a crash before the commit")
        self.crash(AFTER, kind, act)
        self.assertEqual(look(), new, f"{kind}: after a crash behind the commit")

    def device(self, mac):
        return Mender5(self.work / mac, server_url=self.cloud.url, ca=self.cloud.ca, identity={"mac": mac},
                       device_type="bench", retry_seconds=0.1, timeout=30 * SLOWNESS)

    def accepted(self, mac):
        device = self.device(mac)
        device.authenticate()
        (device_id,) = self.cloud.accept(mac)
        self.assertTrue(device.authenticate())
        return device, device_id

    def artifact(self, name):
        payload = self.work / "payload.bin"
        payload.write_bytes(os.urandom(400_000))
        return write_single_file_artifact(self.work / f"{name}.mender", name=name, device_type="bench",
                                          payload=payload).read_bytes()

    def status_of(self, device_id):
        answer = self.cloud.manage("GET", f"v2/devauth/devices/{device_id}")
        return answer.json()["status"] if answer.status == 200 else answer.status

    def counts(self, deployment):
        statistics = self.cloud.deployment(deployment)["statistics"]["status"]
        return {status: count for status, count in statistics.items() if count}

    def files(self):
        return sorted(path.name for path in (self.cloud.data / "artifacts").iterdir())

    def test_auth_requests_and_decisions(self):
        device = self.device("m1")
        self.check("auth request", device.authenticate, lambda: len(self.cloud.devices()), old=0, new=1)
        record = self.cloud.devices()[0]
        path = f"v2/devauth/devices/{record['id']}/auth/{record['auth_sets'][0]['id']}/status"

        def decide(status):
            return lambda: self.cloud.manage("PUT", path, {"status": status})

        self.check("accept", decide("accepted"), lambda: self.status_of(record["id"]), old="pending", new="accepted")
        self.assertTrue(device.authenticate())
        self.check("reject", decide("rejected"), lambda: self.status_of(record["id"]), old="accepted", new="rejected")
        self.assertEqual(device._call("POST", NEXT, POLL)[0], 401)
        self.check("decommission", lambda: self.cloud.manage("DELETE", f"v2/devauth/devices/{record['id']}"),
                   lambda: self.status_of(record["id"]), old="rejected", new=404)

    def test_preauthorizing(self):
        device = self.device("m2")
        body = {"identity_data": {"mac": "m2"}, "pubkey": device._public_key()}
        self.check("preauthorize", lambda: self.cloud.manage("POST", "v2/devauth/devices", body),
                   lambda: [d["status"] for d in self.cloud.devices()], old=[], new=["preauthorized"])
        self.assertTrue(device.authenticate())

    def test_revoking_a_token_and_dismissing_a_key(self):
        device, device_id = self.accepted("m4")
        (key,) = self.cloud.manage("GET", f"v2/devauth/devices/{device_id}").json()["auth_sets"]

        def polled():
            return device._call("POST", NEXT, POLL)[0]

        self.check("revoke token", lambda: self.cloud.manage("DELETE", f"v2/devauth/tokens/{key['id']}"), polled,
                   old=204, new=401)
        self.assertTrue(device.authenticate())
        self.check("dismiss key", lambda: self.cloud.manage("DELETE", f"v2/devauth/devices/{device_id}/auth/{key['id']}"),
                   polled, old=204, new=401)

    def test_login(self):
        self.cloud.log_in()
        token = self.cloud.token
        for place in (BEFORE, AFTER):
            self.crash(place, "login", self.cloud.log_in)
            self.cloud.token = token
            self.assertEqual(self.cloud.manage("GET", "v2/devauth/devices").status, 200)

    def test_logout(self):
        self.cloud.log_in()
        self.check("logout", lambda: self.cloud.manage("POST", "v1/useradm/auth/logout"),
                   lambda: self.cloud.manage("GET", "v2/devauth/devices").status, old=200, new=401)

    def test_making_a_user(self):
        login = "/api/management/v1/useradm/auth/login"
        credentials = {"Authorization": "Basic " + base64.b64encode(f"second:{PASSWORD}".encode()).decode()}
        for place, status in ((BEFORE, 401), (AFTER, 200)):
            self.cloud.stop()
            done = subprocess.run([tool("postern-cloud"), "create-user", "second", PASSWORD, "--data", str(self.cloud.data)],
                                  env={**os.environ, "POSTERN_FAULT_POINT": place}, capture_output=True, text=True,
                                  timeout=60 * SLOWNESS)
            self.assertEqual((done.returncode, done.stdout), (-9, ""), place)
            self.hits[place, "create user"] += 1
            self.cloud.start()
            self.assertEqual(self.cloud.ask("POST", login, headers=credentials).status, status, place)

    def test_uploads_and_deletions(self):
        self.cloud.log_in()
        content = self.artifact("release-1")
        for place in ("upload.during_body", "upload.during_body:3", "upload.before_rename", "upload.after_rename", BEFORE):
            self.crash(place, "upload", lambda: self.cloud.upload(content))
            self.assertEqual((self.cloud.artifacts(), self.files()), ([], []), place)
        self.crash(AFTER, "upload", lambda: self.cloud.upload(content))
        (artifact,) = self.cloud.artifacts()
        self.assertEqual(self.files(), [artifact["id"]])
        self.check("delete artifact", lambda: self.cloud.manage("DELETE", f"v1/deployments/artifacts/{artifact['id']}"),
                   lambda: [len(self.cloud.artifacts()), len(self.files())], old=[1, 1], new=[0, 0])

    def test_a_deployment_from_its_making_to_its_end(self):
        device, device_id = self.accepted("m3")
        self.assertEqual(self.cloud.upload(self.artifact("release-1")).status, 201)
        order = {"name": "crash", "artifact_name": "release-1", "devices": [device_id]}
        self.check("create deployment", lambda: self.cloud.manage("POST", "v1/deployments/deployments", order),
                   lambda: len(self.cloud.manage("GET", "v1/deployments/deployments").json()), old=0, new=1)
        deployment = self.cloud.manage("GET", "v1/deployments/deployments").json()[0]["id"]

        self.check("next", device.poll, lambda: self.cloud.deployment(deployment)["device_count"], old=0, new=1)
        self.assertEqual(device.poll()["id"], deployment)
        self.check("status", lambda: device.report(deployment, "downloading"), lambda: self.counts(deployment),
                   old={"pending": 1}, new={"downloading": 1})
        log_path = f"v1/deployments/deployments/{deployment}/devices/{device_id}/log"
        self.check("log", lambda: device.send_log(deployment) or "answered",
                   lambda: self.cloud.manage("GET", log_path).status, old=404, new=200)
        self.check("inventory", lambda: device.send_inventory() or "answered",
                   lambda: self.inventory_names(device_id), old=[],
                   new=["artifact_name", "device_type", "mender_client_version"])
        self.check("inventory merge", lambda: device._call("PATCH", INVENTORY, [{"name": "zone", "value": "7"}]),
                   lambda: "zone" in self.inventory_names(device_id), old=False, new=True)
        self.check("final status", lambda: device.report(deployment, "success"),
                   lambda: (self.counts(deployment), self.cloud.deployment(deployment)["status"]),
                   old=({"downloading": 1}, "inprogress"), new=({"success": 1}, "finished"))

        second = self.cloud.deploy("release-1", [device_id], force_installation=True)
        self.assertEqual(device.poll()["id"], second)
        self.check("abort", lambda: self.cloud.manage("PUT", f"v1/deployments/deployments/{second}/status",
                                                      {"status": "aborted"}),
                   lambda: (self.counts(second), self.cloud.deployment(second)["status"]),
                   old=({"pending": 1}, "pending"), new=({"aborted": 1}, "finished"))
        self.assertIsNone(device.poll())

    def inventory_names(self, device_id):
        attributes = self.cloud.manage("GET", f"v1/inventory/devices/{device_id}").json()["attributes"]
        return sorted(a["name"] for a in attributes if a["scope"] == "inventory")


if __name__ == "__main__":
    unittest.main()
