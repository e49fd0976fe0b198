"""The files of a log and how they are written (clauses A-30, A-34)."""

import fcntl
import os
import re
import stat
from contextlib import suppress
from pathlib import Path
from typing import Final

import orjson

from audit.canonical import canonical
from audit.chain import Head
from audit.errors import LineMalformed

HEAD: Final = "head.json"
RECENT: Final = "recent.json"
CHECKPOINT: Final = "checkpoint"
COSIGNED: Final = "cosigned"
SEALS: Final = "seals"
LOCK: Final = "writer.lock"
RESERVE: Final = "reserve"
FILE_MODE: Final = 0o600
PUBLIC_MODE: Final = 0o644  # of what is published
DIRECTORY_MODE: Final = 0o700
KEY_MODE: Final = 0o600
SEGMENT: Final = re.compile(r"audit-([0-9]{20})\.jsonl")
HEAD_BYTES_MAX: Final = 1_024
HEX: Final = {"chain_id": 32, "hash": 64}


def segment_name(first: int) -> str:
    """Return the name of the segment whose first event has this number."""
    return f"audit-{first:020d}.jsonl"


def tree_name(first: int) -> str:
    """Return the name of the note that holds the peaks of the tree before the segment with this first event."""
    return f"audit-{first:020d}.tree"


def first_of(path: Path) -> int:
    """Return the number of the first event, as the segment's name says. ValueError for another file."""
    found = SEGMENT.fullmatch(path.name)
    if found is None:
        raise ValueError(f"{path.name} is not the name of a segment")
    return int(found[1])


def segments_in(directory: Path) -> list[Path]:
    """Return the segments of a log in order. OSError when the directory cannot be read."""
    return sorted(path for path in directory.iterdir() if SEGMENT.fullmatch(path.name))


def read_head(directory: Path) -> Head | None:
    """Return what head.json says, or None when there is none. LineMalformed when it is not exactly a head in canonical form."""
    try:
        data = read_small(directory / HEAD, HEAD_BYTES_MAX)
    except FileNotFoundError:
        return None
    try:
        value = orjson.loads(data)
        head = Head(**value)
    except (orjson.JSONDecodeError, TypeError) as error:
        raise LineMalformed(f"{HEAD}: not a head: {error}") from error
    formed = type(head.seq) is int and head.seq >= 0
    formed = formed and all(re.fullmatch(f"[0-9a-f]{{{length}}}", str(value[name])) for name, length in HEX.items())
    if not formed or data != canonical(value) + b"\n":
        raise LineMalformed(f"{HEAD}: not a head in canonical form")
    return head


def read_small(path: Path, limit: int) -> bytes:
    """Return what a file holds, at most so many bytes of it; nothing of a pipe, on which one would wait for ever. OSError."""
    with open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK)) as file:
        return file.read(limit) if stat.S_ISREG(os.fstat(file.fileno()).st_mode) else b""


def write_head(directory: Path, head: Head) -> None:
    """Replace head.json atomically and durably (A-34). OSError when that fails; the old one then still stands."""
    replace(directory, HEAD, canonical(head._asdict()) + b"\n")


def replace(directory: Path, name: str, data: bytes, mode: int = FILE_MODE) -> None:
    """Replace a file of the log atomically and durably. OSError when that fails; the old one then still stands."""
    draft = directory / f".{name}"
    try:
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, mode), "wb") as file:
            file.write(data)
            file.flush()
            os.fdatasync(file.fileno())
        draft.replace(directory / name)
    except OSError:
        draft.unlink(missing_ok=True)
        raise
    sync_directory(directory)


def create_key(path: Path, data: bytes) -> bool:
    """Create a key file with this content; leave an existing one alone. Return whether it was created. OSError."""
    if os.path.lexists(path):  # nothing is written then: a full disk is no reason not to start
        return False
    path.parent.mkdir(mode=DIRECTORY_MODE, parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.unlink(missing_ok=True)
    try:
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, KEY_MODE), "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.link(draft, path)  # refuses to replace: the first of two starters wins, and nobody sees half a key
    except FileExistsError:
        return False
    finally:
        draft.unlink(missing_ok=True)
    sync_directory(path.parent)
    return True


def replace_key(path: Path, data: bytes) -> None:
    """Replace a file that holds a secret, and overwrite what it held. OSError when it could not be replaced; the old one still stands.

    What a disk, a snapshot or a backup has copied is out of reach.
    """
    with path.open("r+b", buffering=0) as old:
        size = os.fstat(old.fileno()).st_size
        replace(path.parent, path.name, data)
        with suppress(OSError):  # it has no name any more: nothing that is needed can be lost, and nothing else can be done
            old.write(bytes(size))
            os.fsync(old.fileno())


def reserve(directory: Path, size: int) -> bool:
    """Take room on the disk that can be given up later (A-45); return whether it is there."""
    path = directory / RESERVE
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, FILE_MODE)
        try:
            os.posix_fallocate(descriptor, 0, size)
        finally:
            os.close(descriptor)
    except OSError:  # it may have got a part of it
        path.unlink(missing_ok=True)
        return False
    return True


def sync_directory(directory: Path) -> None:
    """Make names in a directory durable."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def writer_is_there(directory: Path) -> bool:
    """Return whether a writer holds the log's lock. Asking takes it for a moment, shared; a writer that starts then tries again."""
    try:
        descriptor = os.open(directory / LOCK, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def write_all(descriptor: int, data: bytes | bytearray) -> None:
    """Write all of it. OSError when that fails; then some of it may be there."""
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(descriptor, rest) :]
