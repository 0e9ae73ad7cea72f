"""What the kernel says about a process, and what a load says about a server."""

import contextlib
import json
import os
import pathlib
import statistics
import subprocess
import sys
import threading

from server_process import tool

TICK = os.sysconf("SC_CLK_TCK")


class BenchError(Exception):
    """The benchmark cannot be run, or what it measured did not work."""


def say(text):
    """One line of progress, which is not the result."""
    print(f"==> {text}", file=sys.stderr, flush=True)


def processes_of(pid):
    """A process and those below it."""
    found = [pid]
    for parent in found:
        with contextlib.suppress(OSError):
            for task in pathlib.Path(f"/proc/{parent}/task").iterdir():
                found += [int(child) for child in (task / "children").read_text().split()]
    return found


def cpu_seconds(pid):
    """User and system time of all threads of a process and of those below it."""
    total = 0
    for process in processes_of(pid):
        fields = pathlib.Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
        total += int(fields[11]) + int(fields[12])
    return total / TICK


def core_seconds(core):
    """What a core has been busy for, with anything."""
    for line in pathlib.Path("/proc/stat").read_text().splitlines():
        words = line.split()
        if words[0] == f"cpu{core}":
            idle, waiting = map(int, words[4:6])
            return (sum(map(int, words[1:9])) - idle - waiting) / TICK
    return 0


def anonymous_bytes(pid):
    """Anonymous memory: pages of mapped files can be given back at any time, and are not the process's own."""
    total = 0
    for process in processes_of(pid):
        for line in pathlib.Path(f"/proc/{process}/smaps_rollup").read_text().splitlines():
            if line.startswith("Anonymous:"):
                total += int(line.split()[1]) * 1024
    return total


def socket_bytes():
    """What the kernel keeps for all TCP sockets of this network."""
    for line in pathlib.Path("/proc/net/sockstat").read_text().splitlines():
        if line.startswith("TCP:"):
            words = line.split()
            return int(words[words.index("mem") + 1]) * os.sysconf("SC_PAGE_SIZE")
    return 0


class Peak:
    """The largest values that functions had while the block ran: `with Peak(a=..., b=...) as peak: ...; peak["a"]`."""

    def __init__(self, **functions):
        self._functions = functions
        self._values = dict.fromkeys(functions, 0)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._over.set()
        self._thread.join()

    def __getitem__(self, name):
        return self._values[name]

    def _watch(self):
        while True:
            for name, function in self._functions.items():
                with contextlib.suppress(OSError):
                    self._values[name] = max(self._values[name], function())
            if self._over.wait(1):
                return


class Load:
    """A run of bench-load, on the core that is not the server's. `node` is the machine of a test bed that it runs on."""

    def __init__(self, mode, target, *, core, connections, seconds, node=None, **options):
        command = [*(node.prefix if node else ()), "taskset", "-c", str(core), tool("bench-load"), mode,
                   "--address", target.address, "--port", str(target.port), "--name", target.name, "--ca", str(target.ca),
                   *(() if "draws" in options else ("--target", target.path)), "--connections", str(connections),
                   "--seconds", str(seconds)]
        for name, value in options.items():
            command += [f"--{name.replace('_', '-')}", *([] if value is True else [str(value)])]
        self.what = f"{mode} of {target.path.split('?')[0][:40]} at {target.server}"
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def result(self, *, statuses, may_fail=False, timeout=400):
        """Its report. Raises BenchError when an answer had another status, or failed and must not."""
        try:
            out, errors = self._process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            self.stop()
            raise BenchError(f"{self.what} did not end within {timeout} s") from None
        if self._process.returncode != 0:
            raise BenchError(f"{self.what} failed: {errors.strip()}")
        report = json.loads(out)
        if report["errors"] and not may_fail:
            raise BenchError(f"{self.what}: {report['errors']} errors, the first: {report['first_error']}")
        if set(report["statuses"]) - {str(status) for status in statuses}:
            raise BenchError(f"{self.what}: statuses {report['statuses']}")
        return report

    def stop(self):
        self._process.kill()
        self._process.communicate()


class Target:
    """Where a load goes, and the process that serves there."""

    def __init__(self, server, *, path, address, port, name, ca, pid):
        self.server = server
        self.path = path
        self.address = address
        self.port = port
        self.name = name
        self.ca = ca
        self.pid = pid


class Line:
    """One line of the table: samples of every server, and what is wanted of ours."""

    def __init__(self, row, measure, unit, *, digits=2, target="", holds=None):
        self.row = row
        self.measure = measure
        self.unit = unit
        self.digits = digits
        self.target = target
        self._holds = holds
        self.samples = {}

    def add(self, server, value):
        self.samples.setdefault(server, []).append(value)

    def median(self, server):
        return statistics.median(self.samples[server]) if server in self.samples else None

    @property
    def ratio(self):
        """Our median to the peer's: that of nginx, or of curl."""
        ours = next((name for name in ("gateway", "cloud") if name in self.samples), None)
        peer = next((name for name in ("nginx", "curl") if name in self.samples), None)
        return self.median(ours) / self.median(peer) if ours and peer and self.median(peer) else None

    @property
    def verdict(self):
        """True, False, or None where nothing is wanted."""
        return None if self._holds is None else bool(self._holds(self))

    def text(self, server):
        if server not in self.samples:
            return ""
        values = self.samples[server]
        spread = f" ({min(values):.{self.digits}f}–{max(values):.{self.digits}f})" if len(values) > 1 else ""
        return f"{self.median(server):.{self.digits}f}{spread}"

    def as_json(self):
        return {"row": self.row, "measure": self.measure, "unit": self.unit, "samples": self.samples,
                "medians": {server: self.median(server) for server in self.samples}, "ratio": self.ratio,
                "target": self.target, "verdict": self.verdict}
