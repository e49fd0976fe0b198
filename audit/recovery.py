"""Opening a log again after a stop or a crash (clauses A-33, A-40, A-44)."""

import os
import re
from collections import deque
from collections.abc import Iterable, Mapping
from operator import itemgetter
from pathlib import Path
from typing import Any, Final, NamedTuple

import orjson

from audit.canonical import canonical, split
from audit.chain import Head, digest
from audit.errors import LineMalformed, LogUnsound, ProofWrong
from audit.files import HEAD, RECENT, first_of, read_head, replace, segments_in, tree_name
from audit.tlog.merkle import Frontier, leaf

EVIDENCE_REMEMBERED: Final = 4_096  # more than can ever be unacknowledged in an outbox
EVIDENCE_KEY: Final = re.compile(rb'"event_class":"evidence","event_id":"([0-9a-f-]{33})"|"record":"([A-Za-z0-9+/=]*)"')

HASH: Final = re.compile(rb'"hash":"([0-9a-f]{64})"\}\n')


class Recovered(NamedTuple):
    """What a log holds: last segment (None: none yet), how many of its bytes are sound, head, tree, evidence at its end, what was cut."""

    segment: Path | None
    sound_bytes: int
    head: Head | None
    tree: Frontier
    evidence: list[str]
    cut_bytes: int
    last: Mapping[str, Any] | None
    """The event that the log ends with."""


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
        return Recovered(None, 0, None, Frontier(), [], 0, None)
    last = segments[-1]
    head: Head | None = None
    event: Mapping[str, Any] | None = None
    sound, passed = 0, False
    for segment in segments[_first_needed(segments, durable) :]:
        if head is not None and head.seq + 1 != first_of(segment):
            raise LogUnsound(f"the sound part of the log before {segment.name} does not reach it")
        before = head
        head, sound, found, last_event = _scan(segment, before, durable)
        passed, event = passed | found, last_event or event
        if head is before and segment != last:
            raise LogUnsound(f"{segment.name}: no event of it is sound, but it is not the last segment")
    _compare(head, durable, last.name, passed=passed)
    cut = last.stat().st_size - sound
    if cut:
        os.truncate(last, sound)
    return Recovered(last, sound, head, _tree(directory, segments), _evidence(directory, segments), cut, event)


def remember(directory: Path, before: Head, evidence: Iterable[str]) -> None:
    """Note the keys of the last evidence before the segment that follows `before` (A-44). OSError: what was noted before stands."""
    noted = {"evidence": list(evidence)[-EVIDENCE_REMEMBERED:], "hash": before.hash, "seq": before.seq}
    replace(directory, RECENT, canonical(noted) + b"\n")


def note_tree(directory: Path, tree: Frontier) -> None:
    """Note the peaks of the tree before the segment that begins with event `tree.size` (A-61). OSError: there is no note then."""
    noted = {"peaks": [peak.hex() for peak in tree.peaks], "size": tree.size}
    replace(directory, tree_name(tree.size), orjson.dumps(noted, option=orjson.OPT_SORT_KEYS) + b"\n")


def read_tree(directory: Path, size: int) -> Frontier | None:
    """Return the tree of this size as a note says it; None without a note of the right form. Whether it is right, checkpoints show."""
    try:
        noted = orjson.loads((directory / tree_name(size)).read_bytes())
        return Frontier(size, [bytes.fromhex(peak) for peak in noted["peaks"]]) if noted["size"] == size else None
    except (OSError, orjson.JSONDecodeError, KeyError, TypeError, ValueError, ProofWrong):
        return None


def _tree(directory: Path, segments: list[Path]) -> Frontier:
    """Return the tree over a log whose end is sound, from the newest note on, or from its beginning (A-61). LogUnsound without either."""
    noted = (read_tree(directory, first_of(segment)) for segment in segments)
    place, tree = max(((place, tree) for place, tree in enumerate(noted) if tree), default=(0, Frontier()), key=itemgetter(0))
    if tree.size != first_of(segments[place]):
        raise LogUnsound(f"{segments[0].name}: nothing says which tree came before it")
    for segment in segments[place:]:
        tree.extend([leaf(bytes.fromhex(told.decode())) for told in HASH.findall(segment.read_bytes())])
    return tree


def _durable(directory: Path) -> Head | None:
    try:
        return read_head(directory)
    except LineMalformed as error:
        raise LogUnsound(str(error)) from error


def _first_needed(segments: list[Path], durable: Head | None) -> int:
    """Return the place of the segment from which on the chain is read: the one that holds, or would, what head.json names."""
    named = [place for place, segment in enumerate(segments) if durable is not None and first_of(segment) <= durable.seq]
    return named[-1] if named else max(0, len(segments) - 2)


def _scan(segment: Path, head: Head | None, durable: Head | None) -> tuple[Head | None, int, bool, Mapping[str, Any] | None]:
    """Return the end of a segment's sound beginning, which follows `head`, its bytes, whether `durable` is in it, and its last event.

    The first event of the first segment that is read follows nothing: the verifier reads the whole log, the writer its end.
    """
    sound, passed, last = 0, False, None
    expected = first_of(segment)
    with segment.open("rb") as file:
        for line in file:
            try:
                event, value = _head_of(line)
            except LineMalformed:
                break
            if event.seq != expected or (head is not None and value["prev_hash"] != head.hash):
                break
            head, passed, last = event, passed or event == durable, value
            sound += len(line)
            expected += 1
    return head, sound, passed, last


def _head_of(line: bytes) -> tuple[Head, Mapping[str, Any]]:
    """Return place and event of a line whose hash is right. LineMalformed otherwise."""
    event, told = split(line)
    if digest(event) != told:
        raise LineMalformed("the hash is wrong")
    try:
        value = orjson.loads(event)
        value["prev_hash"]  # that there is one
        return Head(value["chain_id"], value["seq"], told), value
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
            previous = _head_of(file.readline())[1]["prev_hash"]
    except (OSError, orjson.JSONDecodeError, KeyError, TypeError, ValueError, LineMalformed):
        return 0, []
    formed = isinstance(keys, list) and all(isinstance(key, str) for key in keys)
    return (place, keys) if formed and previous == before else (0, [])
