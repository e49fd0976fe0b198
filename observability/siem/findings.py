"""What a reconciliation found in one chain."""

from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Final, NamedTuple

TOLD_MAX: Final = 100  # of one kind; of more, how many


class Kind(Enum):
    """What can be wrong; the value is the sentence for people."""

    MISSING = "missing in the cluster"
    DIFFERENT = "there with other content: somebody wrote it before us, or changed it"
    FOREIGN = "there, and never recorded: somebody made it, or the log was cut"
    MISPLACED = "there, in an index that is not its own"


class Finding(NamedTuple):
    """One finding: events ``first`` to ``last``, and what is known about them."""

    kind: Kind
    first: int
    last: int
    what: str = ""


@dataclass(slots=True)
class Report:
    """One chain. ``first``, ``last``: numbers of the events that were compared.

    ``pending``, ``quarantined``, ``expired``: not there, and need not be. ``copies``: how many events of telemetry are there once more.
    ``earlier``: documents of events that the log has put away.
    """

    chain: str
    first: int | None = None
    last: int = -1
    events: int = 0
    present: int = 0
    pending: int = 0
    quarantined: int = 0
    expired: int = 0
    copies: int = 0
    earlier: int = 0
    missing: list[Finding] = field(default_factory=list)
    others: list[Finding] = field(default_factory=list)
    counts: dict[Kind, int] = field(default_factory=lambda: dict.fromkeys(Kind, 0))

    @property
    def whole(self) -> bool:
        """Whether all is there that must be, and nothing else."""
        return not any(self.counts.values())

    def take(self, seq: int, *, present: bool) -> None:
        """One more event of the log."""
        self.first = seq if self.first is None else self.first
        self.last = seq
        self.events += 1
        self.present += present

    def excuse(self, name: str) -> None:
        """One event is not there, and need not be."""
        setattr(self, name, getattr(self, name) + 1)

    def miss(self, seq: int) -> None:
        """One event is not there; ranges grow."""
        self.counts[Kind.MISSING] += 1
        if self.missing and self.missing[-1].last == seq - 1:
            self.missing[-1] = self.missing[-1]._replace(last=seq)
        else:
            self.missing.append(Finding(Kind.MISSING, seq, seq))

    def misses(self, seq: int) -> bool:
        """Tell whether this event is missing."""
        return any(each.first <= seq <= each.last for each in self.missing)

    def find(self, kind: Kind, seq: int, what: str) -> None:
        """One document is not what it should be."""
        self.counts[kind] += 1
        if self.counts[kind] <= TOLD_MAX:
            self.others.append(Finding(kind, seq, seq, what))

    def as_text(self) -> str:
        """Return it for people: one line for the chain, one for each finding."""
        excused = ", ".join(f"{name} {getattr(self, name)}" for name in ("pending", "quarantined", "expired", "copies", "earlier"))
        lines = [f"chain {self.chain}: events {self.first} to {self.last}, {self.present} of {self.events} there; {excused}"]
        for each in (*self.missing[:TOLD_MAX], *self.others):
            which = f"event {each.first}" if each.first == each.last else f"events {each.first} to {each.last}"
            lines.append(f"  {which}: {each.kind.value}{f' ({each.what})' if each.what else ''}")
        told = {Kind.MISSING: sum(each.last - each.first + 1 for each in self.missing[:TOLD_MAX])}
        for kind, count in self.counts.items():
            if (more := count - told.get(kind, min(count, TOLD_MAX))) > 0:
                lines.append(f"  {more} more {kind.value}")
        return "\n".join(lines)

    def as_json(self) -> dict[str, Any]:
        """Return it as plain values."""
        names = ("chain", "first", "last", "events", "present", "pending", "quarantined", "expired", "copies", "earlier", "whole")
        findings = [
            {"kind": each.kind.name.lower(), "first": each.first, "last": each.last, "what": each.what}
            for each in (*self.missing[:TOLD_MAX], *self.others)
        ]
        counts = {kind.name.lower(): count for kind, count in self.counts.items()}
        return {name: getattr(self, name) for name in names} | {"counts": counts, "findings": findings}
