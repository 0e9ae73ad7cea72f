"""The rows of the table: what is done to each server, how often, and what is wanted."""

import contextlib
import os
import subprocess
import time

from measure import BenchError, Line, Load, Peak, anonymous_bytes, core_seconds, cpu_seconds, say, socket_bytes
from net.site import Site
from servers import Artifact, BenchGateway, BenchServer, make_identities

GB = 1e9
MIB = 1 << 20


def at_most(limit):
    return lambda line: line.median("gateway") <= limit


def ratio_at_most(limit):
    return lambda line: line.ratio <= limit


def ratio_at_least(limit):
    return lambda line: line.ratio >= limit


def interleaved(servers, rounds):
    """A B C, then B C A, and so on: whatever drifts, drifts for all."""
    for number in range(rounds):
        shift = number % len(servers)
        yield from servers[shift:] + servers[:shift]


def measured(stand, server, load, **expected):
    """Runs a load to its end; returns its report and the CPU seconds that the server took."""
    started, core, before = time.monotonic(), core_seconds(stand.server_core), cpu_seconds(server.pid)
    with stand.profile(server):
        report = load().result(**expected)
    cpu = cpu_seconds(server.pid) - before
    stand.note_others(core_seconds(stand.server_core) - core - cpu, time.monotonic() - started)
    return report, cpu


def downloads(stand):
    """Readers of a cached artifact, as fast as one core gives it out."""
    lines = []
    for readers in (8, 64):
        what = f"{stand.large.size >> 20} MiB from the cache, {readers} readers"
        cost = Line("downloads", f"{what}: CPU s per GB", "s/GB", digits=3, target="<= 0.75 x nginx, wish 0.70",
                    holds=ratio_at_most(0.75))
        speed = Line("downloads", f"{what}: throughput", "MB/s", digits=0, target=">= nginx", holds=ratio_at_least(1.0))
        lines += [cost, speed]
        for server in interleaved([stand.gateway, stand.nginx, stand.bare], stand.rounds):
            report, cpu = measured(stand, server, lambda s=server, n=readers: stand.load(
                "downloads", s.downloads(stand.large), connections=n, seconds=stand.seconds, blind=True), statuses=[200])
            cost.add(server.name, cpu / report["bytes"] * GB)
            speed.add(server.name, report["window_bytes"] / report["window_seconds"] / 1e6)
    return lines


def connects(stand):
    """A full handshake with certificates on both sides for every request, as real clients do it."""
    line = Line("connects", "full mTLS handshake and one small request: per CPU s", "1/s", digits=0, target=">= 1.0 x nginx",
                holds=ratio_at_least(1.0))
    for server in interleaved([stand.gateway, stand.nginx], stand.rounds):
        report, cpu = measured(stand, server, lambda s=server: stand.load(
            "connects", s.alive(), connections=32, seconds=stand.seconds), statuses=[204])
        line.add(server.name, report["answers"] / cpu)
    return [line]


def requests(stand):
    """Polls with a token on kept connections, which go on to the upstream over kept connections."""
    line = Line("requests", "relayed polls on kept connections: per CPU s", "1/s", digits=0, target=">= 0.7 x nginx",
                holds=ratio_at_least(0.7))
    for server in interleaved([stand.gateway, stand.nginx], stand.rounds):
        report, cpu = measured(stand, server, lambda s=server: stand.load(
            "requests", s.poll(), connections=32, seconds=stand.seconds), statuses=[204])
        line.add(server.name, report["answers"] / cpu)
    return [line]


def forget_pages(files):
    """Takes files out of the page cache; returns the bytes that stayed."""
    os.sync()
    for path in files:
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        finally:
            os.close(descriptor)
    done = subprocess.run(["fincore", "--bytes", "--raw", "--noheadings", "--output", "RES", *map(str, files)], check=True,
                          capture_output=True, text=True)
    return sum(map(int, done.stdout.split()))


def cold(stand):
    """The same from a cold page cache, and what small requests beside it feel of that."""
    what = f"{stand.large.size >> 20} MiB from a cold page cache, 8 readers"
    speed = Line("cold", f"{what}: throughput", "MB/s", digits=0, target=">= nginx", holds=ratio_at_least(1.0))
    cost = Line("cold", f"{what}: CPU s per GB", "s/GB", digits=3)
    beside = Line("cold", f"{what}: p99 of small requests beside", "ms", digits=1)
    # Without threads that wait for the disk, nginx is slower here; where nothing has to be read they cost it much.
    stand.nginx.configure(aio="threads")
    for server in interleaved([stand.gateway, stand.nginx], stand.rounds):
        server.stop()  # pages that a process has mapped stay
        stayed = forget_pages(server.cache_files)
        server.start()
        if stayed > stand.large.size / 10:
            raise BenchError(f"{stayed >> 20} MiB of the cache of {server.name} stay in the page cache")
        small = stand.load("requests", server.alive(), connections=8, seconds=max(2, stand.seconds), requests_per_second=100)
        try:
            report, cpu = measured(stand, server, lambda s=server: stand.load(
                "downloads", s.downloads(stand.large), connections=8, seconds=120, once=True, blind=True), statuses=[200])
        except BaseException:
            small.stop()
            raise
        beside.add(server.name, small.result(statuses=[204])["latency"]["p99"] * 1e3)
        speed.add(server.name, report["bytes"] / report["seconds"] / 1e6)
        cost.add(server.name, cpu / report["bytes"] * GB)
    stand.nginx.configure()
    stand.nginx.restart()
    return [speed, cost, beside]


def slow(stand):
    """Thousands of readers on thin lines: what they cost in memory, and whether all get their share."""
    readers, rate = (200, 64_000) if stand.is_quick else (5000, 64_000)
    what = f"{readers} mTLS readers at {rate // 1000} kbit/s"
    memory = Line("slow", f"{what}: anonymous memory", "MiB", digits=1, target="<= 256 MiB", holds=at_most(256))
    share = Line("slow", f"{what}: least to median bytes", "", digits=2, target=">= 0.5: nobody starves",
                 holds=lambda line: line.median("gateway") >= 0.5)
    cut = Line("slow", f"{what}: connections that were cut", "", digits=0, target="none", holds=at_most(0))
    rate_line = Line("slow", f"{what}: median rate", "kbit/s", digits=1)
    kernel = Line("slow", f"{what}: sockets' memory in the kernel", "MiB", digits=0)
    cpu_line = Line("slow", f"{what}: CPU s per GB", "s/GB", digits=2)
    # With the system's own sizes, sockets of slow readers take more than the kernel has, and it cuts connections. Where
    # readers are fast, the smaller ones cost nginx much.
    stand.nginx.configure(listen_options="sndbuf=128k")
    for server in (stand.gateway, stand.nginx):
        server.restart()  # so that it is this load's memory
        with Peak(memory=lambda s=server: anonymous_bytes(s.pid), kernel=socket_bytes) as peak:
            report, cpu = measured(stand, server, lambda s=server: stand.load(
                "downloads", s.downloads(stand.large), connections=readers, seconds=5 if stand.is_quick else 30,
                bits_per_second=rate, receive_buffer=32768), statuses=[200], may_fail=True)
        if not report["window_seconds"]:
            raise BenchError(f"{server.name}: {report['first_error']}")
        memory.add(server.name, peak["memory"] / MIB)
        kernel.add(server.name, peak["kernel"] / MIB)
        of_readers = report["reader_bytes"]
        share.add(server.name, of_readers["min"] / max(1, of_readers["median"]))
        cut.add(server.name, report["errors"])
        if report["errors"]:
            say(f"    {server.name}: {report['errors']} errors, the first: {report['first_error']}")
        rate_line.add(server.name, of_readers["median"] * 8 / report["window_seconds"] / 1e3)
        cpu_line.add(server.name, cpu / report["bytes"] * GB)
    stand.nginx.configure()
    stand.nginx.restart()
    return [memory, share, cut, rate_line, cpu_line, kernel]


def uplink(stand):
    """Many readers of an artifact that has to come over a thin line first."""
    lines = []
    cases = [(8, 50, 4)] if stand.is_quick else [(20, 200, 32), (100, 30, 128)]
    artifacts = [Artifact(stand.work, f"uplink-{mbit}", mib << 20) for mbit, _, mib in cases]
    with contextlib.ExitStack() as stack:
        site = stack.enter_context(Site(devices=1))
        work = stand.work / "site"
        work.mkdir()
        upstream = BenchServer(work, stand.authority, artifacts, core=stand.load_core, name="site-upstream", node=site.cloud)
        stack.callback(upstream.stop)
        gateway = BenchGateway(work, upstream, stand.authority, core=stand.server_core, node=site.gateway)
        stack.callback(gateway.stop)
        device = site.devices[0]
        first = make_identities(work / "identities", stand.authority, gateway, 8, node=device)
        for (mbit, readers, _), artifact in zip(cases, artifacts):
            gateway.learn_link(artifact, *first, node=device)
            lines += uplink_case(stand, site, upstream, gateway, work / "identities", artifact, mbit, readers)
    return lines


def uplink_case(stand, site, upstream, gateway, identities, artifact, mbit, readers):
    what = f"{readers} readers, uplink of {mbit} Mbit/s, {artifact.size >> 20} MiB"
    volume = Line("uplink", f"{what}: upstream's body bytes to the size", "", digits=4, target="<= 1.01", holds=at_most(1.01))
    last = Line("uplink", f"{what}: last reader", "s", digits=2, target="<= 1.05 x curl", holds=ratio_at_most(1.05))
    cost = Line("uplink", f"{what}: CPU s", "s")
    site.cloud.run(["tc", "qdisc", "replace", "dev", "wan", "root", "tbf", "rate", f"{mbit}mbit", "burst", "32kb", "latency",
                    "100ms"])
    done = site.gateway.run(["curl", "--silent", "--show-error", "--fail", "--noproxy", "*", "--cacert", upstream.ca,
                             "--output", "/dev/null", "--write-out", "%{time_total}",
                             f"{upstream.url}/artifacts/{artifact.name}"], timeout=120)
    last.add("curl", float(done.stdout))
    before = upstream.counters()["artifact_bytes"]
    report, cpu = measured(stand, gateway, lambda: Load(
        "downloads", gateway.downloads(artifact), core=stand.load_core, identities=identities, node=site.devices[0],
        connections=readers, seconds=120, once=True, blind=True), statuses=[200])
    if report["bytes"] != readers * artifact.size:
        raise BenchError(f"{readers} readers got {report['bytes']} bytes instead of {readers * artifact.size}")
    last.add("gateway", report["ends"]["last"])
    cost.add("gateway", cpu)
    volume.add("gateway", (upstream.counters()["artifact_bytes"] - before) / artifact.size)
    return [volume, last, cost]


ROWS = {"downloads": downloads, "cold": cold, "connects": connects, "requests": requests, "uplink": uplink, "slow": slow}
