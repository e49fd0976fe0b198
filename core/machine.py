"""What both machines are made of: the rows of a table, what a step does to facts, claims, and the loop that hears.

Facts are a NamedTuple with `state`, `version` and booleans, in this order: the abstract record that the claims speak about.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from enum import Enum, IntEnum
from types import MappingProxyType
from typing import Any, Generic, NamedTuple, TypeVar

from core.errors import Invariant, require
from core.reasons import Event, Reason
from core.values import Instant

S = TypeVar("S", bound=IntEnum)
H = TypeVar("H", bound=Enum)
E = TypeVar("E", bound=Enum)
F = TypeVar("F", bound=tuple[Any, ...])
X = TypeVar("X")


class Row(NamedTuple, Generic[S, H, E]):
    """In one of `states`, on `heard`: perform `effects`, go to `goes_to` (None: stay), record `event` with `reason` (None: by cause)."""

    clause: str
    states: tuple[S, ...]
    heard: H
    goes_to: S | None
    effects: tuple[E, ...]
    event: Event
    reason: Reason | None


def index(rows: tuple[Row[S, H, E], ...]) -> Mapping[tuple[S, H], Row[S, H, E]]:
    """Return the cells of `rows`; two rows for one cell are an error of the table."""
    cells = {(state, row.heard): row for row in rows for state in row.states}
    require(len(cells) == sum(len(row.states) for row in rows), "one row a cell")
    return MappingProxyType(cells)


class Machine(NamedTuple, Generic[S, H, E, F]):
    """A table's cells, which facts an effect changes, and the claims about every state and every step; their docstrings are the claims."""

    cells: Mapping[tuple[S, H], Row[S, H, E]]
    changes: Mapping[E, Mapping[str, bool]]
    always: tuple[Callable[[F], bool], ...]
    step: tuple[Callable[[F, F], bool], ...]
    broken: H
    """What is heard when a claim does not hold."""

    def apply(self, facts: F, row: Row[S, H, E]) -> F:
        """Return the facts after an accepted transition by `row`."""
        before: Any = facts
        values = [row.goes_to or before.state, before.version + 1, *before[2:]]
        for effect in row.effects:
            for name, value in self.changes[effect].items() if effect in self.changes else ():
                values[before._fields.index(name)] = value
        after: F = before._make(values)
        return after

    def check(self, before: F, after: F) -> None:
        """Raise Invariant naming the first claim that this step breaks."""
        for claim, holds in (*((each, each(after)) for each in self.always), *((each, each(before, after)) for each in self.step)):
            require(holds, claim.__doc__ or "")


class Actor(ABC, Generic[S, H, E, F, X]):
    """Something real behind a machine's facts. `offer` is what an input comes with."""

    __slots__ = ()

    machine: Machine[S, H, E, F]
    state: S
    version: int = 0

    @abstractmethod
    def facts(self) -> F:
        """Return what the claims speak about."""

    @abstractmethod
    def take(self, row: Row[S, H, E], now: Instant, offer: X | None) -> None:
        """Go where `row` goes, record what it records, perform its effects."""

    @abstractmethod
    def abandon(self, now: Instant) -> None:
        """Drop everything and be over: the last resort, when even the end breaks a claim."""

    def hear(self, heard: H, now: Instant, offer: X | None = None) -> bool:
        """Make the transition of the table for `heard`; return False where there is none [G-52], with nothing changed, or a claim broke.

        After it the real things must be what the row says, and all claims must hold; else it ends with INVARIANT_BROKEN [G-53].
        """
        row = self.machine.cells.get((self.state, heard))
        if row is None:
            return False
        before = self.facts()
        try:
            self.take(row, now, offer)
            after = self.machine.apply(before, row)
            require(self.facts() == after, f"{row.clause}: what is real is what the table says")
            self.machine.check(before, after)
        except Invariant:
            if heard is self.machine.broken or not self.hear(self.machine.broken, now):
                self.abandon(now)
            return False
        return True
