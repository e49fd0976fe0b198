"""A copy of the sources, in which one fault at a time stands while the check runs that claims to catch it."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from enum import Enum
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final, NamedTuple

from lab.evidence import ROOT

SEEDED: Final = Path(__file__).with_name("seeded.toml")
LIMIT_S: Final = 240.0  # for one check; one that is not done by then has caught nothing
AREAS: Final = (
    "window", "chain", "candidate", "machine", "handshake", "parser", "comparison", "key documents", "randomness", "store row", "secrets",
    "privacy",
)  # fmt: skip
ASSERTED: Final = frozenset({AssertionError.__name__})


class Verdict(Enum):
    """What became of a fault; only CAUGHT is good."""

    CAUGHT = "caught"
    MISSED = "missed"
    STALE = "stale"
    CRASHED = "crashed"
    UNFINISHED = "unfinished"
    NOT_GREEN = "check fails without the fault"


class Change(NamedTuple):
    """A text of a file, and what stands there instead."""

    file: str
    old: str
    new: str


class Command(NamedTuple):
    """A check that is no test: arguments for Python, the exit status of a failure, and what it then says; {file} is the harmed file."""

    run: tuple[str, ...]
    status: int
    says: str


class Fault(NamedTuple):
    """One mistake. `raised` names exceptions that the check fails by besides an assertion; `quick` ones run in the tests."""

    name: str
    area: str
    harm: str
    check: str
    changes: tuple[Change, ...]
    raised: frozenset[str]
    quick: bool

    def plain(self) -> list[dict[str, str]]:
        """Return its changes in plain types, for JSON."""
        return [each._asdict() for each in self.changes]


class Result(NamedTuple):
    """What became of one fault, in how many seconds, and what was seen where it was not caught."""

    fault: Fault
    verdict: Verdict
    seconds: float
    seen: str = ""

    def plain(self) -> dict[str, Any]:
        """Return it in plain types, for JSON."""
        fault = self.fault
        told = {"fault": fault.name, "area": fault.area, "harm": fault.harm, "check": fault.check}
        return told | {"changes": fault.plain(), "verdict": self.verdict.value, "seconds": round(self.seconds, 1), "seen": self.seen}


class Ended(NamedTuple):
    """How one check ended: passed, or failed by these kinds of exceptions; `raised` is None when it ended in no way that says anything."""

    passed: bool
    raised: frozenset[str] | None
    said: str


def seeded(path: Path = SEEDED) -> tuple[list[Fault], dict[str, Command]]:
    """Return the faults of a file and its commands; ValueError for a fault whose area or check there is not."""
    read = tomllib.loads(path.read_text(encoding="utf-8"))
    commands = {name: Command(tuple(each["run"]), each["status"], each["says"]) for name, each in read.get("command", {}).items()}
    faults = [
        Fault(each["name"], each["area"], each["harm"], each["check"], tuple(Change(**change) for change in each["change"]),
              frozenset(each.get("raised", ())), each.get("quick", False))
        for each in read["fault"]
    ]  # fmt: skip
    for fault in faults:
        if fault.area not in AREAS or ("::" not in fault.check and fault.check not in commands):
            raise ValueError(f"{fault.name}: no area {fault.area}, or no check {fault.check}")
    return faults, commands


def stale(fault: Fault, root: Path) -> str:
    """Return which text of a fault does not stand exactly once in its file; nothing when all do."""
    for change in fault.changes:
        path = root / change.file
        times = path.read_text(encoding="utf-8").count(change.old) if path.is_file() else 0
        if times != 1 or change.new == change.old:
            return f"{change.file}: {times} times: {change.old.strip().splitlines()[0]}"
    return ""


@contextmanager
def copied(root: Path = ROOT) -> Iterator[Path]:
    """Give a copy of the files that are tracked, or could be, as they are now."""
    listed = subprocess.run(["git", "ls-files", "-coz", "--exclude-standard"], cwd=root, capture_output=True, check=True, timeout=60).stdout
    with TemporaryDirectory(prefix="faults-") as folder:
        there = Path(folder).resolve() / "tree"
        for name in filter(None, listed.decode().split("\0")):
            if (root / name).is_file():
                (there / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(root / name, there / name)
        yield there


@contextmanager
def harmed(fault: Fault, tree: Path) -> Iterator[None]:
    """Put a fault into a copy, and take it out again; no compiled module of either stays, whose time and size could be the other's."""
    before = {change.file: (tree / change.file).read_bytes() for change in fault.changes}
    try:
        for change in fault.changes:
            path = tree / change.file
            path.write_text(path.read_text(encoding="utf-8").replace(change.old, change.new), encoding="utf-8")
        _forget_compiled(tree, before)
        yield
    finally:
        for name, raw in before.items():
            (tree / name).write_bytes(raw)
        _forget_compiled(tree, before)


def _forget_compiled(tree: Path, names: Iterable[str]) -> None:
    for name in names:
        path = tree / name
        for compiled in (path.parent / "__pycache__").glob(f"{path.stem}.*"):
            compiled.unlink()


class Bench:
    """Runs checks in one copy."""

    def __init__(self, tree: Path, commands: Mapping[str, Command]) -> None:
        self._tree, self._commands = tree, commands

    def green(self, checks: Iterable[str]) -> dict[str, Ended]:
        """Run checks on the sources as they are, all tests in one process."""
        wanted = sorted(set(checks))
        tests = [each for each in wanted if each not in self._commands]
        ended = self._tested(tests) if tests else {}
        return ended | {name: self._commanded(self._commands[name], "") for name in wanted if name in self._commands}

    def judged(self, fault: Fault, green: Ended) -> Result:
        """Put one fault in and run its check."""
        began = time.monotonic()
        if gone := stale(fault, self._tree):
            return Result(fault, Verdict.STALE, 0.0, gone)
        if not green.passed:
            return Result(fault, Verdict.NOT_GREEN, 0.0, green.said)
        with harmed(fault, self._tree):
            command = self._commands.get(fault.check)
            ended = self._commanded(command, fault.changes[0].file) if command else self._tested([fault.check])[fault.check]
        seconds = time.monotonic() - began
        if ended.passed:
            return Result(fault, Verdict.MISSED, seconds)
        if ended.raised is None:
            return Result(fault, Verdict.UNFINISHED if ended.said == UNFINISHED else Verdict.CRASHED, seconds, ended.said)
        if ended.raised & (ASSERTED | fault.raised):
            return Result(fault, Verdict.CAUGHT, seconds)
        return Result(fault, Verdict.CRASHED, seconds, f"raised {', '.join(sorted(ended.raised))}")

    def _tested(self, tests: Sequence[str]) -> dict[str, Ended]:
        """Run tests in one process; return how each ended."""
        out = self._tree.with_name("told")
        out.write_text("", encoding="utf-8")
        status, said = self._run(["-m", "lab.faults.inside", str(out), *tests])
        lines = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
        return {test: judged_by([each for each in lines if _is_of(each["test"], test)], status, said) for test in tests}

    def _commanded(self, command: Command, file: str) -> Ended:
        status, said = self._run(command.run)
        failed = status == command.status and command.says.format(file=file) in said and "Traceback (most recent call last)" not in said
        return Ended(status == 0, ASSERTED if failed else None, said)

    def _run(self, words: Sequence[str]) -> tuple[int, str]:
        """Run Python in the copy, which comes first on the path; return exit status and output, or -1 and UNFINISHED after LIMIT_S."""
        program = str(Path(sys.executable).with_name(words[0])) if words[0] in SCRIPTS else sys.executable
        command = [program, *(words[1:] if words[0] in SCRIPTS else words)]
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "COVERAGE_", "COV_"))}
        environment |= {"PYTHONPATH": str(self._tree), "JVP_NO_INSTALL": "1", "COLUMNS": "200", "NO_COLOR": "1"}
        with subprocess.Popen(command, cwd=self._tree, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, start_new_session=True) as process:  # fmt: skip
            try:
                said, _ = process.communicate(timeout=LIMIT_S)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                return -1, UNFINISHED
            return process.returncode, said


UNFINISHED: Final = "not finished in time"
SCRIPTS: Final = frozenset({"lint-imports", "ruff"})  # have no module to run, or start faster without


def _is_of(test: str, check: str) -> bool:
    return test == check or test.startswith((f"{check}[", f"{check}::"))


def judged_by(lines: Sequence[Mapping[str, Any]], status: int, said: str) -> Ended:
    """Judge one test by its lines: green means that it ran, and every phase passed; red that its call failed and nothing before it did."""
    if status not in {0, 1} or not any(each["phase"] == "call" and each["outcome"] != "skipped" for each in lines):
        return Ended(passed=False, raised=None, said=said if status == -1 else _last(said))
    failed = [each for each in lines if each["outcome"] == "failed"]
    if not failed:
        return Ended(passed=True, raised=None, said="")
    if any(each["phase"] == "setup" for each in failed):
        return Ended(passed=False, raised=None, said="its fixtures failed")
    return Ended(passed=False, raised=frozenset(kind for each in failed for kind in each["raised"]), said=_last(said))


def _last(said: str) -> str:
    return " / ".join(line for line in said.splitlines()[-3:] if line)
