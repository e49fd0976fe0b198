"""The registry and what the engines really record: nothing unregistered, and nothing registered that never happens without a reason."""

import ast
import re
import tomllib
from pathlib import Path
from typing import Any, Final

import pytest

from audit.vocabulary import vocabulary
from core.client.table import ROWS as CLIENT_ROWS
from core.keys.table import ROWS as KEY_ROWS
from core.reasons import CAUSE_REASON, CLOSE_REASON, STATUS_REASON, Cause, CloseCode, Event, Reason, Status
from core.session.table import ROWS as SESSION_ROWS
from lab.sim.recorded import EMITTED
from tests.support import ROOT

HERE: Final = Path(__file__).parent
PLAYED: Final = ("client", "engine", "session")  # whose tests emit; pytest runs these folders before this module
LISTED: Final = tomllib.loads((HERE / "unemitted.toml").read_text())["unemitted"]
UNEMITTED: Final = {(entry["event"], reason): entry["because"] for entry in LISTED for reason in entry["reasons"]}
SOURCES: Final = ("core", "audit", "jvpn")
TAKEN_BACK: Final = {"ATTEMPTS_EXHAUSTED"}  # a reason of no event, whose code is not given to anything else


def registered() -> set[tuple[str, str]]:
    """Return all pairs of event and reason that the registry knows."""
    return {(kind.name, reason) for kind in vocabulary().kinds.values() for reason in kind.reasons}


def emitted() -> set[tuple[str, str]]:
    """Return all pairs that engines have recorded in this run."""
    return {(event.name, reason.name) for event, reason in EMITTED}


def whole(request: pytest.FixtureRequest) -> bool:
    """Tell whether this run has all tests that emit: nothing chosen by name, mark or place."""
    modules = {path for folder in PLAYED for path in (HERE / folder).glob("test_*.py")}
    config = request.config
    chosen = config.getoption("keyword") or config.getoption("markexpr") or any("::" in each for each in config.args)
    return modules <= {item.path for item in request.session.items} and not chosen


def test_nothing_is_recorded_that_the_registry_does_not_know() -> None:
    """A record would be refused by the writer when it is needed. (Each fact was also validated when it was emitted.)"""
    assert emitted() <= registered()


def test_what_is_said_not_to_happen_does_not_happen() -> None:
    """The list of what is never emitted would be wrong, or name what does not exist."""
    assert UNEMITTED.keys() <= registered()
    assert not UNEMITTED.keys() & emitted()
    assert all(len(because) > 20 for because in UNEMITTED.values())


def test_what_is_registered_happens_or_is_explained(request: pytest.FixtureRequest) -> None:
    """The registry would promise evidence that no engine ever gives. A partial run checks that part alone which it can."""
    missing = sorted(registered() - emitted())
    if whole(request):
        print(*(f"not emitted: {event} {reason}: {UNEMITTED.get((event, reason), '?')}" for event, reason in missing), sep="\n")  # noqa: T201 - the report
        assert missing == sorted(UNEMITTED)
    else:
        assert set(missing) >= UNEMITTED.keys()


@pytest.mark.parametrize("entry", [entry for entry in LISTED if "tests" in entry], ids=lambda entry: entry["event"])
def test_what_an_engine_does_not_emit_is_emitted_elsewhere(entry: dict[str, Any]) -> None:
    """Evidence that the list calls tested would be tested nowhere."""
    texts = [(ROOT / name).read_text() for name in entry["tests"]]
    for reason in entry["reasons"]:
        assert any(re.search(rf"\b{reason}\b", text) for text in texts), reason
    assert all(any(re.search(rf"\b{reason}\b", text) for reason in entry["reasons"]) for text in texts)


def test_every_code_is_one_that_the_program_uses_and_none_is_made_up() -> None:
    """The registry would promise what no line of the program can record, or a line would name what the registry does not know."""
    used: dict[str, set[str]] = {"Event": set(), "Reason": set()}
    for path in (path for folder in SOURCES for path in (ROOT / folder).rglob("*.py") if path.name != "reasons.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in used:
                used[node.value.id].add(node.attr)
    assert used["Event"] == {event.name for event in Event}
    by_map = {reason.name for of in (CAUSE_REASON, STATUS_REASON, CLOSE_REASON) for reason in of.values()}
    by_table = {row.reason.name for rows in (SESSION_ROWS, CLIENT_ROWS, KEY_ROWS) for row in rows if row.reason is not None}
    assert {reason.name for reason in Reason} - used["Reason"] - by_map - by_table == TAKEN_BACK
    assert used["Reason"] <= {reason.name for reason in Reason}


def test_every_cause_status_and_close_code_has_its_reason() -> None:
    """A wire code would be recorded as nothing."""
    assert set(CAUSE_REASON) == set(Cause)
    assert set(STATUS_REASON) == set(Status) - {Status.OK}
    assert set(CLOSE_REASON) == set(CloseCode)
