"""What a report shows of one or several logs: sessions as bands over time, jumps, traffic and refusals, collected in one pass.

A session of the gateway's log and one of a client's log are the same when they have the same correlation id. Each log's times are those of
the machine that wrote it; nothing here corrects one clock by the other.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple

from observability.kept import Kept
from observability.queries import REFUSALS

BIN_SECONDS: Final = 10  # of traffic and refusals as collected; figures use multiples
GATEWAYS: Final = frozenset({"SESSION_BORN", "SESSION_MOVED", "SESSION_CHANGED", "SESSION_ENDED"})
CLIENTS: Final = frozenset({"CLIENT_ATTACHED", "CLIENT_MOVED", "CLIENT_CHANGED", "CLIENT_ENDED"})
COMMITS: Final = frozenset({"SESSION_BORN", "SESSION_MOVED"})
UNBOUND: Final = ""
REKEYED: Final = "REKEYED"
OVER: Final = frozenset({"TERMINATED", "CLOSED"})
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
ENTRIES_MAX: Final = 120  # kept of one session
PROOFS_MAX: Final = 40  # kept of one event type and reason
REFUSED: Final = "refused"
GRAVEST: Final = "grave"
PROVEN: Final = ("evidence", "integrity", REFUSED, GRAVEST)  # groups of events that a proof is wanted of
UNTOLD: Final = frozenset({"SESSION_HEALTH", "MOVE_MEASURED"})  # samples; a measurement stands with its jump
GRAVE: Final = 4  # severity high and above


@dataclass(frozen=True, slots=True)
class Band:
    """From ``begin`` to ``end`` a lane shows ``name``."""

    name: str
    begin: datetime
    end: datetime


@dataclass(slots=True)
class Lane:
    """What changes step by step: a state, or the carrier in use (``UNBOUND``: none)."""

    steps: list[tuple[datetime, int, str]] = field(default_factory=list)

    def step(self, when: datetime, version: int, name: str) -> None:
        """From ``when`` on it is ``name``; ``version`` of the state orders what happened at one instant."""
        self.steps.append((when, version, name))

    def bands(self, until: datetime) -> list[Band]:
        """Return the bands in order of time, up to ``until``."""
        ordered = sorted(self.steps)  # evidence comes through the store, so telemetry that is younger may stand before it
        ends = [when for when, _, _ in ordered[1:]]
        found: list[Band] = []
        for (begin, _, name), end in zip(ordered, [*ends, until], strict=False):  # without a step there is no band at all
            if begin >= until or name in OVER:
                continue
            if found and found[-1].name == name and found[-1].end == begin:
                found[-1] = Band(name, found[-1].begin, min(end, until))
            else:
                found.append(Band(name, begin, min(end, until)))
        return found


@dataclass(frozen=True, slots=True)
class Jump:
    """One committed move or rekeying, by the gateway: event ``seq`` of log number ``log``.

    ``recovery_us`` is None where its measurement is not in the log.
    """

    when: datetime
    before: str
    after: str
    reason: str
    binding: int
    log: int
    seq: int
    recovery_us: int | None


class Entry(NamedTuple):
    """What an event says, and where it stands: `log` is the number of the log among those that were told, from 0.

    `before` and `after`: states or carriers, where it names any. `times`: how many messages it stands for.
    """

    when: datetime
    log: int
    seq: int
    hash: str
    kind: str
    reason: str
    severity: int
    role: str
    state: tuple[str, str]
    carrier: tuple[str, str]
    binding: int
    times: int
    session: str


@dataclass(slots=True)
class Session:
    """One session.

    ``name``: the gateway's pseudonym, the first of ``names`` where it lived in several months; or the correlation id where only a client's
    log is there.
    """

    name: str
    correlation: str
    names: dict[str, None] = field(default_factory=dict)
    born: datetime | None = None
    ended: datetime | None = None
    end_reason: str = ""
    first: datetime | None = None
    last: datetime | None = None
    carrier_at_birth: str = ""
    state: Lane = field(default_factory=Lane)
    carrier: Lane = field(default_factory=Lane)
    client: Lane = field(default_factory=Lane)
    moves: list[tuple[datetime, str, str, str, int, int, int]] = field(default_factory=list)
    recovery: dict[int, int] = field(default_factory=dict)  # binding version -> us
    received_bytes: int = 0
    sent_bytes: int = 0
    lost: bool = False  # its end was a failure
    refused: int = 0
    roles: set[str] = field(default_factory=set)
    entries: Kept[Entry] = field(default_factory=lambda: Kept(ENTRIES_MAX))

    def jumps(self) -> list[Jump]:
        """Return the committed moves in order of time, each with its measurement."""
        return [Jump(*move, self.recovery.get(move[4])) for move in sorted(self.moves)]

    def jumps_elsewhere(self) -> list[Jump]:
        """Return those that were more than new keys on the same path."""
        return [jump for jump in self.jumps() if jump.reason != REKEYED]

    def jumps_to_other_paths(self) -> int:
        """Return how many of the moves were more than new keys."""
        return sum(move[3] != REKEYED for move in self.moves)


@dataclass(slots=True)
class Story:
    """Everything that the figures and tables need. Bins: seconds since 1970, a multiple of ``BIN_SECONDS``."""

    sessions: dict[str, Session] = field(default_factory=dict)
    first: datetime | None = None
    last: datetime | None = None
    received: Counter[int] = field(default_factory=Counter)
    sent: Counter[int] = field(default_factory=Counter)
    refused: defaultdict[str, Counter[int]] = field(default_factory=lambda: defaultdict(Counter))
    lost: int = 0
    proven: dict[tuple[str, str, str], Kept[Entry]] = field(default_factory=dict)  # by group, event type and reason
    written: dict[int, tuple[datetime, datetime]] = field(default_factory=dict)
    writers: dict[int, dict[str, None]] = field(default_factory=dict)  # log -> role and node, in the order of their appearance

    def take(self, events: Iterable[Mapping[str, Any]], log: int = 0) -> None:
        """Add events of one log, which is number ``log`` of several."""
        for event in events:
            when = datetime.fromisoformat(event["time"])
            self.first = min(self.first or when, when)
            self.last = max(self.last or when, when)
            kind = event["event_type"]
            if kind in REFUSALS:
                self.refused[event["reason_code"]][_bin(when)] += event.get("count", 1)
            elif kind == "TELEMETRY_LOST":
                self.lost += event["count"]
            begun, ended = self.written.get(log, (when, when))
            self.written[log] = min(begun, when), max(ended, when)
            self.writers.setdefault(log, {})[f"{event['role']} {event['node_id']}"] = None
            entry = _entry(event, log, when)
            self._keep(entry, event["event_class"])
            if "session" in event:
                self._session(event, kind, when, entry)

    def _keep(self, entry: Entry, event_class: str) -> None:
        """Keep what an auditor wants a proof of: of each kind and reason the first ones, so that a flood of one hides no other."""
        group = REFUSED if entry.kind in REFUSALS else event_class
        if group in PROVEN or entry.severity >= GRAVE:
            key = group if group in PROVEN else GRAVEST, entry.kind, entry.reason
            self.proven.setdefault(key, Kept(PROOFS_MAX)).add(entry)

    def _session(self, event: Mapping[str, Any], kind: str, when: datetime, entry: Entry) -> None:
        ids = event["session"]
        key = ids.get("correlation_id") or ids["pseudonym"]
        session = self.sessions.get(key)
        if session is None:
            session = self.sessions[key] = Session(ids.get("pseudonym", key[:16]), key)
        if "pseudonym" in ids:
            session.name = next(iter(session.names), ids["pseudonym"])
            session.names[ids["pseudonym"]] = None
        session.first = min(session.first or when, when)
        session.last = max(session.last or when, when)
        session.roles.add(entry.role)
        if kind not in UNTOLD:
            session.entries.add(entry)
        if kind in REFUSALS:
            session.refused += entry.times
        if kind in GATEWAYS:
            _of_gateway(session, event, when, entry)
        elif kind in CLIENTS:
            state = event.get("state", {})
            if "to" in state:
                session.client.step(when, state["version"], state["to"])
        elif kind == "MOVE_MEASURED":
            session.recovery[event["binding"]["version"]] = event["metrics"]["recovery_us"]
        elif kind == "SESSION_HEALTH" and event["role"] == "gateway":
            self._traffic(session, event["metrics"], when)

    def _traffic(self, session: Session, metrics: Mapping[str, int], when: datetime) -> None:
        session.received_bytes += metrics["received_bytes"]
        session.sent_bytes += metrics["sent_bytes"]
        self.received[_bin(when)] += metrics["received_bytes"]
        self.sent[_bin(when)] += metrics["sent_bytes"]


def _of_gateway(session: Session, event: Mapping[str, Any], when: datetime, entry: Entry) -> None:
    kind, state, transport = entry.kind, event["state"], event.get("transport", {})
    if "to" in state:
        session.state.step(when, state["version"], state["to"])
    if kind in COMMITS:
        session.carrier.step(when, state["version"], transport["to"])
    elif kind == "SESSION_ENDED" or "to" not in transport:
        session.carrier.step(when, state["version"], UNBOUND)
    if kind == "SESSION_BORN":
        session.born, session.carrier_at_birth = when, transport["to"]
    elif kind == "SESSION_MOVED":
        version = event["binding"]["version"]
        session.moves.append((when, transport.get("from", ""), transport["to"], event["reason_code"], version, entry.log, entry.seq))
    if state.get("to") in OVER:
        session.ended, session.end_reason = when, event["reason_code"]
        session.lost = event["outcome"] == "failure"


def _entry(event: Mapping[str, Any], log: int, when: datetime) -> Entry:
    state, transport, ids = event.get("state", {}), event.get("transport", {}), event.get("session", {})
    return Entry(
        when,
        log,
        event["seq"],
        event.get("hash", ""),
        event["event_type"],
        event["reason_code"],
        event["severity"],
        event["role"],
        (state.get("from", ""), state.get("to", "")),
        (transport.get("from", ""), transport.get("to", "")),
        event.get("binding", {}).get("version", 0),
        event.get("count", 1),
        ids.get("pseudonym") or ids.get("correlation_id", ""),
    )


def _bin(when: datetime) -> int:
    seconds = (when - EPOCH) // timedelta(seconds=1)
    return seconds - seconds % BIN_SECONDS
