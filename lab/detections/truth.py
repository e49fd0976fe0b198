"""What must fire at what: `truth.toml` as specifications of events, and the label of an event."""

import tomllib
from collections.abc import Iterator, Mapping
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any, Final, NamedTuple

from audit.vocabulary import vocabulary

SOURCE: Final = Path(__file__).with_name("truth.toml")
FINDING: Final = "finding"


class Spec(NamedTuple):
    """An event to be made: type, reason, and what it has besides. Of a finding the type is `finding`, the reason what was found."""

    event: str
    reason: str
    more: tuple[tuple[str, str | int], ...] = ()

    @property
    def values(self) -> dict[str, str | int]:
        """Return what it has besides."""
        return dict(self.more)

    def is_a(self, other: "Spec") -> bool:
        """Return whether it has all that the other one has. Events of a client are only such that say so."""
        mine, theirs = self.values, other.values
        same = (self.event, self.reason, mine.get("role")) == (other.event, other.reason, theirs.get("role"))
        return same and all(mine.get(name) == value for name, value in theirs.items())


class Told(NamedTuple):
    """A correlation as the truth tells it: `least` of `events` within `seconds` for one `group`; `value` is what is counted."""

    name: str
    kind: str
    group: str
    seconds: int
    events: tuple[Spec, ...]
    least: int = 0
    value: str = ""


def specs(line: str) -> list[Spec]:
    """Return what a line of the truth names."""
    events, reasons, *rest = line.split()
    pairs = (part.split("=") for part in rest)
    more = tuple((name, int(value) if value.isdecimal() else value) for name, value in pairs)
    return [
        Spec(event, reason, more)
        for event, reason in product(events.split("|"), reasons.split("|"))
        if event == FINDING or reason in vocabulary().kinds[event].reasons
    ]


@cache
def _read() -> Mapping[str, Any]:
    return tomllib.loads(SOURCE.read_text(encoding="utf-8"))


@cache
def fires() -> Mapping[str, tuple[Spec, ...]]:
    """Return, by rule, the events at which it must fire."""
    return {name: tuple(spec for line in told["fires"] for spec in specs(line)) for name, told in _read()["rule"].items()}


@cache
def silent() -> Mapping[str, tuple[Spec, ...]]:
    """Return, by rule, near misses."""
    return {name: tuple(spec for line in told["silent"] for spec in specs(line)) for name, told in _read()["rule"].items()}


@cache
def correlations() -> tuple[Told, ...]:
    """Return all correlations."""
    return tuple(
        Told(**{**told, "name": name, "events": tuple(spec for line in told["events"] for spec in specs(line))})
        for name, told in _read()["correlation"].items()
    )


@cache
def label(spec: Spec) -> frozenset[str]:
    """Return the rules that must fire at such an event."""
    return frozenset(name for name, told in fires().items() if any(spec.is_a(each) for each in told))


def pairs() -> Iterator[Spec]:
    """Yield each event and reason that the registry knows."""
    for kind in vocabulary().kinds.values():
        yield from (Spec(kind.name, reason) for reason in kind.reasons)
