"""What a verification says: one verdict, where, what was found, and what the log holds (clauses A-50 to A-55)."""

from collections import Counter
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any, Final

from audit.chain import Head


class Verdict(IntEnum):
    """What the first fault is. The value is the exit status of a program that verifies (A-50)."""

    VERIFIED = 0
    INTERNAL = 1
    UNREADABLE = 2
    MALFORMED = 10
    HASH_WRONG = 11
    CHAIN_BROKEN = 12
    NUMBER_WRONG = 13
    TAIL_CUT = 14
    CONTRADICTION = 15
    UNSEALED = 16
    SEAL_WRONG = 17
    UNWITNESSED = 18


MEANINGS: Final = {
    Verdict.VERIFIED: "verified",
    Verdict.INTERNAL: "the verifier failed",
    Verdict.UNREADABLE: "not readable as an audit log",
    Verdict.MALFORMED: "not a valid event in canonical form",
    Verdict.HASH_WRONG: "the event is not the one that was written",
    Verdict.CHAIN_BROKEN: "the event does not follow the one before it",
    Verdict.NUMBER_WRONG: "an event is missing, repeated or out of order",
    Verdict.TAIL_CUT: "the end of the log is missing",
    Verdict.CONTRADICTION: "the events contradict the state machine",
    Verdict.UNSEALED: "nobody has signed for it",
    Verdict.SEAL_WRONG: "what was signed is another log",
    Verdict.UNWITNESSED: "too few witnesses have cosigned it",
}


@dataclass(slots=True)
class Fault:
    """The first fault: number of the event that is not as it must be, where it stands, and what was found there."""

    verdict: Verdict
    found: str
    seq: int | None = None
    file: str = ""
    line: int = 0


@dataclass(slots=True)
class Result:
    """The result of a verification. `events` are those before the first fault: they are sound."""

    source: str
    fault: Fault | None = None
    first_seq: int | None = None
    head: Head | None = None
    durable: Head | None = None
    live: bool = False
    tables_differ: bool = False
    by_type: Counter[str] = field(default_factory=Counter)
    by_reason: Counter[str] = field(default_factory=Counter)
    telemetry_lost: int = 0
    cut_bytes: int = 0
    sealed: int = 0
    witnessed: int = 0
    signed: bytes = b""
    """The newest checkpoint that was judged, as it stands in its file."""
    key: str = ""
    """The key that names the log, as it stands in a policy."""

    @property
    def verdict(self) -> Verdict:
        """Return the class of the first fault, or VERIFIED."""
        return self.fault.verdict if self.fault else Verdict.VERIFIED

    @property
    def events(self) -> int:
        """Return how many events are sound."""
        return self.by_type.total()

    def as_json(self) -> dict[str, Any]:
        """Return all of it as plain values."""
        fault = self.fault
        return {
            "source": self.source,
            "verdict": self.verdict.name,
            "exit_status": self.verdict.value,
            "fault": None if fault is None else {"seq": fault.seq, "file": fault.file, "line": fault.line, "found": fault.found},
            "events": self.events,
            "first_seq": self.first_seq,
            "head": self.head._asdict() if self.head else None,
            "durable": self.durable._asdict() if self.durable else None,
            "live": self.live,
            "tables_differ": self.tables_differ,
            "telemetry_lost": self.telemetry_lost,
            "cut_bytes": self.cut_bytes,
            "sealed": self.sealed,
            "witnessed": self.witnessed,
            "key": self.key,
            "by_type": dict(sorted(self.by_type.items())),
            "by_reason": dict(sorted(self.by_reason.items())),
        }

    def as_text(self) -> str:
        """Return what a person wants to know first, first."""
        lines = [self._headline()]
        if self.fault and self.fault.found:
            lines.append(f"  found: {self.fault.found}")
        if self.head is None or self.first_seq is None:
            lines.append("  no sound event")
            return "\n".join(lines)
        lines.append(f"  sound: {self.events} events, seq {self.first_seq} to {self.head.seq}, chain {self.head.chain_id}")
        if self.first_seq:
            lines.append(f"  the events before {self.first_seq} are not here; what is here is verified from there on")
        refused, resumed = self.by_type["RECORD_REFUSED"], self.by_type["LOG_RESUMED"]
        lines.append(f"  telemetry records lost: {self.telemetry_lost}; records refused: {refused}")
        lines.append(f"  opened again: {resumed}; torn bytes cut then: {self.cut_bytes}")
        lines.append(f"  signed for: {self.sealed} events, by {self.key or 'nobody'}; cosigned by a quorum of witnesses: {self.witnessed}")
        if self.tables_differ:
            lines.append("  written by a program with other tables or another registry: its transitions were not compared with ours")
        if self.live:
            lines.append("  a writer has the log open: what it adds now is not in this result")
        return "\n".join(lines)

    def _headline(self) -> str:
        if self.fault is None:
            return f"VERIFIED: {self.source}"
        place = "" if self.fault.seq is None else f" at seq {self.fault.seq}"
        if self.fault.file:
            place += f" ({self.fault.file}" + (f", line {self.fault.line})" if self.fault.line else ")")
        return f"{self.verdict.name}: {MEANINGS[self.verdict]}{place}: {self.source}"
