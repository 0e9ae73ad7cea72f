"""A site behind postern-gateway, in front of postern-cloud and of a foreign server: every kind of client, one fetch."""

import hashlib
import unittest

from harness import SLOWNESS
from gateway_harness import CHUNK, ForeignUpstream, SiteTestCase, revived
from clients.debian_mender import wait_until


class EveryClient:
    """What holds in front of either upstream."""

    def test_clients_of_every_kind_are_let_in_and_updated_with_one_fetch(self):
        daemons = [self.debian(1), self.postern_device(1), self.postern_device(2)]
        fives = [self.mender5(1), self.mender5(2, key_type="rsa"), self.mender5(3, key_type="ecdsa")]
        mcus = [self.mcu(1), self.mcu(2, range_bytes=65536)]
        for device in (*fives, *mcus):
            self.assertTrue(device.authenticate(), "let in by its certificate, without a hand")
        ids = [self.id_of(device.identity["mac"]) for device in (*fives, *mcus)] + [self.id_of(d.mac) for d in daemons]
        content = self.release("release-1")
        deployment = self.upstream.deploy("release-1", ids)
        for device in (*fives, *mcus):
            self.assertEqual(device.run(seconds=60 * SLOWNESS), "success")
            self.assertEqual(self.installed(device), content)
        wait_until(lambda: set(self.upstream.statuses(deployment).values()) == {"success"}, seconds=90 * SLOWNESS,
                   what="success everywhere")
        for device in daemons:
            self.assertEqual(device.file_sha256("payload.bin"), hashlib.sha256(content).hexdigest())
            self.assertEqual(device.installed_artifact(), "release-1")
        self.assertEqual(self.gateway.metric("postern_gateway_uplink_artifact_bytes_total"), self.artifact_size)
        wait_until(self.upstream.served, seconds=10, what="the upstream's count")
        self.assertEqual(self.upstream.served(), [(0, self.artifact_size)])

    def test_a_new_key_with_a_renewed_certificate_works_without_a_hand_and_another_identity_does_not(self):
        device = self.mender5(1)
        self.assertTrue(device.authenticate())
        first_id = self.id_of(device.identity["mac"])
        renewed = self.authority.issue("device", "press-1")
        again = self.mender5(1, certificate=renewed, work="reinstalled")
        self.assertTrue(again.authenticate())
        self.assertEqual(self.id_of(device.identity["mac"]), first_id, "it is the same device")
        content = self.release("release-1")
        self.upstream.deploy("release-1", [first_id])
        self.assertEqual(again.run(seconds=60 * SLOWNESS), "success")
        self.assertEqual(self.installed(again), content)
        self.assertFalse(self.mender5(2, certificate=renewed).authenticate())

    def test_the_inventory_tells_the_system_and_the_defaults_that_the_device_does_not_send_itself(self):
        debian = self.debian(1)
        (debian.work / "inventory" / "mender-inventory-own").write_text("#!/bin/sh\necho site_label=own\n")
        (debian.work / "inventory" / "mender-inventory-own").chmod(0o755)
        device_id = self.id_of(debian.mac)
        wanted = {"mender_gateway_system_id": "press-line", "hall": "4", "site_label": "own"}
        wait_until(lambda: wanted.items() <= self.upstream.attributes(device_id).items(), seconds=60 * SLOWNESS,
                   what="the inventory")


class CloudSiteTest(EveryClient, SiteTestCase):
    def test_the_cloud_knows_the_gateway_and_where_its_devices_are(self):
        device = self.mender5(1)
        self.assertTrue(device.authenticate())
        device.send_inventory()
        (known,) = [d for d in self.upstream.cloud.devices() if d["identity_data"]["mac"] == device.identity["mac"]]
        self.assertEqual((known["site"], known["gateway"]), ("plant-4", "gw-1"))
        (gateway,) = self.upstream.cloud.manage("GET", "v1/gateways").json()
        self.assertEqual((gateway["name"], gateway["site"], gateway["device_count"]), ("gw-1", "plant-4", 1))

    def test_a_gateway_that_dies_in_the_middle_fetches_the_rest_only(self):
        device = self.mender5(1)
        self.assertTrue(device.authenticate())
        device_id = self.id_of(device.identity["mac"])
        content = self.release("release-1", size=20_000_000)
        self.gateway.stop()
        self.gateway.start(fault="fill.after_mark:1")
        with revived(self.gateway) as deaths:
            self.upstream.deploy("release-1", [device_id])
            self.assertEqual(device.run(seconds=90 * SLOWNESS), "success")
        self.assertEqual(len(deaths), 1)
        self.assertEqual(self.installed(device), content)
        wait_until(lambda: len(self.upstream.served()) == 2, seconds=10 * SLOWNESS, what="two lines in the cloud's log")
        self.assertEqual(sorted(first for first, _ in self.upstream.served()), [0, 8 * CHUNK])


class ForeignSiteTest(EveryClient, SiteTestCase):
    upstream_type = ForeignUpstream

    def test_what_reaches_the_upstream_is_what_the_device_sent_and_nothing_of_the_connection(self):
        device = self.mender5(1)
        self.assertTrue(device.authenticate())
        request = self.upstream.server.api.seen("POST", "auth_requests$")[-1]
        self.assertEqual(request.header("host"), self.upstream.url.removeprefix("https://"))
        self.assertEqual(request.hop_by_hop(), [])
        self.assertEqual(request.header_values("x-forwarded-host"), [])
        self.assertEqual(request.status, 200, "the signature covers the bytes as they are")

    def test_connections_to_the_upstream_are_kept_and_used_again(self):
        device = self.mender5(1)
        for _ in range(6):
            self.assertTrue(device.authenticate())
        self.assertLessEqual(self.upstream.server.api.accepted, 4)

    def test_the_management_token_is_renewed_when_it_expires(self):
        self.assertTrue(self.mender5(1).authenticate())
        self.upstream.server.user_tokens.expire()
        self.assertTrue(self.mender5(2).authenticate())

    def test_a_dead_upstream_link_is_renewed_in_the_name_of_a_device(self):
        device = self.mender5(1)
        device.authenticate()
        content = self.release("release-1")
        deployment = self.upstream.deploy("release-1", [self.id_of(device.identity["mac"])])
        self.upstream.server.links.fail(cut_after=1_500_000)
        self.upstream.server.links.fail(status=403, body=b"<Error/>", times=1)
        self.assertEqual(device.run(seconds=60 * SLOWNESS), "success")
        self.assertEqual(self.installed(device), content)
        self.assertEqual(set(self.upstream.statuses(deployment).values()), {"success"})


if __name__ == "__main__":
    unittest.main()
