"""The test bed's networks: who reaches whom, and that nothing stays behind."""

import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import unittest

from harness import ROOT, SLOWNESS, wait_until
from clients.debian_mender import DebianMender, write_single_file_artifact
from clients.foreign_server import ForeignServer
from clients.https_recorder import make_certificate
from clients.mcu import Mcu, TransportError

sys.path.insert(0, str(ROOT / "testbed"))

from net.site import Site  # noqa: E402

#: Makes a site, starts a program in it that starts another, says so, and waits.
USER = """
import sys
sys.path.insert(0, sys.argv[1])
from net.site import Site
site = Site(devices=1)
site.devices[0].popen(["sh", "-c", "sleep 600 & exec sleep 600"])
print(site._keeper.pid, flush=True)
sys.stdin.read()
"""


def inode(path):
    """The inode number of an open file or a namespace; None when it has gone."""
    try:
        return os.stat(path).st_ino
    except OSError:
        return None


def processes_in(namespaces):
    return [entry.name for entry in pathlib.Path("/proc").iterdir()
            if entry.name.isdigit() and inode(entry / "ns/net") in namespaces]


@unittest.skipUnless(os.geteuid() == 0, "network namespaces need root")
class NetTest(unittest.TestCase):
    def site(self, **options):
        return self.enterContext(Site(**options))

    def test_devices_of_the_site_reach_the_gateway_and_each_other_and_nothing_beyond(self):
        site = self.site(devices=2, direct=1)
        attempts = site.prove_isolation()
        for what, got_through in attempts:
            print(f"{what}: {'got through' if got_through else 'no way'}")
        self.assertEqual(sum(got_through for _, got_through in attempts), 2 * 2 + 2 * 2)
        self.assertEqual(sum(not got_through for _, got_through in attempts), 2 * 4)
        first, second = site.devices
        first.run(["ping", "-n", "-c", "1", "-W", "1", second.address])
        self.assertEqual(first.run(["ip", "route", "show", "default"]).stdout, "")
        self.assertEqual(site.gateway.run(["cat", "/proc/sys/net/ipv4/ip_forward"]).stdout, "0\n")

    def test_the_proof_fails_when_the_gateway_forwards(self):
        site = self.site(devices=1)
        site.gateway.run(["sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward"])
        site.cloud.run(["ip", "route", "add", "10.20.0.0/24", "via", "10.10.0.2"])
        with self.assertRaisesRegex(AssertionError, "gateway for its router got through"):
            site.prove_isolation()

    def test_functions_and_sockets_of_this_process_can_belong_to_a_node(self):
        site = self.site(devices=1)
        listener = site.gateway.listen()
        self.addCleanup(listener.close)
        with self.assertRaises(OSError):
            site.devices[0].call(socket.create_connection, (site.cloud.address, listener.getsockname()[1]), 1)
        with self.assertRaises(OSError):
            site.devices[0].call(socket.create_connection, listener.getsockname(), 1)

    def test_clients_on_direct_devices_update_from_a_server_on_the_cloud_and_those_of_the_site_do_not(self):
        work = pathlib.Path(tempfile.mkdtemp(prefix="postern-test-"))
        self.addCleanup(shutil.rmtree, work, ignore_errors=True)
        site = self.site(devices=1, direct=2)
        ca, key = make_certificate(work, [site.cloud.address])
        server = self.enterContext(ForeignServer(
            work / "server", certificate=ca, key=key, api_host=site.cloud.address, link_host=site.cloud.address,
            api_listener=site.cloud.listen(), link_listener=site.cloud.listen()))
        server.devauth.accept_everything = True

        def mcu(name):
            return Mcu(work / name, server_url=server.url, ca=ca, identity={"mac": name}, device_type="bench")

        debian = DebianMender(work / "debian", server_url=server.url, ca=ca, mac="02:00:00:00:00:01", device_type="bench",
                              prefix=site.direct[1].prefix)
        debian.start()
        self.addCleanup(debian.stop)
        wait_until(lambda: server.devauth.find(mac=debian.mac), seconds=60 * SLOWNESS, what="an auth request")
        direct = mcu("direct")
        self.assertTrue(site.direct[0].call(direct.authenticate))
        payload = work / "payload.bin"
        payload.write_bytes(os.urandom(100_000))
        server.add_artifact(write_single_file_artifact(work / "a.mender", name="release-1", device_type="bench", payload=payload))
        deployment = server.create_deployment("release-1", [device.id for device in server.devauth.devices()])
        self.assertEqual(site.direct[0].call(direct.run, seconds=60 * SLOWNESS), "success")
        wait_until(lambda: deployment.finished, seconds=60 * SLOWNESS, what="the end of the deployment")
        self.assertEqual(list(deployment.statuses.values()), ["success", "success"])
        with self.assertRaises(TransportError):
            site.devices[0].call(mcu("isolated").authenticate)

    def test_a_program_is_signalled_directly_and_killed_by_the_end(self):
        site = self.site(devices=1)
        stopped, left = (site.devices[0].popen(["sleep", "600"]) for _ in range(2))
        stopped.terminate()
        self.assertEqual(stopped.wait(timeout=10), -signal.SIGTERM)
        site.close()
        self.assertEqual(left.wait(timeout=10), -signal.SIGKILL)

    def test_nothing_stays_behind_when_the_program_is_killed(self):
        user = self.enterContext(subprocess.Popen([sys.executable, "-c", USER, str(ROOT / "testbed")],
                                                  stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True))
        keeper = int(user.stdout.readline())
        namespaces = {inode(file) for file in pathlib.Path(f"/proc/{keeper}/fd").iterdir() if "net:" in os.readlink(file)}
        self.assertEqual(len(namespaces), 5)
        # The keeper itself is in the one that it made last.
        wait_until(lambda: len(processes_in(namespaces)) == 3, seconds=30 * SLOWNESS, what="the programs")
        user.kill()
        wait_until(lambda: not pathlib.Path(f"/proc/{keeper}").exists(), seconds=30 * SLOWNESS, what="the keeper's end")
        self.assertEqual(processes_in(namespaces), [])


if __name__ == "__main__":
    unittest.main()
