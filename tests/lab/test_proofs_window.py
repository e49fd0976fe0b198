"""The proofs about the anti-replay window: that they stand, that they fail where they must, and that what carries them is sound."""

import json
import operator
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import z3
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from core.crypto.replay import Verdict, step
from core.limits import COUNTER_LIMIT, WINDOW_PACKETS
from lab.proofs import __main__ as program
from lab.proofs import evidence, readings, suites
from lab.proofs.exhaustive import fixpoint
from lab.proofs.integers import Integer, width_of
from lab.proofs.mutants import EQUIVALENT, Mutant, judge, mutants
from lab.proofs.offsets import Bits, Number, bits_of
from lab.proofs.paths import Run, Unsupported, explore
from lab.proofs.readings import AllWidths, Exact
from lab.proofs.window import CONDITIONS, UNFINISHED, prove
from tests.support import ROOT

SECONDS = 100.0
SHIFT_MAX = 12


def test_the_theorem_for_every_width() -> None:
    """[W-1] [W-3] [W-4] [W-5] For some width a packet would be delivered twice, a fresh one thrown away, or the limit passed."""
    proof = prove(step, AllWidths(), query_seconds=SECONDS)
    assert not proof.findings
    assert proof.paths > 1


def test_the_theorem_bit_by_bit() -> None:
    """[W-1] [W-3] [W-4] [W-5] The same, without trusting what shifts and masks do to sets."""
    proof = prove(step, Exact(64), query_seconds=SECONDS)
    assert not proof.findings
    assert proof.claims > len(CONDITIONS)


def test_the_shipped_width_is_the_specified_one() -> None:
    """[W-1] The long proof would be about a window that nobody uses."""
    assert readings.shipped_width() == WINDOW_PACKETS
    assert Exact().width == WINDOW_PACKETS


@pytest.mark.parametrize(("width", "counters", "states"), [(4, 10, 1 << 10), (8, 14, 1 << 14), (5, 16, 1 << 16)])
def test_every_order_of_arrival(width: int, counters: int, states: int) -> None:
    """[W-1] For some order of arrival the window and a set of all that was accepted would disagree."""
    outcome = fixpoint(step, width, range(counters))
    assert not outcome.mismatch
    assert outcome.states == states
    assert outcome.steps == states * counters


def test_every_order_of_arrival_at_the_limit() -> None:
    """[W-3] The last counters of a key would be refused, or those behind them accepted."""
    outcome = fixpoint(step, 4, range(COUNTER_LIMIT - 7, COUNTER_LIMIT + 2))
    assert not outcome.mismatch
    assert outcome.states == 1 << 7, "two of the nine are at or above the limit"


def test_the_oracle_refuses_a_window_that_forgets() -> None:
    """The exhaustive search would agree with anything."""

    def forgetful(top: int, bitmap: int, counter: int, width: int) -> tuple[Verdict, int, int]:
        verdict, top, bitmap = step(top, bitmap, counter, width)
        return verdict, top, bitmap & ~2

    assert "not REPLAY" in fixpoint(forgetful, 4, range(10)).mismatch or "not ACCEPT" in fixpoint(forgetful, 4, range(10)).mismatch


@cache
def broken() -> dict[str, Mutant]:
    """Return all mutants by name."""
    return {mutant.name: mutant for mutant in mutants()}


def test_each_slip_of_the_pen_is_refuted() -> None:
    """[W-1] [W-3] [W-4] The proofs would pass a broken window; or a mutant passes that nobody has looked at."""
    assert len(broken()) == len(mutants()) > 100, "each has its own name"
    findings = {name: judge(mutant, 8, SECONDS) for name, mutant in broken().items()}
    assert not [name for name, finding in findings.items() if finding and not finding.refuted]
    assert {name for name, finding in findings.items() if finding is None} == set(EQUIVALENT)
    assert {finding.condition for finding in findings.values() if finding} >= set(CONDITIONS) - {
        "B1",
        "P1",
        "R1",
        "S2",
    }  # S1 fails before S2


def test_all_failing_conditions_are_named() -> None:
    """[W-1] A window that accepts from below itself would be reported for what follows from that only."""
    (mutant,) = [mutant for name, mutant in broken().items() if name.endswith("if age > width:")]
    assert {"S1", "S2"} <= {finding.condition for finding in prove(mutant.function, AllWidths(), query_seconds=SECONDS).findings}


@pytest.mark.parametrize(
    ("change", "condition"),
    [
        ("if counter >= COUNTER_LIMIT:  =>  if counter > COUNTER_LIMIT:", "S3"),
        ("if counter >= COUNTER_LIMIT:  =>  if False:", "S3"),
        ("if counter > top:  =>  if counter >= top:", "S1"),
        ("if shift >= width:  =>  if False:", "O1"),
        ("if shift >= width:  =>  if shift >= width - 1:", "I3"),
        ("if age >= width:  =>  if age > width:", "S1"),
        ("if age >= width:  =>  if age >= width - 1:", "L1"),
        ("if bitmap >> age & 1 > 0:  =>  if False:", "S1"),
        ("if bitmap >> age & 1 > 0:  =>  if bitmap >> age & 1 >= 0:", "L1"),
        ("return (STALE, top, bitmap)  =>  return (REPLAY, top, bitmap)", "V1"),
        ("return (REPLAY, top, bitmap)  =>  return (STALE, top, bitmap)", "V2"),
        ("return (LIMIT, top, bitmap)  =>  return (LIMIT, counter, bitmap)", "N1"),
        ("return (ACCEPT, counter, 1)  =>  return (ACCEPT, top, 1)", "I2"),
        ("(1 << width) - 1 | 1)  =>  return (ACCEPT, counter, bitmap << shift | 1)", "I1"),
        ("return (ACCEPT, top, bitmap | 1 << age)  =>  return (ACCEPT, top, bitmap)", "I3"),
    ],
)
def test_the_failing_condition_is_named(change: str, condition: str) -> None:
    """A reader of a failed proof would not learn what is wrong with the window."""
    (mutant,) = [mutant for name, mutant in broken().items() if name.endswith(change)]
    finding = judge(mutant, 8, SECONDS)
    assert finding
    assert finding.condition == condition
    assert " = " in finding.why, "a situation that shows it"


def test_what_the_solver_does_not_finish_is_not_proved() -> None:
    """A time-out would count as a proof."""
    proof = prove(step, Exact(256), query_seconds=0.001, first_only=True)
    assert proof.findings
    assert proof.findings[0].why.startswith(UNFINISHED)
    assert not proof.findings[0].refuted


def test_a_verdict_that_is_never_given_is_found() -> None:
    """[W-5] A window that calls everything stale a replay, or a proof about no situation at all, would pass."""

    def blind(top: int, bitmap: int, counter: int, width: int) -> tuple[Verdict, int, int]:
        return (Verdict.LIMIT, top, bitmap) if counter >= COUNTER_LIMIT else (Verdict.ACCEPT, top, bitmap)

    assert "R1" in {finding.condition for finding in prove(blind, AllWidths(), query_seconds=SECONDS).findings}


def test_what_cannot_be_followed_is_no_proof() -> None:
    """A window that leaves the readings' vocabulary would be proved of something else."""

    def indexed(top: int, bitmap: int, counter: int, width: int = 8) -> tuple[Verdict, int, int]:
        return list(Verdict)[counter], top, bitmap

    for reading in (AllWidths(), Exact(8)):
        with pytest.raises(Unsupported):
            prove(indexed, reading, query_seconds=SECONDS)


# --- what carries the proofs ---


def constant(run: Run, value: int) -> Integer:
    """Return a symbolic integer that is this number."""
    return Integer(run, z3.BitVecVal(value, width_of(value, value)), value, value, SHIFT_MAX)


def value_of(symbolic: Integer) -> int:
    """Return the number that a symbolic integer without symbols is."""
    return int(z3.simplify(symbolic.vector).as_signed_long())


NUMBERS = st.integers(-(2**70), 2**70)
NATURALS = st.integers(0, 2**24)


@given(NUMBERS, NUMBERS, st.integers(0, SHIFT_MAX))
@settings(max_examples=150)
def test_symbolic_integers_count_as_python_does(a: int, b: int, n: int) -> None:
    """The bit-precise proof would be about other operators than Python's."""
    run = Run(())
    x, y, s = constant(run, a), constant(run, b), constant(run, n)
    pairs = [(x + y, a + b), (x - y, a - b), (x & y, a & b), (x | y, a | b), (x << s, a << n), (x >> s, a >> n)]
    pairs += [(x + b, a + b), (b - x, b - a), (b & x, a & b), (b | x, a | b), (x << n, a << n), (b >> s, b >> n), (b << s, b << n)]
    for symbolic, plain in pairs:
        assert value_of(symbolic) == plain
        assert symbolic.low <= plain <= symbolic.high
    for compare in (operator.lt, operator.le, operator.gt, operator.ge, operator.eq, operator.ne):
        assert z3.is_true(z3.simplify(compare(x, y).formula)) is compare(a, b)
        assert z3.is_true(z3.simplify(compare(x, b).formula)) is compare(a, b)
    assert all(z3.is_true(z3.simplify(obligation.holds)) for obligation in run.obligations)


@pytest.mark.parametrize("amount", [-1, SHIFT_MAX + 1])
def test_a_shift_out_of_range_is_an_obligation_that_fails(amount: int) -> None:
    """[W-4] The proof would be about a vector that lost bits, and miss the jump that makes an integer of a gigabyte."""
    for shift in (operator.lshift, operator.rshift):
        run = Run(())
        shift(constant(run, 5), constant(run, amount))
        assert z3.is_false(z3.simplify(run.obligations[0].holds))


def members(bits: Bits) -> set[int]:
    """Return the elements of a set of bits that are below 40; all here are."""
    return {place for place in range(-2, 40) if z3.is_true(z3.simplify(bits.member(z3.IntVal(place))))}


def ones(value: int) -> set[int]:
    """Return the places of the one-bits."""
    return {place for place in range(value.bit_length()) if value >> place & 1}


@given(NATURALS, NATURALS, st.integers(0, SHIFT_MAX))
@settings(max_examples=25)
def test_sets_of_bits_behave_as_the_lemma_says(a: int, b: int, n: int) -> None:
    """The proof for every width trusts a sentence about Python's operators that would not be true."""
    run = Run(())
    run.shift_max = z3.IntVal(SHIFT_MAX)
    x, s = bits_of(run, a), Number(run, z3.IntVal(n))
    power: Any = 1 << s
    pairs: list[tuple[Bits, int]] = [(x & b, a & b), (x | b, a | b), (x << s, a << n), (x >> s, a >> n), (power - 1, (1 << n) - 1)]
    for bits, plain in pairs:
        assert members(bits) == ones(plain)
    for compare in (operator.gt, operator.eq, operator.ne):
        assert z3.is_true(z3.simplify(compare(x & 1, 0).formula)) is compare(a & 1, 0)


@pytest.mark.parametrize(
    "misuse",
    [
        lambda x: {x},
        lambda x: [0][x],
        lambda x: x + 1.5,
        lambda x: x < "1",
        lambda x: (x > 1) == (x > 2),
    ],
)
def test_a_symbolic_integer_is_never_taken_for_a_plain_one(misuse: Callable[[Any], object]) -> None:
    """A decision would be taken behind the back of the proof."""
    for symbol in (constant(Run(()), 3), Number(Run(()), z3.Int("x")), bits_of(Run(()), 3)):
        with pytest.raises((Unsupported, TypeError)):
            misuse(symbol)


def test_paths_exclude_each_other_and_leave_nothing_out() -> None:
    """A path would be missing, and what happens on it unproved."""

    def sign(run: Run) -> str:
        x = Number(run, z3.Int("x"))
        return "negative" if x < 0 else "large" if x > 9 else "zero" if x == 0 else "small"

    paths = explore(sign)
    assert {path.result for path in paths} == {"negative", "large", "zero", "small"}
    solver = z3.Solver()
    solver.add(z3.Not(z3.PbEq([(path.condition, 1) for path in paths], 1)))
    assert solver.check() == z3.unsat


def test_an_endless_function_is_given_up() -> None:
    """The proof would run for ever instead of failing."""

    def endless(run: Run) -> None:
        x = Number(run, z3.Int("x"))
        while x > 0:
            x -= 1
            if len(run.taken) > 30:
                break

    def wide(run: Run) -> None:
        for number in range(20):
            bool(Number(run, z3.Int("x")) > number)

    assert len(explore(endless)) == 32
    with pytest.raises(Unsupported):
        explore(wide)


# --- the program and what it leaves ---


def test_the_short_form_has_every_suite(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """`make proofs` would leave a suite out, or end well although something is not proved."""

    def failing(long: bool) -> Iterator[suites.Task]:
        yield suites.Task("never", lambda: suites.Result(proved=False, detail="it is not so"))

    monkeypatch.setattr(suites, "SMALL", ((4, range(10)),))
    assert program.main(["--suite", "small windows"]) == 0
    assert "W = 4" in capsys.readouterr().out
    monkeypatch.setattr(program, "SUITES", {"small windows": suites.small_windows, "failing": failing})
    assert program.main([]) == 1
    assert "NOT PROVED" in capsys.readouterr().out


def test_rows_that_run_at_a_time_are_those_that_run_one_by_one() -> None:
    """Rows would be lost, or be of another suite, where several run together."""
    together = program.run(["small windows"], Console(quiet=True), long=False, jobs=2)
    alone = program.run(["small windows"], Console(quiet=True), long=False)
    assert [row._replace(seconds=0) for row in together] == [row._replace(seconds=0) for row in alone]
    assert len(alone) == len(suites.SMALL)


def test_a_run_is_written_for_people_and_programs(tmp_path: Path) -> None:
    """The evidence would not say of which code, when, on what machine and for how long."""
    evidence.write(
        [evidence.Row("a suite", "a|row", True, 1.25, "seen"), evidence.Row("b", "other", False, 2, "no")], tmp_path / "run.json"
    )
    run = json.loads((tmp_path / "run.json").read_text())
    assert not run["proved"]
    assert [row["seconds"] for row in run["rows"]] == [1.2, 2]
    assert run.keys() >= {"commit", "date", "machine", "subject"}
    assert run["machine"]["libraries"]["z3-solver"] == ".".join(map(str, z3.get_version()))
    text = (tmp_path / "run.md").read_text()
    assert "| a suite | a/row | yes | 1.2 | seen |" in text
    assert "NOT everything holds" in text


def test_the_committed_evidence_is_about_this_window() -> None:
    """The evidence shown to a reader would be of an older window: run `make proofs`."""
    run = json.loads((ROOT / "docs/evidence/proofs.json").read_text())
    assert run["subject"] == evidence.subject()
    assert run["proved"]
    shipped = f"W = {WINDOW_PACKETS:,} (as shipped)"
    assert {"every W >= 1 (bitmap as a set)", "W = 64", "W = 128", "W = 256", shipped} <= {row["name"] for row in run["rows"]}
    assert {row["suite"] for row in run["rows"]} == set(suites.SUITES), "a suite was added: run `make proofs`"
    assert (ROOT / "docs/evidence/proofs.md").read_text().splitlines() == evidence.page(run)
