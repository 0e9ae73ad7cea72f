"""A gateway whose wall clock is set while it works: days forward, years back, and right again."""

import json
import subprocess
import time
import unittest

from harness import SLOWNESS, tool
from gateway_harness import Authority, ForeignUpstream, merge
from stepped_clock import SteppedClock
from test_gateway_certificates import EFFECT, CertificateCase, Download, EchoingWebSocket
from clients.debian_mender import wait_until
from clients.https_recorder import make_certificate

UPLINK = "postern_gateway_uplink_artifact_bytes_total"
FORWARD = {"days": 3}
BACK = {"days": -5 * 365}
#: The certificates of a site have been good since before BACK, unless a test wants others.
OLD = {"days": -6 * 365}
LIFE_DAYS = 20 * 365


class OldAuthority(Authority):
    def _run(self, *command):
        days = {"init": LIFE_DAYS + 1, "issue": LIFE_DAYS}.get(command[0])
        if days:
            command = (*command, "--days", str(days))
        Authority._run(*command, wrap=SteppedClock(self.work / "authority.clock", **OLD).wrap)

    def issue_now(self, name, *, days):
        """For a device, good from now on."""
        self._count += 1
        out = self.work / f"device-{name}-{self._count}"
        Authority._run("issue", "device", "--ca", str(self.directory), "--name", name, "--out", str(out), "--days", str(days))
        return f"{out}.crt", f"{out}.key"


class OldUpstream(ForeignUpstream):
    @staticmethod
    def make_certificate(work, hosts):
        return make_certificate(work, hosts, days=LIFE_DAYS, wrap=SteppedClock(work / "certificate.clock", **OLD).wrap)


class ClockCase(CertificateCase):
    authority_type = OldAuthority
    upstream_type = OldUpstream
    settings = {}

    def setUp(self):
        super().setUp()
        self.clock = SteppedClock(self.work / "gateway.clock")
        self.gateway.stop()
        self.gateway.wrap = self.clock.wrap
        self.gateway.settings = merge(self.gateway.settings, self.settings)
        self.gateway.start()

    def link_of(self, device):
        return self.instruction(device)["artifact"]["source"]["uri"].removeprefix(self.gateway.url)

    def get(self, device, link, **headers):
        return self.gateway.ask("GET", link, headers=headers, certificate=device.certificate_files)

    def status(self):
        done = subprocess.run([tool("postern-gateway"), "status", "--json", "--config",
                               str(self.gateway.work / "postern-gateway.json")], check=True, capture_output=True, text=True,
                              timeout=60 * SLOWNESS)
        return json.loads(done.stdout)


class FillTest(ClockCase):
    settings = {"Postern": {"Traffic": {"Uplink": f"{int(12_000 / SLOWNESS)} kbit/s"}}}

    def begin_download(self, device, link):
        download = Download(self.gateway, device.certificate_files, link)
        self.addCleanup(download.connection.close)
        wait_until(lambda: download.expected is not None, seconds=20 * SLOWNESS, what="the answer", every=0.02)
        return download

    def test_a_fill_its_readers_and_polls_outlast_every_step(self):
        device, link = self.release_and_link(24_000_000)
        downloads = [self.begin_download(device, link)]
        slowest = 0
        for number, step in enumerate((FORWARD, BACK, {}), 2):
            before = self.gateway.metric(UPLINK)
            wait_until(lambda: self.gateway.metric(UPLINK) > before + 1_000_000, seconds=20 * SLOWNESS, what="more of it")
            self.clock.set(**step)
            begun = time.monotonic()
            newcomer = self.mender5(number)
            self.assertTrue(newcomer.authenticate())
            self.assertIsNone(newcomer.poll())
            downloads.append(self.begin_download(device, self.link_of(device)))
            slowest = max(slowest, time.monotonic() - begun)
        self.assertLess(self.gateway.metric(UPLINK), self.artifact_size, "all of it was during the fill")
        for download in downloads:
            self.assertEqual(download.finish(), self.artifact)
        self.assertEqual(self.gateway.metric(UPLINK), self.artifact_size, "one fetch for all")
        self.assertEqual(self.status()["cache"]["complete"], 1)
        self.assertEqual(device.run(seconds=60 * SLOWNESS), "success")
        print(f"\na new device was in, had polled, and another downloaded, after at most {slowest:.2f} s")

    def test_what_is_cached_and_who_is_bound_outlast_a_restart_at_any_time(self):
        device, link = self.release_and_link(3_000_000)
        self.assertEqual(self.get(device, link).body, self.artifact)
        for step in (FORWARD, BACK, {}):
            self.clock.set(**step)
            self.gateway.stop()
            self.gateway.start()
            self.assertEqual(self.get(device, self.link_of(device)).body, self.artifact)
            self.assertEqual(self.gateway.metric(UPLINK), 0, "it was here")
            self.assertEqual(self.status()["devices_bound"], 1)
        self.assertEqual(device.run(seconds=60 * SLOWNESS), "success")
        self.assertNotIn(401, [status for _, _, status in device.requests], "its token was good all the time")


class LinkTest(ClockCase):
    def test_a_link_ends_by_the_clock_as_it_is_and_a_poll_brings_another(self):
        device, link = self.release_and_link(1_000_000)
        self.assertEqual(self.get(device, link).status, 200)
        self.clock.set(**FORWARD)
        self.assertEqual(self.get(device, link).status, 403, "a day is over")
        going_on = self.get(device, link, Range="bytes=500000-")
        self.assertEqual((going_on.status, going_on.body), (206, self.artifact[500_000:]), "whoever has begun may finish")
        self.assertEqual(self.get(device, self.link_of(device)).status, 200)
        self.clock.set()
        self.assertEqual(self.get(device, link).status, 200, "it has not ended yet after all")
        self.clock.set(**BACK)
        self.assertEqual(self.get(device, link).status, 200)
        early = self.link_of(device)
        self.assertEqual(self.get(device, early).status, 200)
        self.clock.set()
        self.assertEqual(self.get(device, early).status, 403)
        self.assertEqual(self.get(device, early, Range="bytes=500000-").body, self.artifact[500_000:])
        self.assertEqual(device.run(seconds=60 * SLOWNESS), "success")


class TrustTest(ClockCase):
    def test_a_step_throws_out_only_whose_certificate_has_ended(self):
        old, young, brief = self.mender5(1), *(
            self.mender5(number, certificate=self.authority.issue_now(f"press-{number}", days=days))
            for number, days in ((2, 10), (3, 1)))
        devices = (old, young, brief)
        for device in devices:
            self.assertTrue(device.authenticate())
        connections = [self.connect(device.certificate_files) for device in devices]
        sockets = [EchoingWebSocket(self.gateway, device, self.upstream) for device in devices]
        for websocket in sockets:
            self.addCleanup(websocket.connection.close)

        self.clock.set(**BACK)
        end = time.monotonic() + 3
        while time.monotonic() < end:  # connections are looked at once a second
            self.assertEqual([connection.ask()[0] for connection in connections], [204] * 3,
                             "a clock set back throws nobody out")
            self.assertTrue(all(websocket.echo() for websocket in sockets))
            time.sleep(0.1)  # the pace, not a wait for something
        self.assertEqual([self.is_welcome(device.certificate_files) for device in devices], [True, False, False],
                         "a certificate that is not valid yet opens nothing new")
        self.clock.set()
        self.assertEqual([self.is_welcome(device.certificate_files) for device in devices], [True] * 3)

        sockets[2].watch()
        self.clock.set(**FORWARD)
        took = connections[2].wait_for_end(EFFECT)
        sockets[2].thread.join(EFFECT)
        self.assertIsNotNone(sockets[2].ended_at)
        print(f"\nended {took:.2f} s after a step beyond the certificate's end")
        self.assertEqual([connection.ask()[0] for connection in connections[:2]], [204] * 2)
        self.assertTrue(all(websocket.echo() for websocket in sockets[:2]))
        self.assertEqual([self.is_welcome(device.certificate_files) for device in devices], [True, True, False])
        self.clock.set()
        self.assertEqual([self.is_welcome(device.certificate_files) for device in devices], [True] * 3)
        for device in devices:
            self.assertIsNone(device.poll())
            self.assertEqual(device.requests[-1][2], 204)
        self.assertGreaterEqual(self.status()["uptime_s"], 0)


class CalendarTest(ClockCase):
    settings = {"Postern": {"Traffic": {"Uplink": "00:00-12:00 off, else 16 Mbit/s", "TimeZone": "UTC"}}}
    CLOSED, OPEN = 6, 15

    def rate(self):
        return self.gateway.metric('postern_gateway_traffic_rate_bytes_per_second{link="uplink"}')

    def wait_for_rate(self, wanted):
        begun = time.monotonic()
        wait_until(lambda: self.rate() == wanted, seconds=5 * SLOWNESS, what=f"a rate of {wanted}", every=0.05)
        return time.monotonic() - begun

    def test_the_uplink_follows_its_calendar_through_every_step(self):
        self.clock.set_time_of_day(self.CLOSED, **FORWARD)
        took = [self.wait_for_rate(0)]
        device = self.mender5(1)
        self.deployed(device, size=16_000_000)
        artifact = (self.work / "release-1.mender").read_bytes()
        self.assertIsNone(self.poll(device), "nobody is told of what would not come")
        self.clock.set_time_of_day(self.OPEN, **BACK)
        took.append(self.wait_for_rate(2_000_000))
        download = self.download(device.certificate_files, self.link_of(device))
        for closed_at, open_at in ((FORWARD, {}), (BACK, FORWARD)):
            self.clock.set_time_of_day(self.CLOSED, **closed_at)
            took.append(self.wait_for_rate(0))
            stopped = self.gateway.metric(UPLINK)
            time.sleep(1)  # in which nothing may come
            self.assertLess(self.gateway.metric(UPLINK) - stopped, 128 << 10, "but for what was granted before")
            self.assertLess(stopped, len(artifact))
            self.clock.set_time_of_day(self.OPEN, **open_at)
            took.append(self.wait_for_rate(2_000_000))
            wait_until(lambda: self.gateway.metric(UPLINK) > stopped + 1_000_000, seconds=10 * SLOWNESS, what="more of it")
        self.assertEqual(download.finish(), artifact)
        self.assertEqual(device.run(seconds=60 * SLOWNESS), "success")
        print(f"\nsteps were followed after at most {max(took):.2f} s")


if __name__ == "__main__":
    unittest.main()
