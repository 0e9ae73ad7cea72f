"""Owns the network namespaces of a test bed, and ends everything in them when its standard input ends.

For each line it reads it makes a namespace, and answers with the number of a file descriptor by which others can enter it.
The namespaces have no other name. Its input is a pipe from the program that uses them: when that program ends, however it
ends, this one kills what still runs in them, and they go when this process does.
"""

import ctypes
import os
import pathlib
import signal
import sys
import time

CLONE_NEWNET = 0x40000000
KILL_SECONDS = 10
#: For so long nothing must be found. A program may have been on its way in when the doors were shut.
QUIET_SECONDS = 0.2


def make_namespace():
    """A file descriptor of a new network namespace."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), f"unshare: {os.strerror(ctypes.get_errno())}")
    return os.open("/proc/self/ns/net", os.O_RDONLY)


def processes_in(namespaces):
    """Processes, this one apart, in namespaces with these inode numbers."""
    for entry in pathlib.Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            if os.stat(entry / "ns/net").st_ino in namespaces:
                yield int(entry.name)
        except OSError:
            continue  # It has ended.


def kill_all(namespaces):
    """Kills until nothing has been there for a while."""
    end = time.monotonic() + KILL_SECONDS
    quiet_since = time.monotonic()
    while time.monotonic() < quiet_since + QUIET_SECONDS:
        for process in processes_in(namespaces):
            quiet_since = time.monotonic()
            if quiet_since > end:
                raise TimeoutError(f"process {process} does not end")
            try:
                os.kill(process, signal.SIGKILL)
            except ProcessLookupError:
                continue
        time.sleep(0.01)


def main():
    # What is meant for the program that uses this one is not meant for this one: it outlives that program.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    # The second descriptor, which nobody knows, keeps the inode number from being used by a namespace of somebody else.
    namespaces, doors = set(), []
    try:
        for _ in sys.stdin:
            doors.append(make_namespace())
            namespaces.add(os.fstat(os.dup(doors[-1])).st_ino)
            print(doors[-1], flush=True)
    finally:
        for door in doors:
            os.close(door)
        kill_all(namespaces)


if __name__ == "__main__":
    main()
