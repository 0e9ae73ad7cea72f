"""postern-pki as an operator runs it, judged by the openssl command line.

POSTERN_BIN names the directory of the built programs. Run with: python3 -m unittest tests/e2e/test_pki.py
"""

import os
import pathlib
import re
import stat
import subprocess
import tempfile
import unittest

PROGRAM = pathlib.Path(os.environ.get("POSTERN_BIN", "build/release/bin")).resolve() / "postern-pki"
KINDS = ("server", "gateway", "device", "plan-signing")
PURPOSES = {"server": "sslserver", "gateway": "sslclient", "device": "sslclient"}
TIMEOUT_SECONDS = 60


def run(*command, text="", cwd=None, env=None):
    return subprocess.run([str(part) for part in command], cwd=cwd, env=env, input=text, text=True,
                          capture_output=True, timeout=TIMEOUT_SECONDS, check=False)


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


class Server:
    """An openssl s_server on a free port of the loopback interface."""

    def __init__(self, directory, *options):
        # Under TLS 1.3 a client has finished before the server judges its certificate.
        self._process = subprocess.Popen(
            ["openssl", "s_server", "-accept", "127.0.0.1:0", "-tls1_2", *map(str, options)], cwd=directory,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)

    def __enter__(self):
        for line in self._process.stdout:
            found = re.match(r"ACCEPT .*:(\d+)$", line)
            if found:
                self.address = f"127.0.0.1:{found[1]}"
                return self
        self.__exit__()
        raise RuntimeError("s_server has not begun to accept")

    def __exit__(self, *_):
        self._process.kill()
        self._process.communicate(timeout=TIMEOUT_SECONDS)


class PkiTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        if not PROGRAM.exists():
            raise FileNotFoundError(f"{PROGRAM}: build it, or set POSTERN_BIN")

    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.directory = pathlib.Path(directory.name)
        self.pki = self.directory / "pki"
        self.environment = {k: v for k, v in os.environ.items() if k != "POSTERN_PKI"}
        self.tool("init", "pki", "--name", "Plant 4")

    def tool(self, *arguments, status=0, env=None):
        done = run(PROGRAM, *arguments, cwd=self.directory, env={**self.environment, **(env or {})})
        self.assertEqual(done.returncode, status, f"{arguments}: {done.stdout}{done.stderr}")
        return done

    def issue(self, kind, prefix, *options):
        addresses = ["--dns", "localhost", "--ip", "127.0.0.1"] if kind == "server" else []
        self.tool("issue", kind, "--name", prefix, *addresses, "--out", prefix, *options)

    def openssl(self, *arguments):
        return run("openssl", *arguments, cwd=self.directory)

    def verifies(self, certificate, kind, *options):
        return self.openssl("verify", "-x509_strict", "-no-CApath", "-no-CAstore", "-CAfile",
                            f"pki/{kind}-ca.crt", *options, certificate).returncode == 0

    def connects(self, server, *options):
        """Whether s_client, which trusts the server's root, gets through its handshake with `server`."""
        done = self.openssl("s_client", "-connect", server.address, "-CAfile", "pki/server-ca.crt",
                            "-verify_return_error", "-verify_hostname", "localhost", *options)
        return done.returncode == 0 and "Verify return code: 0 (ok)" in done.stdout

    def crl_number(self, kind):
        done = self.openssl("crl", "-in", f"pki/{kind}-ca.crl", "-noout", "-crlnumber")
        return int(done.stdout.strip().removeprefix("crlNumber="), 16)


class FilesTest(PkiTest):
    def test_only_the_owner_reads_private_keys(self):
        self.issue("device", "press-7")
        keys = [self.directory / "press-7.key", *(self.pki / "private").iterdir()]
        self.assertEqual(len(keys), 1 + len(KINDS))
        for key in keys:
            self.assertEqual(mode(key), 0o600, key)
            self.assertIn("-----BEGIN PRIVATE KEY-----", key.read_text())
        for directory in (self.pki, self.pki / "private"):
            self.assertEqual(mode(directory), 0o700, directory)

    def test_nothing_is_overwritten(self):
        before = {path: path.read_bytes() for path in self.pki.rglob("*") if path.is_file()}
        done = self.tool("init", "pki", status=1)
        self.assertIn("pki exists", done.stderr)
        for suffix in (".key", ".crt"):
            precious = self.directory / f"x{suffix}"
            precious.write_text("precious")
            done = self.tool("issue", "device", "--name", "x", "--out", "x", status=1)
            self.assertIn(f"x{suffix}", done.stderr)
            self.assertEqual(precious.read_text(), "precious")
            precious.unlink()
        self.assertEqual(before, {path: path.read_bytes() for path in self.pki.rglob("*") if path.is_file()})
        self.assertEqual([path.name for path in self.directory.iterdir()], ["pki"])

    def test_the_environment_or_an_option_names_the_authority(self):
        self.pki.rename(self.directory / "elsewhere")
        self.tool("issue", "device", "--name", "a", "--out", "a", status=1)
        self.tool("issue", "device", "--name", "a", "--out", "a", env={"POSTERN_PKI": "elsewhere"})
        self.tool("issue", "device", "--name", "b", "--out", "b", "--ca", "elsewhere")

    def test_a_failure_names_the_file(self):
        self.assertIn("missing.crt", self.tool("revoke", "missing.crt", status=1).stderr)
        self.assertIn("missing.crt", self.tool("show", "missing.crt", status=1).stderr)
        (self.pki / "device-ca.crt").write_text("junk")
        done = self.tool("issue", "device", "--name", "x", "--out", "x", status=1)
        self.assertIn("device-ca.crt", done.stderr)

    def test_a_wrong_command_line_has_a_status_of_its_own(self):
        for arguments in ([], ["issue"], ["issue", "device", "--out", "x"], ["revoke"], ["bake"],
                          ["issue", "device", "--name", "x", "--out", "x", "--key", "dsa"],
                          ["issue", "device", "--name", "x", "--out", "x", "--days", "0"],
                          ["revoke", "x.crt", "--serial", "1f"]):
            self.tool(*arguments, status=2)
        self.assertIn("Examples:", self.tool("--help").stdout)
        self.assertIn("POSTERN_PKI", self.tool("issue", "device", "--help").stdout)


class CertificateTest(PkiTest):
    def test_a_certificate_counts_under_its_own_root_only(self):
        for kind in KINDS:
            self.issue(kind, kind)
        for kind in KINDS:
            for root in KINDS:
                self.assertEqual(self.verifies(f"{kind}.crt", root), kind == root, f"{kind} under {root}")

    def test_a_certificate_serves_one_purpose_only(self):
        for kind, purpose in PURPOSES.items():
            self.issue(kind, kind)
            for other in ("sslserver", "sslclient"):
                self.assertEqual(self.verifies(f"{kind}.crt", kind, "-purpose", other), other == purpose,
                                 f"{kind} as {other}")
        self.issue("plan-signing", "plan")
        for other in ("sslserver", "sslclient"):
            self.assertFalse(self.verifies("plan.crt", "plan-signing", "-purpose", other), other)

    def test_a_leaf_signs_nothing(self):
        self.issue("device", "press-7")
        self.openssl("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                     "-keyout", "forged.key", "-subj", "/CN=forged", "-out", "forged.csr")
        made = self.openssl("x509", "-req", "-in", "forged.csr", "-CA", "press-7.crt", "-CAkey",
                            "press-7.key", "-CAcreateserial", "-out", "forged.crt")
        self.assertEqual(made.returncode, 0, made.stderr)
        self.assertFalse(self.verifies("forged.crt", "device", "-untrusted", "press-7.crt"))

    def test_a_server_certificate_says_what_clients_look_for(self):
        self.issue("server", "cloud", "--ip", "fd00::1")
        text = self.openssl("x509", "-in", "cloud.crt", "-noout", "-text").stdout
        for expected in ("DNS:localhost", "IP Address:127.0.0.1", "IP Address:FD00:0:0:0:0:0:0:1",
                         "TLS Web Server Authentication", "CA:FALSE", "prime256v1"):
            self.assertIn(expected, text)
        self.assertNotIn("TLS Web Client Authentication", text)
        self.assertTrue(self.verifies("cloud.crt", "server", "-verify_hostname", "localhost"))
        self.assertFalse(self.verifies("cloud.crt", "server", "-verify_hostname", "elsewhere"))
        root = self.openssl("x509", "-in", "pki/server-ca.crt", "-noout", "-text").stdout
        self.assertIn("CA:TRUE, pathlen:0", root)
        self.tool("issue", "server", "--name", "nowhere", "--out", "nowhere", status=1)

    def test_keys_are_of_the_type_asked_for(self):
        for key, expected in (("ecdsa", "NIST CURVE: P-256"), ("ed25519", "ED25519"), ("rsa", "(3072 bit)")):
            self.tool("init", f"{key}-pki", "--key", key)
            self.issue("device", key, "--key", key, "--ca", f"{key}-pki")
            for path in (f"{key}.crt", f"{key}-pki/device-ca.crt"):
                self.assertIn(expected, self.openssl("x509", "-in", path, "-noout", "-text").stdout, path)
            verified = self.openssl("verify", "-x509_strict", "-CAfile", f"{key}-pki/device-ca.crt",
                                    f"{key}.crt")
            self.assertEqual(verified.returncode, 0, verified.stderr)

    def test_a_key_and_its_certificate_belong_together(self):
        self.issue("plan-signing", "plan")
        of_key = self.openssl("pkey", "-in", "plan.key", "-pubout").stdout
        of_certificate = self.openssl("x509", "-in", "plan.crt", "-noout", "-pubkey").stdout
        self.assertEqual(of_key, of_certificate)
        self.assertEqual(of_key, (self.directory / "plan.pub").read_text())

    def test_plan_signing_keys_are_numbered(self):
        for number in (1, 2):
            self.issue("plan-signing", f"plan-{number}")
            subject = self.openssl("x509", "-in", f"plan-{number}.crt", "-noout", "-subject").stdout
            self.assertIn(f"serialNumber = {number}", subject)

    def test_a_signing_request_gets_a_certificate_and_no_key(self):
        self.openssl("req", "-new", "-newkey", "ed25519", "-nodes", "-keyout", "own.key", "-subj",
                     "/CN=whatever it likes", "-out", "own.csr")
        self.issue("device", "press-7", "--csr", "own.csr")
        self.assertFalse((self.directory / "press-7.key").exists())
        self.assertTrue(self.verifies("press-7.crt", "device"))
        self.assertEqual(self.openssl("x509", "-in", "press-7.crt", "-noout", "-pubkey").stdout,
                         self.openssl("pkey", "-in", "own.key", "-pubout").stdout)
        subject = self.openssl("x509", "-in", "press-7.crt", "-noout", "-subject").stdout
        self.assertEqual(subject.strip(), "subject=CN = press-7")

    def test_a_life_is_as_long_as_asked_for(self):
        self.issue("device", "brief", "--days", "10")
        day = 24 * 60 * 60
        for days, status in ((9, 0), (11, 1)):
            done = self.openssl("x509", "-in", "brief.crt", "-noout", "-checkend", days * day)
            self.assertEqual(done.returncode, status, days)
        self.assertIn("in 9 days", self.tool("show", "brief.crt").stdout)
        self.tool("issue", "device", "--name", "x", "--out", "x", "--days", "8000", status=1)


class RevocationTest(PkiTest):
    def is_good(self, certificate, kind):
        return self.verifies(certificate, kind, "-crl_check", "-CRLfile", f"pki/{kind}-ca.crl")

    def test_a_revoked_certificate_fails_and_others_do_not(self):
        for prefix in ("press-7", "press-8", "press-9"):
            self.issue("device", prefix)
            self.assertTrue(self.is_good(f"{prefix}.crt", "device"))
        self.tool("revoke", "press-7.crt", "--reason", "key-compromise")
        serial = self.openssl("x509", "-in", "press-8.crt", "-noout", "-serial").stdout.strip()
        self.tool("revoke", "--serial", serial.removeprefix("serial="))
        self.assertFalse(self.is_good("press-7.crt", "device"))
        self.assertFalse(self.is_good("press-8.crt", "device"))
        self.assertTrue(self.is_good("press-9.crt", "device"))
        text = self.openssl("crl", "-in", "pki/device-ca.crl", "-noout", "-text").stdout
        self.assertEqual(text.count("Serial Number:"), 2)
        self.assertIn("Key Compromise", text)
        self.assertIn("2 revoked", self.tool("show").stdout)

    def test_every_list_is_signed_by_its_root_and_numbered_upwards(self):
        before = {kind: self.crl_number(kind) for kind in KINDS}
        self.tool("crl", "--days", "3")
        for kind in KINDS:
            self.assertGreater(self.crl_number(kind), before[kind])
            done = self.openssl("crl", "-in", f"pki/{kind}-ca.crl", "-noout", "-CAfile", f"pki/{kind}-ca.crt")
            self.assertIn("verify OK", done.stderr)

    def test_revoking_twice_changes_nothing_but_the_number(self):
        self.issue("gateway", "plant-4")
        self.tool("revoke", "plant-4.crt", "--reason", "retired")
        number = self.crl_number("gateway")
        done = self.tool("revoke", "plant-4.crt", "--reason", "key-compromise")
        self.assertIn("was revoked before", done.stdout)
        self.assertGreater(self.crl_number("gateway"), number)
        text = self.openssl("crl", "-in", "pki/gateway-ca.crl", "-noout", "-text").stdout
        self.assertEqual(text.count("Serial Number:"), 1)
        self.assertIn("Cessation Of Operation", text)

    def test_a_stranger_is_not_revoked(self):
        self.tool("init", "other")
        self.issue("device", "foreign", "--ca", "other")
        self.assertIn("foreign.crt", self.tool("revoke", "foreign.crt", status=1).stderr)
        self.tool("revoke", "--serial", "1f", status=1)
        # The record of an issue may be lost; the operator then says what it was.
        self.tool("revoke", "--serial", "1f", "--kind", "device")
        self.assertIn("Serial Number: 1F", self.openssl("crl", "-in", "pki/device-ca.crl", "-noout",
                                                        "-text").stdout)


class HandshakeTest(PkiTest):
    def setUp(self):
        super().setUp()
        for kind in ("server", "gateway", "device"):
            self.issue(kind, kind)

    def server(self, *options):
        return Server(self.directory, "-cert", "server.crt", "-key", "server.key", *options)

    def mutual(self, trusted, *options):
        return self.server("-CAfile", f"pki/{trusted}-ca.crt", "-Verify", "1", "-verify_return_error",
                           *options)

    @staticmethod
    def shown(kind):
        return ("-cert", f"{kind}.crt", "-key", f"{kind}.key")

    def test_a_client_with_the_root_trusts_the_server(self):
        with self.server() as server:
            self.assertTrue(self.connects(server))
            self.assertFalse(self.connects(server, "-verify_hostname", "elsewhere"))
            self.assertFalse(self.connects(server, "-CAfile", "pki/device-ca.crt"))

    def test_a_client_takes_no_device_for_a_server(self):
        with Server(self.directory, "-cert", "device.crt", "-key", "device.key") as server:
            trust = ("-CAfile", "pki/device-ca.crt", "-verify_hostname", "device")
            self.assertFalse(self.connects(server, *trust))
            # Nothing else is wrong with it.
            self.assertTrue(self.connects(server, *trust, "-purpose", "any"))

    def test_a_server_takes_the_kind_of_client_that_it_trusts(self):
        for trusted in ("gateway", "device"):
            with self.mutual(trusted) as server:
                for kind in ("server", "gateway", "device"):
                    self.assertEqual(self.connects(server, *self.shown(kind)), kind == trusted,
                                     f"{kind} where {trusted} is trusted")

    def test_a_server_with_the_revocation_list_refuses_a_revoked_client(self):
        self.issue("device", "stolen")
        self.tool("revoke", "stolen.crt")
        with self.mutual("device", "-crl_check", "-CRL", "pki/device-ca.crl") as server:
            self.assertTrue(self.connects(server, *self.shown("device")))
            self.assertFalse(self.connects(server, *self.shown("stolen")))


if __name__ == "__main__":
    unittest.main()
