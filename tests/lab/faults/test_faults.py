"""Seeded faults: the list is about this tree, one of each area is caught here, and the tool tells what is caught from what is not."""

import ast
import json
from collections.abc import Iterator
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from lab.evidence import circumstances
from lab.faults.__main__ import collected, main, merged, page, table, totals
from lab.faults.trial import AREAS, Bench, Change, Ended, Fault, Result, Verdict, copied, harmed, judged_by, seeded, stale
from tests.support import ROOT

FAULTS, COMMANDS = seeded()
WINDOW = "core/crypto/replay.py"
LIMIT = "tests/core/crypto/test_replay.py::test_the_limit"


def made(old: str, new: str, check: str = LIMIT, file: str = WINDOW, raised: tuple[str, ...] = ()) -> Fault:
    """Return a fault of these tests."""
    return Fault(f"{old} {new}", "window", "None.", check, (Change(file, old, new),), frozenset(raised), quick=False)


@pytest.fixture(scope="module")
def tree() -> Iterator[Path]:
    """Copy the tree once."""
    with copied() as there:
        yield there


@pytest.fixture(scope="module")
def bench(tree: Path) -> Bench:
    """Judge in that copy."""
    return Bench(tree, COMMANDS)


@pytest.fixture(scope="module")
def green(bench: Bench) -> Ended:
    """Run one check on the sources as they are."""
    return bench.green([LIMIT])[LIMIT]


def test_the_list_is_long_and_wide() -> None:
    """A part of the core would have no fault that anything has to find."""
    assert len(FAULTS) >= 45
    assert {fault.area for fault in FAULTS} == {fault.area for fault in FAULTS if fault.quick} == set(AREAS)
    assert len({fault.name for fault in FAULTS}) == len(FAULTS)
    assert len({fault.changes for fault in FAULTS}) == len(FAULTS)
    assert set(COMMANDS) == {fault.check for fault in FAULTS if "::" not in fault.check}
    assert all(fault.harm.endswith(".") and fault.changes for fault in FAULTS)


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_nothing_in_the_list_is_stale(fault: Fault) -> None:
    """The sources moved on, and a fault that nobody can put in any more is still listed: change its text in seeded.toml."""
    assert not stale(fault, ROOT)


@pytest.mark.parametrize("check", sorted({fault.check for fault in FAULTS if "::" in fault.check}))
def test_every_check_is_there(check: str) -> None:
    """A fault would name a test that was renamed."""
    file, _, rest = check.partition("::")
    names = {node.name for node in ast.walk(ast.parse((ROOT / file).read_text(encoding="utf-8"))) if isinstance(node, ast.FunctionDef)}
    assert rest.partition("[")[0] in names


@pytest.mark.timeout(300)
def test_one_of_each_area_is_caught(capsys: pytest.CaptureFixture[str]) -> None:
    """A check of the core has become blind, and all others are green."""
    status = main(["--quick"])
    said = capsys.readouterr().out
    assert status == 0, said
    assert f"{len([fault for fault in FAULTS if fault.quick])} caught" in said


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    ("fault", "verdict"),
    [
        (made("if counter >= COUNTER_LIMIT:", "if counter > COUNTER_LIMIT:"), Verdict.CAUGHT),
        (made("if counter >= COUNTER_LIMIT:", "if not counter < COUNTER_LIMIT:"), Verdict.MISSED),
        (made("if counter >= THE_LIMIT:", "if counter > COUNTER_LIMIT:"), Verdict.STALE),
        (made("top, bitmap", "bitmap, top"), Verdict.STALE),
        (made("age = top - counter", "age = top - counter"), Verdict.STALE),
        (made("from enum import Enum", "from enum import Enum, Other"), Verdict.CRASHED),
        (made("if counter >= COUNTER_LIMIT:", "if counter >= UNDEFINED:"), Verdict.CRASHED),
        (made("if counter >= COUNTER_LIMIT:", "if counter >= UNDEFINED:", raised=("NameError",)), Verdict.CAUGHT),
    ],
    ids=["fault", "harmless", "not there", "there twice", "no change", "not imported", "another failure", "a failure that is named"],
)
def test_what_is_said_of_a_fault(bench: Bench, green: Ended, fault: Fault, verdict: Verdict) -> None:
    """What nothing notices would count as caught, or so would every typing error."""
    assert bench.judged(fault, green).verdict is verdict


@pytest.mark.timeout(300)
@pytest.mark.parametrize("check", [LIMIT + "_that_is_not_there", "tests/core/test_none.py::test_none"])
def test_a_check_that_does_not_run_catches_nothing(bench: Bench, check: str) -> None:
    """A check that is not there fails always, and would catch everything."""
    fault = made("if counter >= COUNTER_LIMIT:", "if counter > COUNTER_LIMIT:", check)
    assert bench.judged(fault, bench.green([check])[check]).verdict is Verdict.NOT_GREEN


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    ("new", "verdict"),
    [
        ("import random\nimport struct\n", Verdict.CAUGHT),
        ("import struct as struct\n", Verdict.MISSED),
        ("import struct)\n", Verdict.CRASHED),
    ],
    ids=["fault", "harmless", "no Python"],
)
def test_what_is_said_of_a_command(bench: Bench, new: str, verdict: Verdict) -> None:
    """The same for a check that is no test."""
    fault = made("import struct\n", new, "imports", "core/session/desk.py")
    assert bench.judged(fault, bench.green(["imports"])["imports"]).verdict is verdict


def test_a_check_without_an_end_catches_nothing(bench: Bench, green: Ended, monkeypatch: pytest.MonkeyPatch) -> None:
    """A fault that makes a test run for ever would hold up all others."""
    monkeypatch.setattr("lab.faults.trial.LIMIT_S", 0.1)
    fault = made("if counter >= COUNTER_LIMIT:", "if counter > COUNTER_LIMIT:")
    assert bench.judged(fault, green).verdict is Verdict.UNFINISHED


@pytest.mark.parametrize(
    ("phases", "passed", "raised"),
    [
        ([("setup", "passed", []), ("call", "passed", []), ("teardown", "passed", [])], True, None),
        ([("setup", "passed", []), ("call", "failed", ["AssertionError"])], False, ["AssertionError"]),
        ([("setup", "passed", []), ("call", "passed", []), ("teardown", "failed", ["AssertionError"])], False, ["AssertionError"]),
        ([("setup", "failed", ["AssertionError"])], False, None),
        ([("setup", "skipped", [])], False, None),
        ([("setup", "passed", []), ("call", "skipped", [])], False, None),
        ([], False, None),
    ],
)
def test_how_a_test_ended(phases: list[tuple[str, str, list[str]]], passed: bool, raised: list[str] | None) -> None:
    """A test that was skipped would count as green, or one whose fixtures broke as one that asserted."""
    lines = [{"test": LIMIT, "phase": phase, "outcome": outcome, "raised": kinds} for phase, outcome, kinds in phases]
    ended = judged_by(lines, 0 if passed else 1, "said")
    assert (ended.passed, ended.raised) == (passed, raised and frozenset(raised))


def test_what_was_harmed_is_whole_again(tree: Path) -> None:
    """One fault would be left when the next is judged, or a compiled module of it."""
    path = tree / WINDOW
    before = path.read_bytes()
    compiled = path.parent / "__pycache__" / "replay.cpython-000.pyc"
    compiled.parent.mkdir(exist_ok=True)

    def fail() -> None:
        with harmed(made("age = top - counter", "age = top + counter"), tree):
            assert b"age = top + counter" in path.read_bytes()
            compiled.write_bytes(b"old")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert path.read_bytes() == before
    assert not compiled.exists()


def test_the_tree_that_is_worked_in_stays_as_it_is(tree: Path) -> None:
    """A fault would be put into the sources themselves."""
    assert not tree.is_relative_to(ROOT)
    assert (tree / WINDOW).read_bytes() == (ROOT / WINDOW).read_bytes()
    assert not (tree / ".git").exists()


def test_what_is_shown() -> None:
    """Who reads the table would take a fault that was missed for one that was caught."""
    results = [Result(FAULTS[0], Verdict.CAUGHT, 1.25), Result(FAULTS[-1], Verdict.MISSED, 2.0, "[seen]")]
    document = collected(results, circumstances())
    assert (document["caught"], [row["verdict"] for row in document["rows"]]) == (1, ["caught", "missed"])
    lines = page(document)
    assert any("**1 of 2 faults are caught**" in line for line in lines)
    assert sum(line.startswith(f"| {FAULTS[-1].name} | {FAULTS[-1].harm} | `{FAULTS[-1].check}` | missed | 2.0 | ") for line in lines) == 1
    screen = Console(width=200, record=True, file=StringIO())
    screen.print(table([*results, Result(made("a", "b", "test.py::test_it[one]"), Verdict.CAUGHT, 0)]))
    said = screen.export_text()
    assert "missed: [seen]" in said
    assert "test.py::test_it[one]" in said
    assert totals(results) == ["2 faults: 1 caught, 1 missed"]


def test_what_was_not_run_keeps_its_last_result(tmp_path: Path) -> None:
    """A short run would wipe out what a long one saw, or pass a result on to a fault that is another by now."""
    kept, made_at = tmp_path / "faults.json", circumstances()
    first = [Result(each, Verdict.CAUGHT, 1) for each in FAULTS[:3]]
    document = merged(collected(first, made_at | {"commit": "a" * 40}), kept, FAULTS)
    kept.write_text(json.dumps(document), encoding="utf-8")
    changed = [FAULTS[0], FAULTS[1], FAULTS[2]._replace(check=LIMIT), FAULTS[3]]
    document = merged(collected([Result(FAULTS[1], Verdict.MISSED, 1)], made_at | {"commit": "b" * 40}), kept, changed)
    assert [(row["fault"], row["verdict"], row["commit"][0]) for row in document["rows"]] == [
        (FAULTS[0].name, "caught", "a"),
        (FAULTS[1].name, "missed", "b"),
    ]
    assert document["caught"] == 1


def test_a_name_that_no_fault_has(capsys: pytest.CaptureFixture[str]) -> None:
    """A run of nothing would end well."""
    with pytest.raises(SystemExit) as ended:
        main(["--only", "no such fault"])
    assert ended.value.code == 2
    assert "no fault has such a name" in capsys.readouterr().err


def test_a_list_with_an_unknown_check_is_refused(tmp_path: Path) -> None:
    """A typing error in the list would be shown as a fault that was missed, minutes later."""
    (tmp_path / "one.toml").write_text(
        '[[fault]]\nname = "a"\narea = "window"\nharm = "b."\ncheck = "nothing"\nchange = []\n', encoding="utf-8"
    )
    with pytest.raises(ValueError, match="no check nothing"):
        seeded(tmp_path / "one.toml")
