"""The quarantine is a chain: whoever takes a record out of it, or changes one, is noticed."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from observability.cursor import Counters, StateError, saved
from observability.quarantine import Broken, check
from tests.observability.shipping import EVENTS, Ship, write_log
from tests.observability.stub import Stub, each, refused

Change = Callable[[list[bytes]], list[bytes]]
CHANGES: dict[str, Change] = {
    "first removed": lambda lines: lines[1:],
    "one removed": lambda lines: [*lines[:1], *lines[2:]],
    "last removed": lambda lines: lines[:-1],
    "all removed": lambda _: [],
    "answer changed": lambda lines: [lines[0].replace(b"mapper", b"mopper"), *lines[1:]],
    "last answer changed": lambda lines: [*lines[:-1], lines[-1].replace(b"mapper", b"mopper")],
    "two swapped": lambda lines: [lines[1], lines[0], *lines[2:]],
    "a note added": lambda lines: [*lines, b"a note of the operator\n"],
    "one repeated": lambda lines: [*lines, lines[-1]],
    "no object": lambda lines: [b"[]\n", *lines[1:]],
}

REFUSED = (1, 4, 5)


@pytest.fixture
def ship(tmp_path: Path) -> Ship:
    """A shipper that has quarantined three events."""
    order: list[str] = []

    def judge(_: int, name: str) -> dict[str, Any] | None:
        order.extend([name] if name not in order else [])
        return refused(name, 400, "mapper_parsing_exception") if order.index(name) in REFUSED else None

    with Stub([each(judge)] * 9) as stub:
        made = Ship(write_log(tmp_path / "log"), stub)
        assert made() == Counters(read=EVENTS, created=EVENTS - 3, quarantined=3, retried=3)
    return made


@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_quarantine_is_noticed(ship: Ship, change: str) -> None:
    """A-93: what the cluster never took would be gone without a trace, for who is asked by an attacker to forget it."""
    path = ship.state / "quarantine.jsonl"
    cursor = saved(ship.state)
    assert cursor is not None
    assert [record["record"] for record in check(path, cursor.quarantine)] == [0, 1, 2]
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(CHANGES[change](lines)))
    with pytest.raises(Broken, match=r"quarantine\.jsonl: "):
        check(path, cursor.quarantine)
    with Stub() as stub, pytest.raises(StateError, match="it is evidence"):
        Ship(ship.log, stub)()


def test_a_quarantine_that_is_gone_is_noticed(ship: Ship) -> None:
    """Removing the file would be the simplest way of all."""
    (ship.state / "quarantine.jsonl").unlink()
    with Stub() as stub, pytest.raises(StateError, match="not the 3 that the cursor has seen"):
        Ship(ship.log, stub)()


def test_a_torn_record_is_a_crash_and_no_crime(ship: Ship) -> None:
    """A power cut would look like an attack, and stop the shipper until somebody comes."""
    with (ship.state / "quarantine.jsonl").open("ab") as file:
        file.write(b'{"record":3,"prev":"')
    with Stub() as stub:
        assert Ship(ship.log, stub)().quarantined == 3
    assert (ship.state / "quarantine.jsonl").read_bytes().endswith(b"}\n")
