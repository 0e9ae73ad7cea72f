"""A gateway that is stopped or killed in the middle: nobody is locked out, and nothing durable is fetched again."""

import collections
import unittest

from harness import SLOWNESS
from gateway_harness import ForeignUpstream, SiteTestCase
from clients.debian_mender import wait_until

CHUNK = 256 * 4096 - 16
BATCH = 8 * CHUNK
SIZE = 20_000_000


class RestartCase(SiteTestCase):
    upstream_type = ForeignUpstream

    def device_with_deployment(self, *, size=SIZE):
        device = self.mender5(1)
        self.assertTrue(device.authenticate())
        content = self.release("release-1", size=size)
        self.deployment = self.upstream.deploy("release-1", [self.id_of(device.identity["mac"])])
        return device, content

    def assert_updated(self, device, content):
        self.assertEqual(device.run(seconds=90 * SLOWNESS), "success")
        self.assertEqual(self.installed(device), content)
        self.assertEqual(set(self.upstream.statuses(self.deployment).values()), {"success"})

    def assert_not_locked_out(self, device):
        answers = [status for _, path, status in device.requests if not path.endswith("auth_requests")]
        self.assertNotIn(401, answers, "the token is good across the restart")


class RestartTest(RestartCase):
    def test_an_orderly_restart_in_the_middle_of_a_download_goes_unnoticed_but_for_a_cut(self):
        device, content = self.device_with_deployment()
        fault = self.upstream.server.links.fail(stall_after=BATCH + 3 * CHUNK)

        def restart():
            self.gateway.stop()
            fault.release()
            self.gateway.start()
            device.before_resume = lambda: None

        device.before_resume = restart
        device.cuts = [5_000_000]
        self.assert_updated(device, content)
        self.assert_not_locked_out(device)
        first, second = (first for first, _ in self.upstream.served())
        self.assertEqual(first, 0)
        self.assertGreaterEqual(second, BATCH, "what was durable is not fetched again")

    def test_a_complete_artifact_is_served_after_a_restart_without_asking_the_upstream(self):
        device, content = self.device_with_deployment()
        self.assert_updated(device, content)
        self.gateway.kill()
        self.gateway.start()
        other = self.mender5(2)
        self.assertTrue(other.authenticate())
        self.deployment = self.upstream.deploy("release-1", [self.id_of(other.identity["mac"])])
        self.assert_updated(other, content)
        self.assertEqual(len(self.upstream.served()), 1)


class KillTest(RestartCase):
    #: Fault point, and from which byte on the fetch may go on afterwards.
    POINTS = {
        "fill.before_store:1": 0,
        "fill.before_mark:1": 0,
        "fill.after_mark:1": BATCH,
        "fill.before_store:2": BATCH,
        "fill.after_mark:2": 2 * BATCH,
        "fill.after_mark:3": 2 * BATCH,
        "bindings.before_store:3": 0,
        "bindings.after_store:3": 0,
    }

    def test_kills_while_it_writes_cost_a_cut_and_no_more(self):
        histogram = collections.Counter()
        for point, durable in self.POINTS.items():
            with self.subTest(point=point):
                self.upstream.server.downloads.clear()
                number = len(histogram) + 1
                device = self.mender5(number)
                self.gateway.stop()
                self.gateway.start(fault=point)

                def revive():
                    if self.gateway.process.poll() is None:
                        return
                    histogram[point] += 1
                    self.gateway.wait_for_death()
                    self.gateway.start()

                device.before_resume = revive
                name = f"release-{number}"
                content = self.update_through_a_kill(device, name, revive)
                self.assertEqual(self.installed(device), content)
                firsts = [first for first, _ in self.upstream.served()]
                self.assertTrue(all(first >= durable for first in firsts[1:]), f"{point}: {firsts}")
        print(f"kills by fault point: {dict(histogram)}")
        self.assertEqual(set(histogram), set(self.POINTS), "every point was hit")

    def update_through_a_kill(self, device, name, revive):
        content = self.release(name, size=SIZE)
        granted = []

        def authenticate():
            try:
                granted.append(device.authenticate())
            except OSError:
                revive()
            return granted and granted[-1]

        wait_until(authenticate, seconds=60 * SLOWNESS, what="a token")
        deployment = self.upstream.deploy(name, [self.id_of(device.identity["mac"])])

        def updated():
            try:
                return device.run(seconds=60 * SLOWNESS) == "success"
            except OSError:
                revive()
                return False

        wait_until(updated, seconds=120 * SLOWNESS, what="the update")
        self.assertEqual(set(self.upstream.statuses(deployment).values()), {"success"})
        return content


if __name__ == "__main__":
    unittest.main()
