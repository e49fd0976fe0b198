"""Every world of an abuse case has to be sound when the case is over, and the detections have to say of it what the threat model says."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from tests.abuse.detected import Watch, expected
from tests.core.checks import sound_worlds
from tests.opensearch_fixture import opensearch_node, pytest_runtest_setup
from tests.opensearch_secured import secured_node

__all__ = ["opensearch_node", "pytest_runtest_setup", "secured_node", "sound_worlds"]

FIRED: defaultdict[str, set[str]] = defaultdict(set)
PASSED: defaultdict[str, int] = defaultdict(int)
LEFT_OUT: set[str] = set()


def pytest_deselected(items: Sequence[pytest.Item]) -> None:
    """Remember of which modules only a part is run."""
    LEFT_OUT.update(item.path.name for item in items)


@pytest.fixture(autouse=True)
def detected(request: pytest.FixtureRequest, sound_worlds: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Fail when a detection fires that the threat model does not name for this case."""
    folder: Path | None = request.getfixturevalue("tmp_path") if "tmp_path" in request.fixturenames else None
    watch = Watch(request.module, monkeypatch)
    yield
    fired, name = watch.fired(folder), request.path.name
    FIRED[name] |= fired
    PASSED[name] += 1
    assert fired <= expected()[name], f"not in the threat model: {sorted(fired - expected()[name])}"


@pytest.fixture(scope="module", autouse=True)
def all_detected(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fail when, after the last test of a case, a detection has not fired that the threat model names for it."""
    name = request.path.name
    FIRED.pop(name, None)
    PASSED.pop(name, None)
    yield
    whole = name not in LEFT_OUT and not any("::" in argument for argument in request.config.args)
    if whole and PASSED[name] == sum(item.path == request.path for item in request.session.items):
        assert FIRED[name] == expected()[name], f"never fired: {sorted(expected()[name] - FIRED[name])}"
