"""The account of what was skipped: run on a small tree of its own, with the real conftest and support."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from lab import opensearch_fetch
from tests import support
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


def run_sample(
    tmp_path: Path, sample: str = SAMPLE, *, complete: bool = False, before: tuple[str, ...] = ()
) -> subprocess.CompletedProcess[str]:
    """Run a sample with pytest in a process of its own, with or without JVP_REQUIRE_SERVICES=1, by the words `before`."""
    (tmp_path / "tests").mkdir()
    for name in ("pyproject.toml", "tests/conftest.py", "tests/support.py"):
        shutil.copy(ROOT / name, tmp_path / name)
    (tmp_path / "tests" / "test_sample.py").write_text(sample)
    environment = {**os.environ, "JVP_REQUIRE_SERVICES": "1" if complete else "0"}
    command = [*before, sys.executable, "-m", "pytest", "-p", "no:cacheprovider"]
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


ENDS = """
import signal, subprocess, sys

def test_interrupted():
    child = subprocess.Popen([sys.executable, "-c", "import time; print(flush=True); time.sleep(60)"], stdout=subprocess.PIPE)
    with child:
        child.stdout.readline()
        child.send_signal(signal.SIGINT)
        try:
            assert child.wait(20)
        finally:
            child.kill()
"""


def test_a_background_run_gives_the_same_verdict(tmp_path: Path) -> None:
    """`make test &` in a script would call what ends at Ctrl-C a thing that never ends: such a job ignores SIGINT, and its children too."""
    done = run_sample(tmp_path, ENDS, before=("sh", "-c", 'trap "" INT; exec "$@"', "sh"))
    assert done.returncode == 0, done.stdout


LOGS = """
import os
import structlog
from observability import oplog

LOG = structlog.get_logger()

def test_a_command_logs_to_what_is_standard_error_to_it(capfd):
    oplog.configure(console=False)
    LOG.error("one")

def test_what_remembers_it_does_not_write_elsewhere(tmp_path):
    files = [os.open(tmp_path / str(number), os.O_CREAT | os.O_WRONLY) for number in range(40)]
    LOG.error("two")
    sizes = [os.fstat(file).st_size for file in files]
    for file in files:
        os.close(file)
    assert not any(sizes)
"""


def test_no_line_of_a_log_reaches_a_file_of_a_later_test(tmp_path: Path) -> None:
    """A store would get a line into its database and hang, and a node into the pipe of what ends it: both were seen."""
    done = run_sample(tmp_path, LOGS)
    assert done.returncode == 0, done.stdout


@requires("netns")
def test_namespaces_need_no_program(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A machine without `ip` and `unshare` would skip what the laboratory does there without them."""
    monkeypatch.setenv("PATH", str(tmp_path))
    assert support.PROBES["netns"]() is None
    had = {name: support.lacking(name) for name in ("tun", "nft")}
    assert {name: support.PROBES[name]() for name in had} == had


def test_a_node_is_looked_for_where_it_is_fetched_to(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Tests would begin that cannot have their node, or be skipped although it is there."""
    monkeypatch.setattr(support, "_userns", lambda: None)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("JVP_CACHE", str(tmp_path))
    assert "fetched with Maven, and there is no mvn on PATH" in (support.PROBES["opensearch"]() or "")
    (tmp_path / "opensearch" / f"opensearch-{opensearch_fetch.VERSION}").mkdir(parents=True)
    assert support.PROBES["opensearch"]() is None


def test_each_need_is_needed() -> None:
    """The list would name what no test asks for, and a reader would install it."""
    calls = re.findall(r"(?:requires|need)\(([^)]*)\)", "\n".join(path.read_text(encoding="utf-8") for path in ROOT.glob("tests/**/*.py")))
    asked = {name for call in calls for name in re.findall(r'"([a-z]+)"', call)}
    assert support.PROBES.keys() <= asked


def test_a_need_that_nobody_knows_is_an_error() -> None:
    """A misspelt need would be met by every machine, and the test would break instead of being skipped."""
    with pytest.raises(ValueError, match="opensaerch"):
        _ = requires("opensaerch")
