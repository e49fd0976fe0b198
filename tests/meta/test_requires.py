"""The account of what was skipped: run on a small tree of its own, with the real conftest and support."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import ROOT, requires

SAMPLE = """
import pytest
from tests import support

support.PROBES["anvil"] = lambda: "nobody forged one"

@support.requires("anvil")
def test_marked(request):
    raise AssertionError("must not run")

def test_needed_later():
    support.need("anvil")
    raise AssertionError("must not run")

def test_skips_itself():
    pytest.skip("because I say so")

@pytest.mark.xfail(reason="known")
def test_known():
    raise AssertionError
"""


def run_sample(tmp_path: Path, *, complete: bool) -> subprocess.CompletedProcess[str]:
    """Run the sample with pytest in a process of its own, with or without JVP_REQUIRE_SERVICES=1."""
    (tmp_path / "tests").mkdir()
    for name in ("pyproject.toml", "tests/conftest.py", "tests/support.py"):
        shutil.copy(ROOT / name, tmp_path / name)
    (tmp_path / "tests" / "test_sample.py").write_text(SAMPLE)
    environment = {**os.environ, "JVP_REQUIRE_SERVICES": "1" if complete else "0"}
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider"]
    return subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False, timeout=100)


def test_what_is_missing_is_skipped_and_said(tmp_path: Path) -> None:
    """A reader of a green run could not tell how much of it did not run."""
    done = run_sample(tmp_path, complete=False)
    assert done.returncode == 0, done.stdout
    closing = done.stdout.splitlines()[-4:]
    assert "3 skipped: what was missing" in closing[0], done.stdout
    assert closing[1].split(maxsplit=1) == ["2", "anvil: nobody forged one"]
    assert closing[2].split(maxsplit=1) == ["1", "because I say so"]
    assert "3 skipped, 1 xfailed" in closing[3]


def test_a_complete_run_cannot_be_quietly_smaller(tmp_path: Path) -> None:
    """The run that gates a merge would pass although a service was absent and its tests never ran."""
    done = run_sample(tmp_path, complete=True)
    assert done.returncode == 1, done.stdout
    assert "2 failed, 1 xfailed, 1 error" in done.stdout.splitlines()[-1]
    assert "anvil: nobody forged one (JVP_REQUIRE_SERVICES=1 forbids to skip)" in done.stdout


def test_a_need_that_nobody_knows_is_an_error() -> None:
    """A misspelt need would be met by every machine, and the test would break instead of being skipped."""
    with pytest.raises(ValueError, match="opensaerch"):
        _ = requires("opensaerch")
