"""The gateway's cache: what it gives out and when, what it makes of rot and of a full quota, and what a kill leaves of it."""

import collections
import hashlib
import re
import signal
import subprocess
import unittest

from harness import SLOWNESS
from gateway_harness import CHUNK, TYPE, ForeignUpstream, SiteTestCase, revived
from clients.debian_mender import wait_until, write_single_file_artifact

NEXT_V1 = f"/api/devices/v1/deployments/device/deployments/next?artifact_name=unknown&device_type={TYPE}"


class CacheCase(SiteTestCase):
    upstream_type = ForeignUpstream

    def deployed(self, device, name, *, size):
        self.assertTrue(device.authenticate())
        content = self.release(name, size=size)
        self.upstream.deploy(name, [self.id_of(device.identity["mac"])])
        return content

    def updated(self, number, name, *, size):
        device = self.mender5(number)
        content = self.deployed(device, name, size=size)
        self.assertEqual(device.run(seconds=60 * SLOWNESS), "success")
        self.assertEqual(self.installed(device), content)

    def wait_for_metric(self, name, wanted):
        wait_until(lambda: wanted(self.gateway.metric(name)), seconds=30 * SLOWNESS, what=name)


class VerifiedOnlyTest(CacheCase):
    gateway_settings = {"Postern": {"Cache": {"Serve": "verified-only"}}}

    def test_a_device_is_told_to_fetch_only_what_is_here_and_verified(self):
        device = self.mender5(1)
        content = self.deployed(device, "release-1", size=3_000_000)
        fault = self.upstream.server.links.fail(stall_after=1_000_000)
        headers = {"Authorization": f"Bearer {device._token}"}
        ask = lambda: self.gateway.ask("GET", NEXT_V1, headers=headers, certificate=self.certificate).status
        self.assertEqual(ask(), 204)
        wait_until(lambda: self.upstream.server.links.seen(), seconds=10 * SLOWNESS, what="the fetch that the poll has begun")
        self.assertEqual(ask(), 204)
        self.assertEqual(self.gateway.metric("postern_gateway_site_artifact_bytes_total"), 0)
        fault.release()
        self.assertEqual(device.run(seconds=60 * SLOWNESS), "success")
        self.assertEqual(self.installed(device), content)
        self.assertEqual(len(self.upstream.served()), 1)

    def mender5(self, number, **options):
        self.certificate = self.authority.issue("device", f"press-{number}")
        return super().mender5(number, certificate=self.certificate, **options)


class RotTest(CacheCase):
    def test_a_rotten_chunk_is_fetched_again_alone_and_reaches_nobody(self):
        self.updated(1, "release-1", size=5_000_000)
        self.gateway.stop()
        artifact = (self.work / "release-1.mender").read_bytes()
        rotten = artifact[2 * CHUNK:3 * CHUNK]
        (segment,) = self.gateway.cache_path.glob("segment-*/data.mdb")
        data = bytearray(segment.read_bytes())
        at = data.index(rotten[:4000])
        data[at + 2000] ^= 1
        segment.write_bytes(data)
        self.gateway.start()
        other = self.mender5(2)
        self.assertTrue(other.authenticate())
        self.upstream.deploy("release-1", [self.id_of(other.identity["mac"])])
        self.assertEqual(other.run(seconds=60 * SLOWNESS), "success")
        installed = (other.work / "installed" / "payload.bin").read_bytes()
        self.assertEqual(hashlib.sha256(installed).hexdigest(), hashlib.sha256((self.work / "payload.bin").read_bytes()).hexdigest())
        wait_until(lambda: len(self.upstream.served()) == 2, seconds=10 * SLOWNESS, what="the second fetch")
        self.assertEqual(self.upstream.served()[1], (2 * CHUNK, CHUNK))
        self.assertEqual(self.gateway.metric("postern_gateway_cache_chunks_rotten_total"), 1)


class QuotaTest(CacheCase):
    gateway_settings = {"Postern": {"Cache": {"BytesMax": 32 << 20, "SegmentBytes": 16 << 20}}}

    def test_old_artifacts_go_one_by_one_and_the_files_stay_within_the_quota(self):
        for number in range(1, 6):
            self.updated(1, f"release-{number}", size=9_000_000)
        self.wait_for_metric("postern_gateway_cache_evictions_total", lambda count: count >= 3)
        used = sum(path.stat().st_blocks * 512 for path in self.gateway.cache_path.rglob("data.mdb"))
        self.assertLessEqual(used, 32 << 20)
        self.assertEqual(self.gateway.metric("postern_gateway_pass_throughs_total"), 0)

    #: What an eviction and its cleaning up go through.
    POINTS = ("evictor.before_forget:1", "catalog.before_forget:3", "catalog.after_forget:3", "evictor.before_remove:1",
              "chunks.before_remove:1", "chunks.after_remove:1", "evictor.after_remove:1")

    def test_kills_during_an_eviction_leave_nothing_behind_and_nothing_broken(self):
        histogram = collections.Counter()
        for number, point in enumerate(self.POINTS):
            with self.subTest(point=point):
                for kind in "ab":
                    self.updated(1, f"release-{number}-{kind}", size=12_000_000)
                self.gateway.stop()
                self.gateway.start(fault=point)
                device = self.mender5(1)
                with revived(self.gateway) as deaths:
                    content = self.deployed(device, f"release-{number}-c", size=12_000_000)
                    wait_until(lambda: attempt(device) == "success", seconds=120 * SLOWNESS, what="the update")
                self.assertEqual(self.installed(device), content)
                histogram[point] = len(deaths)
                self.gateway.stop()
                self.gateway.start()
                self.wait_for_metric("postern_gateway_cache_chunks", lambda count: 0 < count <= 26)
        print(f"kills by fault point: {dict(histogram)}")
        self.assertEqual(set(histogram), set(self.POINTS))
        self.assertTrue(all(histogram.values()), "every point was hit")


class SignatureTest(CacheCase):
    def start_with(self, keys):
        self.gateway.stop()
        self.gateway.settings = {"Postern": {"Artifacts": {"VerifyKeys": [str(keys)]}, "Cache": {"Serve": "verified-only"}}}
        self.gateway.start()

    def test_what_nobody_has_signed_is_not_served_when_keys_are_configured(self):
        _, public = make_verify_key(self.work / "sign")
        self.start_with(public)
        device = self.mender5(1)
        self.deployed(device, "release-1", size=1_000_000)
        device.poll_count = 0
        with self.assertRaises(TimeoutError):
            device.run(seconds=5 * SLOWNESS)
        self.assertFalse((device.work / "installed" / "payload.bin").exists())
        self.assertTrue(re.search(r"cache\.artifact_refused .*sign", self.gateway.log()))
        self.assertEqual(self.gateway.metric("postern_gateway_site_artifact_bytes_total"), 0)

    def test_a_key_that_is_added_to_its_file_counts_without_a_restart(self):
        _, first = make_verify_key(self.work / "first")
        key, second = make_verify_key(self.work / "second")
        keys = self.work / "keys.pem"
        keys.write_text(first.read_text())
        self.start_with(keys)
        certificate = self.authority.issue("device", "press-1")
        device = self.mender5(1, certificate=certificate)
        self.assertTrue(device.authenticate())
        payload = self.work / "payload.bin"
        payload.write_bytes(bytes(1_000_000))
        artifact = write_single_file_artifact(self.work / "release-1.mender", name="release-1", device_type=TYPE, payload=payload,
                                              key=key)
        self.upstream.add_release(artifact)
        self.upstream.deploy("release-1", [self.id_of(device.identity["mac"])])
        headers = {"Authorization": f"Bearer {device._token}"}
        ask = lambda: self.gateway.ask("GET", NEXT_V1, headers=headers, certificate=certificate).status
        self.assertEqual(ask(), 204)
        wait_until(lambda: "cache.artifact_refused" in self.gateway.log(), seconds=30 * SLOWNESS, what="the refusal")
        keys.write_text("junk")
        self.gateway.process.send_signal(signal.SIGHUP)
        wait_until(lambda: "reload_failed source=verify_keys" in self.gateway.log(), seconds=30 * SLOWNESS, what="the complaint")
        keys.write_text(first.read_text() + second.read_text())
        self.gateway.process.send_signal(signal.SIGHUP)
        wait_until(lambda: "cache.keys_changed keys=2 removed=false" in self.gateway.log(), seconds=30 * SLOWNESS, what="the keys")
        self.assertEqual(device.run(seconds=60 * SLOWNESS), "success")
        self.assertEqual(self.installed(device), bytes(1_000_000))


def make_verify_key(stem):
    """Paths of a new private key and of its public one."""
    key, public = stem.with_suffix(".key"), stem.with_suffix(".pem")
    subprocess.run(["openssl", "ecparam", "-genkey", "-name", "prime256v1", "-noout", "-out", key], check=True)
    subprocess.run(["openssl", "ec", "-in", key, "-pubout", "-out", public], check=True, capture_output=True)
    return key, public


def attempt(device):
    try:
        return device.run(seconds=20 * SLOWNESS)
    except (OSError, TimeoutError):
        return None


if __name__ == "__main__":
    unittest.main()
