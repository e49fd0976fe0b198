"""What a store owes the driver, and what both stores judge alike.

The driver hands over what the core asks and takes answers when the descriptor is readable; nothing here waits or raises:

    store.submit(asks)                       # from the core's outputs, in their order
    poll.watcher(...).watch(store.fileno())  # readable: answers wait
    core.answer(store.answers(), now)
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from core.errors import CallerFault
from core.values import ROW_LIVE, ROW_TOMBSTONE, Answer, Ask, Create, Get, Live, Operation, Row, Tombstone

SECOND_NS: Final = 1_000_000_000
HANDLE_BITS: Final = 48
INTEGER_MAX: Final = 2**62  # SQLite's and etcd's integers are signed; versions may still grow from here
SEALED_BYTES_MAX: Final = 1_024  # a sealed chain has 92
SUPERSEDE_MAX: Final = 64
PURGE_EVERY_S: Final = 3_600
OWNER_GRACE_S: Final = 600  # O-12: until then the owner's tombstone, which carries the evidence of the end, finds the row

LENGTHS: Final = (("node", 8), ("boot", 8), ("device", 32), ("gateway_key", 32), ("inner4", 4), ("inner6", 16))
INTEGERS: Final = ("binding_version", "attempt", "next", "born", "expires", "kek")

WallClock = Callable[[], int]
"""Nanoseconds since 1970, UTC."""


@dataclass(frozen=True, slots=True)
class Health:
    """How a store is (O-27)."""

    failing_since: int | None  # wall ns of the first failure that no commit followed
    error: str  # that failure, empty when all is well
    displaced: str  # why no commit can ever follow, empty while one can (O-26)
    operations_failed: int  # since the start
    operations_waiting: int
    evidence_waiting: int  # records that the audit writer has not yet acknowledged


class Store(Protocol):
    """One store. Every ask is answered exactly once, in the order in which they came (O-1)."""

    def submit(self, asks: Sequence[Ask]) -> None:
        """Take operations over; returns at once."""

    def fileno(self) -> int:
        """Return the descriptor that is readable while answers wait."""

    def answers(self) -> list[Answer]:
        """Take the answers that wait, possibly none."""

    def close(self) -> None:
        """Finish what was submitted, then answer everything else with FAILED (O-16). May be called twice."""


def check(operation: Operation) -> None:
    """Raise CallerFault for an operation that no caller may ask for (O-8)."""
    if isinstance(operation, Get):
        _check_handle(operation.handle)
        return
    if isinstance(operation, Tombstone):
        _check_tombstone(operation)
        return
    if isinstance(operation, Live):
        if len(operation.device) != dict(LENGTHS)["device"]:
            raise CallerFault(f"device has {len(operation.device)} bytes")
        return
    if isinstance(operation, Create):
        if len(operation.supersede) > SUPERSEDE_MAX:
            raise CallerFault(f"supersede names more than {SUPERSEDE_MAX} sessions")
        for tombstone in operation.supersede:
            _check_tombstone(tombstone)
    elif operation.row.binding_version != operation.expect + 1:
        raise CallerFault(f"binding_version {operation.row.binding_version} does not follow {operation.expect}")
    _check_row(operation.row)


def check_move(old: Row, new: Row) -> None:
    """Raise CallerFault for a move that changes what a session has for life: device, birth and end (O-6)."""
    if (old.device, old.born, old.expires) != (new.device, new.born, new.expires):
        raise CallerFault("a move keeps device, born and expires")


def applies(tombstone: Tombstone, row: Row) -> bool:
    """Tell whether a tombstone ends this row, or did: one that expects a version leaves a session that moved meanwhile alone (O-7)."""
    return row.state == ROW_TOMBSTONE or tombstone.expect in {None, row.binding_version}


def _check_tombstone(tombstone: Tombstone) -> None:
    _check_handle(tombstone.handle)
    if not 0 <= (tombstone.expect or 0) <= INTEGER_MAX:
        raise CallerFault("the expected binding_version is out of range")


def _check_handle(handle: int) -> None:
    if not 0 <= handle < 1 << HANDLE_BITS:
        raise CallerFault(f"a handle has {HANDLE_BITS} bits")


def _check_row(row: Row) -> None:
    _check_handle(row.handle)
    for name, length in LENGTHS:
        if len(getattr(row, name)) != length:
            raise CallerFault(f"{name} has {length} bytes")
    for name in INTEGERS:
        if not 0 <= getattr(row, name) <= INTEGER_MAX:
            raise CallerFault(f"{name} is out of range")
    if row.state != ROW_LIVE:
        raise CallerFault("only Tombstone ends a session")
    if len(row.sealed) > SEALED_BYTES_MAX:
        raise CallerFault(f"sealed is longer than {SEALED_BYTES_MAX} bytes")
