"""A gateway that is stopped or killed in the middle: nobody is locked out, and nothing durable is fetched again."""

import collections
import concurrent.futures
import random
import unittest

from harness import SLOWNESS
from gateway_harness import CHUNK, ForeignUpstream, SiteTestCase, revived
from clients.debian_mender import wait_until
from clients.mender5 import ConnectionCut

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
        # The device had 5 000 000 bytes: four whole chunks at least had arrived, and an orderly end keeps those.
        self.assertGreaterEqual(second, 4 * CHUNK, "what was durable is not fetched again")
        self.assertEqual(second % CHUNK, 0)

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
        for number, (point, durable) in enumerate(self.POINTS.items(), 1):
            with self.subTest(point=point):
                self.upstream.server.downloads.clear()
                self.gateway.stop()
                self.gateway.start(fault=point)
                with revived(self.gateway) as deaths:
                    self.update(self.mender5(number), f"release-{number}")
                histogram[point] = len(deaths)
                firsts = [first for first, _ in self.upstream.served()]
                self.assertTrue(all(first >= durable for first in firsts[1:]), f"{point}: {firsts}")
        print(f"kills by fault point: {dict(histogram)}")
        self.assertEqual(histogram, collections.Counter(dict.fromkeys(self.POINTS, 1)), "every point was hit")

    def test_kills_at_any_moment_end_in_success_everywhere(self):
        devices = [self.mender5(number) for number in (1, 2, 3)]
        seed = random.randrange(1 << 32)
        moments = random.Random(seed)
        kills = 0
        for round_number in range(3):
            name = f"release-{round_number}"
            with revived(self.gateway) as deaths, concurrent.futures.ThreadPoolExecutor() as pool:
                content = self.release(name, size=SIZE)
                updates = [pool.submit(self.update, device, name, content) for device in devices]
                while not all(update.done() for update in updates) and len(deaths) < 5:
                    if deaths.wait(moments.uniform(0.05, 0.8)):
                        self.gateway.process.kill()
                for update in updates:
                    update.result(timeout=240 * SLOWNESS)
                kills += len(deaths)
        print(f"kills at random moments: {kills}, seed {seed}")
        self.assertGreater(kills, 3)

    def update(self, device, name, content=None):
        """Brings the device to the release, however often its server dies."""
        content = content or self.release(name, size=SIZE)
        wait_until(lambda: attempt(device.authenticate), seconds=60 * SLOWNESS, what="a token")
        deployment = self.upstream.deploy(name, [self.id_of(device.identity["mac"])])
        wait_until(lambda: attempt(device.run, seconds=10 * SLOWNESS) == "success", seconds=120 * SLOWNESS, what="the update")
        self.assertEqual(self.installed(device), content)
        self.assertEqual(set(self.upstream.statuses(deployment).values()), {"success"})


def attempt(function, **options):
    """What a call returns; None when its server was not there."""
    try:
        return function(**options)
    except (OSError, ConnectionCut, TimeoutError):
        return None


if __name__ == "__main__":
    unittest.main()
