"""Operating a gateway: its commands, metrics and health, prefetches, the service manager, and what its logs must not hold."""

import contextlib
import http.client
import json
import re
import signal
import socket
import subprocess
import unittest

from harness import SLOWNESS, tool
from gateway_harness import ForeignUpstream, SiteTestCase, revived
from test_gateway_relay import Forwarder
from clients.debian_mender import wait_until
from unit_file import UnitFileTests


class OperatingCase(SiteTestCase):
    def command(self, *arguments, status=0):
        """Runs a command of postern-gateway against the running one; returns what it prints."""
        done = subprocess.run([tool("postern-gateway"), *arguments, "--config", str(self.gateway.work / "postern-gateway.json")],
                              capture_output=True, text=True, timeout=120 * SLOWNESS)
        self.assertEqual(done.returncode, status, f"{arguments}: {done.stdout}{done.stderr}")
        self.said = done.stderr
        return done.stdout

    def watch(self, path):
        """(status, body) of a GET at the metrics listener."""
        connection = http.client.HTTPConnection("127.0.0.1", self.gateway.metrics_port, timeout=30 * SLOWNESS)
        with contextlib.closing(connection):
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()

    def updated_device(self, number=1):
        device = self.mender5(number)
        self.assertTrue(device.authenticate())
        self.content = self.release("release-1")
        self.upstream.deploy("release-1", [self.id_of(device.identity["mac"])])
        self.assertEqual(device.run(seconds=60 * SLOWNESS), "success")
        return device

    def cached(self, name):
        return next((a for a in json.loads(self.command("cache", "ls", "--json"))["artifacts"] if a["name"] == name), None)


class EveryUpstream:
    def test_an_artifact_that_was_prefetched_costs_the_device_no_transfer(self):
        content = self.release("release-1")
        said = self.command("prefetch", "release-1", "--wait")
        self.assertIn("done", said)
        self.assertEqual(self.cached("release-1")["state"], "complete")
        before = self.gateway.metric("postern_gateway_uplink_artifact_bytes_total")
        self.assertEqual(before, self.artifact_size)
        device = self.mender5(1)
        self.assertTrue(device.authenticate())
        self.upstream.deploy("release-1", [self.id_of(device.identity["mac"])])
        self.assertEqual(device.run(seconds=60 * SLOWNESS), "success")
        self.assertEqual(self.installed(device), content)
        self.assertEqual(self.gateway.metric("postern_gateway_uplink_artifact_bytes_total"), before, "it was here already")

    def test_a_name_that_the_upstream_does_not_know_is_told(self):
        said = self.command("prefetch", "release-9")
        number = re.search(r"Prefetch (\d+)", said).group(1)

        def failed():
            return "no artifact" in self.command("prefetch", "--list")

        wait_until(failed, seconds=30 * SLOWNESS, what="the failure")
        self.command("prefetch", "--cancel", number)
        self.assertIn("no prefetches", self.command("prefetch", "--list"))


class CloudOperatingTest(EveryUpstream, OperatingCase):
    def test_the_status_tells_what_an_operator_asks_first(self):
        self.updated_device()
        status = json.loads(self.command("status", "--json"))
        self.assertTrue(status["ready"], status["checks"])
        self.assertEqual(status["devices_bound"], 1)
        self.assertEqual(status["cache"]["complete"], 1)
        self.assertEqual(status["traffic"]["uplink_artifact_bytes"], self.artifact_size)
        self.assertEqual({listener["name"] for listener in status["listeners"]}, {"https", "metrics"})
        self.assertEqual(status["upstreams"][0]["url"], self.upstream.url)
        text = self.command("status")
        for word in ("ready", "yes", "LISTENER", "UPSTREAM", "1 complete"):
            self.assertIn(word, text)

    def test_the_cache_is_listed_verified_pinned_and_evicted(self):
        self.updated_device()
        self.assertIn("release-1", self.command("cache", "ls"))
        self.assertEqual(self.cached("release-1")["state"], "complete")
        self.assertIn("good", self.command("cache", "verify"))
        self.command("cache", "pin", "release-1")
        self.assertTrue(self.cached("release-1")["pinned"])
        self.command("cache", "unpin", self.cached("release-1")["key"])
        self.assertFalse(self.cached("release-1")["pinned"])
        self.command("cache", "evict", "release-1")
        self.command("cache", "gc")
        evicted = self.cached("release-1")
        self.assertTrue(evicted is None or evicted["stored_bytes"] == 0, evicted)
        self.command("cache", "pin", "release-9", status=1)
        self.assertIn("release-9", self.said)

    def test_a_url_of_the_upstream_can_be_prefetched_and_a_foreign_one_can_not(self):
        self.command("prefetch", "https://elsewhere.example/x.mender", "--wait", status=3)
        self.assertIn("DomainWhitelist", self.command("prefetch", "--list"))

    def test_a_scheduled_prefetch_outlasts_a_restart(self):
        self.release("release-1")
        self.assertIn("begins at", self.command("prefetch", "release-1", "--at", "2099-01-01 03:00"))
        self.command("prefetch", "release-1", "--daily", "03:30")
        self.gateway.stop()
        self.gateway.start()
        prefetches = json.loads(self.command("prefetch", "--list", "--json"))["prefetches"]
        self.assertEqual([p["state"] for p in prefetches], ["scheduled", "scheduled"])
        self.assertEqual(prefetches[1]["daily"], "03:30")
        self.assertTrue(prefetches[0]["next"].startswith(("2098-12-31", "2099-01-01")), prefetches[0])

    def test_after_a_restart_a_dead_link_is_renewed_without_any_device(self):
        self.release("release-1", size=20_000_000)
        self.command("prefetch", "release-1", "--wait")
        self.command("cache", "evict", "release-1")
        self.gateway.stop()
        self.gateway.start()
        self.command("prefetch", "release-1", "--wait")
        self.assertEqual(self.cached("release-1")["state"], "complete")

    def test_metrics_are_told_as_prometheus_reads_them(self):
        self.updated_device()
        status, text = self.watch("/metrics")
        self.assertEqual(status, 200)
        described = set(re.findall(r"^# TYPE (\S+) (?:counter|gauge)$", text, re.M))
        self.assertEqual(len(described), text.count("# TYPE "), "each name once")
        for line in text.splitlines():
            if not line.startswith("#"):
                self.assertRegex(line, r'^[a-z_:]+(\{[a-z_]+="(?:[^"\\]|\\.)*"(,[a-z_]+="(?:[^"\\]|\\.)*")*\})? \S+$')
                self.assertIn(re.match(r"[a-z_:]+", line).group(), described)
        for name in ("mender_gateway_http_requests_total", "mender_gateway_http_response_bytes_total",
                     "postern_gateway_build_info", "postern_gateway_connections", "postern_gateway_handshakes_total",
                     "postern_gateway_store_commits_total", "process_resident_memory_bytes", "process_open_fds"):
            self.assertIn(name, described)
        self.assertRegex(text, r'handshakes_total\{result="ok"\} [1-9]')
        self.assertNotIn("release-1", text)

    def test_health_and_readiness(self):
        self.assertEqual(self.watch("/healthz")[0], 200)
        status, body = self.watch("/readyz")
        self.assertEqual((status, json.loads(body)["ready"]), (200, True))
        self.upstream.stop()
        self.assertEqual(self.watch("/readyz")[0], 200, "devices get what is cached all the same")

    def test_the_control_socket_is_for_the_gateways_user_only_and_replaced_after_a_death(self):
        path = self.gateway.work / "state" / "control.sock"
        self.assertEqual(path.stat().st_mode & 0o777, 0o600)
        self.gateway.kill()
        self.command("status", status=1)
        self.assertIn("no gateway answers at", self.said)
        self.gateway.start()
        self.command("status")
        self.gateway.stop()
        self.assertFalse(path.exists())
        self.gateway.start()

    def test_the_configuration_is_checked_without_serving(self):
        self.assertIn("good", self.command("check"))
        broken = self.work / "broken.json"
        config = json.loads((self.gateway.work / "postern-gateway.json").read_text())
        config["HTTPS"]["ServerKey"] = str(self.work / "missing.key")
        config["HTTPS"]["Listen"] = "nowhere"
        broken.write_text(json.dumps(config))
        done = subprocess.run([tool("postern-gateway"), "check", "--config", str(broken)], capture_output=True, text=True,
                              timeout=60 * SLOWNESS)
        self.assertEqual(done.returncode, 1)
        self.assertIn("HTTPS.ServerKey", done.stdout)
        self.assertIn("HTTPS.Listen", done.stdout)


class ForeignOperatingTest(EveryUpstream, OperatingCase):
    upstream_type = ForeignUpstream


class UpstreamsTest(OperatingCase):
    """Two ways to one server, each of which can be closed."""

    upstream_type = ForeignUpstream

    def setUp(self):
        super().setUp()
        self.ways = [Forwarder(self.upstream.server.api.port) for _ in range(2)]
        for way in self.ways:
            self.addCleanup(way.close)
        self.urls = [f"https://localhost:{way.port}" for way in self.ways]
        self.gateway.stop()
        self.gateway.settings = {"UpstreamServer": {"URL": self.urls[0]},
                                 "Postern": {"Upstream": {"URLs": [self.urls[1]], "ReturnAfter": "1s"}}}
        self.gateway.start()

    def assert_told(self, *expected):
        """What each of the two is said to be, by every one of those who say it."""
        status = json.loads(self.command("status", "--json"))
        self.assertEqual([(u["url"], u["up"]) for u in status["upstreams"]], list(zip(self.urls, expected)))
        for upstream in status["upstreams"]:
            self.assertEqual(upstream["since"] is None, upstream["up"] is None)
        text = self.command("status")
        words = {None: "not asked yet", True: "up", False: "DOWN"}
        for url, is_up in zip(self.urls, expected):
            self.assertRegex(text, rf"(?m)^{re.escape(url)} +{words[is_up]}( |$)")
            self.assertEqual(self.gateway.metric(f'postern_gateway_upstream_up{{upstream="{url}"}}'), int(is_up is True))
        is_any_left = any(is_up is not False for is_up in expected)
        code, body = self.watch("/readyz")
        [check] = [check for check in json.loads(body)["checks"] if check["name"] == "upstream"]
        self.assertEqual((code, check["needed"], check["ok"]), (200, False, is_any_left), "a site goes on without it")
        self.assertTrue(status["ready"])
        for told in (check.get("error", ""), text):
            self.assertEqual("none can be reached" in told, not is_any_left)

    def test_each_upstream_is_told_to_be_up_down_or_not_asked_yet(self):
        self.assert_told(None, None)
        device = self.mender5(1)
        self.assertTrue(device.authenticate())
        self.assert_told(True, None)
        self.ways[0].close()
        self.assertIsNone(device.poll())
        self.assert_told(False, True)
        self.ways[1].close()
        self.assertIsNone(device.poll())
        self.assertEqual(device.requests[-1][2], 500)
        self.assert_told(False, False)
        self.ways[0].open()
        wait_until(lambda: device.poll() is None and device.requests[-1][2] == 204, seconds=30 * SLOWNESS,
                   what="an answer of the server")
        self.assert_told(True, False)


class ServiceManagerTest(OperatingCase):
    """With a service manager's socket."""

    def setUp(self):
        super().setUp()
        self.notified = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.addCleanup(self.notified.close)
        self.notified.bind(str(self.work / "notify"))
        self.notified.settimeout(30 * SLOWNESS)
        self.wrap = ["env", f"NOTIFY_SOCKET={self.work / 'notify'}", "WATCHDOG_USEC=1500000"]
        self.gateway.stop()
        self.gateway.start(wrap=self.wrap)

    def hear(self, wanted):
        while True:
            message = self.notified.recv(4096).decode()
            if message.startswith(wanted):
                return message

    def test_the_manager_hears_when_it_is_ready_that_it_lives_and_when_it_stops(self):
        self.assertIn("STATUS=Serving at", self.hear("READY=1"))
        self.hear("WATCHDOG=1")
        self.hear("WATCHDOG=1")
        self.gateway.stop()
        self.hear("STOPPING=1")
        self.gateway.start()

    def reload(self):
        """Has everything read again; returns what the manager hears then."""
        self.gateway.process.send_signal(signal.SIGHUP)
        self.hear("RELOADING=1")
        while (message := self.notified.recv(4096).decode()) == "WATCHDOG=1":
            pass
        return message

    def test_the_manager_hears_that_a_reload_has_ended_and_what_of_it_failed(self):
        serials = self.work / "serials"
        serials.write_text("# nobody\n")
        self.gateway.stop()
        self.gateway.settings = {"Features": {"mTLS": {"BlacklistPath": str(serials)}}}
        self.gateway.start(wrap=self.wrap)
        self.hear("STOPPING=1")
        self.hear("READY=1")
        done = self.reload()
        self.assertTrue(done.startswith("READY=1\nSTATUS=Serving at "), done)
        self.assertNotIn("not reloaded", done)
        self.assertIn("gateway.reload_done", self.gateway.log())
        serials.write_text("no serial number\n")
        self.assertIn("; not reloaded, the old stays in force: serials", self.reload())
        serials.write_text("# nobody\n")
        self.assertNotIn("not reloaded", self.reload())
        self.gateway.stop()
        self.gateway.start()


class CollectTest(OperatingCase):
    def test_the_disk_gets_room_back_also_when_a_kill_comes_in_between(self):
        self.gateway.stop()
        used = lambda: sum(path.stat().st_blocks * 512 for path in self.gateway.cache_path.rglob("data.mdb"))
        for point in ("chunks.before_move", "chunks.after_move"):
            small, large = f"small-{point}", f"large-{point}"
            with self.subTest(point=point):
                self.gateway.start(fault=point)
                self.release(small, size=5_000_000)
                self.release(large, size=20_000_000)
                with revived(self.gateway) as deaths:
                    for name in (small, large):
                        self.command("prefetch", name, "--wait")
                    self.command("cache", "evict", large)
                    self.assertGreater(used(), 20_000_000)
                    self.command("cache", "gc", status=1)
                    wait_until(lambda: deaths and deaths.alive.is_set(), seconds=60 * SLOWNESS, what="the kill")
                # Whoever starts puts in order what the kill has left.
                wait_until(lambda: used() < 12_000_000, seconds=30 * SLOWNESS, what="the smaller file")
                self.assertIn("given back to the disk", self.command("cache", "gc"))
                self.command("cache", "verify")
                self.assertEqual(self.cached(small)["state"], "complete")
                self.command("cache", "evict", small)
                self.gateway.stop()
        self.gateway.start()


class UnitFileTest(UnitFileTests, unittest.TestCase):
    path = "gateway/packaging/postern-gateway.service"


class LogTest(OperatingCase):
    """A busy site, everything logged: no secret of anybody's is in any line."""

    upstream_type = ForeignUpstream
    gateway_settings = {"Postern": {"LogLevel": "debug"}}

    def test_no_signature_token_or_password_is_in_the_log(self):
        device = self.updated_device()
        small = self.mcu(2, range_bytes=65536)
        self.assertTrue(small.authenticate())
        self.command("prefetch", "release-1", "--wait")
        self.upstream.server.user_tokens.expire()
        self.assertTrue(self.mender5(3).authenticate())
        self.upstream.server.links.fail(status=403, body=b"<Error/>", times=1)
        self.release("release-2")
        self.command("prefetch", "release-2", "--wait")
        self.gateway.ask("GET", "/api/devices/v1/deployments/download/artifact/00?x-men-expire=1&x-men-signature=0badc0ffee",
                         certificate=self.authority.issue("device", "press-9"))
        self.gateway.stop()
        log = self.gateway.log()
        self.gateway.start()
        self.assertIn("http.served", log, "it is a log of everything")
        self.assertRegex(log, rf'download\.served .*device="[^ ]*{device.identity["mac"]}.* cache_bytes=\d+ upstream_bytes=0 ',
                         "who got what from where")
        secrets = [self.upstream.server.password, device._token, small._token]
        for secret in filter(None, secrets):
            self.assertNotIn(secret, log)
        for pattern in (r"(?i)signature=", r"(?i)x-amz-", r"0badc0ffee", r"Bearer \S", r"Basic \S", r"eyJ[A-Za-z0-9_-]{10,}",
                        r"PRIVATE KEY"):
            self.assertIsNone(re.search(pattern, log), pattern)


if __name__ == "__main__":
    unittest.main()
