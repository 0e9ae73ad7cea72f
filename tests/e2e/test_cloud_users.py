"""Users, tokens, the audit log and completion of command lines, against a real cloud."""

import json
import os
import shutil
import subprocess
import unittest

from harness import PASSWORD, SLOWNESS, USER, CloudTestCase, tool


class UsersTest(CloudTestCase):
    def setUp(self):
        super().setUp()
        self.environment = {"PATH": os.environ["PATH"], "XDG_CONFIG_HOME": str(self.work / "config"),
                            "POSTERN_PASSWORD": PASSWORD}
        self.good("--server", self.cloud.url, "--ca", str(self.cloud.ca), "login", USER)

    def postern(self, *arguments, **variables):
        return subprocess.run([tool("postern"), *arguments], env=self.environment | variables, capture_output=True,
                              text=True, timeout=60 * SLOWNESS)

    def good(self, *arguments, **variables):
        done = self.postern(*arguments, **variables)
        self.assertEqual(done.returncode, 0, (arguments, done.stdout, done.stderr))
        return done.stdout

    def test_a_users_life(self):
        identifier = self.good("user", "add", "ops@example.com", POSTERN_NEW_PASSWORD="first password").strip()
        self.assertIn("ops@example.com", self.good("user", "list"))
        other = {"XDG_CONFIG_HOME": str(self.work / "other"), "POSTERN_PASSWORD": "first password"}
        self.good("--server", self.cloud.url, "--ca", str(self.cloud.ca), "login", "ops@example.com", **other)
        self.good("user", "password", **other, POSTERN_NEW_PASSWORD="second password")
        self.good("user", "edit", "ops@example.com", "--email", "night@example.com")
        self.assertEqual(self.postern("user", "list", **other).returncode, 1, "the change ended the session")
        other["POSTERN_PASSWORD"] = "second password"
        self.good("--server", self.cloud.url, "--ca", str(self.cloud.ca), "login", "night@example.com", **other)
        self.assertIn("deleted", self.good("user", "delete", "night@example.com"))
        self.assertEqual(self.postern("user", "list", **other).returncode, 1)
        entries = json.loads(self.good("audit", "--since", "1h", "--object", "user", "--output", "json"))
        self.assertEqual([entry["action"] for entry in entries], ["delete", "update", "update", "create"])
        self.assertEqual({entry["object"]["id"] for entry in entries}, {identifier})
        self.assertIn("password: changed", self.good("audit", "--actor", "ops@example.com"))
        self.assertEqual(len(self.good("audit", "--count", "1").splitlines()), 2)

    def test_a_personal_access_token_works_until_it_is_deleted(self):
        token = self.good("token", "create", "ci", "--expires", "90d").strip()
        bare = {"XDG_CONFIG_HOME": str(self.work / "none"), "POSTERN_TOKEN": token, "POSTERN_SERVER": self.cloud.url,
                "POSTERN_CA": str(self.cloud.ca)}
        self.assertIn(USER, self.good("user", "list", **bare))
        (row,) = json.loads(self.good("token", "list", "--output", "json"))
        self.assertIn("last_used", row)
        self.assertIn("already exists", self.postern("token", "create", "ci").stderr)
        self.good("token", "delete", "ci")
        self.assertEqual(self.postern("user", "list", **bare).returncode, 1)

    def test_guessing_is_slowed_down(self):
        last = None
        for _ in range(12):
            last = self.postern("login", "nobody@example.com", POSTERN_PASSWORD="a wrong one")
            self.assertEqual(last.returncode, 1)
        self.assertIn("too many wrong passwords", last.stderr)
        self.good("login", USER)

    def test_a_lost_password_is_set_on_the_machine_itself(self):
        self.cloud.stop()
        done = subprocess.run([tool("postern-cloud"), "set-password", USER, "--data", str(self.cloud.data)],
                              input="regained one\n", capture_output=True, text=True, timeout=60 * SLOWNESS)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.cloud.start()
        self.assertEqual(self.postern("user", "list").returncode, 1, "the session has ended")
        self.good("login", USER, POSTERN_PASSWORD="regained one")


class CompletionTest(unittest.TestCase):
    def script(self, shell):
        return subprocess.run([tool("postern"), "completion", shell], capture_output=True, text=True, check=True,
                              timeout=60 * SLOWNESS, env={"HOME": "/nonexistent"}).stdout

    def complete(self, *words):
        """What bash offers for the last of the words."""
        call = 'COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); compopt() { :; }; _postern; printf "%s\\n" "${COMPREPLY[@]}"'
        done = subprocess.run(["bash", "--norc", "-c", self.script("bash") + call, "bash", "postern", *words],
                              capture_output=True, text=True, timeout=60 * SLOWNESS)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        return sorted(done.stdout.split())

    def test_commands_are_completed(self):
        self.assertIn("deployment", self.complete(""))
        self.assertEqual(self.complete("use"), ["user"])
        self.assertEqual(self.complete("user", ""), ["add", "delete", "edit", "list", "password"])
        self.assertEqual(self.complete("--server", "user", "device", "rej"), ["reject"], "a value is no command")
        self.assertEqual(self.complete("--output", "=", "json", "token", "cr"), ["create"])

    def test_options_are_completed(self):
        self.assertEqual(self.complete("device", "list", "--sta"), ["--status"])
        self.assertEqual(self.complete("audit", "--s"), ["--server", "--since"])
        self.assertIn("--all", self.complete("device", "accept", "--"))
        self.assertIn("--version", self.complete("--"))

    def test_values_are_completed(self):
        self.assertEqual(self.complete("--output", ""), ["json", "table"])
        self.assertEqual(self.complete("device", "list", "--status", "=", "acc"), ["accepted"])
        self.assertEqual(self.complete("completion", ""), ["bash", "fish", "zsh"])
        self.assertEqual(self.complete("artifact", "upload", "/etc/debian_ver"), ["/etc/debian_version"])
        self.assertEqual(self.complete("--ca", "/etc/debian_ver"), ["/etc/debian_version"])

    def test_every_command_is_there(self):
        def walk(path):
            help_text = subprocess.run([tool("postern"), *path, "--help"], capture_output=True, text=True, check=True).stdout
            if "Subcommands:" not in help_text:
                return
            section = help_text.split("Subcommands:")[1].split("\n\n")[0]
            names = [line.split()[0] for line in section.splitlines() if line[:2] == "  " and line[2:3].isalpha()]
            self.assertEqual(self.complete(*path, ""), sorted(names))
            for name in names:
                walk([*path, name])

        walk([])

    def test_the_scripts_are_good_ones_for_their_shells(self):
        for shell in ("bash", "zsh", "fish"):
            script = self.script(shell)
            if shutil.which(shell):
                done = subprocess.run([shell, "-n", "/dev/stdin"], input=script, capture_output=True, text=True,
                                      timeout=60 * SLOWNESS)
                self.assertEqual((done.returncode, done.stderr), (0, ""), shell)


if __name__ == "__main__":
    unittest.main()
