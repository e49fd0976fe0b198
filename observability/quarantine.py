"""Events that the cluster will never take, and lines that are no events: kept, with the answer, in a file that is itself a chain (A-93).

Each record has its number and the SHA-256 of the line before it, and the cursor has the hash of the last one: a record that was removed
or changed is noticed at the next start, and by `check`. There is no key in it: who may write the whole state directory can make another
chain. Then the reconciler says that the event is missing, as the log, which is signed, has it.
"""

import base64
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

import orjson

from observability.tail import Line

ANSWER_CHARS: Final = 4_000  # more of an answer is not kept
FIRST: Final = "0" * 64  # stands for the line before the first one


class End(NamedTuple):
    """A place between two records: how many bytes and records come before it, and the SHA-256 of the line before it."""

    bytes: int = 0
    records: int = 0
    hash: str = FIRST


EMPTY: Final = End()


class Broken(Exception):
    """The quarantine is not the one that was written; the message says where."""


def records(path: Path) -> Iterator[tuple[End, dict[str, Any]]]:
    """Yield each record with the place behind it; stop before a last line that a crash left torn.

    Raises ``Broken`` for the first one that is not the successor of the one before it, and ``OSError``.
    """
    end = EMPTY
    data = path.read_bytes()
    for line in data[: data.rfind(b"\n") + 1].splitlines(keepends=True):
        try:
            record = orjson.loads(line)
            follows = (record["record"], record["prev"]) == (end.records, end.hash)
            follows = follows and type(record["segment"]) is type(record["end"]) is int
        except (ValueError, TypeError, KeyError):
            follows, record = False, {}
        if not follows:
            raise Broken(f"{path}: record {end.records} does not follow from what is before it: something was removed, added or changed")
        end = End(end.bytes + len(line), end.records + 1, hashlib.sha256(line).hexdigest())
        yield end, record


def check(path: Path, settled: End) -> list[dict[str, Any]]:
    """Return all records of a quarantine that is whole, and reaches to where the cursor says. Raises ``Broken`` and ``OSError``."""
    found = [(end, record) for end, record in records(path)] if path.exists() else []
    if settled != EMPTY and settled not in [end for end, _ in found]:
        raise Broken(
            f"{path}: its {len(found)} records are not the {settled.records} that the cursor has seen: some were removed or changed"
        )
    return [record for _, record in found]


class Quarantine:
    """Appends JSON lines to a file; the same line of the log is appended once, also when a crash makes the shipper send it again."""

    def __init__(self, path: Path, settled: End) -> None:
        """``settled``: the end of the file when the cursor was saved; what follows belongs to events that are still unsettled.

        Raises ``Broken`` and ``OSError``.
        """
        self._path = path
        kept = check(path, settled)
        self._since = {(record["segment"], record["end"]) for record in kept[settled.records :]}
        self._end = EMPTY
        if path.exists():
            for self._end, _ in records(path):
                pass
            with path.open("r+b") as file:
                file.truncate(self._end.bytes)  # torn by a crash; its event is unsettled, it comes again

    def add(self, line: Line, document_id: str, answer: object) -> None:
        """Keep one line durably, with what the cluster (or the shipper) said about it. Raises ``OSError``."""
        key = (line.end.segment, line.end.offset)
        if key in self._since:
            return
        said = orjson.dumps(answer)
        entry = {
            "record": self._end.records,
            "prev": self._end.hash,
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
        data = orjson.dumps(entry) + b"\n"
        descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            before = os.fstat(descriptor).st_size
            if os.write(descriptor, data) != len(data):
                os.ftruncate(descriptor, before)
                raise OSError("disk full")
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        self._end = End(self._end.bytes + len(data), self._end.records + 1, hashlib.sha256(data).hexdigest())
        self._since.add(key)

    def settled(self) -> End:
        """Forget what need not be recognised any more, and return the file's end for the cursor."""
        self._since.clear()
        return self._end
