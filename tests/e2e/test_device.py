"""postern-device against the cloud, with Debian's unmodified update modules, and by hand."""

import collections
import functools
import http.server
import io
import os
import pathlib
import shutil
import subprocess
import tarfile
import tempfile
import threading
import unittest

from device_harness import Device, DeviceTestCase, single_file, write_artifact
from harness import SLOWNESS
from clients.debian_mender import wait_until


class UpdateTest(DeviceTestCase):
    def test_installs_with_the_modules_of_debian(self):
        device = self.device()
        device.start()
        (device_id,) = self.cloud.accept(device.mac)
        self.assertEqual(device.artifact_name(), "unknown")
        content = os.urandom(3_000_000)
        for name, compression in (("file-1", "none"), ("file-2", "gzip"), ("file-3", "lzma")):
            with self.subTest(module="single-file", compression=compression):
                self.upload(single_file(self.work / f"{name}.mender", name=name, directory=device.files, filename="payload",
                                        content=name.encode() + content, more=("--compression", compression)))
                self.assertEqual(self.update(name, device_id), "success")
                self.assertEqual((device.files / "payload").read_bytes(), name.encode() + content)
                self.assertEqual(device.artifact_name(), name)
        self.assertIn("rootfs-image.single-file.version=file-3", device.lines("show-provides"))

        tree = io.BytesIO()
        with tarfile.open(fileobj=tree, mode="w") as archive:
            for file in ("a", "b/c"):
                entry = tarfile.TarInfo(file)
                entry.size = 5
                archive.addfile(entry, io.BytesIO(b"hello"))
        self.upload(write_artifact(self.work / "directory.mender", module="directory", name="directory",
                                   files={"dest_dir": f"{device.files}/tree\n", "update.tar": tree.getvalue()}))
        self.assertEqual(self.update("directory", device_id), "success")
        self.assertEqual((device.files / "tree/b/c").read_text(), "hello")

        self.upload(write_artifact(self.work / "script.mender", module="script", name="script",
                                   files={"run.sh": f"#!/bin/sh\necho ran > {device.files}/ran\n"}))
        self.assertEqual(self.update("script", device_id), "success")
        self.assertEqual((device.files / "ran").read_text(), "ran\n")
        self.assertEqual(device.artifact_name(), "script")

        attributes = self.cloud.manage("GET", f"v1/inventory/devices/{device_id}").json()["attributes"]
        values = {a["name"]: a["value"] for a in attributes if a["scope"] == "inventory"}
        self.assertEqual(values["place"], "bench")
        self.assertEqual(device.stop(), 0)

    def test_a_failing_script_is_reported_with_its_log(self):
        device = self.device()
        device.start()
        (device_id,) = self.cloud.accept(device.mac)
        self.upload(write_artifact(self.work / "broken.mender", module="script", name="broken",
                                   files={"run.sh": "#!/bin/sh\necho the disk is on fire >&2\nexit 7\n"}))
        deployment = self.cloud.deploy("broken", [device_id])
        self.assertEqual(self.end_of(deployment, device_id), "failure")
        self.assertIn("the disk is on fire", self.log_of(deployment, device_id))
        self.assertEqual(device.artifact_name(), "broken_INCONSISTENT")  # that module cannot undo anything

    def test_what_it_cannot_do_is_a_failure_that_says_so(self):
        device = self.device()
        device.start()
        (device_id,) = self.cloud.accept(device.mac)
        script = self.work / "ArtifactInstall_Enter_00"
        script.write_text("#!/bin/sh\n")
        for name, module, more, says in (("scripted", "script", ("-s", script), "state scripts"),
                                         ("foreign", "no-such-module", (), "no update module"),
                                         ("picky", "script", ("-d", "colour:red"), "colour")):
            with self.subTest(name):
                self.upload(write_artifact(self.work / f"{name}.mender", module=module, name=name, more=more,
                                           files={"run.sh": f"#!/bin/sh\ntouch {device.files}/ran\n"}))
                deployment = self.cloud.deploy(name, [device_id])
                status = self.end_of(deployment, device_id)
                if status == "noartifact":  # the server knows already that it does not fit
                    continue
                self.assertEqual(status, "failure")
                self.assertIn(says, self.log_of(deployment, device_id))
        self.assertFalse((device.files / "ran").exists())
        self.assertEqual(device.artifact_name(), "unknown")

    def test_with_a_verify_key_only_signed_releases_are_taken(self):
        key, public = self.work / "key.pem", self.work / "public.pem"
        subprocess.run(["openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", key], check=True)
        subprocess.run(["openssl", "pkey", "-in", key, "-pubout", "-out", public], check=True)
        device = self.device(settings={"ArtifactVerifyKey": str(public)})
        device.start()
        (device_id,) = self.cloud.accept(device.mac)
        for name, more, status in (("unsigned", (), "failure"), ("signed", ("-k", key), "success")):
            self.upload(single_file(self.work / f"{name}.mender", name=name, directory=device.files, filename="payload",
                                    content=name, more=more))
            self.assertEqual(self.update(name, device_id), status)
            self.assertEqual((device.files / "payload").exists(), status == "success")
        self.assertNotIn("no_verify_key", device.log())

    def test_the_daemon_does_what_the_commands_tell_it(self):
        device = self.device(settings={"UpdatePollIntervalSeconds": 3600, "InventoryPollIntervalSeconds": 3600})
        for command in ("check-update", "send-inventory"):
            done = device.run(command)
            self.assertEqual(done.returncode, 1)
            self.assertIn(b"no postern-device daemon runs", done.stderr)
        device.start()
        (device_id,) = self.cloud.accept(device.mac)
        device.wait_for_log("agent.inventory_sent")
        self.assertIn("no_verify_key", device.log())
        self.upload(single_file(self.work / "told.mender", name="told", directory=device.files, filename="payload",
                                content="told"))
        deployment = self.cloud.deploy("told", [device_id])
        self.assertEqual(device.lines("check-update"), [])
        self.assertEqual(self.end_of(deployment, device_id), "success")
        device.lines("send-inventory")
        second = device.run("daemon")
        self.assertEqual(second.returncode, 1)
        self.assertIn(b"another daemon runs", second.stderr)

    def test_a_deployment_that_is_aborted_is_undone(self):
        device = self.device()
        device.start()
        (device_id,) = self.cloud.accept(device.mac)
        self.upload(write_artifact(self.work / "slow.mender", module="script", name="slow",
                                   files={"run.sh": f"#!/bin/sh\ntouch {device.files}/began\nsleep 3\n"}))
        deployment = self.cloud.deploy("slow", [device_id])
        wait_until((device.files / "began").exists, seconds=30 * SLOWNESS, what="the installation")
        answer = self.cloud.manage("PUT", f"v1/deployments/deployments/{deployment}/status", {"status": "aborted"})
        self.assertEqual(answer.status, 204)
        device.wait_for_log("update.ended.*status=failure")
        self.assertEqual(self.cloud.device_statuses(deployment)[device_id], "aborted")


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


class StandaloneTest(unittest.TestCase):
    def setUp(self):
        self.work = pathlib.Path(tempfile.mkdtemp(prefix="postern-test-"))
        self.addCleanup(shutil.rmtree, self.work, ignore_errors=True)
        self.device = Device(self.work / "device")
        self.payload = self.device.files / "payload"

    def artifact(self, name):
        return single_file(self.work / f"{name}.mender", name=name, directory=self.device.files, filename="payload",
                           content=f"content of {name}")

    PENDING = ["Installing artifact...", "Installed, but not committed.",
               "Use 'commit' to update, or 'rollback' to roll back the update."]

    def test_from_a_file(self):
        artifact = self.artifact("one")
        self.assertEqual(self.device.lines("install", artifact), self.PENDING)
        self.assertEqual(self.device.artifact_name(), "unknown")
        again = self.device.run("install", artifact)
        self.assertEqual(again.returncode, 1)
        self.assertIn(b"Update already in progress", again.stderr)
        self.assertEqual(self.device.lines("commit"), ["Committed."])
        self.assertEqual(self.device.artifact_name(), "one")
        self.assertEqual(self.device.lines("commit", status=2), ["No update in progress."])
        self.device.lines("install", self.artifact("two"))
        self.assertEqual(self.payload.read_text(), "content of two")
        self.assertEqual(self.device.lines("rollback"), ["Rolled back."])
        self.assertEqual(self.payload.read_text(), "content of one")
        self.assertEqual(self.device.artifact_name(), "one")

    def test_from_standard_input(self):
        artifact = self.artifact("piped")
        self.assertEqual(self.device.lines("install", "-", input=artifact.read_bytes()), self.PENDING)
        self.assertEqual(self.device.lines("commit"), ["Committed."])
        cut = self.device.run("install", "-", input=artifact.read_bytes()[:-3000])
        self.assertEqual((cut.returncode, cut.stdout.decode().splitlines()),
                         (1, ["Installing artifact...", "Streaming failed.", "System not modified."]))

    def test_from_a_url(self):
        artifact = self.artifact("fetched")
        handler = functools.partial(QuietHandler, directory=self.work)
        with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
            threading.Thread(target=server.serve_forever, daemon=True).start()
            url = f"http://127.0.0.1:{server.server_address[1]}"
            self.assertEqual(self.device.lines("install", f"{url}/{artifact.name}"), self.PENDING)
            self.assertEqual(self.device.lines("rollback"), ["Rolled back."])
            missing = self.device.run("install", f"{url}/missing.mender")
            server.shutdown()
        self.assertEqual(missing.returncode, 1)
        self.assertIn(b"Could not fulfill request", missing.stderr)

    def test_a_reboot_is_told_by_the_exit_status(self):
        self.payload.write_text("before")
        artifact = write_artifact(self.work / "slot.mender", module="slot", name="slot",
                                  files={"where": str(self.payload), "payload": "after"})
        lines = self.device.lines("install", "--reboot-exit-code", artifact, status=4)
        self.assertEqual(lines[-1], "At least one payload requested a reboot of the device it updated.")
        self.assertEqual(self.device.lines("commit"), ["Committed."])

    def test_killed_at_every_point_it_is_old_or_new(self):
        self.payload.write_text("content of unknown")
        hits = collections.Counter()
        number = 0
        for command, points in (("install", ("after_download", "before_install", "after_install")),
                                ("commit", ("before_commit", "after_commit", "before_cleanup")),
                                ("rollback", ("before_rollback", "before_cleanup"))):
            for point in points:
                with self.subTest(f"{command} {point}"):
                    number += 1
                    artifact = self.artifact(f"release-{number}")
                    arguments = [command]
                    if command == "install":
                        arguments.append(artifact)
                    else:
                        self.device.lines("install", artifact)
                    done = self.device.run(*arguments, fault=f"standalone.{point}")
                    self.assertEqual(done.returncode, -9)
                    hits[f"{command} {point}"] += 1
                    resumed = self.device.run("resume")
                    self.assertIn(resumed.returncode, (0, 2))
                    self.assertEqual(self.payload.read_text(), f"content of {self.device.artifact_name()}")
                    self.assertEqual(self.device.run("resume").returncode, 2)
        print(f"\n{dict(hits)}")

    def test_wrong_usage_is_told(self):
        done = self.device.run("instal")
        self.assertEqual(done.returncode, 1)
        self.assertIn(b"Could not fulfill request: Invalid options given", done.stderr)
        self.assertIn(b"Examples:", self.device.run("--help").stdout)


if __name__ == "__main__":
    unittest.main()
