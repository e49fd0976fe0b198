"""Sound logs, written by the real journal: several segments, epochs, restarts and crashes; cosigned by two of three witnesses."""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any, Final

from audit.event import Builder
from audit.files import CHECKPOINT, COSIGNED, RESERVE, create_key, segments_in
from audit.journal import Journal, open_journal
from audit.pseudonym import names_of
from audit.record import RECORD_BYTES
from audit.segments import Log
from audit.tlog import epochs, note
from audit.tlog.checkpoint import Checkpoint
from audit.tlog.note import LOG, WITNESS, Note, Verifier
from audit.tlog.sealer import origin_of
from core.crypto.primitives import SigningKey
from lab.tamper.material import NODE, STEP_NS, WALL, Clock, chance, records, told

SECOND_NS: Final = 1_000_000_000
NEVER_NS: Final = 10**15
COSIGNED_S: Final = WALL // SECOND_NS
WITNESSES: Final = {name: SigningKey(name.encode() * 16) for name in ("w1", "w2", "w3")}
FACTS_A_BATCH: Final = 5
KEPT: Final = "kept"


@dataclass(frozen=True)
class Base:
    """A sound log and what its attacker and its auditor have: all in `root`.

    `log` is the directory, `kept` the auditor's checkpoint. In `older` are earlier states of it, in `split` another history
    that its own keys signed since the newest of those, in `other` another log; each with its key file beside it.
    """

    root: Path
    lines: tuple[bytes, ...]
    starts: tuple[int, ...]  # first events of the segments
    ends: tuple[int, ...]  # number of each EPOCH_SEALED, which is that of its epoch
    cosigned: int  # sizes
    kept: int
    older: tuple[Path, ...]
    key: Verifier

    @property
    def log(self) -> Path:
        """Where the log is."""
        return self.root / "log"

    @property
    def size(self) -> int:
        """How many events it has."""
        return len(self.lines)

    @property
    def now(self) -> epochs.LogKeys:
        """The keys that are in the key file now."""
        return epochs.load(self.root / "audit.key")

    def signed_after(self, at: int, *more: int) -> int:
        """Return the number of the event with which the first signed tree ends that has this event in it."""
        return min(size for size in (*(end + 1 for end in self.ends), self.cosigned, self.size, *more) if size > at) - 1


@dataclass
class Running:
    """A writer at work on a log."""

    dice: Random
    root: Path
    clock: Clock
    names: bytes
    handles: int = 1

    @contextmanager
    def writing(self, segment_bytes: int, epoch_ns: int) -> Iterator[tuple[Log, Journal, bytes]]:
        """Start the writer; leave it as a crash does, if it is not closed."""
        boot = self.dice.randbytes(8)
        builder = Builder(NODE, boot, "gateway", names_of(self.names))
        log, journal = open_journal(self.root / "log", NODE, boot, builder, self.clock, segment_bytes, epoch_ns)
        with log:
            yield log, journal, boot

    def write(self, journal: Journal, boot: bytes, stories: int) -> None:
        """Record stories, in batches of random length, with a record among them that is none."""
        facts = told(self.dice, stories, self.handles)
        self.handles += stories + 2
        while facts:
            taken = self.dice.randint(1, FACTS_A_BATCH)
            telemetry, evidence = records(facts[:taken], boot)
            facts = facts[taken:]
            if chance(self.dice, 0.05):  # now and then
                telemetry.append(self.dice.randbytes(RECORD_BYTES))
            journal.write(telemetry, evidence)

    def tear(self) -> None:
        """Leave a piece of a line at the end, as a crash does."""
        last = segments_in(self.root / "log")[-1]
        lines = last.read_bytes().splitlines(keepends=True) or [b'{"event":{}}\n']
        last.write_bytes(b"".join(lines) + lines[-1][: self.dice.randrange(1, len(lines[-1]))])


def build(root: Path, seed: str, *, other: Path | None = None) -> Base:
    """Write a log, a split view of it, and take the log at `other` as the other one. The same seed gives the same bytes."""
    dice = Random(seed)  # nosec B311  # the same logs in each run
    root.mkdir(parents=True)
    create_key(root / "audit.key", epochs.fresh(dice.randbytes(32)))
    running, older = Running(dice, root, Clock(), dice.randbytes(32)), list[Path]()
    segment_bytes, stages, cosigned = dice.randint(6_000, 24_000), dice.randint(3, 4), 0
    for stage in range(stages):
        with running.writing(segment_bytes, dice.randint(6, 20) * STEP_NS) as (_, journal, boot):
            running.write(journal, boot, 1)
            if stage <= 1 or chance(dice, 0.5):  # the others are killed; there are two epochs at least
                journal.close()
            journal.sign()
        if stage == stages - 2:
            cosigned = cosign(root / "log")
        older.append(_copied(root, root / "older" / str(stage)))
        if chance(dice, 0.4):  # some crashes tear a line
            running.tear()
    other_dice = Random(seed + "/split")  # nosec B311  # the same logs in each run
    split = Running(other_dice, root / "split", Clock(), running.names, handles=900)
    split.clock.ns = running.clock.ns
    _copied(older[-1], split.root)
    with split.writing(segment_bytes, NEVER_NS) as (_, journal, boot):
        split.write(journal, boot, 3)
        journal.sign()
    with running.writing(segment_bytes, NEVER_NS) as (_, journal, boot):  # all of it in one epoch, which has not ended
        running.write(journal, boot, 1)
        journal.sign()
        shutil.copy(root / "log" / CHECKPOINT, root / KEPT)
        running.write(journal, boot, 1)
        journal.sign()
    if other is not None:
        (root / "other").symlink_to(other)
    return _read(root, tuple(older), cosigned)


def cosign(log: Path, names: tuple[str, ...] = ("w1", "w2"), time_s: int = COSIGNED_S) -> int:
    """Let witnesses cosign the newest checkpoint of a log; return its size."""
    signed = note.parse((log / CHECKPOINT).read_bytes())
    lines = tuple(note.cosign(signed.text, name, WITNESSES[name], time_s) for name in names)
    (log / COSIGNED).write_bytes(Note(signed.text, (*signed.signatures, *lines)).raw)
    return Checkpoint.of(signed).size


def policy_of(key: Verifier | str, witnesses: dict[str, bytes] | None = None) -> str:
    """Return the auditor's policy: this log's key, and two of three witnesses (their public keys, of 32 bytes)."""
    publics = witnesses or {name: witness.public for name, witness in WITNESSES.items()}
    lines = [f"log {key.vkey if isinstance(key, Verifier) else key}"]
    lines += [f"witness {name} {Verifier(name, WITNESS, public).vkey}" for name, public in publics.items()]
    return "\n".join([*lines, f"group most 2 {' '.join(publics)}", "quorum most", ""])


def event_of(line: bytes) -> dict[str, Any]:
    """Return the event on a line, read without the code under test."""
    event: dict[str, Any] = json.loads(line)["event"]
    return event


def lines_in(log: Path) -> list[bytes]:
    """Return all lines of a log."""
    return b"".join(path.read_bytes() for path in segments_in(log)).splitlines(keepends=True)


def _copied(root: Path, there: Path) -> Path:
    """Copy log and key file."""
    shutil.copytree(root / "log", there / "log", ignore=shutil.ignore_patterns(RESERVE))
    shutil.copy(root / "audit.key", there / "audit.key")
    return there


def _read(root: Path, older: tuple[Path, ...], cosigned: int) -> Base:
    lines = lines_in(root / "log")
    events = [event_of(line) for line in lines]
    starts = tuple(int(path.name[6:26]) for path in segments_in(root / "log"))
    ends = tuple(event["seq"] for event in events if event["event_type"] == "EPOCH_SEALED")
    kept = Checkpoint.of(note.parse((root / KEPT).read_bytes())).size
    key = Verifier(origin_of(events[0]["chain_id"]), LOG, bytes.fromhex(events[0]["seal"]["log"]))
    return Base(root, tuple(lines), starts, ends, cosigned, kept, older, key)
