"""Every line and branch of the core, and of what judges keys, is taken by a test that is about it (`make coverage`, `make check`)."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

from tests.branches import KEY, MEASURED, Branches
from tests.support import ROOT

HALF = "def limit(n):\n    if n > 1:\n        n = 1\n    return n\n"


def test_each_branch_of_the_core_is_taken(request: pytest.FixtureRequest) -> None:
    """Code that decides who is let in would be there that no test has ever run."""
    percent, table = request.config.stash[KEY].judged()
    assert percent == 100, f"\n{table}"


def test_what_is_measured_is_all_of_it(request: pytest.FixtureRequest) -> None:
    """A module that no test imports would not count as missing."""
    measured = {Path(name).relative_to(ROOT).as_posix() for name in request.config.stash[KEY].coverage.get_data().measured_files()}
    assert measured == {path.relative_to(ROOT).as_posix() for name in MEASURED for path in (ROOT / name).rglob("*.py")}


@pytest.mark.parametrize(("arguments", "whole"), [((1, 2), True), ((2,), False), ((1,), False)])
def test_a_branch_that_is_not_taken_is_seen(tmp_path: Path, arguments: tuple[int, ...], whole: bool) -> None:
    """The measurement would find nothing, whatever is there."""
    path = tmp_path / "half.py"
    path.write_text(HALF)
    branches = Branches((tmp_path,))
    spec = importlib.util.spec_from_file_location("half", path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    for argument in arguments:
        module.limit(argument)
    percent, table = branches.judged()
    assert (percent == 100) is whole
    assert ("half.py" in table) is not whole


def test_without_the_plugin_nothing_is_judged() -> None:
    """A person who runs a part of the tests would be told that the core is not tested."""
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider"]
    done = subprocess.run([*command, "tests/meta"], cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0
    assert "test_indexes" in done.stdout
    assert "test_branches" not in done.stdout
