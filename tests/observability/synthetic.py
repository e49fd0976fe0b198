"""Audit logs for tests, written by the audit package's own journal from facts that are made here."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from audit.event import Builder, Moment
from audit.files import create_key
from audit.journal import Journal, open_journal
from audit.pseudonym import names_of
from audit.record import RECORD_BYTES, pack
from audit.segments import SEGMENT_BYTES, Log
from audit.tlog import epochs
from audit.vocabulary import vocabulary
from core.client.states import State as ClientState
from core.reasons import Carrier, Event, Reason
from core.session.states import State as SessionState
from core.values import Endpoint, Fact, Instant

KEY = bytes(32)
NODE = bytes.fromhex("00000000000000a1")
BOOT = bytes.fromhex("b007b007b007b007")
WALL = 1_790_000_000_000_000_000  # 2026-09-21 T 14:13:20 Z
SECOND = 1_000_000_000
GONE = {Event.LOG_OPENED, Event.LOG_RESUMED, Event.LOG_CLOSED, Event.TELEMETRY_LOST, Event.RECORD_REFUSED}


class Scribe:
    """Writes facts into a log directory; the clock is what the facts say. Close it, or the log has no end."""

    def __init__(
        self,
        directory: Path,
        *,
        role: str = "gateway",
        boot: bytes = BOOT,
        segment_bytes: int = SEGMENT_BYTES,
        node: bytes = NODE,
        now: int = WALL,
    ) -> None:
        """Open the log, which adds LOG_OPENED or LOG_RESUMED."""
        self.now = now
        self._boot = boot
        self._outbox = 0
        self.role = role
        builder = Builder(node, boot, role, names_of(KEY))
        create_key(epochs.key_path(directory), epochs.fresh(KEY))
        self.log: Log
        self.journal: Journal
        self.log, self.journal = open_journal(directory, node, boot, builder, self._clock, segment_bytes)

    def write(self, facts: Iterable[Fact]) -> None:
        """Append these facts, in order, as one durable batch each; a fact's instant becomes its wall time."""
        for fact in facts:
            self.now = max(self.now, WALL + fact.at)
            evidence = vocabulary().kinds[fact.event.name].event_class == "evidence"
            self._outbox += evidence
            record = pack(fact, WALL + fact.at, self._boot, self._outbox if evidence else 0)
            self.journal.write((), (record,)) if evidence else self.journal.write((record,), ())

    def write_together(self, facts: Iterable[Fact]) -> None:
        """Append telemetry in one durable batch: quicker for thousands."""
        self.journal.write([pack(fact, WALL + fact.at, self._boot) for fact in facts], ())

    def garbage(self) -> None:
        """Append a record that is none, which becomes RECORD_REFUSED."""
        self.journal.write((b"\x07" * RECORD_BYTES,), ())

    def close(self) -> None:
        """Append LOG_CLOSED and let go."""
        self.journal.close()
        self.log.close()

    def crash(self) -> None:
        """Let go as a killed writer does: no LOG_CLOSED, head.json where it was."""
        self.log.close()

    def _clock(self) -> Moment:
        return Moment(self.now, self.now - WALL + SECOND)


def every_fact(role: str) -> Iterator[Fact]:
    """Yield a fact for each event and reason that a `role` can record, all its fields set; then one with only what it must have."""
    serial = 0
    for event in Event:
        kind = vocabulary().kinds[event.name]
        if event in GONE or kind.role not in (role, "both"):
            continue
        for fields in (kind.fields, kind.required):
            for reason in kind.reasons:
                serial += 1
                yield full_fact(event, Reason[reason], serial, fields, role)


def full_fact(event: Event, reason: Reason, serial: int, fields: frozenset[str], role: str) -> Fact:
    """Return a fact with these fields set to something."""
    states = SessionState if role == "gateway" else ClientState
    first, *_, last = states
    has = fields.__contains__
    measures = len(vocabulary().kinds[event.name].measures)
    return Fact(
        event,
        reason,
        serial,
        serial - 1,
        Instant(serial * SECOND // 100),
        handle=serial if has("session") else 0,
        correlation=serial.to_bytes(16, "big") if has("session") else bytes(16),
        state_from=first if has("state") else 0,
        state_to=last if has("state") else 0,
        state_version=serial if has("state") else 0,
        binding_version=serial if has("binding") else 0,
        attempt=serial % 60_000 if has("binding") else 0,
        carrier_from=Carrier.UDP if has("transport") else 0,
        carrier_to=Carrier.TCP if has("transport") else 0,
        device=serial.to_bytes(32, "big") if has("device") else bytes(32),
        remote=Endpoint(serial.to_bytes(16, "big"), 4_000) if has("peer") else None,
        times=serial if has("count") else 0,
        measures=(*(serial + index for index in range(measures)), 0, 0, 0, 0)[:4],  # type: ignore[arg-type]  # sliced to four
    )


def health(serial: int) -> Fact:
    """Return a SESSION_HEALTH: what there are most of."""
    return full_fact(Event.SESSION_HEALTH, Reason.HEALTH_SAMPLED, serial, vocabulary().kinds["SESSION_HEALTH"].fields, "gateway")


def lost(serial: int, times: int) -> Fact:
    """Return the notice that telemetry was lost before it reached the writer."""
    return Fact(Event.TELEMETRY_LOST, Reason.TELEMETRY_OVERFLOW, serial, 0, Instant(serial), times=times)


def write_everything(directory: Path, role: str) -> int:
    """Write a log in which each event type occurs, and close it; return how many events it has."""
    scribe = Scribe(directory, role=role, boot=BOOT if role == "gateway" else BOOT[::-1])
    scribe.write(every_fact(role))
    scribe.write_together([lost(1, 17)])
    scribe.garbage()
    scribe.close()
    again = Scribe(directory, role=role, boot=bytes(7) + b"\x02")
    again.close()
    head = again.log.head
    assert head is not None
    return head.seq + 1
