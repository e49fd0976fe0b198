"""Events that the cluster will never take, and lines that are no events: kept, with the answer, so that nothing is lost."""

import base64
import hashlib
import os
from contextlib import suppress
from pathlib import Path
from typing import Final

import orjson

from observability.tail import Line

ANSWER_CHARS: Final = 4_000  # more of an answer is not kept


class Quarantine:
    """Appends JSON lines to a file; the same line of the log is appended once, also when a crash makes the shipper send it again."""

    def __init__(self, path: Path, known_bytes: int) -> None:
        """``known_bytes``: length of the file when the cursor was saved; what follows belongs to events that are still unsettled.

        Raises ``OSError``.
        """
        self._path = path
        self._since: set[tuple[int, int]] = set()
        if not path.exists():
            return
        with path.open("r+b") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(known_bytes if known_bytes <= size else 0)
            data = file.read()
            whole = data.rfind(b"\n") + 1
            if whole < len(data):
                file.truncate(size - len(data) + whole)  # torn by a crash; its event is unsettled, it comes again
        for line in data[:whole].splitlines():
            with suppress(ValueError, TypeError, KeyError):  # what somebody else wrote there stands for nothing of ours
                entry = orjson.loads(line)
                self._since.add((entry["segment"], entry["end"]))

    def add(self, line: Line, document_id: str, answer: object) -> None:
        """Keep one line durably, with what the cluster (or the shipper) said about it. Raises ``OSError``."""
        key = (line.end.segment, line.end.offset)
        if key in self._since:
            return
        said = orjson.dumps(answer)
        entry = {
            "segment": line.end.segment,
            "end": line.end.offset,
            "id": document_id,
            "sha256": hashlib.sha256(line.raw).hexdigest(),
            "answer": answer if len(said) <= ANSWER_CHARS else said[:ANSWER_CHARS].decode("utf-8", "replace"),
        }
        try:
            entry["line"] = line.raw.decode("ascii")
        except UnicodeDecodeError:
            entry["line_base64"] = base64.b64encode(line.raw).decode()
        descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            data = orjson.dumps(entry) + b"\n"
            before = os.fstat(descriptor).st_size
            if os.write(descriptor, data) != len(data):
                os.ftruncate(descriptor, before)
                raise OSError("disk full")
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        self._since.add(key)

    def settled(self) -> int:
        """Forget what need not be recognised any more, and return the file's length for the cursor."""
        self._since.clear()
        return self._path.stat().st_size if self._path.exists() else 0
