"""One rule, one event: our executor's reading of conditions."""

from pathlib import Path
from typing import Any

import pytest

from observability.detections.evaluate import matching
from tests.observability.detections.writing import loaded, rule

EVENT: dict[str, Any] = {
    "event_type": "SESSION_MOVED",
    "reason_code": "REKEYED",
    "count": 5,
    "session": {"pseudonym": "ab"},
    "role": "gateway",
}


@pytest.mark.parametrize(
    ("selection", "condition", "true"),
    [
        ("event_type: SESSION_MOVED", "selection", True),
        ("event_type: session_moved", "selection", False),
        ("event_type: SESSION", "selection", False),
        ("event_type: [SESSION_BORN, SESSION_MOVED]", "selection", True),
        ("event_type: [SESSION_BORN, SESSION_ENDED]", "selection", False),
        ("event_type: SESSION_MOVED", "not selection", False),
        ("device: ab", "not selection", True),
        ("device: ab", "selection", False),
        ("session.pseudonym: ab", "selection", True),
        ("session.pseudonym.more: ab", "selection", False),
        ("session: ab", "selection", False),
        ("count: 5", "selection", True),
        ("count: 4", "selection", False),
        ("count: [4, 5]", "selection", True),
        ("count|gte: 5", "selection", True),
        ("count|gte: 6", "selection", False),
        ("count|gt: 5", "selection", False),
        ("count|lte: 5", "selection", True),
        ("count|lt: 5", "selection", False),
        ("seq|lt: 5", "selection", False),
        ("role|lt: 5", "selection", False),
        ("{event_type: SESSION_MOVED, count: 5}", "selection", True),
        ("{event_type: SESSION_MOVED, count: 6}", "selection", False),
    ],
)
def test_a_condition(tmp_path: Path, selection: str, condition: str, true: bool) -> None:
    """A rule would fire beside what it is for."""
    if selection.startswith("{"):
        selection = selection.strip("{}").replace(", ", "\n        ")
    rule(tmp_path, selection=selection, condition=condition)
    assert bool(matching(loaded(tmp_path), EVENT)) is true


@pytest.mark.parametrize(
    ("selection", "types"),
    [
        ("event_type: SESSION_MOVED", {"SESSION_MOVED"}),
        ("event_type: [A, B]", {"A", "B"}),
        ("reason_code: A", None),
        ("event_type: A\n        count: 5", {"A"}),
    ],
)
def test_rules_are_asked_only_where_they_can_be_true(tmp_path: Path, selection: str, types: set[str] | None) -> None:
    """A short cut would leave a rule out."""
    rule(tmp_path, selection=selection)
    assert loaded(tmp_path).rules["a"].types == types
    rule(tmp_path, selection=selection, condition="not selection")
    assert loaded(tmp_path).rules["a"].types is None
