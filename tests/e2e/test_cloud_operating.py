"""Running a cloud: backups of a busy server and what is left of those that were killed, the service manager, and what its
logs must not hold."""

import json
import os
import re
import signal
import socket
import subprocess
import threading
import unittest

from harness import Cloud, CloudTestCase, PASSWORD, SLOWNESS, tool
from clients.debian_mender import wait_until, write_single_file_artifact
from clients.mender5 import Mender5
from unit_file import UnitFileTests


class OperatingCase(CloudTestCase):
    def command(self, *arguments, status=0, fault=None):
        """Runs a command of postern-cloud beside the running one; returns what it prints."""
        environment = {k: v for k, v in os.environ.items() if k != "POSTERN_FAULT_POINT"}
        if fault:
            environment["POSTERN_FAULT_POINT"] = fault
        done = subprocess.run([tool("postern-cloud"), *arguments], capture_output=True, text=True,
                              timeout=120 * SLOWNESS, env=environment)
        self.assertEqual(done.returncode, status, f"{arguments}: {done.stdout}{done.stderr}")
        self.said = done.stderr
        return done.stdout

    def artifact(self, name, size=20_000):
        payload = self.work / "payload"
        payload.write_bytes(os.urandom(size))
        return write_single_file_artifact(self.work / f"{name}.mender", name=name, device_type="bench",
                                          payload=payload).read_bytes()


class Load:
    """Devices that ask to be let in, as fast as they are answered, until it ends; `acknowledged` are those on record."""

    def __init__(self, cloud):
        self.cloud = cloud
        self.acknowledged = []
        self._ends = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._ends.set()
        self._thread.join()

    def _run(self):
        number = 0
        while not self._ends.is_set():
            number += 1
            mac = f"02:00:00:00:{number // 256:02x}:{number % 256:02x}"
            answer = self.cloud.manage("POST", "v2/devauth/devices",
                                       {"identity_data": {"mac": mac}, "pubkey": PUBLIC_KEY})
            if answer.status == 201:
                self.acknowledged.append(mac)


PUBLIC_KEY = """-----BEGIN PUBLIC KEY-----
MCowBQYDK2VwAyEAuBQVWyTtYGloph0TN4+WSaoqoe3Hhr9tp/nrVh3lEjw=
-----END PUBLIC KEY-----
"""


class BackupTest(OperatingCase):
    def restored(self, backup):
        """A cloud that serves what was restored from a backup."""
        cloud = Cloud(self.work / f"restored-{backup.name}")
        subprocess.run(["rm", "-r", str(cloud.data)], check=True)
        self.command("restore", str(backup), "--data", str(cloud.data))
        cloud.start()
        self.addCleanup(cloud.stop)
        return cloud

    def macs(self, cloud):
        macs, page = [], 1
        while rows := cloud.manage("GET", f"v2/devauth/devices?per_page=500&page={page}").json():
            macs += [row["identity_data"]["mac"] for row in rows]
            page += 1
        return macs

    def test_a_backup_of_a_busy_server_holds_all_that_it_had_acknowledged(self):
        content = self.artifact("release-1")
        self.assertEqual(self.cloud.upload(content).status, 201)
        with Load(self.cloud) as load:
            while len(load.acknowledged) < 20:
                pass
            before = list(load.acknowledged)
            backup = self.work / "backup"
            said = self.command("backup", str(backup), "--data", str(self.cloud.data))
            self.assertIn("1 artifacts", said)
            self.assertIn("all of it was checked", said)
            self.assertEqual(backup.stat().st_mode & 0o777, 0o700)
            # Goes on afterwards as if nothing had been.
            self.assertEqual(self.cloud.upload(self.artifact("release-2")).status, 201)
        restored = self.restored(backup)
        macs = self.macs(restored)
        self.assertEqual(len(macs), len(set(macs)))
        self.assertLessEqual(set(before), set(macs))
        self.assertLessEqual(set(macs), {f"02:00:00:00:{n // 256:02x}:{n % 256:02x}"
                                         for n in range(1, len(load.acknowledged) + 2)})
        [artifact] = restored.artifacts()
        self.assertEqual(artifact["name"], "release-1")
        restored.token = self.cloud.token
        self.assertEqual(restored.manage("GET", "v1/deployments/artifacts").status, 200, "sessions outlast it")
        self.command("backup", str(backup), "--data", str(self.cloud.data), status=1)
        self.assertIn("is there already", self.said)
        self.command("restore", str(backup), "--data", str(restored.data), status=1)
        self.assertIn("not empty", self.said)

    def test_a_backup_that_is_killed_leaves_nothing_that_looks_whole(self):
        self.assertEqual(self.cloud.upload(self.artifact("release-1")).status, 201)
        backup = self.work / "backup"
        for point in ("backup.after_artifacts", "backup.after_database", "backup.before_name"):
            with self.subTest(point=point):
                self.command("backup", str(backup), "--data", str(self.cloud.data), status=-signal.SIGKILL, fault=point)
                self.assertFalse(backup.exists())
                self.command("restore", str(backup), "--data", str(self.work / "nothing"), status=1)
                self.assertIn("no whole backup", self.said)
                self.assertFalse((self.work / "nothing").exists())
        self.command("backup", str(backup), "--data", str(self.cloud.data))
        self.assertFalse((self.work / "backup.unfinished").exists())

        data = self.work / "killed"
        self.command("restore", str(backup), "--data", str(data), status=-signal.SIGKILL, fault="restore.before_end")
        self.command("create-user", "other", "a good password", "--data", str(data), status=1)
        self.assertIn("has not come to its end", self.said)
        self.command("restore", str(backup), "--data", str(data))


class CheckTest(OperatingCase):
    def test_the_configuration_is_checked_without_serving(self):
        path = self.cloud.work / "postern-cloud.json"
        self.assertIn("good", self.command("check", "--config", str(path)))
        config = json.loads(path.read_text())
        config["Key"] = str(self.work / "missing.key")
        broken = self.work / "broken.json"
        broken.write_text(json.dumps(config))
        self.assertIn("Key: ", self.command("check", "--config", str(broken), status=1))


class ServiceManagerTest(OperatingCase):
    """With a service manager's socket."""

    def setUp(self):
        super().setUp()
        self.notified = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.addCleanup(self.notified.close)
        self.notified.bind(str(self.work / "notify"))
        self.notified.settimeout(30 * SLOWNESS)
        self.cloud.stop()
        self.cloud.start(wrap=["env", f"NOTIFY_SOCKET={self.work / 'notify'}", "WATCHDOG_USEC=1500000"])

    def hear(self, wanted):
        while True:
            message = self.notified.recv(4096).decode()
            if message.startswith(wanted):
                return message

    def test_the_manager_hears_when_it_is_ready_that_it_lives_and_when_it_stops(self):
        self.assertIn("STATUS=Serving at", self.hear("READY=1"))
        self.hear("WATCHDOG=1")
        self.hear("WATCHDOG=1")
        self.cloud.stop()
        self.hear("STOPPING=1")


class UnitFileTest(UnitFileTests, unittest.TestCase):
    path = "cloud/packaging/postern-cloud.service"


class LogTest(OperatingCase):
    """A busy server, everything logged: no secret of anybody's is in any line."""

    settings = {"LogLevel": "debug"}

    def test_no_signature_token_or_password_is_in_the_log(self):
        self.assertEqual(self.cloud.upload(self.artifact("release-1")).status, 201)
        device = Mender5(self.work / "device", server_url=self.cloud.url, ca=self.cloud.ca, identity={"mac": "00:01"},
                         device_type="bench", retry_seconds=0.1, timeout=30 * SLOWNESS)
        device.authenticate()
        self.cloud.deploy("release-1", self.cloud.accept("00:01"))
        self.assertTrue(device.authenticate())
        self.assertEqual(device.run(seconds=60 * SLOWNESS), "success")
        self.cloud.ask("GET", "/api/devices/v1/deployments/download/artifact/00?x-men-expire=1&x-men-signature=0badc0ffee")
        self.cloud.ask("POST", "/api/management/v1/useradm/auth/login", headers={"Authorization": "Basic YWRtaW46d3Jvbmc="})
        self.cloud.stop()
        log = self.cloud.log()
        self.assertIn("http.served", log, "it is a log of everything")
        self.assertRegex(log, r"download\.served request=\S")
        for secret in filter(None, (PASSWORD, device._token, self.cloud.token)):
            self.assertNotIn(secret, log)
        for pattern in (r"(?i)signature=", r"0badc0ffee", r"Bearer \S", r"Basic \S", r"eyJ[A-Za-z0-9_-]{10,}",
                        r"PRIVATE KEY"):
            self.assertIsNone(re.search(pattern, log), pattern)


if __name__ == "__main__":
    unittest.main()
