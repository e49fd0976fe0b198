"""The timing of functions on secrets: the gate, and that it sees what it has to see."""

from pathlib import Path

import numpy as np
import pytest

from lab.timing import judge as judging
from lab.timing import subjects
from lab.timing.harness import ALARM, Run, Subject, welch
from lab.timing.judge import Row, Verdict, judge
from lab.timing.picture import draw


@pytest.mark.timeout(300)
def test_no_function_on_secrets_shows_where_a_forgery_differs() -> None:
    """[K-3] [M-6] An attacker finds a mac byte by byte, by how long its refusal takes."""
    verdict = judge()
    assert verdict.word == "no difference seen", [row.plain() for row in verdict.rows]


@pytest.mark.timeout(300)
def test_the_gate_sees_a_comparison_that_leaks() -> None:
    """The gate would not notice if `same` became `==`: a difference of some nanoseconds in 32 bytes."""
    planted = [Subject("planted", "== in place of the comparison", subjects._PAIR, subjects._equals)]
    verdict = judge(subjects=planted)
    assert verdict.word == "DIFFERENCE SEEN"
    assert [row.subject.name for row in verdict.rows if not row.good] == ["planted"]


def row(role: str, *values: float) -> Row:
    """Return a row with these t."""
    return Row(subjects.SILENT, role, tuple(Run(t, 0, 0, 0, 0) for t in values))


@pytest.mark.parametrize(
    ("rows", "word"),
    [
        ((row("leak", 11), row("control", 1), row("subject", 4.4, 4.4, 99)), "no difference seen"),
        ((row("leak", 11), row("control", 1), row("subject", 4.6)), "DIFFERENCE SEEN"),
        ((row("leak", 9), row("control", 1), row("subject", 1)), "inconclusive"),
        ((row("leak", 11), row("control", 5), row("subject", 1)), "inconclusive"),
        ((row("leak", 11), row("control", 5), row("subject", 9)), "inconclusive"),
    ],
)
def test_what_may_be_said(rows: tuple[Row, ...], word: str) -> None:
    """A deaf instrument counts as silence, or a noisy one as a leak."""
    assert Verdict(rows).word == word


def measured(monkeypatch: pytest.MonkeyPatch, of_same: list[float]) -> list[str]:
    """Let runs give these t for the subject, in turns, and good ones for the controls; return the names of what is run."""
    names: list[str] = []

    def told(subject: Subject, _calls: int, _rng: np.random.Generator) -> Run:
        names.append(subject.name)
        known = {"loop": 99.0, "equals": 99.0, "same class": 1.0}
        return Run(known[subject.name] if subject.name in known else of_same.pop(0), 0, 0, 0, 0)

    monkeypatch.setattr(judging, "run", told)
    return names


@pytest.mark.parametrize(
    ("of_same", "word", "rounds"),
    [([1.0], "no difference seen", 1), ([9.0, 1.0], "no difference seen", 2), ([9.0, 9.0, 1.0], "no difference seen", 3),
     ([9.0, 9.0, 9.0], "DIFFERENCE SEEN", 3)],
)  # fmt: skip
def test_a_difference_has_to_come_again(monkeypatch: pytest.MonkeyPatch, of_same: list[float], word: str, rounds: int) -> None:
    """A busy machine fails the build, or a leak is measured away."""
    names = measured(monkeypatch, of_same)
    verdict = judge(runs=1, subjects=subjects.SUBJECTS[:1])
    assert (verdict.word, names.count("same")) == (word, rounds)
    assert [row.subject.name for row in verdict.rows] == ["loop", "equals", "same class", "same"]


def test_an_inconclusive_round_is_repeated_a_few_times(monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy machine fails the build at once, or keeps it for ever."""
    names: list[str] = []

    def quiet(subject: Subject, _calls: int, _rng: np.random.Generator) -> Run:
        names.append(subject.name)
        return Run(1.0, 0, 0, 0, 0)

    monkeypatch.setattr(judging, "run", quiet)
    assert judge(runs=1, subjects=[]).word == "inconclusive"
    assert names.count("loop") == 1 + judging.REPEATS


def test_welch() -> None:
    """The statistic is another one than the limits are made for."""
    one, two = np.array([1.0, 2.0, 3.0, 4.0]), np.array([2.0, 4.0, 6.0, 8.0])
    assert welch(one, two) == pytest.approx(-1.7320508)  # (2.5 - 5) / sqrt(5/3/4 + 20/3/4)
    assert welch(np.ones(3), np.ones(3)) == 0


def test_the_picture(tmp_path: Path) -> None:
    """The evidence has no picture, or one that changes with the clock."""
    verdict = Verdict((row("leak", 1400.0), row("control", 0.0), row("subject", ALARM)))
    for name in ("one.svg", "two.svg"):
        draw(verdict, tmp_path / name)
    assert (tmp_path / "one.svg").read_bytes() == (tmp_path / "two.svg").read_bytes()
    assert b"alarm 4.5" in (tmp_path / "one.svg").read_bytes()
