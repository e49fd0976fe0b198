"""Checkpoints (C2SP tlog-checkpoint): origin, size and root as the text of a note; and proof files that hold one (C2SP tlog-proof)."""

import re
from base64 import b64encode
from collections.abc import Sequence
from typing import Final, NamedTuple, Self

from audit.errors import NoteMalformed
from audit.tlog import note
from audit.tlog.merkle import HASH_BYTES, PROOF_HASHES_MAX
from audit.tlog.note import Note, decoded

SIZE_MAX: Final = 2**53 - 1  # what an event's number may be
SIZE: Final = re.compile(r"0|[1-9][0-9]{0,15}")
FIRST_LINE: Final = "c2sp.org/tlog-proof@v1"
INDEX: Final = re.compile(r"index (0|[1-9][0-9]{0,15})")


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


class Proof(NamedTuple):
    """A proof file: which leaf, the hashes from its sibling on, and the signed checkpoint."""

    leaf: int
    hashes: tuple[bytes, ...]
    signed: Note

    @property
    def raw(self) -> bytes:
        """Return the file's bytes."""
        lines = [FIRST_LINE, f"index {self.leaf}", *(b64encode(each).decode() for each in self.hashes)]
        return "".join(f"{line}\n" for line in lines).encode() + b"\n" + self.signed.raw


def parse_proof(raw: bytes) -> Proof:
    """Return the proof in a file's bytes; raise NoteMalformed. Opaque extra data, which nothing authenticates, is passed over."""
    head, parted, signed = raw.partition(b"\n\n")
    if not parted or len(head) > note.NOTE_BYTES_MAX:
        raise NoteMalformed("no empty line between proof and checkpoint")
    try:
        first, *lines = head.decode("ascii").split("\n")
    except UnicodeDecodeError:
        raise NoteMalformed("a proof is ASCII") from None
    if first != FIRST_LINE:
        raise NoteMalformed(f"the first line is not {FIRST_LINE}")
    if lines and lines[0].startswith("extra "):
        decoded(lines.pop(0).removeprefix("extra "))
    found = INDEX.fullmatch(lines[0]) if lines else None
    if found is None:
        raise NoteMalformed("no line `index N`")
    return Proof(int(found[1]), hashes_of(lines[1:]), note.parse(signed))


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
