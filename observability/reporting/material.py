"""What a report is made from: logs that were verified, and their events, read once."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import islice
from pathlib import Path
from typing import Any, Final, NamedTuple

from audit.errors import AuditError
from audit.files import COSIGNED
from audit.show import events
from audit.tlog import note
from audit.tlog.checkpoint import Checkpoint, read_signed
from audit.tlog.note import Note
from audit.tlog.policy import Policy
from audit.tlog.sealed import Wanted
from audit.verdict import Result
from audit.verify import verify
from observability.detections.evaluate import Alert, alerts
from observability.detections.findings import finding
from observability.detections.load import Ruleset, load
from observability.page import Cell, Link
from observability.pilot import Manifest
from observability.queries import Counting, Summary
from observability.timeline import EPOCH, PROVEN, REKEYED, Entry, Jump, Session, Story

PROGRESS_EVENTS: Final = 2_048
PROOFS_MAX: Final = 300  # rows of the table of proof ids
Progress = Callable[[str, int, int], None]  # what, done, in all


class NoSuchSession(Exception):
    """A session that was asked for is in none of the logs. Whose asked fault it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What somebody wants a report of.

    ``partial``: the oldest segments may have been put away. ``policy`` and ``known`` as in `audit.tlog.sealed.Wanted`. ``sessions``:
    pseudonyms or correlation ids of those that are to be told event by event; none: those with most jumps.
    """

    logs: Sequence[Path]
    partial: bool = False
    policy: Policy | None = None
    known: Path | None = None
    sessions: Sequence[str] = ()
    manifest: Manifest | None = None


class Judged(NamedTuple):
    """A log and what the verifier said. ``signed``: the newest checkpoint that it judged; ``cosigned``: witnesses and their times (s)."""

    label: str
    path: Path
    result: Result
    signed: Note | None
    says: Checkpoint | None
    cosigned: tuple[tuple[str, int], ...]

    @property
    def sound(self) -> bool:
        """Return whether nothing was found against it."""
        return self.result.fault is None


@dataclass(frozen=True, slots=True)
class Material:
    """What the sections are made from."""

    request: Request
    logs: Sequence[Judged]
    numbers: Summary
    story: Story
    rules: Ruleset
    alerts: Sequence[Alert]
    proofs: Mapping[tuple[int, int], Entry]
    """By log and number: those that stand in the table of proof ids, in order of time."""
    proven: int
    """How many events there are that a proof id would be given of."""

    @property
    def sound(self) -> bool:
        """Return whether nothing was found against any log."""
        return all(each.sound for each in self.logs)

    def sessions(self) -> list[Session]:
        """Return the sessions, those with most jumps first."""
        return sorted(self.story.sessions.values(), key=lambda one: (-one.jumps_to_other_paths(), one.first or EPOCH, one.name))

    def jumps(self) -> list[tuple[Session, Jump]]:
        """Return all moves of all sessions to another path, in order of time."""
        found = [(session, jump) for session in self.story.sessions.values() for jump in session.jumps() if jump.reason != REKEYED]
        return sorted(found, key=lambda pair: (pair[1].when, pair[0].name))

    def reference(self, log: int, seq: int) -> Cell:
        """Return a cell that names an event, and leads to its proof id where that is on the page."""
        text = f"{self.logs[log].label}:{seq}"
        return Link(text, anchor_of(log, seq)) if (log, seq) in self.proofs else text

    def log_of(self, chain_id: str) -> int | None:
        """Return the number of the log with this chain."""
        found = (number for number, log in enumerate(self.logs) if log.result.head and log.result.head.chain_id == chain_id)
        return next(found, None)


def anchor_of(log: int, seq: int) -> str:
    """Return the anchor of an event's proof id."""
    return f"event-{log + 1}-{seq}"


def gather(request: Request, progress: Progress | None = None) -> Material:
    """Verify the logs and read them once: numbers, stories, detections. The same logs give the same material.

    Raises NoSuchSession. What is wrong with a log is in its verdict.
    """
    tell = progress or (lambda _what, _done, _all: None)
    logs = [_judge(request, number, path, tell) for number, path in enumerate(request.logs)]
    counting, story, rules = Counting(), Story(), load()
    total = sum(log.result.events for log in logs)

    def told() -> Iterator[Mapping[str, Any]]:
        done = 0
        for number, log in enumerate(logs):
            for event in islice(events(log.path), log.result.events) if log.result.events else ():
                story.take((event,), number)
                counting.take(event)
                done += 1
                if done % PROGRESS_EVENTS == 0:
                    tell("reading", done, total)
                yield event
        after = (story.last or EPOCH) - EPOCH  # a finding has the time of the last event, not of today: the page must not differ tomorrow
        yield from filter(None, (finding(log.result, after // timedelta(microseconds=1) * 1_000) for log in logs))

    fired = alerts(rules, told())
    tell("reading", total, total)
    _known_sessions(request, story)
    proofs = _proofs(story)
    kept = sum(each.total for each in story.proven.values())
    return Material(request, logs, counting.summary(), story, rules, fired, proofs, kept)


def _judge(request: Request, number: int, path: Path, tell: Progress) -> Judged:
    label = f"L{number + 1}"
    whole = path.is_dir()
    wanted = Wanted(request.policy, 0, request.known) if whole else Wanted()
    result = verify(path, lambda done, total: tell(f"verifying {label}", done, total), partial=request.partial, wanted=wanted)
    signed = note.parse(result.signed) if result.signed else None
    return Judged(label, path, result, signed, Checkpoint.of(signed) if signed else None, _cosigned(request.policy, path, result))


def _cosigned(policy: Policy | None, path: Path, result: Result) -> tuple[tuple[str, int], ...]:
    """Return which witnesses of the policy have cosigned what the verifier has found to be of this log."""
    if policy is None or not result.witnessed:
        return ()
    try:
        signed = read_signed(path / COSIGNED)
        found = policy.cosigned(signed.note) if signed and signed.says.size == result.witnessed else []
    except (AuditError, OSError):  # replaced since it was judged
        return ()
    names = {key: name for name, key in policy.witnesses.items()}
    return tuple((names[each.witness], each.time_s) for each in found)


def _known_sessions(request: Request, story: Story) -> None:
    known = {name for session in story.sessions.values() for name in (session.name, session.correlation, *session.names)}
    for name in request.sessions:
        if name not in known:
            raise NoSuchSession(f"no verified event of these logs is of a session {name}")


def _proofs(story: Story) -> Mapping[tuple[int, int], Entry]:
    """Choose whose proof ids are shown: of each type and reason equally many, when they are too many."""
    kinds = [story.proven[key].items for key in sorted(story.proven, key=lambda key: (PROVEN.index(key[0]), key))]
    each = max(map(len, kinds), default=0)
    while each > 1 and sum(min(len(items), each) for items in kinds) > PROOFS_MAX:
        each -= 1
    chosen = [entry for items in kinds for entry in items[:each]][:PROOFS_MAX]
    return {(entry.log, entry.seq): entry for entry in sorted(chosen)}
