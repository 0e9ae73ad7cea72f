"""postern-device loses its power at every point of an update."""

import collections
import json
import unittest

from device_harness import DeviceTestCase, single_file, write_artifact

#: Of an update that works, with a reboot.
GOOD_STATES = (
    "report_downloading", "download_enter", "download", "download_leave", "report_installing", "install_enter", "install",
    "install_leave", "query_reboot", "report_rebooting", "reboot_enter", "reboot", "verify_reboot", "reboot_leave",
    "expire_token", "report_before_commit", "commit_enter", "commit", "after_commit", "commit_leave", "save_provides",
    "cleanup", "report_final", "clear")
#: Of one that does not pass its verification, from there on.
BAD_STATES = (
    "verify_reboot", "reboot_error", "query_rollback", "rollback_enter", "rollback", "rollback_leave",
    "query_rollback_reboot", "rollback_reboot_enter", "rollback_reboot", "verify_rollback_reboot", "rollback_reboot_leave",
    "failure_enter", "failure", "failure_leave", "save_provides", "cleanup", "report_final", "clear")
#: Of one that cannot even be fetched.
UNFIT_STATES = ("download_error", "rollback_not_needed", "cleanup")


class PowerTest(DeviceTestCase):
    """Claims, wherever the power is cut: afterwards the disk is old or new and never between, the client and the server
    both say which, and the next update works."""

    def setUp(self):
        super().setUp()
        self.hits = collections.Counter()
        self.target_device = self.device()
        self.target = self.target_device.files / "payload"
        self.target.write_text("content of unknown")
        self.target_device.start()
        (self.device_id,) = self.cloud.accept(self.target_device.mac)
        self.target_device.stop()
        self.count = 0

    def release(self, module, *, bad=False, fits=True):
        self.count += 1
        name = f"{'bad' if bad else 'good'}-{self.count}"
        content = f"{'bad' if bad else 'good'} content of {name}"
        output = self.work / f"{name}.mender"
        if module == "slot":
            write_artifact(output, module="slot" if fits else "no-such-module", name=name,
                           files={"where": str(self.target), "payload": content})
        else:
            single_file(output, name=name, directory=self.target.parent, filename=self.target.name, content=content)
        self.upload(output)
        output.unlink()
        return name

    def check_end(self, deployment, old, new, *, is_told=True):
        """Whether everyone agrees about what is installed."""
        device = self.target_device
        status = self.end_of(deployment, self.device_id)
        if is_told:
            device.wait_for_log(f"update.ended deployment={deployment}")
        content, name = self.target.read_text(), device.artifact_name()
        self.assertIn((status, name), (("success", new), ("failure", old)))
        self.assertTrue(content.endswith(f"content of {name}"), f"{content!r} with {name}")
        self.assertFalse((device.store / "modules/v3/payloads/0000/tree").exists())
        return status

    def cut(self, point, *, module="slot", bad=False, fits=True):
        device = self.target_device
        old = device.artifact_name()
        new = self.release(module, bad=bad, fits=fits)
        deployment = self.cloud.deploy(new, [self.device_id])
        device.start(fault=point)
        self.assertEqual(device.wait_for_death(), 9, point)
        self.hits[point] += 1
        device.start()
        # At the very last point nothing is left to be taken up, nor to be told.
        status = self.check_end(deployment, old, new, is_told=point != "flow.after_clear")
        device.stop()
        return status

    def show(self):
        print(f"\n{len(self.hits)} places, each hit: " + ", ".join(f"{p} x{n}" for p, n in sorted(self.hits.items())))

    def cut_around(self, states, **options):
        statuses = collections.Counter()
        for state in states:
            for when in ("before", "after"):
                with self.subTest(f"{when} {state}"):
                    statuses[self.cut(f"flow.{when}_{state}", **options)] += 1
        self.show()
        self.assertEqual(set(self.hits), {f"flow.{when}_{state}" for state in states for when in ("before", "after")})
        print(dict(statuses))
        return statuses

    def test_cut_in_an_update_that_works(self):
        statuses = self.cut_around(GOOD_STATES)
        self.assertGreater(statuses["success"], 0)
        self.assertGreater(statuses["failure"], 0)

    def test_cut_in_an_update_that_is_undone(self):
        statuses = self.cut_around(BAD_STATES, bad=True)
        self.assertEqual(set(statuses), {"failure"})

    def test_cut_in_an_update_that_cannot_be_fetched(self):
        self.cut_around(UNFIT_STATES, fits=False)

    def test_cut_with_the_single_file_module(self):
        for state in ("download", "install", "commit", "after_commit", "cleanup"):
            for when in ("before", "after"):
                with self.subTest(f"{when} {state}"):
                    self.cut(f"flow.{when}_{state}", module="single-file")
        self.show()

    def test_cut_in_the_commits_of_its_record(self):
        for place in ("writer.before_commit", "writer.after_commit"):
            for number in range(1, 9):
                with self.subTest(f"{place} {number}"):
                    self.cut(f"{place}:{number}")
        self.show()

    def test_what_lets_the_device_reach_no_server_is_undone(self):
        device = self.target_device
        name = self.release("slot")
        deployment = self.cloud.deploy(name, [self.device_id])
        device.start(fault="flow.after_reboot")  # what comes up then is the new software
        self.assertEqual(device.wait_for_death(), 9)
        self.assertIn(name, self.target.read_text())
        configuration = device.etc / "mender.conf"
        good = configuration.read_text()
        configuration.write_text(json.dumps({k: v for k, v in json.loads(good).items() if k != "ServerURL"}))
        device.start()
        device.wait_for_log(f"update.ended deployment={deployment}.*status=failure")
        device.stop()
        self.assertEqual(self.target.read_text(), "content of unknown")
        self.assertEqual(device.run("daemon").returncode, 1)  # nothing is left to be undone
        configuration.write_text(good)
        device.start()
        self.assertEqual(self.end_of(deployment, self.device_id), "success")  # the server still wants it

    def test_killed_by_its_own_module(self):
        device = self.target_device
        for state, bad in (("Download", False), ("ArtifactInstall", False), ("ArtifactReboot", False),
                           ("ArtifactVerifyReboot", False), ("ArtifactCommit", False), ("Cleanup", False),
                           ("ArtifactRollback", True), ("ArtifactRollbackReboot", True),
                           ("ArtifactVerifyRollbackReboot", True), ("ArtifactFailure", True)):
            with self.subTest(state):
                old = device.artifact_name()
                new = self.release("slot", bad=bad)
                (device.work / f"kill-{state}").write_text("")
                deployment = self.cloud.deploy(new, [self.device_id])
                device.start()
                self.assertEqual(device.wait_for_death(), 9)
                self.hits[state] += 1
                device.start()
                status = self.check_end(deployment, old, new)
                device.stop()
                self.hits[f"{state}: {status}"] += 1
        self.show()


if __name__ == "__main__":
    unittest.main()
