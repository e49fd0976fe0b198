"""The registry and what the engines really record: nothing unregistered, and nothing registered that never happens without a reason."""

import tomllib
from pathlib import Path
from typing import Final

import pytest

from audit.vocabulary import vocabulary
from core.reasons import CAUSE_REASON, CLOSE_REASON, STATUS_REASON, Cause, CloseCode, Status
from lab.sim.recorded import EMITTED

HERE: Final = Path(__file__).parent
PLAYED: Final = ("client", "engine", "session")  # whose tests emit; pytest runs these folders before this module
UNEMITTED: Final = {
    (entry["event"], reason): entry["because"]
    for entry in tomllib.loads((HERE / "unemitted.toml").read_text())["unemitted"]
    for reason in entry["reasons"]
}


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


def test_every_cause_status_and_close_code_has_its_reason() -> None:
    """A wire code would be recorded as nothing."""
    assert set(CAUSE_REASON) == set(Cause)
    assert set(STATUS_REASON) == set(Status) - {Status.OK}
    assert set(CLOSE_REASON) == set(CloseCode)
