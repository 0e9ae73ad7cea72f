"""The bounds of a site's traffic: the rates of its links, and how many download at a time."""

import threading
import time
import unittest

from harness import SLOWNESS
from gateway_harness import SiteTestCase, merge
from clients.debian_mender import wait_until

UPLINK = "postern_gateway_uplink_artifact_bytes_total"


def traffic(**settings):
    return {"Postern": {"Traffic": settings}}


class Updating(threading.Thread):
    """One device, until its deployment has ended."""

    def __init__(self, test, device):
        super().__init__()
        self.device = device
        self.outcome = None
        test.addCleanup(self.join)
        self.start()

    def run(self):
        self.outcome = self.device.run(seconds=120 * SLOWNESS)


class TrafficTestCase(SiteTestCase):
    def ready(self, count, *, size):
        """Devices that were let in and are to install a release of that size."""
        devices = [self.mender5(number) for number in range(1, count + 1)]
        for device in devices:
            self.assertTrue(device.authenticate())
        ids = [self.id_of(device.identity["mac"]) for device in devices]
        self.content = self.release("release-1", size=size)
        self.upstream.deploy("release-1", ids)
        return devices

    def series(self, name, **labels):
        shown = ",".join(f'{key}="{value}"' for key, value in labels.items())
        return self.gateway.metric(f"{name}{{{shown}}}" if shown else name)


class UplinkRate(TrafficTestCase):
    gateway_settings = traffic(Uplink="Mon-Wed 2 Mbit/s, else 2 Mbit/s")

    def test_artifacts_arrive_at_the_rate_of_the_uplink_and_polls_are_not_held_up(self):
        first, second, third = self.ready(3, size=3_500_000)
        updating = [Updating(self, first), Updating(self, second)]
        wait_until(lambda: self.gateway.metric(UPLINK) > 300_000, seconds=30 * SLOWNESS, what="the first bytes")
        rates, slowest = [], 0
        for _ in range(3):
            begin, begin_bytes = time.monotonic(), self.gateway.metric(UPLINK)
            while time.monotonic() < begin + 3:
                asked = time.monotonic()
                self.assertIsNotNone(third.poll())
                slowest = max(slowest, time.monotonic() - asked)
                time.sleep(0.1)  # the pace of the polls, not a wait for something
            rates.append((self.gateway.metric(UPLINK) - begin_bytes) / (time.monotonic() - begin))
        print(f"Mbit/s {[round(rate * 8 / 1e6, 3) for rate in rates]} of 2, slowest poll {slowest * 1000:.0f} ms")
        # A busy machine can only make it slower.
        self.assertLess(abs(max(rates) - 250_000), 25_000)
        self.assertLess(slowest, 1.5 * SLOWNESS)
        for thread in updating:
            thread.join()
            self.assertEqual(thread.outcome, "success")
            self.assertEqual(self.installed(thread.device), self.content)
        self.assertEqual(self.series("postern_gateway_traffic_granted_bytes_total", link="uplink", **{"class": "bulk"}),
                         self.artifact_size)
        self.assertEqual(self.gateway.metric(UPLINK), self.artifact_size, "one fetch for both")
        self.assertEqual(self.series("postern_gateway_traffic_rate_bytes_per_second", link="uplink"), 250_000)


class SiteRate(TrafficTestCase):
    gateway_settings = traffic(Site="8 Mbit/s", DownloadsMax=2)

    def test_devices_share_the_site_s_rate_and_those_beyond_the_bound_wait_for_their_turn(self):
        devices = self.ready(4, size=2_000_000)
        begin = time.monotonic()
        updating = [Updating(self, device) for device in devices]
        most = 0
        while any(thread.is_alive() for thread in updating):
            most = max(most, self.series("postern_gateway_traffic_downloads"))
            time.sleep(0.05)
        took = time.monotonic() - begin
        self.assertEqual([thread.outcome for thread in updating], ["success"] * 4)
        for device in devices:
            self.assertEqual(self.installed(device), self.content)
        self.assertEqual(most, 2)
        self.assertGreater(self.series("postern_gateway_traffic_polls_deferred_total"), 0)
        self.assertGreater(took, 4 * self.artifact_size / 1e6 * 0.9, "no faster than the rate")
        for device in devices:
            self.assertFalse([entry for entry in device.requests if entry[2] not in (200, 204)], "nobody got an error")


class ClosedSite(TrafficTestCase):
    gateway_settings = traffic(Site="off")

    def test_nobody_is_told_of_an_update_while_the_site_is_closed_to_artifacts(self):
        device, = self.ready(1, size=100_000)
        self.assertIsNone(device.poll())
        self.assertEqual(device.requests[-1][2], 204)
        device.send_inventory()
        self.assertEqual(device.requests[-1][2], 200, "state passes")
        self.gateway.stop()
        self.gateway.settings = merge(self.gateway.settings, traffic(Site="unlimited"))
        self.gateway.start()
        self.assertEqual(device.run(seconds=60 * SLOWNESS), "success")
        self.assertEqual(self.installed(device), self.content)


if __name__ == "__main__":
    unittest.main()
