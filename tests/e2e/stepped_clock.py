"""The wall clock of a program, set while it runs."""

import datetime
import os
import pathlib
import struct

from server_process import tool


class SteppedClock:
    """`wrap` is put before the command of a program; its clock stands in the file `path`. Others do not notice."""

    def __init__(self, path, **offset):
        self.path = pathlib.Path(path)
        self.path.write_bytes(struct.pack("=q", 0))
        self.wrap = ("env", f"LD_PRELOAD={tool('stepped_clock.so')}", f"POSTERN_CLOCK_FILE={self.path}")
        self.set(**offset)

    def set(self, **offset):
        """To the true time and so much more, in the words of timedelta; nothing: right again."""
        self.offset = datetime.timedelta(**offset)
        with open(self.path, "r+b") as file:  # in place: the program has mapped it
            os.pwrite(file.fileno(), struct.pack("=q", int(self.offset.total_seconds())), 0)

    def set_time_of_day(self, hour, **offset):
        """The same, and then to that hour (UTC) of the day."""
        now = datetime.datetime.now(datetime.timezone.utc)
        self.set(**offset)
        wanted = (now + self.offset).replace(hour=hour, minute=0, second=0, microsecond=0)
        self.set(seconds=int((wanted - now).total_seconds()))
