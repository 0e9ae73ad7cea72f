"""The servers of all rows of a benchmark, made ready, and what is common to its measurements."""

import contextlib
import os
import subprocess
import time

from cloud_servers import BenchCloud, FixedNginx
from gateway_harness import Authority
from measure import BenchError, Load, say
from servers import Artifact, BenchGateway, BenchServer, Nginx, make_identities


class Stand:
    """Which cores are whose, how often and how long is measured, and who else was busy."""

    #: Which server's time --profile looks at.
    profiled = ""

    def __init__(self, work, options):
        self.work = work
        self.is_quick = options.quick
        self.rounds = options.rounds or (1 if options.quick else 5)
        self.seconds = 1 if options.quick else 3
        self.profile_directory = options.profile
        self._others = [0.0, 0.0]  # seconds of others on the server's core, and seconds in which it was measured
        self.server_core, self.load_core = sorted(os.sched_getaffinity(0))[:2]
        self.row = ""

    def load(self, mode, target, **options):
        return Load(mode, target, core=self.load_core, **options)

    def note_others(self, busy, seconds):
        """Takes what others were busy for on the server's core during a measurement."""
        self._others[0] += max(0.0, busy)
        self._others[1] += seconds

    @property
    def others_share(self):
        """Which part of the server's core was not the server's to have."""
        return self._others[0] / self._others[1] if self._others[1] else 0.0

    @contextlib.contextmanager
    def profile(self, server):
        """With --profile, records where our program spends its time meanwhile."""
        if not self.profile_directory or server.name != self.profiled:
            yield
            return
        self.profile_directory.mkdir(parents=True, exist_ok=True)
        out = self.profile_directory / f"{self.row}.{time.monotonic_ns()}.perf"
        process = subprocess.Popen(["taskset", "-c", str(self.load_core), "perf", "record", "--quiet", "--freq", "997", "-g",
                                    "--output", str(out), "--pid", str(server.pid)])
        try:
            yield
        finally:
            process.terminate()
            process.wait(timeout=60)
            say(f"profile: perf report --no-children --input {out}")


class GatewayStand(Stand):
    """postern-gateway, nginx and the bare loop, with the large artifact in both caches."""

    profiled = "gateway"
    program = "postern-gateway"
    preparing = "making certificates, devices and artifacts, and filling the caches"

    def __init__(self, work, options, cleanup):
        super().__init__(work, options)
        self.authority = Authority(work, "bench")
        self.large = Artifact(work, "large", (16 if options.quick else 256) << 20)
        self.upstream = BenchServer(work, self.authority, [self.large], core=self.load_core, name="upstream")
        cleanup.callback(self.upstream.stop)
        self.gateway = BenchGateway(work, self.upstream, self.authority, core=self.server_core)
        cleanup.callback(self.gateway.stop)
        self.nginx = Nginx(work, self.upstream, self.authority, core=self.server_core)
        cleanup.callback(self.nginx.stop)
        self.bare = BenchServer(work, self.authority, [self.large], core=self.server_core, name="bare",
                                client_ca=self.authority.device_ca)
        cleanup.callback(self.bare.stop)
        self.identities = work / "identities"
        first = make_identities(self.identities, self.authority, self.gateway, 8 if options.quick else 64)
        self.gateway.learn_link(self.large, *first)
        for server in (self.gateway, self.nginx, self.bare):
            self._fill(server)

    def _fill(self, server):
        """Has the artifact read once, and compares what arrives with the file."""
        report = self.load("downloads", server.downloads(self.large), connections=1, seconds=120, once=True,
                           sha256=True).result(statuses=[200])
        if report["sha256"] != [self.large.sha256]:
            raise BenchError(f"{server.name} gives out other bytes than the artifact's")

    def load(self, mode, target, **options):
        return super().load(mode, target, identities=self.identities, **options)


class CloudStand(Stand):
    """postern-cloud with a small fleet and with a large one, and nginx."""

    profiled = "cloud"
    program = "postern-cloud"
    preparing = "writing two fleets"

    def __init__(self, work, options, cleanup):
        super().__init__(work, options)
        small, large = (1000, 3000) if options.quick else (10_000, 1_000_000)
        self.small = BenchCloud(work / "small", small, tokens=20_000, core=self.server_core)
        cleanup.callback(self.small.stop)
        self.large = BenchCloud(work / "large", large, tokens=20_000, core=self.server_core)
        cleanup.callback(self.large.stop)
        self.nginx = FixedNginx(work / "nginx", self.small, core=self.server_core)
        cleanup.callback(self.nginx.stop)
        self._polls = {}

    def polls(self, server):
        """The file with polls of that server's devices."""
        if server not in self._polls:
            self._polls[server] = server.polls()
        return self._polls[server]
