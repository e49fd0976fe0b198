"""Checkpoints (C2SP tlog-checkpoint): origin, size and root as the text of a note."""

import re
from base64 import b64encode
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple, Self

from audit.errors import NoteMalformed
from audit.files import read_small
from audit.tlog import note
from audit.tlog.merkle import HASH_BYTES, PROOF_HASHES_MAX
from audit.tlog.note import Note, decoded

SIZE_MAX: Final = 2**53 - 1  # what an event's number may be
SIZE: Final = re.compile(r"0|[1-9][0-9]{0,15}")


class Checkpoint(NamedTuple):
    """What a checkpoint says: of which log, how many leaves, and the root over them, 32 bytes."""

    origin: str
    size: int
    root: bytes

    @property
    def text(self) -> str:
        """Return the note's text."""
        return f"{self.origin}\n{self.size}\n{b64encode(self.root).decode()}\n"

    @classmethod
    def of(cls, told: Note) -> Self:
        """Return what a note says; raise NoteMalformed unless it is a checkpoint without extension lines."""
        lines = told.text.split("\n")[:-1]
        if len(lines) != 3:  # noqa: PLR2004 - origin, size, root
            raise NoteMalformed(f"found {len(lines)} lines, a checkpoint of ours has three")
        return cls(note.name_of(lines[0]), size_of(lines[1]), hash_of(lines[2]))


class Signed(NamedTuple):
    """A checkpoint as a file holds it, and what it says. No signature of it is verified."""

    note: Note
    says: Checkpoint


def read_signed(path: Path) -> Signed | None:
    """Return the checkpoint in a file, or None where there is none. NoteMalformed, which names the file; OSError."""
    try:
        read = note.parse(read_small(path, note.NOTE_BYTES_MAX + 1))
        return Signed(read, Checkpoint.of(read))
    except FileNotFoundError:
        return None
    except NoteMalformed as error:
        raise NoteMalformed(f"{path}: {error}") from None


def size_of(text: str) -> int:
    """Return a size in its one decimal form; raise NoteMalformed."""
    if not SIZE.fullmatch(text) or int(text) > SIZE_MAX:
        raise NoteMalformed(f"{text[:80]!r} is not a size: allowed is a decimal number up to 2^53 - 1")
    return int(text)


def hash_of(text: str) -> bytes:
    """Return 32 bytes that stand in base64; raise NoteMalformed."""
    raw = decoded(text)
    if len(raw) != HASH_BYTES:
        raise NoteMalformed(f"a hash has {HASH_BYTES} bytes, found {len(raw)}")
    return raw


def hashes_of(lines: Sequence[str]) -> tuple[bytes, ...]:
    """Return the hashes of a proof, one a line; raise NoteMalformed."""
    if len(lines) > PROOF_HASHES_MAX:
        raise NoteMalformed(f"found {len(lines)} hashes, allowed {PROOF_HASHES_MAX}")
    return tuple(map(hash_of, lines))
