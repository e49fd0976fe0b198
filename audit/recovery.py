"""Opening a log again after a stop or a crash (clauses A-33, A-40, A-44)."""

import os
import re
from collections import deque
from collections.abc import Iterable
from pathlib import Path
from typing import Final, NamedTuple

import orjson

from audit.canonical import canonical, split
from audit.chain import Head, digest
from audit.errors import LineMalformed, LogUnsound
from audit.files import HEAD, RECENT, first_of, read_head, replace, segments_in

EVIDENCE_REMEMBERED: Final = 4_096  # more than can ever be unacknowledged in an outbox
EVIDENCE_KEY: Final = re.compile(rb'"event_class":"evidence","event_id":"([0-9a-f-]{33})"|"record":"([A-Za-z0-9+/=]*)"')


class Recovered(NamedTuple):
    """What a log holds: last segment (None: none yet), how many of its bytes are sound, head, evidence at its end, and what was cut."""

    segment: Path | None
    sound_bytes: int
    head: Head | None
    evidence: list[str]
    cut_bytes: int


def recover(directory: Path) -> Recovered:
    """Find the end of a log and cut off what a crash left torn (A-33). Only the log's writer may call this, under its lock.

    LogUnsound when something that head.json says was durable is missing or wrong: nothing is cut then. A crash leaves head.json
    missing only while the genesis is the only event, because it is written before the second.
    """
    durable = _durable(directory)
    segments = segments_in(directory)
    if not segments:
        if durable is not None:
            raise LogUnsound(f"{HEAD} says that event {durable.seq} was durable, but there is no segment")
        return Recovered(None, 0, None, [], 0)
    last = segments[-1]
    head: Head | None = None
    sound, passed = 0, False
    for segment in segments[_first_needed(segments, durable) :]:
        if head is not None and head.seq + 1 != first_of(segment):
            raise LogUnsound(f"the sound part of the log before {segment.name} does not reach it")
        before = head
        head, sound, found = _scan(segment, before, durable)
        passed |= found
        if head is before and segment != last:
            raise LogUnsound(f"{segment.name}: no event of it is sound, but it is not the last segment")
    _compare(head, durable, last.name, passed=passed)
    cut = last.stat().st_size - sound
    if cut:
        os.truncate(last, sound)
    return Recovered(last, sound, head, _evidence(directory, segments), cut)


def remember(directory: Path, before: Head, evidence: Iterable[str]) -> None:
    """Note the keys of the last evidence before the segment that follows `before` (A-44). OSError: what was noted before stands."""
    noted = {"evidence": list(evidence)[-EVIDENCE_REMEMBERED:], "hash": before.hash, "seq": before.seq}
    replace(directory, RECENT, canonical(noted) + b"\n")


def _durable(directory: Path) -> Head | None:
    try:
        return read_head(directory)
    except LineMalformed as error:
        raise LogUnsound(str(error)) from error


def _first_needed(segments: list[Path], durable: Head | None) -> int:
    """Return the place of the segment from which on the chain is read: the one that holds, or would, what head.json names."""
    named = [place for place, segment in enumerate(segments) if durable is not None and first_of(segment) <= durable.seq]
    return named[-1] if named else max(0, len(segments) - 2)


def _scan(segment: Path, head: Head | None, durable: Head | None) -> tuple[Head | None, int, bool]:
    """Return the last event of a segment's sound beginning, which follows `head`, its bytes, and whether `durable` is in it.

    The first event of the first segment that is read follows nothing: the verifier reads the whole log, the writer its end.
    """
    sound, passed = 0, False
    expected = first_of(segment)
    with segment.open("rb") as file:
        for line in file:
            try:
                event, previous = _head_of(line)
            except LineMalformed:
                break
            if event.seq != expected or (head is not None and previous != head.hash):
                break
            head, passed = event, passed or event == durable
            sound += len(line)
            expected += 1
    return head, sound, passed


def _head_of(line: bytes) -> tuple[Head, str]:
    """Return place and previous hash of a line whose hash is right. LineMalformed otherwise."""
    event, told = split(line)
    if digest(event) != told:
        raise LineMalformed("the hash is wrong")
    try:
        value = orjson.loads(event)
        return Head(value["chain_id"], value["seq"], told), value["prev_hash"]
    except (orjson.JSONDecodeError, KeyError, TypeError) as error:
        raise LineMalformed(f"not an event: {error}") from error


def _compare(head: Head | None, durable: Head | None, name: str, *, passed: bool) -> None:
    """Refuse to go on behind what was durable, or beside it (A-33): that is damage or an attack, not a crash."""
    if durable is None:
        if head is not None and head.seq > 0:
            raise LogUnsound(f"{HEAD} is missing, so nobody can say whether the end of the log is")
        return
    if head is None or head.seq < durable.seq:
        ends = "before its first event" if head is None else f"with event {head.seq}"
        raise LogUnsound(f"{name}: the sound part ends {ends}, but {HEAD} says that event {durable.seq} was durable")
    if not passed:
        raise LogUnsound(f"{name}: event {head.seq} is not of the chain that {HEAD} names, which has another event {durable.seq}")


def _evidence(directory: Path, segments: list[Path]) -> list[str]:
    """Return the keys of the last evidence in the log, oldest first: event ids, and records that were refused (A-40)."""
    place, noted = _noted(directory, segments)
    newest: deque[str] = deque(maxlen=EVIDENCE_REMEMBERED)
    for segment in reversed(segments[place:]):
        found = [(one or other).decode() for one, other in EVIDENCE_KEY.findall(segment.read_bytes())]
        newest.extendleft(reversed(found[-(EVIDENCE_REMEMBERED - len(newest)) :]))
        if len(newest) == EVIDENCE_REMEMBERED:
            return list(newest)
    return [*noted[-(EVIDENCE_REMEMBERED - len(newest)) :], *newest]


def _noted(directory: Path, segments: list[Path]) -> tuple[int, list[str]]:
    """Return what recent.json notes, and from which segment on evidence came after it; the whole log where it does not fit (A-44)."""
    try:
        noted = orjson.loads((directory / RECENT).read_bytes())
        keys, seq, before = noted["evidence"], noted["seq"], noted["hash"]
        (place,) = (place for place, segment in enumerate(segments) if first_of(segment) == seq + 1)
        with segments[place].open("rb") as file:
            _, previous = _head_of(file.readline())
    except (OSError, orjson.JSONDecodeError, KeyError, TypeError, ValueError, LineMalformed):
        return 0, []
    formed = isinstance(keys, list) and all(isinstance(key, str) for key in keys)
    return (place, keys) if formed and previous == before else (0, [])
