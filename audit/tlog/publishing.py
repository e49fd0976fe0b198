"""Publishing a log's tree: tiles beside the log, up to its newest checkpoint, and proofs from them (clauses A-68, A-69).

Nothing of an event is published but its hash. Any web server can serve what is published; whoever has a copy can make proofs.
"""

from pathlib import Path

from audit.canonical import LINE_BYTES_MAX, split
from audit.errors import LineMalformed, LogUnsound, TreeIncomplete
from audit.files import CHECKPOINT, COSIGNED, PUBLIC_MODE, first_of, replace, segment_name, segments_in
from audit.tlog.checkpoint import Signed, read_signed
from audit.tlog.merkle import consistency, inclusion, root_of
from audit.tlog.note import Note
from audit.tlog.proof import Proof
from audit.tlog.tiles import WIDTH, Directory, Memory, Store, Tiles


class Tree:
    """A published tree: the newest checkpoint that stands there, and the proofs that its tiles give."""

    def __init__(self, directory: Path) -> None:
        """Open it. NoteMalformed, TreeIncomplete, OSError."""
        signed = read_signed(directory / CHECKPOINT)
        if signed is None:
            raise TreeIncomplete(f"{directory} holds no {CHECKPOINT}: is it a published tree?")
        self.signed = signed
        self._tiles = Tiles(Directory(directory), signed.says.size)
        if root_of(0, signed.says.size, self._tiles.subtree) != signed.says.root:
            raise TreeIncomplete(f"{directory}: the tiles are not those of the {CHECKPOINT} beside them")

    def entry(self, number: int) -> bytes:
        """Return the hash of an event. TreeIncomplete, OSError."""
        return self._tiles.entry(number)

    def proof(self, number: int, log: Path | None = None) -> Proof:
        """Return the proof that the checkpoint is over an event, which is taken from the log, if there is one, and put beside it.

        TreeIncomplete when the checkpoint does not reach it; LogUnsound when the log has another event there, or none; OSError.
        """
        entry = self._tiles.entry(number)
        line = line_at(log, number) if log else b""
        proof = Proof(number, tuple(inclusion(number, self.signed.says.size, self._tiles.subtree)), self.signed.note, line)
        try:
            if log is None or proof.entry() == entry:
                return proof
        except LineMalformed as error:
            raise LogUnsound(f"{log}: event {number}: {error}") from error
        raise LogUnsound(f"{log}: event {number} is not the one that was published")


class Publisher:
    """Follows a log's checkpoints with the tiles of their trees."""

    def __init__(self, log: Path, out: Path | None = None) -> None:
        """Go on from what is published in `out`; with None nothing is kept. NoteMalformed, TreeIncomplete, LogUnsound, OSError."""
        self._log, self._out = log, out
        store: Store = Directory(out) if out else Memory()
        before = read_signed(out / CHECKPOINT) if out else None
        self._tiles = Tiles(store, before.says.size if before else 0)
        if before and root_of(0, before.says.size, self._tiles.subtree) != before.says.root:
            raise TreeIncomplete(f"{out}: the tiles are not those of the {CHECKPOINT} beside them")
        self._lines = _Lines(log, self._tiles.size)
        self._origin = before.says.origin if before else None

    def advance(self) -> Signed | None:
        """Bring the tiles up to the log's newest checkpoint and return that, or None before there is one.

        LogUnsound when the log is not what its checkpoint says, or not the log whose tree was published; NoteMalformed, OSError.
        """
        signed = read_signed(self._log / CHECKPOINT)
        if signed is None:
            return None
        if self._origin not in {None, signed.says.origin}:
            raise LogUnsound(f"{self._log} is {signed.says.origin}; the tree of {self._origin} was published here")
        if signed.says.size < self._tiles.size:
            raise LogUnsound(f"{self._log / CHECKPOINT} is of {signed.says.size} events, after one of {self._tiles.size} was published")
        while wanted := min(signed.says.size - self._tiles.size, WIDTH):
            batch = [_hash(line) for line in self._lines.take(wanted)]
            self._tiles.extend(batch)
            if len(batch) < wanted:
                raise LogUnsound(f"{self._log / CHECKPOINT} is of {signed.says.size} events, the log has {self._tiles.size}")
        if root_of(0, signed.says.size, self._tiles.subtree) != signed.says.root:
            raise LogUnsound(f"{self._log} is not the log that its {CHECKPOINT} says: `jvpn audit verify` tells where")
        self._origin = signed.says.origin
        self._tiles.settle()
        return signed

    def consistency(self, old: int, size: int) -> list[bytes]:
        """Return the proof that the tree of `size` leaves begins with its first `old`. TreeIncomplete, OSError."""
        return consistency(old, size, self._tiles.subtree)

    def publish(self, signed: Note) -> None:
        """Let a checkpoint, with its cosignatures, be the newest: beside the tiles, and as `cosigned` in the log. OSError."""
        if self._out:
            replace(self._out, CHECKPOINT, signed.raw, PUBLIC_MODE)
        replace(self._log, COSIGNED, signed.raw)


def line_at(log: Path, number: int) -> bytes:
    """Return the line of an event; LogUnsound when the log has none with this number; OSError."""
    lines = _Lines(log, number)
    for line in lines.take(1):
        return line
    raise LogUnsound(f"{log} has no event {number}")


class _Lines:
    """The lines of a log's events, in order."""

    def __init__(self, log: Path, seq: int) -> None:
        """Begin with the event of this number."""
        self._log, self._seq = log, seq
        self._segment, self._offset, self._number = Path(), 0, -1  # where the next line is, and which event is on it

    def take(self, wanted: int) -> list[bytes]:
        """Return the next lines, fewer where the log ends. LogUnsound when the first was put away; OSError."""
        taken: list[bytes] = []
        while len(taken) < wanted:
            if self._number < 0 and not self._begin():
                break
            if not self._read(taken, wanted):
                following = self._log / segment_name(self._number)
                if following == self._segment or not following.exists():
                    break
                self._segment, self._offset = following, 0
        return taken

    def _begin(self) -> bool:
        """Go to the segment that holds the first event; return whether there is a log already. LogUnsound when that was put away."""
        segments = segments_in(self._log)
        holding = [segment for segment in segments if first_of(segment) <= self._seq]
        if segments and not holding:
            raise LogUnsound(f"{self._log} begins with event {first_of(segments[0])}: event {self._seq} was put away")
        if holding:
            self._segment, self._number = holding[-1], first_of(holding[-1])
        return bool(holding)

    def _read(self, taken: list[bytes], wanted: int) -> bool:
        """Read on in the segment; return whether there was anything."""
        before = self._offset
        with self._segment.open("rb") as file:
            file.seek(before)
            while len(taken) < wanted and (line := file.readline(LINE_BYTES_MAX)).endswith(b"\n"):
                if self._number >= self._seq:
                    taken.append(line)
                    self._seq += 1
                self._number += 1
                self._offset += len(line)
        return self._offset > before


def _hash(line: bytes) -> bytes:
    try:
        return bytes.fromhex(split(line)[1])
    except LineMalformed as error:
        raise LogUnsound(f"a line is no event: {error}; `jvpn audit verify` tells where") from error
