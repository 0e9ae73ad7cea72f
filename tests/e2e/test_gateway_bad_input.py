"""What a gateway does when a device, a certificate, a link, the upstream or the disk is not as it should be."""

import http.client
import json
import os
import pathlib
import re
import ssl
import subprocess
import time
import unittest

from harness import SLOWNESS
from gateway_harness import TYPE, Authority, ForeignUpstream, SiteTestCase, auth_body
from clients.debian_mender import wait_until
from clients.mender5 import DeploymentFailed

AUTH = "/api/devices/v1/authentication/auth_requests"
NEXT_V1 = f"/api/devices/v1/deployments/device/deployments/next?artifact_name=unknown&device_type={TYPE}"
REFUSED = (ssl.SSLError, ConnectionError, http.client.RemoteDisconnected)


class ForeignSiteCase(SiteTestCase):
    upstream_type = ForeignUpstream

    def openssl(self, *command):
        subprocess.run(["openssl", *map(str, command)], check=True, capture_output=True, timeout=60)

    def deployed(self, device, name="release-1", **options):
        """Lets the device in and gives it something to install; returns the file's content."""
        self.assertTrue(device.authenticate())
        content = self.release(name, **options)
        self.deployment = self.upstream.deploy(name, [self.id_of(device.identity["mac"])])
        return content

    def poll(self, device):
        """What the gateway answers to a poll of the device; None when there is nothing to do."""
        answer = self.gateway.ask("GET", NEXT_V1, headers={"Authorization": f"Bearer {device._token}"},
                                  certificate=(device.certificate_files))
        self.assertIn(answer.status, (200, 204), answer)
        return answer.json() if answer.status == 200 else None

    def instruction(self, device):
        instruction = self.poll(device)
        self.assertIsNotNone(instruction)
        return instruction

    def mender5(self, number, *, certificate=None, **options):
        certificate = certificate or self.authority.issue("device", f"press-{number}")
        device = super().mender5(number, certificate=certificate, **options)
        device.certificate_files = certificate
        return device


class CertificateTest(ForeignSiteCase):
    def assert_refused(self, certificate, why):
        """The connection ends in the handshake, nothing reaches the upstream, and the log says why."""
        before = len(self.upstream.server.api.seen())
        with self.assertRaises(REFUSED):
            self.gateway.ask("POST", AUTH, b"{}", certificate=certificate)
        wait_until(lambda: re.search(rf"handshake_failed .*{why}", self.gateway.log()), seconds=10 * SLOWNESS,
                   what=f"a line in the log with {why}")
        self.assertEqual(len(self.upstream.server.api.seen()), before)

    def issue_by_hand(self, name, *, extensions="", days=30, start=None):
        """A leaf of the device authority with whatever extensions."""
        key, request, leaf = (self.work / f"{name}.{end}" for end in ("key", "csr", "crt"))
        self.openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", f"/CN={name}",
                     "-keyout", key, "-out", request)
        extension_file = self.work / f"{name}.ext"
        extension_file.write_text(extensions)
        database = self.work / f"{name}.ca"
        database.mkdir()
        (database / "index.txt").write_text("")
        config = database / "openssl.cnf"
        config.write_text(f"[ca]\ndefault_ca=d\n[d]\ndatabase={database}/index.txt\nnew_certs_dir={database}\nrand_serial=yes\n"
                          "default_md=sha256\npolicy=p\n[p]\ncommonName=supplied\n")
        times = ["-startdate", "20200101000000Z", "-enddate", "20210101000000Z"] if start == "past" else ["-days", days]
        self.openssl("ca", "-batch", "-config", config, "-in", request, "-out", leaf, "-notext",
                     "-cert", self.authority.device_ca, "-keyfile", self.authority.directory / "private" / "device-ca.key",
                     "-extfile", extension_file, *times)
        return leaf, key

    def test_a_device_without_a_certificate_does_not_get_in(self):
        self.assert_refused(None, "did not return a certificate")

    def test_a_certificate_of_another_authority_is_refused(self):
        self.assert_refused(Authority(self.work, "stranger").issue("device", "press-1"), "unable to get local issuer")

    def test_an_expired_certificate_is_refused(self):
        self.assert_refused(self.issue_by_hand("old", start="past"), "expired at 2021")

    def test_a_revoked_certificate_is_refused(self):
        certificate = self.authority.issue("device", "stolen")
        self.assertEqual(self.gateway.ask("POST", AUTH, b"{}", certificate=certificate).status, 400)
        self.authority.revoke(certificate[0])
        self.gateway.stop()
        self.gateway.settings = {"Postern": {"mTLS": {"CRL": str(self.authority.device_crl), "RequireCRL": True}}}
        self.gateway.start()
        self.assert_refused(certificate, "is revoked")
        other = self.authority.issue("device", "honest")
        self.assertEqual(self.gateway.ask("POST", AUTH, b"{}", certificate=other).status, 400)

    def test_a_certificate_whose_serial_is_on_the_plain_list_is_refused(self):
        certificate = self.authority.issue("device", "stolen")
        serial = subprocess.run(["openssl", "x509", "-in", certificate[0], "-noout", "-serial"], check=True,
                                capture_output=True, text=True).stdout.strip().split("=")[1]
        blacklist = self.work / "blacklist"
        blacklist.write_text(f"# stolen in spring\n{serial}\n")
        self.gateway.stop()
        self.gateway.settings = {"Features": {"mTLS": {"BlacklistPath": str(blacklist)}}}
        self.gateway.start()
        self.assert_refused(certificate, "is revoked")

    def test_a_certificate_for_servers_is_refused_and_one_without_usages_is_not(self):
        self.assert_refused(self.issue_by_hand("server", extensions="extendedKeyUsage=serverAuth\n"), "is not for TLS client")
        self.assertEqual(self.gateway.ask("POST", AUTH, b"{}", certificate=self.issue_by_hand("plain")).status, 400)

    def test_a_ca_certificate_is_no_leaf(self):
        self.assert_refused((self.authority.device_ca, self.authority.directory / "private" / "device-ca.key"), "never a leaf")

    def test_a_gateway_certificate_opens_no_door_for_devices(self):
        self.assert_refused(self.authority.issue("gateway", "gw-9"), "unable to get local issuer")


class BindingTest(ForeignSiteCase):
    def authenticate(self, certificate, key, mac):
        body, signature = auth_body(key, mac)
        headers = {"X-MEN-Signature": signature, "Content-Type": "application/json"}
        return self.gateway.ask("POST", AUTH, body, headers, certificate=certificate)

    def test_another_identity_with_the_same_certificate_is_refused_without_a_body(self):
        certificate = self.authority.issue("device", "press-1")
        self.assertEqual(self.authenticate(certificate, certificate[1], "02:00").status, 200)
        answer = self.authenticate(certificate, certificate[1], "02:99")
        self.assertEqual((answer.status, answer.body), (401, b""))
        self.assertIsNone(self.upstream.server.devauth.find(mac="02:99"))
        self.assertIn("gateway.binding_refused", self.gateway.log())

    def test_a_renewed_certificate_of_the_same_subject_with_a_new_key_works_without_a_hand(self):
        old = self.authority.issue("device", "press-1")
        self.assertEqual(self.authenticate(old, old[1], "02:00").status, 200)
        new = self.authority.issue("device", "press-1")
        self.assertEqual(self.authenticate(new, new[1], "02:00").status, 200)
        device = self.upstream.server.devauth.find(mac="02:00")
        self.assertEqual(sorted(s.status for s in device.sets), ["accepted", "rejected"])

    def test_a_certificate_of_another_subject_cannot_take_over_an_identity(self):
        first, second = (self.authority.issue("device", name) for name in ("press-1", "press-2"))
        self.assertEqual(self.authenticate(first, first[1], "02:00").status, 200)
        self.assertEqual(self.authenticate(second, second[1], "02:00").status, 401)

    def test_a_certificate_that_an_operator_has_approved_can(self):
        approved = self.work / "approved"
        approved.write_text("")
        self.gateway.stop()
        self.gateway.settings = {"Postern": {"Binding": {"Rebinding": "approved", "ApprovedPath": str(approved)}}}
        self.gateway.start()
        first, second = (self.authority.issue("device", name) for name in ("press-1", "press-2"))
        self.assertEqual(self.authenticate(first, first[1], "02:00").status, 200)
        self.assertEqual(self.authenticate(second, second[1], "02:00").status, 401)
        fingerprint = subprocess.run(["openssl", "x509", "-in", second[0], "-noout", "-fingerprint", "-sha256"], check=True,
                                     capture_output=True, text=True).stdout.split("=")[1]
        approved.write_text(f"{fingerprint.strip()}  # press 1 has a new head\n")
        self.assertEqual(self.authenticate(second, second[1], "02:00").status, 200)

    def test_bindings_and_tokens_outlive_a_kill(self):
        device = self.mender5(1)
        content = self.deployed(device)
        self.gateway.kill()
        self.gateway.start()
        self.assertEqual(device.run(seconds=60 * SLOWNESS), "success")
        self.assertEqual(self.installed(device), content)
        first = next(r for r in device.requests if r[1].endswith("/next"))
        self.assertNotEqual(first[2], 401, "the token from before the kill is still good")
        stranger = self.mender5(2, certificate=device.certificate_files)
        self.assertFalse(stranger.authenticate(), "the certificate is still bound")

    def test_the_token_of_another_device_is_refused(self):
        one, other = self.mender5(1), self.mender5(2)
        self.assertTrue(one.authenticate() and other.authenticate())
        headers = {"Authorization": f"Bearer {one._token}"}
        self.assertEqual(self.gateway.ask("GET", NEXT_V1, headers=headers, certificate=one.certificate_files).status, 204)
        answer = self.gateway.ask("GET", NEXT_V1, headers=headers, certificate=other.certificate_files)
        self.assertEqual((answer.status, answer.body), (401, b""))

    def test_a_wrong_signature_reaches_nobody(self):
        certificate = self.authority.issue("device", "press-1")
        body, signature = auth_body(certificate[1], "02:00")
        headers = {"X-MEN-Signature": signature, "Content-Type": "application/json"}
        answer = self.gateway.ask("POST", AUTH, body.replace(b"02:00", b"02:01"), headers, certificate=certificate)
        self.assertEqual((answer.status, answer.body), (401, b""))
        self.assertEqual(self.upstream.server.api.seen(), [])

    def test_a_wrong_password_at_the_upstream_is_told_to_the_operator_and_refuses_no_device(self):
        self.gateway.stop()
        self.gateway.settings = {"Features": {"mTLS": {"MenderPassword": "wrong"}}}
        self.gateway.start()
        certificate = self.authority.issue("device", "press-1")
        self.assertEqual(self.authenticate(certificate, certificate[1], "02:00").status, 500)
        self.assertRegex(self.gateway.log(), "gateway.preauthorization_failed .*check MenderUsername")

    def test_an_identity_that_is_accepted_elsewhere_is_not_taken_over(self):
        self.upstream.server.devauth.accept_everything = True
        elsewhere = self.mender5(1)
        elsewhere.server_url = self.upstream.url
        elsewhere._tls = ssl.create_default_context(cafile=str(self.upstream.ca))
        self.assertTrue(elsewhere.authenticate())
        self.upstream.server.devauth.accept_everything = False
        certificate = self.authority.issue("device", "press-1")
        self.assertEqual(self.authenticate(certificate, certificate[1], elsewhere.identity["mac"]).status, 401)
        device = self.upstream.server.devauth.find(mac=elsewhere.identity["mac"])
        self.assertEqual(sorted(s.status for s in device.sets), ["accepted", "pending"])
        self.assertIn("gateway.preauthorization_conflict", self.gateway.log())


class LinkTest(ForeignSiteCase):
    def get(self, uri, **headers):
        return self.gateway.ask("GET", uri.removeprefix(self.gateway.url), headers=headers, certificate=self.certificate)

    def setUp(self):
        super().setUp()
        device = self.mender5(1)
        self.certificate = device.certificate_files
        self.deployed(device)
        self.device = device
        self.artifact = (self.work / "release-1.mender").read_bytes()

    def test_a_link_leads_to_the_gateway_and_gives_exact_ranges(self):
        instruction = self.instruction(self.device)
        uri = instruction["artifact"]["source"]["uri"]
        self.assertTrue(uri.startswith(self.gateway.url + "/"))
        self.assertNotIn(":", uri.split("//", 1)[1].split("/", 1)[1])
        whole = self.get(uri)
        self.assertEqual((whole.status, whole.body == self.artifact), (200, True))
        size = len(self.artifact)
        chunk = 256 * 4096 - 16
        for first, last in ((0, 0), (1, 99), (chunk - 1, chunk), (chunk, 2 * chunk), (size - 70_000, size - 1), (size - 1, size - 1)):
            part = self.get(uri, Range=f"bytes={first}-{last}")
            self.assertEqual(part.status, 206)
            self.assertEqual(part.headers["Content-Range"], f"bytes {first}-{last}/{size}")
            self.assertEqual(part.body, self.artifact[first:last + 1])
        self.assertEqual(self.get(uri, Range=f"bytes={size - 5}-").body, self.artifact[-5:])
        self.assertEqual(self.upstream.served(), [(0, size)], "one fetch for all of it")

    def test_a_changed_byte_in_a_link_is_refused_and_a_ranged_get_of_it_is_not_answered(self):
        uri = self.instruction(self.device)["artifact"]["source"]["uri"]
        for at in (uri.index("artifact/") + 12, len(uri) - 3):
            changed = uri[:at] + ("0" if uri[at] != "0" else "1") + uri[at + 1:]
            self.assertEqual(self.get(changed).status, 403)
            with self.assertRaises(REFUSED):
                self.get(changed, Range="bytes=5-")
        self.assertEqual(self.upstream.served(), [])

    def test_an_expired_link_is_refused_on_a_first_get_and_served_on_a_ranged_one(self):
        self.gateway.stop()
        self.gateway.settings = {"Features": {"ArtifactsProxy": {"ArtifactsCache": {"LinkExpireDuration": "1s"}}}}
        self.gateway.start()
        uri = self.instruction(self.device)["artifact"]["source"]["uri"]
        self.assertEqual(self.get(uri).status, 200)
        wait_until(lambda: self.get(uri).status == 403, seconds=20 * SLOWNESS, what="the link's end")
        part = self.get(uri, Range="bytes=100-199")
        self.assertEqual((part.status, part.body), (206, self.artifact[100:200]))

    def test_a_link_to_a_host_that_is_not_listed_is_left_alone_and_never_fetched(self):
        self.gateway.stop()
        settings = self.upstream.gateway_settings()
        settings["Features"]["ArtifactsProxy"]["DomainWhitelist"] = ["elsewhere.example"]
        self.gateway.settings = settings
        self.gateway.start()
        uri = self.instruction(self.device)["artifact"]["source"]["uri"]
        self.assertTrue(uri.startswith(f"https://{self.upstream.server.link_host}/"))
        self.assertIn("relay.link_not_taken_over", self.gateway.log())

    def test_unknown_paths_and_methods_are_refused(self):
        self.assertEqual(self.get("/api/management/v1/useradm/users").status, 404)
        self.assertEqual(self.get("/api/devices/v1/deployments/device/deployments/x/status").status, 405)
        self.assertEqual(self.get("/").status, 404)


class UpstreamTest(ForeignSiteCase):
    gateway_settings = {"Postern": {"Cache": {"RetryPause": "1s"}}}

    def test_an_upstream_that_is_down_costs_a_poll_and_nothing_else(self):
        device = self.mender5(1)
        content = self.deployed(device)
        self.upstream.server.api.fail(r"/next", drop=True, times=3)
        self.assertEqual(device.run(seconds=60 * SLOWNESS), "success")
        self.assertEqual(self.installed(device), content)
        self.assertIn("relay.request_failed", self.gateway.log())

    def test_an_upstream_that_answers_garbage_costs_a_poll_and_nothing_else(self):
        device = self.mender5(1)
        self.deployed(device)
        self.upstream.server.api.fail(r"/next", garbage=True, times=2)
        self.assertEqual(device.run(seconds=60 * SLOWNESS), "success")

    def test_a_slow_upstream_is_waited_for(self):
        device = self.mender5(1)
        content = self.deployed(device)
        self.upstream.server.links.fail(delay=2)
        self.assertEqual(device.run(seconds=60 * SLOWNESS), "success")
        self.assertEqual(self.installed(device), content)

    def test_an_artifact_that_is_cut_short_goes_on_where_it_was_cut(self):
        device = self.mender5(1)
        content = self.deployed(device)
        for cut in (1_000_001, 1_500_000):
            self.upstream.server.links.fail(cut_after=cut)
        self.assertEqual(device.run(seconds=60 * SLOWNESS), "success")
        self.assertEqual(self.installed(device), content)
        self.assertEqual(device.resumed_from, [], "the device has noticed nothing")
        firsts = [first for first, _ in self.upstream.served()]
        self.assertEqual((len(firsts), firsts[0]), (3, 0))
        self.assertGreater(firsts[1], 0)

    def test_an_upstream_that_lies_about_the_length_does_no_harm(self):
        device = self.mender5(1)
        self.deployed(device)
        self.upstream.server.links.fail(content_length=self.artifact_size + 5000)
        self.assertEqual(device.run(seconds=60 * SLOWNESS), "failure")
        self.assertFalse((device.work / "installed" / "payload.bin").exists())
        self.assertIn("cache.artifact_refused", self.gateway.log())

    def test_what_is_no_artifact_is_refused_and_the_true_one_is_fetched_later(self):
        device = self.mender5(1)
        content = self.deployed(device)
        self.upstream.server.links.fail(body=os.urandom(300_000))
        uri = self.instruction(device)["artifact"]["source"]["uri"].removeprefix(self.gateway.url)
        with self.assertRaises((*REFUSED, http.client.IncompleteRead)):
            self.gateway.ask("GET", uri, certificate=device.certificate_files)
        wait_until(lambda: self.gateway.metric("postern_gateway_cache_refusals_total") == 1, seconds=10, what="the count")
        self.assertIn("cache.artifact_refused", self.gateway.log())
        self.assertIsNone(self.poll(device), "nothing to do, rather than a download that stalls")
        self.gateway.kill()
        self.gateway.start()
        self.assertEqual(device.run(seconds=60 * SLOWNESS), "success")
        self.assertEqual(self.installed(device), content)

    def test_a_401_of_the_upstream_loses_its_body_and_too_many_requests_reach_those_who_understand_them(self):
        device = self.mender5(1)
        self.assertTrue(device.authenticate())
        ask = lambda agent: self.gateway.ask("GET", NEXT_V1, certificate=device.certificate_files,
                                             headers={"Authorization": f"Bearer {device._token}", "User-Agent": agent})
        self.upstream.server.api.fail("/next", status=401, body=b'{"error":"no"}')
        answer = ask("Mender/5.1.0")
        self.assertEqual((answer.status, answer.body), (401, b""))
        self.upstream.server.api.fail("/next", status=429, headers=[("retry-after", "7")], times=2)
        answer = ask("Mender/5.1.0")
        self.assertEqual((answer.status, answer.headers["Retry-After"]), (429, "7"))
        self.assertEqual(ask("Go-http-client/1.1").status, 204)
        self.upstream.server.api.fail("/next", status=503)
        self.assertEqual(ask("Mender/5.1.0").status, 500)


class FullDiskTest(ForeignSiteCase):
    gateway_settings = None

    def test_downloads_go_on_past_a_cache_that_has_no_room(self):
        self.gateway.stop()
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(self.gateway.cache_path)], check=True)
        self.addCleanup(subprocess.run, ["umount", "-l", str(self.gateway.cache_path)], check=True)
        self.addCleanup(self.gateway.stop)
        self.gateway.start()
        devices = [self.mender5(number) for number in (1, 2)]
        for device in devices:
            self.assertTrue(device.authenticate())
        content = self.release("release-1", size=12_000_000)
        deployment = self.upstream.deploy("release-1", [self.id_of(d.identity["mac"]) for d in devices])
        for device in devices:
            self.assertEqual(device.run(seconds=60 * SLOWNESS), "success")
            self.assertEqual(self.installed(device), content)
        self.assertEqual(set(self.upstream.statuses(deployment).values()), {"success"})
        self.assertGreater(self.gateway.metric("postern_gateway_pass_throughs_total"), 0)
        self.assertIn("cache.fill_ended", self.gateway.log())


if __name__ == "__main__":
    unittest.main()
