"""Which interpreter makes the environment: names on PATH are not enough, each candidate must run and have what is needed."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.support import ROOT

CANDIDATES = ("python3", "python3.13", "python3.12", "python3.11")
REFUSES = "#!/bin/sh\nexit 127\n"
WORKS = f'#!/bin/sh\nexec "{sys.executable}" "$@"\n'
TOO_OLD = '#!/bin/sh\necho "SyntaxError" >&2\nexit 1\n'


def chosen(folder: Path, programs: dict[str, str], **environment: str) -> subprocess.CompletedProcess[str]:
    """Ask for the interpreter on a PATH where these programs come first."""
    for name, text in programs.items():
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)
    variables = {"PATH": f"{folder}:{os.environ['PATH']}", **environment}
    command = [str(ROOT / "tools" / "bootstrap"), "--interpreter"]
    return subprocess.run(command, env=variables, capture_output=True, text=True, check=False, timeout=60)


@pytest.mark.parametrize("unusable", [REFUSES, TOO_OLD])
def test_a_name_that_does_not_run_is_passed_over(tmp_path: Path, unusable: str) -> None:
    """A version manager's shim that refuses, or an old python3, would end the first command of the README."""
    done = chosen(tmp_path, {"python3": unusable, "python3.13": unusable, "python3.12": WORKS, "python3.11": WORKS})
    assert done.stdout.strip() == str(tmp_path / "python3.12"), done.stderr


def test_python3_comes_first(tmp_path: Path) -> None:
    """Another interpreter would be taken than the one that the user calls python3."""
    assert chosen(tmp_path, dict.fromkeys(CANDIDATES, WORKS)).stdout.strip() == str(tmp_path / "python3")


def test_the_caller_decides(tmp_path: Path) -> None:
    """`make PYTHON=...` would be ignored."""
    programs = {**dict.fromkeys(CANDIDATES, WORKS), "mine": WORKS}
    assert chosen(tmp_path, programs, PYTHON=str(tmp_path / "mine")).stdout.strip() == str(tmp_path / "mine")

    refused = chosen(tmp_path, {"mine": REFUSES}, PYTHON=str(tmp_path / "mine"))
    assert refused.returncode == 1
    assert str(tmp_path / "mine") in refused.stderr


def test_without_any_the_message_says_what_to_do(tmp_path: Path) -> None:
    """The user would see a traceback of an installer instead of what is missing."""
    done = chosen(tmp_path, dict.fromkeys(CANDIDATES, REFUSES))
    assert done.returncode == 1
    assert not done.stdout
    assert "3.11 or later" in done.stderr
    assert "python3-venv" in done.stderr


def test_what_was_stopped_half_way_is_finished_by_the_next_command(tmp_path: Path) -> None:
    """Who presses Ctrl-C in the first minute would read a traceback, and every later command would fail for want of pip."""
    (tmp_path / "tools").mkdir()
    (tmp_path / "requirements").mkdir()
    shutil.copy(ROOT / "tools" / "bootstrap", tmp_path / "tools")
    (tmp_path / "requirements" / "dev.txt").touch()
    (tmp_path / "pyproject.toml").touch()  # nothing to install: that step fails, and is not what is looked at
    command, environment = [str(tmp_path / "tools" / "bootstrap")], {**os.environ, "PYTHON": sys.executable}
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True, process_group=0) as first:
        end = time.monotonic() + 60
        while not (tmp_path / ".venv" / "bin" / "python").exists():
            assert time.monotonic() < end
            time.sleep(0.01)
        os.killpg(first.pid, signal.SIGINT)
        _, said = first.communicate(timeout=60)
    assert said.splitlines()[1:] == ["interrupted; stopped: setting up .venv; the next command goes on with it"]
    assert first.returncode == 130
    assert not (tmp_path / ".venv" / "stamp").exists()
    subprocess.run(command, env=environment, capture_output=True, check=False, timeout=100)
    assert subprocess.run([str(tmp_path / ".venv" / "bin" / "python"), "-c", "import pip"], check=False, timeout=60).returncode == 0
