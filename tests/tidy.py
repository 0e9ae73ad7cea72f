#!/usr/bin/env python3
"""Checks of the sources that no compiler makes: what may be included where, what is never called, format, owners."""

import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]
PROGRAMS = ("cloud", "gateway", "device", "pki")
FOLDERS = ("shared", *PROGRAMS, "testbed")

#: (pattern, what is wrong, files in which it is right)
FORBIDDEN = [
    (r"net::detached|asio::detached", "a coroutine without an owner: use a TaskScope", r"_test\.cpp$"),
    (r"this_thread::sleep|\busleep\(|\bnanosleep\(|::sleep\(", "a thread that sleeps: use Clock", r"^shared/store/lmdb_test\.cpp$"),
    (r"<boost/asio\.hpp>|<boost/beast\.hpp>", "a header that includes everything and compiles slowly", r"$^"),
    (r"(system|steady|high_resolution)_clock::now\(", "time is passed in: use Clock", r"^shared/base/clock\.cpp$|^testbed/benchmarks/"),
    (r"\bstd::random_device\b|\bstd::mt19937|\brand\(\)", "randomness is passed in: use Random", r"^shared/base/random\.cpp$|shared/testing/|_test\.cpp$"),
    (r"<boost/beast", "Beast stays in shared/http", r"^shared/http/"),
    (r"<boost/asio/ssl", "TLS is shared/transport/tls", r"$^"),
    (r"\bTODO\b|\bFIXME\b|\bXXX\b", "unfinished work: do it, or say in docs that it is not there", r"$^"),
    (r"catch \(\.\.\.\) \{\s*\}", "a swallowed exception", r"$^"),
]


def sources():
    for folder in FOLDERS:
        for path in sorted((ROOT / folder).rglob("*")):
            if path.suffix in (".cpp", ".hpp"):
                yield path.relative_to(ROOT), path.read_text()


def wrong_includes(path, text):
    own = path.parts[0]
    for include in re.findall(r'#include "([^"]+)"', text):
        target = include.split("/")[0]
        if target not in FOLDERS:
            yield f'{path}: "{include}" is not named from the root of the tree'
        elif target != own and (target != "shared" or own == "testbed"):
            yield f"{path}: {own} includes {target}: programs include shared only, shared nothing above it, testbed nothing"


def forbidden(path, text):
    for pattern, why, allowed in FORBIDDEN:
        if re.search(allowed, str(path)):
            continue
        for match in re.finditer(pattern, text):
            line = text.count("\n", 0, match.start()) + 1
            yield f"{path}:{line}: {match.group(0)}: {why}"


def header_faults(path, text):
    if path.suffix != ".hpp":
        return
    if "#pragma once" not in text:
        yield f"{path}: no #pragma once"
    if not text.startswith("//"):
        yield f"{path}: does not begin with what it is for"
    if re.search(r"^using namespace ", text, re.M):
        yield f"{path}: using namespace in a header"


def unowned():
    """Sources that no CMakeLists.txt names."""
    for path, _ in sources():
        if path.suffix != ".cpp":
            continue
        for folder in path.parents:
            lists = ROOT / folder / "CMakeLists.txt"
            if lists.exists() and re.search(rf"(^|[\s/]){re.escape(path.name)}\b", lists.read_text()):
                break
        else:
            testing = ROOT / "shared/artifact/CMakeLists.txt"
            if f"../testing/{path.name}" not in testing.read_text():
                yield f"{path}: in no CMakeLists.txt"


def badly_formatted(paths):
    done = subprocess.run(["clang-format-19", "--dry-run", "--Werror", *map(str, paths)], cwd=ROOT, capture_output=True,
                          text=True)
    if done.returncode:
        for name in sorted(set(re.findall(r"^([^:\n]+):\d+:\d+: error", done.stderr, re.M))):
            yield f"{name}: not formatted: clang-format-19 -i {name}"


def main():
    findings = []
    paths = []
    for path, text in sources():
        paths.append(path)
        findings += wrong_includes(path, text)
        findings += forbidden(path, text)
        findings += header_faults(path, text)
    findings += unowned()
    findings += badly_formatted(paths)
    for finding in findings:
        print(finding)
    print(f"tidy: {len(paths)} files, {len(findings)} findings")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
