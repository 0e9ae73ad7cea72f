"""What happens to a site's downloads when a disk rots, a stream lies, or links run out."""

import concurrent.futures
import hashlib
import random
import re
import threading
import time
import unittest

from harness import SLOWNESS
from gateway_harness import CHUNK, ForeignUpstream, SiteTestCase
from clients.debian_mender import wait_until
from clients.mender5 import ConnectionCut


def attempt(function, **options):
    """What a call returns; None when its server was not there."""
    try:
        return function(**options)
    except (OSError, ConnectionCut, TimeoutError):
        return None


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
        up = threading.Event()
        scripted.before_resume = lambda: up.wait(60 * SLOWNESS)
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
            up.set()
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
