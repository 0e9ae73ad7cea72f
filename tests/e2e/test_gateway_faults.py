"""What happens to a site's downloads when the gateway dies, a disk rots, a stream lies, or links run out."""

import collections
import concurrent.futures
import hashlib
import os
import random
import re
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
        daemons = [self.postern_device(number) for number in range(31, 35)]
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


class Rot(SiteTestCase):
    upstream_type = ForeignUpstream

    def first_update(self, size):
        device = self.mender5(1)
        self.assertTrue(device.authenticate())
        content = self.release("release-1", size=size)
        self.upstream.deploy("release-1", [self.id_of(device.identity["mac"])])
        self.assertEqual(device.run(seconds=60 * SLOWNESS), "success")
        return content

    def another_device(self, number):
        device = self.mender5(number)
        self.assertTrue(device.authenticate())
        self.upstream.deploy("release-1", [self.id_of(device.identity["mac"])])
        return device

    def flip_bits(self, content, count, choice):
        """Flips bits of the payload where the cache's files hold it, at places at least a chunk apart."""
        places = choice.sample(range(1, len(content) // CHUNK), count)
        flipped = 0
        for path in self.gateway.cache_path.rglob("data.mdb"):
            stored = bytearray(path.read_bytes())
            for place in places:
                at = stored.find(content[place * CHUNK:place * CHUNK + 64])
                if at >= 0:
                    stored[at + choice.randrange(64)] ^= 1 << choice.randrange(8)
                    flipped += 1
            path.write_bytes(stored)
        return flipped

    def test_rotten_chunks_are_fetched_again_and_never_reach_a_reader(self):
        seed = random.randrange(1 << 32)
        content = self.first_update(12_000_000)
        self.gateway.stop()
        flipped = self.flip_bits(content, 3, random.Random(seed))
        print(f"seed {seed}, {flipped} bits flipped")
        self.assertEqual(flipped, 3)
        self.gateway.start()
        device = self.another_device(2)
        self.assertEqual(device.run(seconds=60 * SLOWNESS), "success")
        self.assertEqual(self.installed(device), content)
        again = self.upstream.served()[1:]
        self.assertTrue(again)
        self.assertLessEqual(sum(size for _, size in again), flipped * 2 * CHUNK, "only what was rotten is fetched again")

    def test_a_stream_with_a_flipped_bit_never_reaches_a_reader_whole(self):
        device = self.mender5(1)
        self.assertTrue(device.authenticate())
        self.release("release-1", size=6_000_000)
        artifact = self.upstream.by_name["release-1"]
        good = artifact.path.read_bytes()
        bad = bytearray(good)
        bad[len(bad) // 2] ^= 0x10
        artifact.path.write_bytes(bad)
        self.upstream.deploy("release-1", [self.id_of(device.identity["mac"])])
        link = device.poll()["artifact"]["source"]["uri"]
        answer = attempt(device._ask, method="GET", url=link)
        received = bytearray()
        if answer is not None:
            with self.assertRaises((ConnectionCut, OSError)):
                for piece in answer.pieces():
                    received += piece
        self.assertLess(len(received), len(good) - 60_000, "the end of what failed stays with us")
        wait_until(lambda: re.search(r"artifact_refused|quarantined", self.gateway.log()), seconds=30 * SLOWNESS, what="a refusal")
        other = self.mender5(2)
        self.assertTrue(other.authenticate())
        self.upstream.deploy("release-1", [self.id_of(other.identity["mac"])])
        self.assertIsNone(other.poll(), "nobody is sent after an artifact that failed")


class LinksRunOut(SiteTestCase):
    """Real and scripted clients go on with a download whose links, the gateway's and the upstream's, have ended."""

    upstream_type = ForeignUpstream
    gateway_settings = {"Features": {"ArtifactsProxy": {"ArtifactsCache": {"LinkExpireDuration": "2s"}}},
                        "Postern": {"Traffic": {"Uplink": "16 Mbit/s"}}}

    def test_cut_downloads_go_on_after_the_end_of_every_link(self):
        debian = self.debian(1)
        scripted = self.mender5(2)
        self.assertTrue(scripted.authenticate())
        ids = [self.id_of(debian.mac), self.id_of(scripted.identity["mac"])]
        content = self.release("release-1", size=16_000_000)
        deployment = self.upstream.deploy("release-1", ids)
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            update = pool.submit(scripted.run, seconds=200 * SLOWNESS)
            wait_until(lambda: all("downloading" in self.reports(deployment, device) for device in ids), seconds=60 * SLOWNESS,
                       what="the beginning of both downloads")
            wait_until(lambda: self.gateway.metric("postern_gateway_site_artifact_bytes_total") > 6_000_000,
                       seconds=60 * SLOWNESS, what="the first bytes")
            self.upstream.server.expire_links()
            self.gateway.kill()
            time.sleep(2.5)  # the life of the gateway's links
            self.gateway.start()
            self.assertEqual(update.result(timeout=240 * SLOWNESS), "success")
        wait_until(lambda: set(deployment.statuses.values()) == {"success"}, seconds=240 * SLOWNESS, what="success everywhere")
        self.assertEqual(self.installed(scripted), content)
        self.assertEqual(debian.file_sha256("payload.bin"), hashlib.sha256(content).hexdigest())
        self.assertTrue(scripted.resumed_from, "it went on, and did not begin again")

    @staticmethod
    def reports(deployment, device_id):
        return [str(report) for report in deployment.reports[device_id]]


if __name__ == "__main__":
    unittest.main()
