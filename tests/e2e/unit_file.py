"""What is wanted of every systemd unit that comes with a program."""

import subprocess

from harness import ROOT


class UnitFileTests:
    """Mixed into a TestCase, which says which unit."""

    path = ""

    def analyze(self, *arguments):
        try:
            return subprocess.run(["systemd-analyze", *arguments], capture_output=True, text=True, timeout=60)
        except FileNotFoundError:
            self.skipTest("systemd is not here")

    def test_systemd_understands_every_line(self):
        unit = ROOT / self.path
        done = self.analyze("verify", "--man=no", str(unit))
        complaints = [line for line in done.stderr.splitlines() if unit.name in line and "is not executable" not in line]
        self.assertEqual(complaints, [])

    def test_it_is_exposed_as_little_as_can_be(self):
        done = self.analyze("security", "--offline=true", "--threshold=25", str(ROOT / self.path))
        self.assertEqual(done.returncode, 0, done.stdout[-3000:] + done.stderr)
