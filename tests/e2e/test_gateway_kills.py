"""A gateway that is killed fifty times while it fetches, with twenty readers. Takes minutes, so it is run by hand:

    cd tests/e2e && POSTERN_BIN=$PWD/../../build/release/bin python3 -m unittest -v test_gateway_kills
"""

import collections
import concurrent.futures
import hashlib
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


class Killer:
    """Kills the gateway while it fetches, and starts it again: by turns at a moment of a seeded choice and at a fault
    point. `hit` counts by where it was."""

    POINTS = ("fill.before_store", "fill.before_mark", "fill.after_mark")

    def __init__(self, gateway, seed, progress):
        self.gateway = gateway
        self.choice = random.Random(seed)
        self.progress = progress  # share of the artifact that the upstream has given out, or None when nothing is under way
        self.hit = collections.Counter()
        self.armed = None
        self.over = threading.Event()
        self.thread = threading.Thread(target=self._work)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.thread.join()

    def _work(self):
        while not self.over.is_set():
            if self._kill_at_a_moment():
                self._die_at_a_point()

    def _kill_at_a_moment(self):
        self.over.wait(self.choice.uniform(0.1, 1.2))  # the moment of the kill, not a wait for something
        progress = self.progress()
        if progress is None or self.over.is_set():
            return False
        self.gateway.kill()
        self.hit["first third" if progress < 1 / 3 else "second third" if progress < 2 / 3 else "last third"] += 1
        self.armed = self.choice.choice(self.POINTS)
        self.gateway.start(fault=self.armed)
        return True

    def _die_at_a_point(self):
        """The process that was started last dies at its point, unless there is nothing left to fetch."""
        deadline = time.monotonic() + 3 * SLOWNESS
        while self.gateway.process.poll() is None and time.monotonic() < deadline and not self.over.is_set():
            time.sleep(0.02)  # looking for a death
        if self.gateway.process.poll() is None:
            self.gateway.kill()
            self.hit["idle"] += 1
        else:
            self.gateway.wait_for_death()
            self.hit[self.armed] += 1
        self.gateway.start()


class Kills(SiteTestCase):
    upstream_type = ForeignUpstream
    gateway_settings = {"Postern": {"Traffic": {"Uplink": "48 Mbit/s"}}}
    SIZE = 30 * MIB
    KILLS = 50

    def test_fifty_kills_during_fills_leave_twenty_readers_with_the_right_bytes(self):
        seed = int(os.environ.get("POSTERN_SEED", random.randrange(1 << 32)))
        print(f"seed {seed}")
        self.digests = {}
        scripted = [self.mender5(number) for number in range(1, 15)]
        # They give a download up after ten cuts, and a release here sees more than that.
        pauses = {"Postern": {"RetryMinimumSeconds": 1, "DownloadRetrySeconds": 5}}
        daemons = [self.postern_device(number, settings=pauses) for number in range(31, 35)]
        # The 3.4 client waits longer after each cut, minutes in the end: these take one release, in their own time.
        patient = [self.debian(number) for number in (21, 22)]
        for device in scripted:
            self.assertTrue(device.authenticate())
        self.ids = {device: self.id_of(device.identity["mac"]) for device in scripted}
        self.ids |= {device: self.id_of(device.mac) for device in daemons}
        patient_ids = [self.id_of(device.mac) for device in patient]
        hit = collections.Counter()
        for number in range(12):
            hit += self.update(scripted, daemons, f"release-{number}", seed + number, others=patient_ids if number == 0 else [])
            if sum(hit.values()) - hit["idle"] >= self.KILLS:
                break
        print(f"kills by phase: {dict(hit)}")
        first = self.upstream.server.deployments[0]
        wait_until(lambda: all(first.statuses[device] == "success" for device in patient_ids), seconds=420 * SLOWNESS,
                   what="success of the 3.4 clients")
        for device in patient:
            self.assertEqual(device.file_sha256("payload.bin"), self.digests["release-0"])
        self.assertGreaterEqual(sum(hit.values()) - hit["idle"], self.KILLS)
        for phase in (*Killer.POINTS, "first third", "second third", "last third"):
            self.assertGreater(hit[phase], 0, f"{phase} was never hit")

    def update(self, scripted, daemons, name, seed, *, others):
        content = self.release(name, size=self.SIZE)
        digest = self.digests[name] = hashlib.sha256(content).hexdigest()
        artifact = self.upstream.by_name[name]
        deployment = self.upstream.deploy(name, [*self.ids.values(), *others])

        def progress():
            asked = [download for download in self.upstream.server.downloads if download.artifact_id == artifact.id]
            return max((d.first + d.sent) / artifact.size for d in asked) if asked else None

        def finished():
            return all(deployment.statuses[device] == "success" for device in self.ids.values())

        with concurrent.futures.ThreadPoolExecutor(len(scripted)) as pool:
            with Killer(self.gateway, seed, lambda: fraction if (fraction := progress()) and fraction < 0.999 else None) as killer:
                updates = [pool.submit(self.finish, device, deployment) for device in scripted]
                wait_until(lambda: (progress() or 0) >= 0.999, seconds=120 * SLOWNESS, what="the end of the fill")
            for update in updates:
                update.result(timeout=240 * SLOWNESS)
        wait_until(finished, seconds=240 * SLOWNESS, what="success everywhere")
        for device in scripted:
            self.assertEqual(self.installed(device), content)
        for device in daemons:
            self.assertEqual(device.file_sha256("payload.bin"), digest)
        kills = sum(killer.hit.values())
        sent = sum(d.sent for d in self.upstream.server.downloads if d.artifact_id == artifact.id)
        lost = sent - artifact.size
        print(f"{name}: {kills} kills, {lost / MIB:.1f} MiB fetched again")
        # What a batch that was not durable yet holds, and what was on its way in buffers.
        self.assertLessEqual(lost, kills * (8 * CHUNK + 8 * MIB))
        return killer.hit

    def finish(self, device, deployment):
        wait_until(lambda: attempt(device.run, seconds=20 * SLOWNESS) == "success", seconds=240 * SLOWNESS,
                   what=f"the update of {device.identity}")


if __name__ == "__main__":
    unittest.main()
