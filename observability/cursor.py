"""What the shipper remembers: how far the cluster has acknowledged the log, and how many events went which way."""

import fcntl
import os
from dataclasses import asdict, dataclass, field, fields
from enum import Enum
from pathlib import Path
from typing import Any, Final

import orjson

from observability.quarantine import EMPTY, End
from observability.tail import START, Position

VERSION: Final = 2
COMPARED: Final = "compared.json"


class StateError(Exception):
    """The shipper's state directory cannot be used; the message says what to do."""


class Fate(Enum):
    """How an event was settled; the values are the names of the counters."""

    CREATED = "created"
    DUPLICATE = "duplicate"
    QUARANTINED = "quarantined"


@dataclass(slots=True)
class Counters:
    """The conserved sum: ``read == created + duplicate + quarantined + pending``. ``retried`` counts sendings, not events."""

    read: int = 0
    created: int = 0
    duplicate: int = 0
    quarantined: int = 0
    pending: int = 0
    retried: int = 0

    def take(self, events: int) -> None:
        """So many events were read from the log and are on their way."""
        self.read += events
        self.pending += events

    def settle(self, fate: Fate) -> None:
        """One event on its way is settled."""
        self.pending -= 1
        setattr(self, fate.value, getattr(self, fate.value) + 1)


@dataclass(frozen=True, slots=True)
class Cursor:
    """Everything up to ``position`` is settled.

    ``line_hash``: SHA-256 of the line before it. ``quarantine``: the end of the quarantine file then.
    """

    position: Position = START
    line_hash: str = ""
    counters: Counters = field(default_factory=Counters)
    quarantine: End = EMPTY


class State:
    """A directory of one shipper: ``cursor.json``, ``status.json``, ``quarantine.jsonl``, and a lock that keeps a second shipper out."""

    def __init__(self, directory: Path) -> None:
        """Create the directory (0700) if need be and take its lock. Raises ``StateError`` when another process has it."""
        self.directory = directory
        try:
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._lock = os.open(directory / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise StateError(f"state directory {directory} cannot be used: {error.strerror}") from None
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self.close()
            raise StateError(f"another shipper uses the state directory {directory}; give each its own") from None

    def close(self) -> None:
        """Let the next shipper in."""
        os.close(self._lock)

    @property
    def quarantine(self) -> Path:
        """The file of events that the cluster refused."""
        return self.directory / "quarantine.jsonl"

    def load(self) -> Cursor:
        """Return the saved cursor, or a fresh one when there is none. Raises ``StateError`` when it cannot be understood."""
        return saved(self.directory) or Cursor()

    def save(self, cursor: Cursor) -> None:
        """Make ``cursor`` durable. Raises ``OSError``; the old one is there then."""
        content = {
            "version": VERSION,
            "position": cursor.position._asdict(),
            "line_sha256": cursor.line_hash,
            "quarantine": cursor.quarantine._asdict(),
            "counters": asdict(cursor.counters),
        }
        replace_file(self.directory / "cursor.json", orjson.dumps(content) + b"\n", durable=True)

    @staticmethod
    def compared(directory: Path, said: dict[str, Any]) -> None:
        """Keep what a comparison of log and cluster found, for metrics; nobody needs the lock for that. Raises ``OSError``."""
        replace_file(directory / COMPARED, orjson.dumps(said) + b"\n", durable=False)

    def publish(self, status: dict[str, Any]) -> None:
        """Replace the status file, which others read at any time. Raises ``OSError``."""
        replace_file(self.directory / "status.json", orjson.dumps(status, option=orjson.OPT_INDENT_2) + b"\n", durable=False)


def saved(directory: Path) -> Cursor | None:
    """Return the cursor in a state directory, which another process may be using; None when there is none. Raises ``StateError``."""
    path = directory / "cursor.json"
    try:
        return _cursor(orjson.loads(path.read_bytes()))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise StateError(
            f"{path} cannot be understood ({type(error).__name__}: {error}); move it away, and quarantine.jsonl with it, to ship the log"
            " again from its beginning: what the cluster has already is recognised by its id"
        ) from None


def _cursor(file: dict[str, Any]) -> Cursor:
    if file["version"] != VERSION:
        raise ValueError(f"version {file['version']!r}")
    cursor = Cursor(Position(**file["position"]), file["line_sha256"], Counters(**file["counters"]), End(**file["quarantine"]))
    numbers = [*cursor.position, cursor.quarantine.bytes, cursor.quarantine.records]
    numbers += [getattr(cursor.counters, one.name) for one in fields(Counters)]
    if any(type(number) is not int for number in numbers) or not isinstance(cursor.line_hash + cursor.quarantine.hash, str):
        raise ValueError("a value is of the wrong type")
    return cursor


def replace_file(path: Path, content: bytes, *, durable: bool) -> None:
    """Replace ``path`` atomically; with ``durable`` the content and the name have reached the disk on return. Raises ``OSError``."""
    temporary = path.with_name(path.name + ".new")
    with temporary.open("wb") as file:
        file.write(content)
        file.flush()
        if durable:
            os.fsync(file.fileno())
    temporary.replace(path)
    if durable:
        directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)
