#!/usr/bin/env python3
"""Writes the seeds of the fuzz targets: seeds.py FOLDER makes FOLDER/TARGET/* for every target."""

import base64
import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]

CALENDARS = [
    "Mon-Fri 06:00-22:00 2 Mbit/s, else 20 Mbit/s", "off", "unlimited", "", "Sun 22:00-06:00 1.5 Gbit/s, 64 kbit/s",
    "Mon,Wed , Fri-Sat 06:00-08:00,16:00-24:00 1MB/s,Sun off", "Sat-Mon 0, else 3 MiB/s", "Tue 12:00-13:00 8000 bit/s",
]

#: (first byte: request, response, response without a body), text
MESSAGES = [
    (0, "GET /x?y=z HTTP/1.1\r\nHost: a\r\nRange: bytes=0-9\r\n\r\n"),
    (0, "PUT /api/devices/v1/x HTTP/1.1\r\nHost: a\r\nHost: a\r\nContent-Length: 5\r\n\r\nhelloGET / HTTP/1.1\r\n"),
    (0, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n1;a=b\r\nx\r\n0\r\nTrailer: v\r\n\r\n"),
    (0, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n"),
    (0, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    (0, "GET / HTTP/1.0\r\nConnection: keep-alive\r\nExpect: 100-continue\r\n\r\n"),
    (0, "GET http://a/ HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx"),
    (0, "GET / HTTP/1.1\r\nHost: a\r\nX: folded\r\n line\r\nBad Name: v\r\nY : z\r\n\r\n"),
    (1, "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nConnection: close\r\n\r\nabc"),
    (1, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nA\r\n0123456789\r\n0\r\n\r\n"),
    (1, "HTTP/1.0 200 OK\r\n\r\nuntil the end"),
    (1, "HTTP/1.1 204 No Content\r\n\r\n"),
    (3, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n"),
    (1, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n\x01\x02"),
]

URLS = [
    "https://gateway.plant/api?x=1", "http://[::1]:8080/", "https://a.b:443/%41%2f?q#f", "http://h", "https://u:p@h/",
    "https://EXAMPLE.com:65535/a b",
]
QUERIES = ["a=1&b=%20+&c", "expire=2026&signature=abc%3D", "", "&&==&"]
RANGES = ["bytes=0-9", "bytes=5-", "bytes=-3", "bytes=0-1,3-4", "bytes 0-9/10", "bytes=9-5", "items=0-1"]

CONFIGS = [
    '{"HTTPS": {"Enabled": true, "Listen": ":443", "MinimumTLSVersion": "1.3"}, "UpstreamServer": {"URL": "https://h"}}',
    '{"Features": {"ArtifactsProxy": {"Enabled": true, "DomainWhitelist": ["a", "*.b"], "ArtifactsCache": {"Enabled": true, '
    '"LinkExpireDuration": "1h30m"}}, "DeviceSystem": {"DefaultInventory": [{"Name": "n", "Value": "v"}]}}}',
    '{"Postern": {"Traffic": {"Uplink": "Mon 2 Mbit/s", "DownloadsMax": 5}, "Cache": {"BytesMax": 100000000}, '
    '"StopGrace": "10s", "LogLevel": "info", "Binding": {"Rebinding": "any"}}}',
    '{"features": {"MTLS": null}, "unknown": [1, 2.5, {}]}', "", "[]", "{",
]
VARIABLES = ["\n\n", "HTTPS_LISTEN\n:8443\n", "POSTERN_GATEWAY_TRAFFIC_UPLINK\nMon off\n",
             "POSTERN_GATEWAY_STOP_GRACE\n1.5s\n"]

MULTIPART = (
    b"multipart/form-data; boundary=\"bo'und\"\n--bo'und\r\nContent-Disposition: form-data; name=\"size\"\r\n\r\n12\r\n"
    b"--bo'und\r\nContent-Disposition: form-data; name=\"artifact\"; filename=\"a\"\r\nContent-Type: x/y\r\n\r\n"
    b"content\r\n--bo'un \r\n--bo'und--\r\n")

SERIALS = "# comment\n01:AB:cd\n  1234567890  # behind\n0xdeadbeef\n\n00\n"


def revocation_lists():
    """One list, in PEM and in DER."""
    pem = (pathlib.Path(__file__).parent / "plant.crl").read_text()
    body = "".join(line for line in pem.splitlines() if not line.startswith("-"))
    return [pem.encode(), base64.b64decode(body)]


def seeds():
    four = b"\0\0\0\x64"
    yield "calendar", [b"\x01\x02\x03\x04" + text.encode() for text in CALENDARS]
    yield "http_parser", [bytes([kind + 4 * cut]) + text.encode("latin-1") for kind, text in MESSAGES for cut in (0, 5)]
    yield "multipart", [b"\0" + MULTIPART, b"\x05" + MULTIPART, b"\x01multipart/mixed; boundary=a\n--a\r\n\r\n\r\n--a--"]
    yield "url", ([b"\0" + text.encode() for text in URLS] + [b"\1" + text.encode() for text in QUERIES] +
                  [b"\2" + four + text.encode() for text in RANGES])
    yield "link", [bytes([kind]) + four + four + tenant + b"\n" + path for kind in (0, 1, 2, 9)
                   for tenant, path in ((b"", b"a/b"), (b"t1", b"api/x y%20?z=1&"), (b"", "straße:1".encode()))]
    yield "config", [(variable + text).encode() for variable in VARIABLES[:2] for text in CONFIGS] + [
        text.encode() for text in VARIABLES]
    yield "artifact", [bytes([choice]) + path.read_bytes() for choice in (0, 3)
                       for path in sorted((ROOT / "tests/golden/artifact").glob("*.mender"))]
    yield "revocation", [b"\0" + text for text in revocation_lists()] + [b"\1" + SERIALS.encode()]


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    for target, contents in seeds():
        folder = pathlib.Path(sys.argv[1]) / target
        folder.mkdir(parents=True, exist_ok=True)
        for number, content in enumerate(contents):
            (folder / f"seed-{number:02}").write_bytes(content)


if __name__ == "__main__":
    main()
