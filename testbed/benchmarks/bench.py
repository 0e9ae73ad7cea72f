"""Measures a program of ours beside its best-known peer: the same machine, core, key, cipher and work, taking turns."""

import argparse
import contextlib
import datetime
import json
import os
import pathlib
import platform
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
for folder in (ROOT / "tests", ROOT / "tests/e2e", ROOT / "testbed", HERE):
    sys.path.insert(0, str(folder))

from gateway_harness import Authority  # noqa: E402
from measure import BenchError, Load, say  # noqa: E402
from rows import ROWS  # noqa: E402
from server_process import tool  # noqa: E402
from servers import Artifact, BenchGateway, BenchServer, Nginx, make_identities, version_of  # noqa: E402

SERVERS = ("gateway", "nginx", "bare", "curl")
NEEDED = ("taskset", "mender-artifact", "openssl", "curl", "tc", "ip", "nsenter", "fincore", "sha256sum")
NAME = "postern-bench-"
FILES_NEEDED = 12000


class Stand:
    """The servers of all rows, with the large artifact in both caches."""

    def __init__(self, work, options, cleanup):
        self.work = work
        self.is_quick = options.quick
        self.rounds = options.rounds or (1 if options.quick else 5)
        self.seconds = 1 if options.quick else 3
        self.profile_directory = options.profile
        self._others = [0.0, 0.0]  # seconds of others on the server's core, and seconds in which it was measured
        self.server_core, self.load_core = sorted(os.sched_getaffinity(0))[:2]
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
        return Load(mode, target, core=self.load_core, identities=self.identities, **options)

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
        """With --profile, records where the gateway spends its time meanwhile."""
        if not self.profile_directory or server.name != "gateway":
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


def describe_machine(stand):
    cpu = "unknown"
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            cpu = line.split(":", 1)[1].strip()
            break
    return {"when": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
            "cpu": f"{os.cpu_count()} x {cpu}", "memory_gib": round(os.sysconf("SC_PHYS_PAGES") * 4096 / (1 << 30), 1),
            "kernel": f"{platform.system()} {platform.release()}",
            "kernel_tls": pathlib.Path("/proc/net/tls_stat").exists(),
            "gateway": version_of([tool("postern-gateway"), "--version"]), "nginx": stand.nginx.version,
            "openssl": version_of(["openssl", "version"]).split(" (")[0],
            "curl": version_of(["curl", "--version"]).split(" (")[0], "others_share": stand.others_share,
            "rounds": stand.rounds, "quick": stand.is_quick}


def verdict_text(line):
    return {True: "holds", False: "MISSED", None: ""}[line.verdict]


def markdown(machine, lines):
    text = [f"{machine['when']}, {machine['cpu']}, {machine['memory_gib']} GiB, {machine['kernel']}, "
            f"{'with' if machine['kernel_tls'] else 'without'} kernel TLS, others took {machine['others_share']:.0%} of the server's core.",
            f"{machine['gateway']}; {machine['nginx']}; {machine['openssl']}; {machine['curl']}. "
            f"Medians of {machine['rounds']} interleaved rounds (spread).", "",
            "| row | measure | unit | gateway | nginx | bare loop | curl | ratio | target | |",
            "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |"]
    for line in lines:
        ratio = "" if line.ratio is None else f"{line.ratio:.2f}"
        cells = [line.row, line.measure, line.unit, *(line.text(server) for server in SERVERS), ratio, line.target,
                 verdict_text(line)]
        text.append("| " + " | ".join(cells) + " |")
    return "\n".join(text) + "\n"


def check_machine():
    if os.geteuid() != 0:
        raise BenchError("network namespaces and the files' limits need root")
    if len(os.sched_getaffinity(0)) < 2:
        raise BenchError("this needs two cores: one for the server, one for the load")
    path = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
    missing = [name for name in NEEDED if not shutil.which(name, path=path)]
    missing += [tool(name) for name in ("postern-gateway", "postern-pki", "bench-load", "bench-server")
                if not pathlib.Path(tool(name)).exists()]
    if missing:
        raise BenchError(f"missing: {', '.join(missing)}; testbed/setup/packages and testbed/setup/build bring them")
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if most < FILES_NEEDED:
        raise BenchError(f"a process may open {most} files at most, and thousands of connections need {FILES_NEEDED}: raise "
                         "the hard limit (ulimit -Hn)")
    # nginx and the load have it from here.
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def run_gateway(options):
    check_machine()
    if options.profile and not shutil.which("perf"):
        raise BenchError("--profile needs perf: apt-get install linux-perf")
    started = time.monotonic()
    # On a disk, not in memory: one row reads from it.
    directory = pathlib.Path(tempfile.mkdtemp(prefix=NAME, dir=options.work))
    try:
        with contextlib.ExitStack() as cleanup:
            say("making certificates, devices and artifacts, and filling the caches")
            stand = Stand(directory, options, cleanup)
            lines, failures = run_rows(stand, options.only or ROWS)
            machine = describe_machine(stand)
    finally:
        shutil.rmtree(directory, ignore_errors=True)
    text = markdown(machine, lines)
    print(text, end="")
    if options.json:
        options.json.write_text(json.dumps({"machine": machine, "lines": [line.as_json() for line in lines]}, indent=1) + "\n")
    if options.markdown:
        options.markdown.write_text(text)
    say(f"took {time.monotonic() - started:.0f} s")
    if failures:
        raise BenchError(f"not measured: {', '.join(failures)}")
    return 0 if options.quick or all(line.verdict is not False for line in lines) else 3


def run_rows(stand, names):
    """(lines, names of rows that could not be measured): one that fails does not take the others with it."""
    lines, failures = [], []
    for name in names:
        say(f"{name}: {ROWS[name].__doc__.strip()}")
        stand.row = name
        try:
            added = ROWS[name](stand)
        except BenchError as error:
            say(f"    {name}: {error}")
            failures.append(name)
            continue
        lines += added
        for line in added:
            values = ", ".join(f"{server} {line.text(server)}" for server in SERVERS if server in line.samples)
            say(f"    {line.measure}: {values} {line.unit} {verdict_text(line)}".rstrip())
    return lines, failures


def parse(arguments):
    parser = argparse.ArgumentParser(prog="testbed/bench", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    gateway = commands.add_parser("gateway", help="postern-gateway beside nginx")
    gateway.add_argument("--quick", action="store_true", help="small, and without a judgement: shows that it runs")
    gateway.add_argument("--only", metavar="ROW", action="append", choices=ROWS, help=f"of {', '.join(ROWS)}; may be repeated")
    gateway.add_argument("--rounds", type=int, help="how often each server has its turn (default: 5)")
    gateway.add_argument("--profile", metavar="DIR", type=pathlib.Path, help="record the gateway with perf, a file for each turn")
    gateway.add_argument("--json", metavar="FILE", type=pathlib.Path, help="all samples")
    gateway.add_argument("--markdown", metavar="FILE", type=pathlib.Path, help="the table, which is printed too")
    gateway.add_argument("--work", metavar="DIR", default="/var/tmp", help="where 3 GiB have room, on a disk (default: /var/tmp)")
    options = parser.parse_args(arguments)
    if options.rounds is not None and options.rounds < 1:
        parser.error("--rounds: at least 1")
    return options


def main():
    options = parse(sys.argv[1:])
    # So that servers are stopped and files removed then too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        return run_gateway(options)
    except BenchError as error:
        print(f"bench: error: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
