"""What the tests of audit are made of: facts that fit their events, logs with a consistent story, and an attacker's tools."""

import json
import shutil
from collections.abc import Iterator, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

from audit.canonical import canonical, line_of
from audit.chain import Head
from audit.event import STATES, Builder, Moment
from audit.files import create_key, segments_in
from audit.journal import Journal, open_journal
from audit.pseudonym import names_of
from audit.record import Stamped, pack
from audit.segments import SEGMENT_BYTES, Log
from audit.tlog import epochs
from audit.vocabulary import Kind, vocabulary
from core.reasons import Event, Reason
from core.session.states import State
from core.values import Endpoint, Fact, Instant

NODE, BOOT, KEY = b"a node's", b"one boot", bytes(range(32))
WALL = 1_795_000_000_123_456_789
REMOTE = Endpoint(bytes(10) + b"\xff\xff\xc0\x00\x02\x07", 51_820)
BEFORE = Head("0f" * 16, 6, "ab" * 32)  # where a built event goes when its place does not matter
RECORDED = [kind for kind in vocabulary().kinds.values() if kind.event_class != "integrity"]
PAIRS = [(kind, reason) for kind in RECORDED for reason in kind.reasons]
P, A, V, R, T = State.PENDING, State.ATTACHED, State.VOLATILE, State.RECOVERING, State.TERMINATED


class Clock:
    """A clock that goes on by a millisecond each time it is read."""

    def __init__(self) -> None:
        self.ns = 0

    def __call__(self) -> Moment:
        """Read it."""
        self.ns += 1_000_000
        return Moment(WALL + self.ns, self.ns)


def role_of(kind: Kind) -> str:
    """The role that may record this event."""
    return "client" if kind.role == "client" else "gateway"


def builder(role: str = "gateway") -> Builder:
    """A builder with fixed names."""
    return Builder(NODE, BOOT, role, names_of(KEY))


def fact_of(kind: Kind, reason: str, **other: object) -> Fact:
    """A fact in which every place is used."""
    first, *_, last = STATES[role_of(kind)]
    fact = Fact(
        Event[kind.name],
        Reason[reason],
        serial=9,
        caused_by=8,
        at=Instant(5_000_000_000),
        handle=0x0102_0304_0506,
        correlation=b"correlates these",
        state_from=first,
        state_to=last,
        state_version=3,
        binding_version=2,
        attempt=1,
        carrier_from=1,
        carrier_to=2,
        device=b"the public key of one device....",
        remote=REMOTE,
        times=4,
        measures=(11, 12, 13, 14)[: len(kind.measures)] + (0, 0, 0, 0)[len(kind.measures) :],  # type: ignore[arg-type]  # four in all
    )
    return fact._replace(**other)  # type: ignore[arg-type]  # a test names fields of a fact


def event_of(fact: Fact, role: str = "gateway") -> dict[str, Any]:
    """The event of a fact, as the one after BEFORE."""
    return builder(role).of_record(Stamped(fact, WALL, BOOT), BEFORE)


def step(event: Event, reason: Reason, version: int, states: tuple[State, State], **other: object) -> Fact:
    """A fact about a transition of a session."""
    fact = Fact(event, reason, 0, 0, Instant(version * 1_000), correlation=b"correlates these", state_from=states[0], state_to=states[1])
    return fact._replace(state_version=version, device=bytes(31) + b"\1", remote=REMOTE, carrier_from=1, carrier_to=1)._replace(
        **other  # type: ignore[arg-type]  # fields of a fact by name, each of its own type
    )


def story(handle: int) -> list[Fact]:
    """A session from its handshake to its end, as the table allows it, with everything that evidence needs."""
    changed, ended = Event.SESSION_CHANGED, Event.SESSION_ENDED
    facts = [
        step(changed, Reason.HANDSHAKE_PROVEN, 0, (P, P)),
        step(changed, Reason.BIRTH_ASKED, 1, (P, P)),
        step(Event.SESSION_BORN, Reason.HANDSHAKE_COMPLETED, 2, (P, A), binding_version=1),
        step(changed, Reason.QUALITY_LOW, 3, (A, V), binding_version=1),
        step(changed, Reason.REATTACH_ACCEPTED, 4, (V, V), binding_version=1),
        step(changed, Reason.MOVE_ASKED, 5, (V, V), binding_version=1),
        step(Event.SESSION_MOVED, Reason.MOVED_QUALITY, 6, (V, A), binding_version=2, attempt=1, measures=(40, 900, 0, 0)),
        step(Event.SESSION_REFUSED, Reason.COOLDOWN, 6, (A, A), times=2),
        step(changed, Reason.PATH_CLOSED, 7, (A, R), binding_version=2),
        step(ended, Reason.CLOSED_BY_OPERATOR, 8, (R, T), binding_version=2),
    ]
    serial = handle * 100
    return [fact._replace(handle=handle, serial=serial + number) for number, fact in enumerate(facts)]


def records(facts: Sequence[Fact]) -> tuple[list[bytes], list[bytes]]:
    """Telemetry and evidence among these facts, as records; evidence has its serial as outbox id."""
    made: tuple[list[bytes], list[bytes]] = ([], [])
    for fact in facts:
        evidence = vocabulary().kinds[fact.event.name].event_class == "evidence"
        made[evidence].append(pack(fact, WALL, BOOT, fact.serial if evidence else 0))
    return made


def opened(directory: Path, *, segment_bytes: int = SEGMENT_BYTES, clock: Clock | None = None) -> tuple[Log, Journal]:
    """A gateway's log and journal."""
    sealing(directory)
    return open_journal(directory, NODE, BOOT, builder(), clock or Clock(), segment_bytes)


def sealing(directory: Path) -> None:
    """Make the log's signing key, unless it is there."""
    create_key(epochs.key_path(directory), epochs.fresh(KEY))


def a_log(directory: Path, facts: Sequence[Fact], *, segment_bytes: int = SEGMENT_BYTES) -> Path:
    """A log that was opened, took each fact in a batch of its own, and was closed."""
    log, journal = opened(directory, segment_bytes=segment_bytes)
    with log:
        for fact in facts:
            journal.write(*records([fact]))
        assert journal.close()
    return directory


def lines_of(directory: Path) -> list[bytes]:
    """All lines of a log, each with its newline."""
    return b"".join(path.read_bytes() for path in segments_in(directory)).splitlines(keepends=True)


def events_of(directory: Path) -> list[dict[str, Any]]:
    """All events of a log, read without the code under test."""
    return [json.loads(line)["event"] for line in lines_of(directory)]


def replaced(directory: Path, target: Path, lines: Sequence[bytes]) -> Path:
    """A copy of a log whose one segment holds these lines instead."""
    shutil.copytree(directory, target)
    (segment,) = segments_in(target)
    segment.write_bytes(b"".join(lines))
    return target


def resealed(line: bytes, **changes: object) -> bytes:
    """What an attacker without other means makes of a line: changed, in canonical form, with the hash that fits."""
    data = canonical(json.loads(line)["event"] | changes)
    return line_of(data, sha256(data).hexdigest())


def rechained(lines: Sequence[bytes]) -> Iterator[bytes]:
    """What a thorough attacker makes of lines: numbers, previous hashes and hashes all fit."""
    prev = "0" * 64
    for seq, line in enumerate(lines):
        data = canonical(json.loads(line)["event"] | {"seq": seq, "prev_hash": prev})
        prev = sha256(data).hexdigest()
        yield line_of(data, prev)


BORN_EVENT = event_of(fact_of(vocabulary().kinds["SESSION_BORN"], "HANDSHAKE_COMPLETED"))
