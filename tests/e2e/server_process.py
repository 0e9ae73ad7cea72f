"""A program that serves: started until it says so in its log, stopped, killed, waited for."""

import json
import os
import pathlib
import re
import signal
import subprocess

from clients.debian_mender import wait_until

BIN = pathlib.Path(os.environ.get("POSTERN_BIN", pathlib.Path(__file__).resolve().parents[2] / "build/release/bin"))
# Programs built with a sanitizer take several times as long.
SLOWNESS = float(os.environ.get("POSTERN_SLOWNESS", "1"))


def tool(name):
    return str(BIN / name)


class ServerProcess:
    """`program` is its name, `work` its directory, `node` the machine of a test bed that it runs on, if any."""

    program = None

    def __init__(self, work, node=None):
        self.work = pathlib.Path(work)
        self.work.mkdir(parents=True, exist_ok=True)
        self.node = node
        self.process = None

    @property
    def log_path(self):
        return self.work / f"{self.program.removeprefix('postern-')}.log"

    def log(self):
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    def launch(self, config, started, *, fault=None, wrap=()):
        """Starts the program with this configuration; returns the match of `started` in its log. `fault` names the fault
        point at which the process kills itself; `wrap` is put before the command."""
        path = self.work / f"{self.program}.json"
        path.write_text(json.dumps(config))
        environment = {k: v for k, v in os.environ.items() if k != "POSTERN_FAULT_POINT"}
        if fault:
            environment["POSTERN_FAULT_POINT"] = fault
        seen = len(self.log())
        inside = self.node.prefix if self.node else ()
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen([*inside, *wrap, tool(self.program), "--config", str(path)],
                                            stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment)

        def found():
            if self.process.poll() is not None:
                raise RuntimeError(f"{self.program} ended with {self.process.returncode}:\n{self.log()[seen:][-4000:]}")
            return re.search(started, self.log()[seen:])

        return wait_until(found, seconds=30 * SLOWNESS, what=f"the start of {self.program}", every=0.02)

    def stop(self):
        """An orderly end; returns the exit status, or None when it did not run."""
        if self.process is None:
            return None
        process, self.process = self.process, None
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        try:
            return process.wait(timeout=40)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise

    def kill(self):
        process, self.process = self.process, None
        process.kill()
        process.wait()

    def wait_for_death(self):
        """Waits for a process that kills itself; returns the signal's number."""
        process, self.process = self.process, None
        return -process.wait(timeout=60 * SLOWNESS)
