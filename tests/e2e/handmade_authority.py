"""Authorities made with the openssl command, for what `postern-pki` does not make: intermediates, old-fashioned certificates
without extensions, chosen serial numbers, CRLs with chosen numbers."""

import pathlib
import subprocess

CONFIG = """[ca]
default_ca = d
[d]
database = {home}/index.txt
new_certs_dir = {home}
serial = {home}/serial
crlnumber = {home}/crlnumber
certificate = {home}/ca.crt
private_key = {home}/ca.key
default_md = sha256
default_crl_days = 30
unique_subject = no
policy = p
[p]
commonName = supplied
"""
CA_EXTENSIONS = "basicConstraints=critical,CA:true\nkeyUsage=critical,keyCertSign,cRLSign\n"


def openssl(*command):
    return subprocess.run(["openssl", *map(str, command)], check=True, capture_output=True, text=True, timeout=60).stdout


class HandmadeAuthority:
    """`parent`: it is an intermediate of that one. `is_plain`: without any extension, so that only the subject leads to it."""

    count = 0

    def __init__(self, work, name, *, parent=None, is_plain=False):
        HandmadeAuthority.count += 1
        self.home = pathlib.Path(work) / f"authority-{HandmadeAuthority.count}"
        self.home.mkdir()
        self.is_plain = is_plain
        self.parent = parent
        self.certificate = self.home / "ca.crt"
        self._leaves = 0
        (self.home / "index.txt").write_text("")
        (self.home / "openssl.cnf").write_text(CONFIG.format(home=self.home))
        key, request, extensions = (self.home / f"ca.{end}" for end in ("key", "csr", "ext"))
        extensions.write_text("" if is_plain else CA_EXTENSIONS)
        self._request(name, key, request)
        if parent:
            parent.sign(request, self.certificate, extensions=CA_EXTENSIONS)
        else:
            options = [] if is_plain else ["-extfile", extensions]
            openssl("x509", "-req", "-in", request, "-signkey", key, "-days", 300, "-out", self.certificate, *options)

    @staticmethod
    def _request(name, key, request):
        openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", f"/CN={name}", "-keyout", key,
                "-out", request)

    def sign(self, request, out, *, extensions="", serial=None, end=None):
        self._leaves += 1
        (self.home / "serial").write_text(f"{serial or 0x1000 + self._leaves:04X}\n")
        extension_file = self.home / "leaf.ext"
        extension_file.write_text(extensions)
        times = ["-enddate", end] if end else ["-days", 200]
        openssl("ca", "-batch", "-config", self.home / "openssl.cnf", "-in", request, "-out", out, "-notext",
                "-extfile", extension_file, *times)

    def issue(self, name, *, serial=None, end=None):
        """Returns the paths of a new certificate, behind it that of an intermediate, and its key."""
        self._leaves += 1
        base = self.home / f"{name}-{self._leaves}"
        leaf, key, request = (pathlib.Path(f"{base}.{ending}") for ending in ("crt", "key", "csr"))
        self._request(name, key, request)
        self.sign(request, leaf, serial=serial, end=end)
        chain = pathlib.Path(f"{base}.chain")
        chain.write_text(leaf.read_text() + (self.certificate.read_text() if self.parent else ""))
        return str(chain), str(key)

    def revoke(self, certificate):
        openssl("ca", "-config", self.home / "openssl.cnf", "-revoke", certificate[0])

    def crl(self, out, number, *, der=False):
        """Writes a CRL with all that was revoked so far."""
        (self.home / "crlnumber").write_text(f"{number:04X}\n")
        fresh = self.home / "fresh.crl"
        openssl("ca", "-config", self.home / "openssl.cnf", "-gencrl", "-out", fresh)
        if der:
            openssl("crl", "-in", fresh, "-outform", "DER", "-out", out)
        else:
            out.write_text(fresh.read_text())
        return out
