"""The log as its one writer sees it: append whole batches durably or not at all, in segments (clauses A-30 to A-34)."""

import errno
import fcntl
import os
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final, Self

from audit.chain import Head
from audit.errors import LogBusy, LogGone
from audit.files import DIRECTORY_MODE, FILE_MODE, LOCK, RESERVE, reserve, segment_name, sync_directory, write_all, write_head
from audit.recovery import note_tree, recover, remember
from audit.tlog.merkle import leaf

SEGMENT_BYTES: Final = 16 * 2**20  # a new segment begins with the batch after this size
RESERVE_BYTES: Final = 2**20  # room for more than a thousand events
FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT})


class Log:
    """An open log.

    `head` is its last durable event, None before the first; `tree` the tree over all that is durable; `evidence` the keys found at its
    end; `cut_bytes` was torn. `tight`: the disk was full, and the room that was held for that is given up.
    """

    def __init__(self, directory: Path, segment_bytes: int = SEGMENT_BYTES) -> None:
        """Open or create a log. LogBusy while another process writes it, LogUnsound when it must not go on, OSError from the system."""
        directory.mkdir(mode=DIRECTORY_MODE, parents=True, exist_ok=True)
        self._directory = directory
        self._segment_bytes = segment_bytes
        self._lock = _lock(directory)
        self._file: int | None = None
        self._path = directory  # of the open segment
        self._head_written: Head | None = None
        try:
            found = recover(directory)
            self.head = found.head
            self.tree = found.tree
            self.evidence = found.evidence
            self.cut_bytes = found.cut_bytes
            self.last = found.last
            self._durable = found.sound_bytes  # how much of the current segment is durable
            if found.segment is not None:
                self._path = found.segment
                self._file = os.open(found.segment, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
                os.fdatasync(self._file)  # what the process before wrote and could not yet make durable
            self.write_head()
        except BaseException:
            self.close()
            raise
        self.tight = False
        self._reserved = reserve(directory, RESERVE_BYTES)

    def make_room(self, error: OSError) -> bool:
        """Give up the reserve when the disk is full (A-45); return whether trying again is worth it. OSError."""
        if error.errno not in FULL or not self._reserved:
            return False
        (self._directory / RESERVE).unlink(missing_ok=True)
        self._reserved, self.tight = False, True
        return True

    def take_room(self) -> None:
        """Hold a reserve again, if the disk has that much."""
        self._reserved = self._reserved or reserve(self._directory, RESERVE_BYTES)
        self.tight = self.tight and not self._reserved

    def append(self, lines: bytes | bytearray, head: Head, hashes: Sequence[bytes], evidence: Iterable[str] = ()) -> None:
        """Append lines that end with `head`, and make them durable (A-32). OSError, LogGone: then nothing was appended.

        The caller made the lines, whose events have these `hashes`, to follow `self.head`; `evidence` are the keys of the last evidence
        before them. What a failed append left behind is cut off, at the latest before the next one.
        """
        if self._file is not None and not self._is_named(self._file):
            raise LogGone(f"{self._path} was removed or moved away while it was written; a new writer goes on with what is there")
        if self._file is None or self._durable >= self._segment_bytes:
            self._begin(head.seq - len(hashes) + 1)
            with suppress(OSError):  # then the next start reads more of the log
                note_tree(self._directory, self.tree)
            if self.head is not None:
                with suppress(OSError):  # the one before still counts: then the next start reads a segment more
                    remember(self._directory, self.head, evidence)
        file = self._current()
        try:
            if os.fstat(file).st_size != self._durable:
                os.ftruncate(file, self._durable)
            write_all(file, lines)
            os.fdatasync(file)
        except OSError:
            self._cut_back(file)
            raise
        self._durable += len(lines)
        self.head = head
        self.tree.extend([leaf(each) for each in hashes])

    def write_head(self) -> None:
        """Bring head.json up to the durable head (A-34). OSError: the old one stands."""
        if self.head is not None and self.head != self._head_written:
            write_head(self._directory, self.head)
            self._head_written = self.head

    @property
    def head_is_stale(self) -> bool:
        """Whether head.json is behind."""
        return self.head != self._head_written

    def close(self) -> None:
        """Release files and lock; what was appended is durable already."""
        if self._file is not None:
            os.close(self._file)
            self._file = None
        os.close(self._lock)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _is_named(self, file: int) -> bool:
        """Whether the open segment still stands under its name: bytes that nobody can find are not durable (A-35)."""
        try:
            return os.path.samestat(self._path.stat(), os.fstat(file))
        except FileNotFoundError:
            return False

    def _current(self) -> int:
        if self._file is None:
            raise ValueError("the log is closed")
        return self._file

    def _begin(self, first: int) -> None:
        """Begin a segment. One that a failed append left empty, or that a crash left torn, has the same name and is taken over."""
        path = self._directory / segment_name(first)
        file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, FILE_MODE)
        try:
            sync_directory(self._directory)
        except OSError:
            os.close(file)
            raise
        if self._file is not None:
            os.close(self._file)
        self._file, self._path = file, path
        self._durable = 0

    def _cut_back(self, file: int) -> None:
        """Take back what a failed append left. Where even that fails, the next append does it first."""
        try:
            os.ftruncate(file, self._durable)
            os.fdatasync(file)
        except OSError:
            return


def _lock(directory: Path) -> int:
    """Take the writer's lock; it is gone when the process is (A-31)."""
    descriptor = os.open(directory / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, FILE_MODE)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise LogBusy(f"{directory}: another process writes this log") from None
    except OSError:
        os.close(descriptor)
        raise
    return descriptor
