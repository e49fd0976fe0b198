"""One case: a copy of a base that somebody changes, their tools, and what an auditor must find then."""

import fcntl
import json
import os
import shutil
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from hashlib import sha256
from pathlib import Path
from random import Random
from typing import Any, Final, NamedTuple

from audit.files import CHECKPOINT, HEAD, LOCK, SEALS, segment_name
from audit.tlog import note, policy
from audit.tlog.checkpoint import Checkpoint
from audit.tlog.merkle import Frontier, leaf
from audit.tlog.note import Note
from audit.tlog.sealed import Wanted
from audit.tlog.sealer import origin_of, seal_name
from audit.verdict import Result, Verdict
from audit.verify import verify
from core.crypto.primitives import SigningKey
from lab.tamper.base import COSIGNED_S, KEPT, Base, event_of, policy_of

ZEROS: Final = "0" * 64


class Look(Enum):
    """What the auditor brings."""

    PLAIN = auto()
    POLICY = auto()  # the log's key, and two of three witnesses
    FRESH = auto()  # and the time since when they must have cosigned
    KEPT = auto()  # a checkpoint that they kept
    GO_ON = auto()  # the same, and they go on from there
    PARTIAL = auto()  # nothing; the oldest segments may have been put away
    PARTIAL_POLICY = auto()
    FILE = auto()  # one segment alone: `World.file`


class Want(NamedTuple):
    """What must be found: one of these verdicts, and the number of the first event that is wrong (None: no event can be named)."""

    seq: int | None
    verdicts: tuple[Verdict, ...]


class Blind(NamedTuple):
    """What a verification says that cannot see this class, as is documented: with this look, this verdict."""

    look: Look
    verdict: Verdict = Verdict.VERIFIED


def found(seq: int | None, *verdicts: Verdict) -> Want:
    """Return what must be found."""
    return Want(seq, verdicts)


NOTHING: Final = found(None, Verdict.VERIFIED)
"""What must be found where nothing was done to the log."""


@dataclass
class World:
    """A copy of a base, in a directory of its own. Files in it are links to the base's, so they are replaced and never written into."""

    base: Base
    root: Path
    policy: str = ""
    known: Path | None = None
    since_s: int = COSIGNED_S + 1
    file: str = ""  # of Look.FILE
    locked: bool = False  # whether somebody holds the writer's lock
    lines: list[bytes] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Copy the log."""
        self.take(self.base.log)
        self.lines = list(self.base.lines)
        self.policy = policy_of(self.base.key)

    @property
    def log(self) -> Path:
        """Where the log is."""
        return self.root / "log"

    def take(self, log: Path) -> None:
        """Put a copy of another log in the place of this one."""
        shutil.rmtree(self.log, ignore_errors=True)
        shutil.copytree(log, self.log, copy_function=os.link)
        self.write(LOCK, b"")  # a lock on a link would be one on the base's

    def read(self, name: str) -> bytes:
        """Return what a file of the log holds."""
        return (self.log / name).read_bytes()

    def write(self, name: str, data: bytes) -> None:
        """Replace a file of the log."""
        self.remove(name)
        (self.log / name).write_bytes(data)

    def remove(self, name: str) -> None:
        """Remove a file, if it is there."""
        (self.log / name).unlink(missing_ok=True)

    def segment(self, place: int) -> str:
        """Return the name of the segment at this place, counted from 0."""
        return segment_name(self.base.starts[place])

    def put(self, lines: Sequence[bytes]) -> None:
        """Write lines into the segments, each of which begins with the line at the place that its name says; those behind the end go."""
        self.lines = list(lines)
        for first, after in zip(self.base.starts, (*self.base.starts[1:], None), strict=True):
            if first < len(lines):
                self.write(segment_name(first), b"".join(lines[first:after]))
            else:
                self.remove(segment_name(first))
        if len(lines) == 0:
            self.write(segment_name(0), b"")

    def change(self, at: int, line: bytes) -> None:
        """Put a line, which may be none at all, in the place of another."""
        self.put([*self.lines[:at], line, *self.lines[at + 1 :]])

    def head(self, lines: Sequence[bytes] | None = None) -> None:
        """Write a head.json that fits the end of these lines."""
        last = event_of((lines or self.lines)[-1])
        told = sha256(canonical(last)).hexdigest()
        self.write(HEAD, canonical({"chain_id": last["chain_id"], "hash": told, "seq": last["seq"]}) + b"\n")

    def rewrite(self, lines: Iterable[bytes], since: int = 0) -> None:
        """Do all that needs no key: write lines with numbers and hashes that fit from this place on, and a head.json that fits."""
        self.put(list(rechained(list(lines), since)))
        self.head()

    def note(self, size: int, *keys: SigningKey, origin: str | None = None) -> bytes:
        """Return a checkpoint of the first events, signed by these keys under the log's name."""
        tree = Frontier()
        tree.extend([leaf(sha256(canonical(event_of(line))).digest()) for line in self.lines[:size]])
        name = origin or origin_of(event_of(self.lines[0])["chain_id"])
        text = Checkpoint(name, size, tree.root()).text
        return Note(text, tuple(note.sign(text, name, key) for key in keys)).raw

    def seal(self, *, everything: bool = False) -> None:
        """Sign the newest tree with the keys of now; with `everything` all epochs too, as well as those keys can."""
        now = self.base.now
        for line in self.lines if everything else ():
            event = event_of(line)
            if event["event_type"] == "EPOCH_SEALED":
                self.write(f"{SEALS}/{seal_name(event['seal']['epoch'])}", self.note(event["seq"] + 1, now.log, now.signing))
        self.write(CHECKPOINT, self.note(len(self.lines), now.log, now.signing))

    def look(self, look: Look) -> Result:
        """Verify as an auditor does who has this."""
        with (self.log / LOCK).open("ab") as lock:
            if self.locked:
                fcntl.flock(lock, fcntl.LOCK_EX)
            return self._judged(look)

    def _judged(self, look: Look) -> Result:
        if look is Look.FILE:
            return verify(self.log / self.file)
        known = (self.known or self.base.root / KEPT) if look in {Look.KEPT, Look.GO_ON} else None
        asked = policy.parse(self.policy.encode()) if look in {Look.POLICY, Look.FRESH, Look.PARTIAL_POLICY} else None
        wanted = Wanted(asked, self.since_s if look is Look.FRESH else 0, known, go_on=look is Look.GO_ON)
        return verify(self.log, partial=look in {Look.PARTIAL, Look.PARTIAL_POLICY}, wanted=wanted)


def canonical(event: dict[str, Any]) -> bytes:
    """Return the canonical bytes of an event, made without the code under test."""
    return json.dumps(event, sort_keys=True, separators=(",", ":")).encode()


def framed(event: bytes) -> bytes:
    """Return the line of an event's bytes, whatever they are, with the hash that fits."""
    return b'{"event":%s,"hash":"%s"}\n' % (event, sha256(event).hexdigest().encode())


def resealed(line: bytes, **changes: object) -> bytes:
    """Return a line with a changed event, in canonical form, with the hash that fits."""
    return framed(canonical(event_of(line) | changes))


def rechained(lines: Sequence[bytes], since: int = 0) -> Iterable[bytes]:
    """Give all lines from this place on the number and the previous hash that they need."""
    previous = ZEROS
    for seq, line in enumerate(lines):
        if seq < since:
            previous = sha256(canonical(event_of(line))).hexdigest()
            yield line
            continue
        data = canonical(event_of(line) | {"seq": seq, "prev_hash": previous})
        previous = sha256(data).hexdigest()
        yield framed(data)


Act = Callable[[World, Random], Want]


class Tamper(NamedTuple):
    """A class: its name, what sort of change it is, what somebody did and why it matters, and how it is seen."""

    name: str
    area: str
    story: str
    act: Act
    look: Look
    blind: Blind | None

    @property
    def harmless(self) -> bool:
        """Whether nothing must be found."""
        return self.area == "harmless"


CLASSES: Final[dict[str, Tamper]] = {}


def tamper(area: str, look: Look = Look.PLAIN, blind: Blind | None = None) -> Callable[[Act], Act]:
    """Make a function a class of the corpus; its docstring says what somebody did, and after a colon why it matters."""

    def made(act: Act) -> Act:
        name = str(act.__name__)
        CLASSES[name] = Tamper(name, area, str(act.__doc__), act, look, blind)
        return act

    return made
