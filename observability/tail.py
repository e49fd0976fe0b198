"""Follow an audit log while it is being written: durable lines only, in order, each exactly once.

The writer appends to the newest segment, and takes an append back when the disk refuses it; `head.json` follows what is durable within
about a second. So while a writer has the log, a line is handed out when `head.json` has reached it: nothing is ever shipped that the log
may still lose and replace by something else with the same number. Without a writer all whole lines are final. A segment is left when all
of it is read and a newer one exists.
"""

import os
from collections import deque
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple

from audit.errors import LineMalformed
from audit.files import first_of, read_head, segment_name, segments_in, writer_is_there

CHUNK_BYTES: Final = 1 << 20  # of one read; also the longest line that is accepted: events are bounded to a small part of it


class LogError(Exception):
    """The log directory is not what the cursor says it was, or not a log."""


class Position(NamedTuple):
    """Just behind a line: its segment (the first event's number), the byte offset in it, and the number of the line to come."""

    segment: int
    offset: int
    number: int


START: Final = Position(-1, 0, -1)
"""Before the first segment, whatever its number is."""


class Line(NamedTuple):
    """One line without its line feed, and the position behind it."""

    raw: bytes
    end: Position


def segments(directory: Path) -> list[int]:
    """Return the first numbers of the segments in ``directory``, ascending; none when it does not exist (yet)."""
    try:
        return [first_of(path) for path in segments_in(directory)]
    except FileNotFoundError:
        return []


class Tail:
    """Reads on from a position. ``next`` returns a line or None: nothing more for now."""

    def __init__(self, directory: Path, position: Position = START) -> None:
        """Nothing is opened yet; the directory need not exist."""
        self._directory = directory
        self._position = position  # behind the last line in `_lines`, or behind the last one handed out
        self._lines: deque[Line] = deque()
        self._descriptor = -1
        self._durable = -1

    def next(self) -> Line | None:
        """Return the next durable line, or None when there is none yet.

        Raises ``LogError`` when the segment of the position is gone or shorter than it was, holds a line of more than ``CHUNK_BYTES``,
        or when head.json is not one; and when the system does not let us read.
        """
        try:
            return self._next()
        except OSError as error:
            raise LogError(f"{error.filename or self._directory} cannot be read: {error.strerror}") from None

    def _next(self) -> Line | None:
        while not self._lines:
            if not (self._open() and (self._read() or self._advance())):
                self._check_named()
                return None
        line = self._lines[0]
        if line.end.number > self._durable + 1 and not self._is_durable(line):
            self._forget()
            return None
        return self._lines.popleft()

    def unread_bytes(self, position: Position) -> int:
        """Return how many bytes of the log lie behind ``position``; the last line may be incomplete."""
        total = 0
        with suppress(OSError):  # for people only; `next` says what is wrong
            for first in segments(self._directory):
                if first >= position.segment:
                    total += self._path(first).stat().st_size - (position.offset if first == position.segment else 0)
        return total

    def line_before(self, position: Position) -> bytes:
        """Return the line that ends at ``position``, without its line feed. Raises ``LogError`` when none does."""
        path = self._path(position.segment)
        begin = max(0, position.offset - CHUNK_BYTES)
        try:
            with path.open("rb") as file:
                file.seek(begin)
                data = file.read(position.offset - begin)
        except FileNotFoundError:
            raise LogError(f"segment {path} is gone") from None
        except OSError as error:
            raise LogError(f"{path} cannot be read: {error.strerror}") from None
        if len(data) < position.offset - begin or not data.endswith(b"\n"):
            raise LogError(f"no line ends at byte {position.offset} of {path}")
        return data[data.rfind(b"\n", 0, -1) + 1 : -1]

    def close(self) -> None:
        """Close the segment that is open."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _path(self, first: int) -> Path:
        return self._directory / segment_name(first)

    def _open(self) -> bool:
        if self._descriptor >= 0:
            return True
        if self._position == START:
            there = segments(self._directory)
            if not there:
                return False
            self._position = Position(there[0], 0, there[0])
        path = self._path(self._position.segment)
        try:
            self._descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            raise LogError(f"segment {path} is gone, and it was not read to its end") from None
        return True

    def _read(self) -> bool:
        """Take in more whole lines; return whether there were any."""
        segment, offset, number = self._position
        if os.fstat(self._descriptor).st_size < offset:
            raise LogError(f"segment {self._path(segment)} is shorter than the {offset} bytes that were read of it")
        data = os.pread(self._descriptor, CHUNK_BYTES, offset)
        cut = data.rfind(b"\n") + 1
        if not cut and len(data) == CHUNK_BYTES:
            raise LogError(f"line of more than {CHUNK_BYTES} bytes at byte {offset} of {self._path(segment)}")
        for raw in data[: cut - 1].split(b"\n") if cut else ():
            offset += len(raw) + 1
            number += 1
            self._lines.append(Line(raw, Position(segment, offset, number)))
        self._position = Position(segment, offset, number)
        return cut > 0

    def _check_named(self) -> None:
        """Raise LogError when the newest segment, read to its end, is no longer the file of that name: nothing would ever follow in it."""
        if self._descriptor < 0:
            return
        path = self._path(self._position.segment)
        with suppress(FileNotFoundError):
            if os.path.samestat(path.stat(), os.fstat(self._descriptor)):
                return
        raise LogError(f"segment {path} was removed or moved away while it was read. For a new log use another state directory")

    def _advance(self) -> bool:
        """Go on to the next segment; return whether there is one."""
        later = [first for first in segments(self._directory) if first > self._position.segment]
        if not later:
            return False
        if self._read():  # the writer may have completed this segment before it began that one
            return True
        segment, offset, number = self._position
        rest = os.pread(self._descriptor, CHUNK_BYTES, offset)
        self.close()
        if rest:  # cannot happen with our writer; whoever made it, it is handed on to be judged, not skipped
            self._lines.append(Line(rest, Position(segment, offset + len(rest), number + 1)))
        self._position = Position(later[0], 0, later[0])
        return True

    def _is_durable(self, line: Line) -> bool:
        """Look again how far the log is durable. The lines were read before this looks, so they are of a writer that it sees or of none."""
        if not writer_is_there(self._directory):
            self._durable = self._lines[-1].end.number - 1
            return True
        try:
            head = read_head(self._directory)
        except LineMalformed as error:
            raise LogError(f"{self._directory}: {error}") from None
        self._durable = head.seq if head else -1
        return line.end.number <= self._durable + 1

    def _forget(self) -> None:
        """Unread the lines that were read ahead: the writer may still replace them."""
        first = self._lines[0]
        self._lines.clear()
        self.close()
        begin = first.end.offset - len(first.raw) - 1
        self._position = Position(first.end.segment, begin, first.end.number - 1)
