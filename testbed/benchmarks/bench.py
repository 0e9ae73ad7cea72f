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

import cloud_rows  # noqa: E402
import rows  # noqa: E402
from measure import BenchError, say  # noqa: E402
from server_process import tool  # noqa: E402
from servers import version_of  # noqa: E402
from stand import CloudStand, GatewayStand  # noqa: E402

#: By command: what stands, what is done, and the columns of the table.
BENCHES = {"gateway": (GatewayStand, rows.ROWS, {"gateway": "gateway", "nginx": "nginx", "bare": "bare loop", "curl": "curl"}),
           "cloud": (CloudStand, cloud_rows.ROWS, {"cloud": "cloud", "nginx": "nginx"})}
NEEDED = ("taskset", "mender-artifact", "openssl", "curl", "tc", "ip", "nsenter", "fincore", "sha256sum")
NAME = "postern-bench-"
FILES_NEEDED = 12000


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
            "program": version_of([tool(stand.program), "--version"]), "nginx": stand.nginx.version,
            "openssl": version_of(["openssl", "version"]).split(" (")[0],
            "curl": version_of(["curl", "--version"]).split(" (")[0], "others_share": stand.others_share,
            "rounds": stand.rounds, "quick": stand.is_quick}


def verdict_text(line):
    return {True: "holds", False: "MISSED", None: ""}[line.verdict]


def markdown(machine, lines, columns):
    text = [f"{machine['when']}, {machine['cpu']}, {machine['memory_gib']} GiB, {machine['kernel']}, "
            f"{'with' if machine['kernel_tls'] else 'without'} kernel TLS, others took {machine['others_share']:.0%} of the server's core.",
            f"{machine['program']}; {machine['nginx']}; {machine['openssl']}; {machine['curl']}. "
            f"Medians of {machine['rounds']} interleaved rounds (spread).", "",
            "| " + " | ".join(["row", "measure", "unit", *columns.values(), "ratio", "target"]) + " | |",
            "| --- " * (len(columns) + 6) + "|"]
    for line in lines:
        ratio = "" if line.ratio is None else f"{line.ratio:.2f}"
        cells = [line.row, line.measure, line.unit, *(line.text(server) for server in columns), ratio, line.target,
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
    missing += [tool(name) for name in ("postern-cloud", "postern-gateway", "postern-pki", "bench-fleet", "bench-load", "bench-server")
                if not pathlib.Path(tool(name)).exists()]
    if missing:
        raise BenchError(f"missing: {', '.join(missing)}; testbed/setup/packages and testbed/setup/build bring them")
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if most < FILES_NEEDED:
        raise BenchError(f"a process may open {most} files at most, and thousands of connections need {FILES_NEEDED}: raise "
                         "the hard limit (ulimit -Hn)")
    # nginx and the load have it from here.
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def run(options):
    make_stand, all_rows, columns = BENCHES[options.command]
    check_machine()
    if options.profile and not shutil.which("perf"):
        raise BenchError("--profile needs perf: apt-get install linux-perf")
    started = time.monotonic()
    # On a disk, not in memory: one row reads from it.
    directory = pathlib.Path(tempfile.mkdtemp(prefix=NAME, dir=options.work))
    try:
        with contextlib.ExitStack() as cleanup:
            say(make_stand.preparing)
            stand = make_stand(directory, options, cleanup)
            lines, failures = run_rows(stand, {name: all_rows[name] for name in options.only or all_rows}, columns)
            machine = describe_machine(stand)
    finally:
        shutil.rmtree(directory, ignore_errors=True)
    text = markdown(machine, lines, columns)
    print(text, end="")
    if options.json:
        options.json.write_text(json.dumps({"machine": machine, "lines": [line.as_json() for line in lines]}, indent=1) + "\n")
    if options.markdown:
        options.markdown.write_text(text)
    say(f"took {time.monotonic() - started:.0f} s")
    if failures:
        raise BenchError(f"not measured: {', '.join(failures)}")
    return 0 if options.quick or all(line.verdict is not False for line in lines) else 3


def run_rows(stand, chosen, columns):
    """(lines, names of rows that could not be measured): one that fails does not take the others with it."""
    lines, failures = [], []
    for name, row in chosen.items():
        say(f"{name}: {row.__doc__.strip()}")
        stand.row = name
        try:
            added = row(stand)
        except BenchError as error:
            say(f"    {name}: {error}")
            failures.append(name)
            continue
        lines += added
        for line in added:
            values = ", ".join(f"{server} {line.text(server)}" for server in columns if server in line.samples)
            say(f"    {line.measure}: {values} {line.unit} {verdict_text(line)}".rstrip())
    return lines, failures


def parse(arguments):
    parser = argparse.ArgumentParser(prog="testbed/bench", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    for name, (stand, all_rows, _) in BENCHES.items():
        command = commands.add_parser(name, help=f"{stand.program} beside nginx")
        command.add_argument("--quick", action="store_true", help="small, and without a judgement: shows that it runs")
        command.add_argument("--only", metavar="ROW", action="append", choices=all_rows,
                             help=f"of {', '.join(all_rows)}; may be repeated")
        command.add_argument("--rounds", type=int, help="how often each server has its turn (default: 5)")
        command.add_argument("--profile", metavar="DIR", type=pathlib.Path,
                             help=f"record {stand.program} with perf, a file for each turn")
        command.add_argument("--json", metavar="FILE", type=pathlib.Path, help="all samples")
        command.add_argument("--markdown", metavar="FILE", type=pathlib.Path, help="the table, which is printed too")
        command.add_argument("--work", metavar="DIR", default="/var/tmp",
                             help="where files have room, on a disk (default: /var/tmp)")
    options = parser.parse_args(arguments)
    if options.rounds is not None and options.rounds < 1:
        parser.error("--rounds: at least 1")
    return options


def main():
    options = parse(sys.argv[1:])
    # So that servers are stopped and files removed then too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        return run(options)
    except BenchError as error:
        print(f"bench: error: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
