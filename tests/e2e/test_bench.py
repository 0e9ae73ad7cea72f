"""testbed/bench, in its small form: that it runs, and what it prints. What it measures on a busy machine says nothing."""

import json
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

from harness import ROOT
from server_process import BIN, SLOWNESS

BENCH = ROOT / "testbed/benchmarks/bench.py"
ROWS = ("downloads", "cold", "connects", "requests", "uplink", "slow")
CLOUD_ROWS = ("polls", "connects", "fleet", "reports", "create")


@unittest.skipIf(SLOWNESS > 1, "a program with a sanitizer is not what is measured")
@unittest.skipIf(os.geteuid() != 0, "network namespaces need root")
class BenchTest(unittest.TestCase):
    def bench(self, *arguments):
        return subprocess.run([sys.executable, "-B", str(BENCH), *arguments], capture_output=True, text=True, timeout=600,
                              env={**os.environ, "POSTERN_BIN": str(BIN)})

    def test_every_row_is_measured_on_both_servers_and_the_table_and_the_samples_say_the_same(self):
        with tempfile.TemporaryDirectory(prefix="postern-test-") as work:
            out = pathlib.Path(work) / "bench.json"
            done = self.bench("gateway", "--quick", "--json", str(out))
            self.assertEqual(done.returncode, 0, done.stderr[-3000:])
            result = json.loads(out.read_text())
        lines = result["lines"]
        self.assertEqual(tuple(dict.fromkeys(line["row"] for line in lines)), ROWS)
        for line in lines:
            peer = "nginx" if line["row"] != "uplink" else "curl"
            # Volume and processor time behind a thin uplink are the gateway's alone: curl is there for its time.
            alone = line["row"] == "uplink" and "last reader" not in line["measure"]
            wanted = {"gateway"} if alone else {"gateway", peer}
            self.assertLessEqual(wanted, set(line["samples"]), line["measure"])
            self.assertIn(f"| {line['row']} | {line['measure']} |", done.stdout)
        (volume,) = (line for line in lines if "body bytes" in line["measure"])
        self.assertLessEqual(volume["medians"]["gateway"], 1.01, "not a matter of time")
        self.assertIn("nginx", result["machine"]["nginx"])

    def test_the_cloud_is_measured_with_two_fleets(self):
        with tempfile.TemporaryDirectory(prefix="postern-test-") as work:
            out = pathlib.Path(work) / "bench.json"
            done = self.bench("cloud", "--quick", "--json", str(out))
            self.assertEqual(done.returncode, 0, done.stderr[-3000:])
            lines = json.loads(out.read_text())["lines"]
        self.assertEqual(tuple(dict.fromkeys(line["row"] for line in lines)), CLOUD_ROWS)
        for line in lines:
            self.assertIn("cloud", line["samples"], line["measure"])
            self.assertIn(f"| {line['row']} | {line['measure']} |", done.stdout)

    def test_a_row_that_is_not_there_is_wrong_usage(self):
        done = self.bench("gateway", "--only", "lottery")
        self.assertEqual(done.returncode, 2)
        self.assertIn("downloads", done.stderr)


if __name__ == "__main__":
    unittest.main()
