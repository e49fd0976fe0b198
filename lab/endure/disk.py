"""The audit writer on a bad disk: `python -I -m lab.endure.disk MODE SEED` and the writer's own arguments.

The writer is the product's, unchanged; between it and the kernel stand two calls, for the files of segments only:

    slow    each fdatasync takes a second longer
    broken  about every third fdatasync fails with EIO
    torn    the process dies in the middle of a write: kill -9 at a write point
    power   it dies in an fdatasync, and of what was not yet synced only a part is on the disk, as after a loss of power
"""

import errno
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Final
from unittest.mock import patch

from audit import writer
from audit.files import SEGMENT

SLOW_S: Final = 1.0
BROKEN: Final = 0.35
MOST: Final = 12  # writes, or syncs, before it dies
MODES: Final = ("slow", "broken", "torn", "power")

write, fdatasync = os.write, os.fdatasync


class Disk:
    """What happens to calls."""

    def __init__(self, mode: str, dice: Random) -> None:
        """Be in a mode of MODES."""
        self._mode, self._dice, self._left = mode, dice, dice.randrange(1, MOST)
        self._synced: dict[str, int] = {}

    def write(self, descriptor: int, data: memoryview | bytes) -> int:
        """Write, or die after a part of it."""
        name = self._segment(descriptor)
        if name:
            self._synced.setdefault(name, os.fstat(descriptor).st_size)
        if name and self._mode == "torn" and self._is_due():
            write(descriptor, bytes(data)[: self._dice.randrange(len(data))])
            self._die()
        return write(descriptor, data)

    def fdatasync(self, descriptor: int) -> None:
        """Sync, slowly; or fail; or die with a part of what was to be synced."""
        if name := self._segment(descriptor):
            self._synced.setdefault(name, os.fstat(descriptor).st_size)  # what an earlier process left may be durable: it stays
            if self._mode == "slow":
                time.sleep(SLOW_S)
            elif self._mode == "broken" and self._dice.random() < BROKEN:
                raise OSError(errno.EIO, os.strerror(errno.EIO))
            elif self._mode == "power" and self._is_due():
                size, synced = os.fstat(descriptor).st_size, self._synced[name]
                os.ftruncate(descriptor, min(size, synced + self._dice.randrange(max(1, size - synced))))
                self._die()
        fdatasync(descriptor)
        if name:
            self._synced[name] = os.fstat(descriptor).st_size

    def _segment(self, descriptor: int) -> str:
        name = Path(f"/proc/self/fd/{descriptor}").readlink().name
        return name if SEGMENT.fullmatch(name) else ""

    def _is_due(self) -> bool:
        self._left -= 1
        return self._left <= 0

    def _die(self) -> None:
        os.kill(os.getpid(), signal.SIGKILL)


def main(argv: list[str], run: Callable[[list[str]], int] = writer.main) -> int:
    """Be the writer; return its exit status."""
    disk = Disk(argv[0], Random(int(argv[1])))  # nosec B311  # the same faults for the same seed
    with patch.object(os, "write", disk.write), patch.object(os, "fdatasync", disk.fdatasync):
        return run(argv[2:])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
