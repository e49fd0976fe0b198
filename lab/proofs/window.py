"""The theorem about the anti-replay window, proved of `core.crypto.replay.step` itself.

A is the set of all counters accepted so far; no program holds it. The *invariant* ties it to the window: I1, I2 and I3 below, for every
number n. It holds at the start, when nothing was accepted. For each path through one step, with the invariant before it, each condition
must hold. By induction they hold for every sequence of counters, however long [W-1] [W-3] [W-4] [W-5].
"""

from collections.abc import Iterator
from typing import Any, Final, NamedTuple

import z3

from core.crypto.replay import Verdict
from core.limits import COUNTER_LIMIT
from lab.proofs.paths import PathTaken, Run, explore
from lab.proofs.readings import Reading, State, Step

UNFINISHED: Final = "not finished"
CONDITIONS: Final = {
    "B1": "the start, nothing seen and A empty, satisfies the invariant",
    "P1": "some path is taken, whatever the window and the counter",
    "O1": "no shift is by less than 0 or by more than the window: a far jump costs no memory",
    "S1": "what is accepted was not accepted before",
    "S2": "what is accepted is not below the window",
    "S3": "what is accepted is below the limit",
    "L1": "a counter that is new, below the limit and not below the window is accepted",
    "M1": "the highest counter never falls",
    "N1": "a refusal changes nothing",
    "V1": "REPLAY is said only of what was accepted",
    "V2": "STALE is said only of what is below the window",
    "V3": "LIMIT is said only at or above the limit",
    "I1": "the highest counter stays below the limit, and the bitmap inside the window",
    "I2": "nothing in A is above the highest counter",
    "I3": "inside the window a number is in A exactly if its bit is set",
    "R1": "each verdict is given in some situation: nothing was proved of nothing",
}


class Claim(NamedTuple):
    """What is asked of the solver: that `formula` has no solution, or for R1 that it has one."""

    condition: str
    formula: Any
    solvable: bool = False


class Finding(NamedTuple):
    """A condition that was not proved, and why: a situation in which it fails, or that the solver did not finish."""

    condition: str
    why: str

    @property
    def refuted(self) -> bool:
        """Tell whether there is a counterexample; otherwise the solver did not finish."""
        return not self.why.startswith(UNFINISHED)


class Proof(NamedTuple):
    """What became of the theorem in one reading."""

    findings: tuple[Finding, ...]
    paths: int
    claims: int


def prove(function: Step, reading: Reading, *, query_seconds: float, first_only: bool = False) -> Proof:
    """Try to prove each condition on each path, each in at most this time; with `first_only` stop at the first that fails.

    Raises Unsupported when the function does what the reading cannot follow.
    """
    paths = explore(lambda run: _one_step(function, reading, run))
    findings, claims = list[Finding](), 0
    for claim in _claims(reading, paths):
        claims += 1
        why = _failed(reading, claim, query_seconds)
        if why:
            findings.append(Finding(claim.condition, why))
            if first_only:
                break
    return Proof(tuple(findings), len(paths), claims)


class _Step(NamedTuple):
    """One step on one path: the window before it, the verdict, the window after it."""

    before: State
    verdict: Verdict
    after: State


def _one_step(function: Step, reading: Reading, run: Run) -> _Step:
    before = reading.symbols(run)
    verdict, *after = reading.call(function, before)
    top, bitmap = reading.lifted(run, *after)
    return _Step(before, verdict, before._replace(top=top, bitmap=bitmap))


def _claims(reading: Reading, paths: list[PathTaken]) -> Iterator[Claim]:
    """Yield every claim, the cheap conditions first."""
    n_in, counter_in = z3.Bools("n_in_A counter_in_A")  # membership in A of the two numbers that the conditions are about
    before = paths[0].result.before
    given = [reading.ranges(before), reading.sound(before.top, before.bitmap)]
    given += [z3.Implies((before.n == before.counter).formula, n_in == counter_in)]
    for number, member in ((before.n, n_in), (before.counter, counter_in)):
        given += [goal for _, goal in _invariant(reading, before._replace(n=number), member)]
    yield from (Claim("B1", z3.And(reading.ranges(before), z3.Not(goal))) for goal in _start(reading, before))
    yield Claim("P1", z3.And(*given, z3.Not(z3.Or([path.condition for path in paths]))))
    for path in paths:
        for obligation in path.obligations:
            yield Claim("O1", z3.And(*given, obligation.given, z3.Not(obligation.holds)))
    for conditions in (_judged, _kept):
        for path in paths:
            for name, goal in conditions(reading, path.result, n_in, counter_in):
                yield Claim(name, z3.And(*given, path.condition, z3.Not(goal)))
    for verdict in Verdict:
        situations = [path.condition for path in paths if path.result.verdict is verdict]
        yield Claim("R1", z3.And(*given, z3.Or(situations)), solvable=True)


def _invariant(reading: Reading, state: State, member: z3.ExprRef) -> list[tuple[str, z3.ExprRef]]:
    """Return I2 and I3 for the number n, whose membership in A is `member`."""
    at_most_top = (state.n <= state.top).formula
    bit = reading.bit(state.bitmap, state.top, state.n)
    return [
        ("I2", z3.Implies(member, at_most_top)),
        ("I3", z3.Implies(z3.And(reading.inside(state.top, state.n), at_most_top), member == bit)),
    ]


def _start(reading: Reading, state: State) -> list[Any]:
    """Return the invariant of (0, 0) with nothing in A."""
    top, bitmap = reading.lifted(state.top.run, 0, 0)
    start = state._replace(top=top, bitmap=bitmap)
    return [reading.sound(top, bitmap), *(goal for _, goal in _invariant(reading, start, z3.BoolVal(False)))]  # noqa: FBT003 - z3's word


def _judged(reading: Reading, step: _Step, n_in: z3.ExprRef, counter_in: z3.ExprRef) -> list[tuple[str, z3.ExprRef]]:  # noqa: ARG001 - one signature for all conditions of a step
    """Return the conditions on the verdict."""
    (top, _, counter, _), after = step.before, step.after
    inside, below_limit = reading.inside(top, counter), (counter < COUNTER_LIMIT).formula
    if step.verdict is Verdict.ACCEPT:
        return [("S1", z3.Not(counter_in)), ("S2", inside), ("S3", below_limit), ("M1", (after.top >= top).formula)]
    says: dict[Verdict, tuple[str, Any]] = {
        Verdict.REPLAY: ("V1", counter_in),
        Verdict.STALE: ("V2", z3.Not(inside)),
        Verdict.LIMIT: ("V3", z3.Not(below_limit)),
    }
    return [
        ("L1", z3.Not(z3.And(z3.Not(counter_in), inside, below_limit))),
        says[step.verdict],
        ("M1", (after.top >= top).formula),
        ("N1", reading.same(step.before, after)),
    ]


def _kept(reading: Reading, step: _Step, n_in: z3.ExprRef, counter_in: z3.ExprRef) -> list[tuple[str, z3.ExprRef]]:  # noqa: ARG001 - one signature for all conditions of a step
    """Return the invariant after the step, when A has the counter too if it was accepted."""
    accepted = step.verdict is Verdict.ACCEPT
    member = z3.Or(n_in, (step.before.n == step.before.counter).formula) if accepted else n_in
    return [("I1", reading.sound(step.after.top, step.after.bitmap)), *_invariant(reading, step.after, member)]


def _failed(reading: Reading, claim: Claim, seconds: float) -> str:
    """Return why a claim does not stand, or nothing."""
    solver = reading.solver()
    solver.set("timeout", int(seconds * 1_000))
    solver.add(claim.formula)
    solver.set(ctrl_c=False)  # its own handler would take the signal, and go on
    answer = solver.check()
    if answer == z3.unknown:
        return f"{UNFINISHED}: {solver.reason_unknown()}"
    if (answer == z3.sat) == claim.solvable:
        return ""
    if claim.solvable:
        return "refuted: there is no such situation"
    model = solver.model()
    return "refuted: " + ", ".join(sorted(f"{symbol} = {model[symbol]}" for symbol in model if symbol.arity() == 0))
