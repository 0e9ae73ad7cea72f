"""A gateway that is killed again and again while it fetches. CTest has the short form. The long one, fifty kills with twenty
readers of all kinds, takes minutes and is run by hand:

    cd tests/e2e && POSTERN_LONG=1 python3 -m unittest -v test_gateway_kills

Each prints its seed; POSTERN_SEED=N repeats it, as far as a race can be repeated.
"""

import collections
import concurrent.futures
import hashlib
import itertools
import os
import random
import threading
import time
import unittest

from harness import SLOWNESS
from gateway_harness import CHUNK, ForeignUpstream, SiteTestCase
from clients.debian_mender import wait_until
from clients.mender5 import ConnectionCut

MIB = 1 << 20


def attempt(function, **options):
    """What a call returns; None when its server was not there."""
    try:
        return function(**options)
    except (OSError, ConnectionCut, TimeoutError):
        return None


POINTS = ("fill.before_store", "fill.before_mark", "fill.after_mark")
THIRDS = ("first third", "second third", "last third")


class Killer:
    """Kills the gateway while it fetches, and starts it again: by turns when `is_time` says so and at a fault point, of
    which `points` has the next. `hit` counts by where it was."""

    def __init__(self, gateway, progress, *, is_time, points):
        self.gateway = gateway
        self.progress = progress  # share of the artifact that the upstream has given out, or None when nothing is under way
        self.is_time = is_time
        self.points = points
        self.hit = collections.Counter()
        self.armed = None
        self.started = time.monotonic()
        self.over = threading.Event()
        self.thread = threading.Thread(target=self._work)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.thread.join()

    def _work(self):
        while not self.over.wait(0.02):  # looking for the moment
            progress = self.progress()
            if progress is not None and self.is_time(progress, time.monotonic() - self.started):
                self._kill(progress)
                self._die_at_a_point()

    def _kill(self, progress):
        self.gateway.kill()
        self.hit[THIRDS[int(progress * 3)]] += 1
        self.armed = next(self.points)
        self.gateway.start(fault=self.armed)

    def _die_at_a_point(self):
        """The process that was started last dies at its point as soon as a reader comes back, for something is missing."""
        deadline = time.monotonic() + 20 * SLOWNESS
        while self.gateway.process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.02)  # looking for a death
        if self.gateway.process.poll() is None:
            self.gateway.kill()
            self.hit["idle"] += 1
        else:
            self.gateway.wait_for_death()
            self.hit[self.armed] += 1
        self.gateway.start()
        self.started = time.monotonic()


def at_random_times(choice):
    """`is_time` for a kill when the gateway has been up for a while of a seeded choice."""
    whiles = iter(lambda: choice.uniform(0.1, 1.2), None)
    after = next(whiles)

    def is_time(_progress, seconds_up):
        nonlocal after
        if seconds_up < after:
            return False
        after = next(whiles)
        return True

    return is_time


def once_in_each_third(choice):
    """`is_time` for a kill at a place of a seeded choice in each third of the artifact."""
    places = [(third + choice.uniform(0.2, 0.7)) / 3 for third in range(3)]

    def is_time(progress, _seconds_up):
        if not places or progress < places[0]:
            return False
        places.pop(0)
        return True

    return is_time


class KillsCase(SiteTestCase):
    upstream_type = ForeignUpstream

    def setUp(self):
        super().setUp()
        self.seed = int(os.environ.get("POSTERN_SEED", random.randrange(1 << 32)))
        print(f"\nseed {self.seed}")
        self.choice = random.Random(self.seed)
        self.digests = {}
        self.hit = collections.Counter()

    def let_in(self, scripted, daemons):
        for device in scripted:
            self.assertTrue(device.authenticate())
        self.scripted, self.daemons = scripted, daemons
        self.ids = {device: self.id_of(device.identity["mac"]) for device in scripted}
        self.ids |= {device: self.id_of(device.mac) for device in daemons}

    def kills(self):
        return sum(self.hit.values()) - self.hit["idle"]

    def update(self, name, *, size, others=(), **how):
        """All devices install a release while its fill is killed as `how` says to the killer."""
        content = self.release(name, size=size)
        digest = self.digests[name] = hashlib.sha256(content).hexdigest()
        artifact = self.upstream.by_name[name]
        deployment = self.upstream.deploy(name, [*self.ids.values(), *others])

        def progress():
            asked = [download for download in self.upstream.server.downloads if download.artifact_id == artifact.id]
            return max((d.first + d.sent) / artifact.size for d in asked) if asked else None

        def finished():
            return all(deployment.statuses[device] == "success" for device in self.ids.values())

        with concurrent.futures.ThreadPoolExecutor(len(self.scripted)) as pool:
            with Killer(self.gateway, lambda: fraction if (fraction := progress()) and fraction < 0.999 else None,
                        **how) as killer:
                updates = [pool.submit(self.finish, device, deployment) for device in self.scripted]
                wait_until(lambda: (progress() or 0) >= 0.999, seconds=120 * SLOWNESS, what="the end of the fill")
            for update in updates:
                update.result(timeout=240 * SLOWNESS)
        wait_until(finished, seconds=240 * SLOWNESS, what="success everywhere")
        for device in self.scripted:
            self.assertEqual(self.installed(device), content)
        for device in self.daemons:
            self.assertEqual(device.file_sha256("payload.bin"), digest)
        self.hit += killer.hit
        kills = sum(killer.hit.values())
        lost = sum(d.sent for d in self.upstream.server.downloads if d.artifact_id == artifact.id) - artifact.size
        print(f"{name}: {kills} kills ({dict(killer.hit)}), {lost / MIB:.1f} MiB fetched again")
        # What a batch that was not durable yet holds, and what was on its way in buffers.
        self.assertLessEqual(lost, kills * (8 * CHUNK + 8 * MIB))

    def finish(self, device, deployment):
        wait_until(lambda: attempt(device.run, seconds=20 * SLOWNESS) == "success", seconds=240 * SLOWNESS,
                   what=f"the update of {device.identity}")

    def assert_hit_everywhere(self, kills):
        print(f"kills by phase: {dict(self.hit)}")
        self.assertGreaterEqual(self.kills(), kills)
        for phase in (*POINTS, *THIRDS):
            self.assertGreater(self.hit[phase], 0, f"{phase} was never hit")


class FewKills(KillsCase):
    gateway_settings = {"Postern": {"Traffic": {"Uplink": "120 Mbit/s"}}}
    SIZE = 27 * MIB
    KILLS = 12
    RELEASES_MAX = 4

    def test_a_dozen_kills_during_fills_leave_every_reader_with_the_right_bytes(self):
        pauses = {"Postern": {"RetryMinimumSeconds": 1, "DownloadRetrySeconds": 1}}
        self.let_in([self.mender5(number) for number in range(1, 4)], [self.postern_device(31, settings=pauses)])
        points = itertools.cycle(self.choice.sample(POINTS, len(POINTS)))
        for number in range(self.RELEASES_MAX):
            self.update(f"release-{number}", size=self.SIZE, is_time=once_in_each_third(self.choice), points=points)
            if self.kills() >= self.KILLS and all(self.hit[phase] for phase in (*POINTS, *THIRDS)):
                break
        self.assert_hit_everywhere(self.KILLS)


@unittest.skipUnless(os.environ.get("POSTERN_LONG"), "takes minutes: set POSTERN_LONG=1")
class ManyKills(KillsCase):
    gateway_settings = {"Postern": {"Traffic": {"Uplink": "48 Mbit/s"}}}
    SIZE = 30 * MIB
    KILLS = 50

    def test_fifty_kills_during_fills_leave_twenty_readers_with_the_right_bytes(self):
        # They give a download up after ten cuts, and a release here sees more than that.
        pauses = {"Postern": {"RetryMinimumSeconds": 1, "DownloadRetrySeconds": 5}}
        daemons = [self.postern_device(number, settings=pauses) for number in range(31, 35)]
        # The 3.4 client waits longer after each cut, minutes in the end: these take one release, in their own time.
        patient = [self.debian(number) for number in (21, 22)]
        self.let_in([self.mender5(number) for number in range(1, 15)], daemons)
        patient_ids = [self.id_of(device.mac) for device in patient]
        for number in range(12):
            self.update(f"release-{number}", size=self.SIZE, others=patient_ids if number == 0 else [],
                        is_time=at_random_times(self.choice), points=iter(lambda: self.choice.choice(POINTS), None))
            if self.kills() >= self.KILLS:
                break
        first = self.upstream.server.deployments[0]
        wait_until(lambda: all(first.statuses[device] == "success" for device in patient_ids), seconds=420 * SLOWNESS,
                   what="success of the 3.4 clients")
        for device in patient:
            self.assertEqual(device.file_sha256("payload.bin"), self.digests["release-0"])
        self.assert_hit_everywhere(self.KILLS)


if __name__ == "__main__":
    unittest.main()
