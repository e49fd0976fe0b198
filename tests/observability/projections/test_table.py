"""The table of the projections: complete, and refused when it is not [A-80]."""

import copy
import tomllib
from collections.abc import Callable
from typing import Any

import pytest

from audit.vocabulary import vocabulary
from observability.projections.table import FILE, TableWrong, parse, table

Change = Callable[[dict[str, Any]], object]


def test_every_reason_of_every_event_is_told() -> None:
    """An event would have no place in the SIEM, and whoever exports the log would see a KeyError."""
    assert set(table().told) == {(name, reason) for name, kind in vocabulary().kinds.items() for reason in kind.reasons}
    assert {reason for _, reason in table().told} <= set(table().meanings)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda file: file["event"].pop("SESSION_BORN"), "event: missing: SESSION_BORN"),
        (lambda file: file["event"].update(SESSION_BORED={}), "unknown: SESSION_BORED"),
        (lambda file: file["severity"].pop("6"), "severity: missing: 6"),
        (lambda file: file["outcome"].pop("unknown"), "outcome: missing: unknown"),
        (lambda file: file["event"]["SESSION_BORN"]["ocsf"].update(activity=7), "activity 7 of class 4014 has no caption"),
        (lambda file: file["event"]["SESSION_BORN"]["ocsf"].update({"class": 4002}), "class 4002 is not in ocsf.class"),
        (lambda file: file["event"]["SESSION_REFUSED"].update(denied=4), "disposition 4 has no caption"),
        (lambda file: file["event"]["SESSION_MOVED"].update(duration="long_us"), "long_us is no measure"),
        (lambda file: file["event"]["KEY_CHANGED"]["reasons"].update(COOLDOWN={}), "COOLDOWN is no reason of it"),
    ],
)
def test_a_table_with_a_hole_is_refused(change: Change, said: str) -> None:
    """A new event type would be left out of every SIEM, and nobody would be told."""
    file = copy.deepcopy(tomllib.loads(FILE.read_text()))
    change(file)
    with pytest.raises(TableWrong, match=said):
        parse(file, {})
