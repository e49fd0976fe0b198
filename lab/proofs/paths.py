"""Runs a function on symbolic integers, unmodified, once for each path through it.

A comparison of symbolic integers is a `Condition`. Where the function asks for its truth, a list of decisions answers, and the function
is run again until every list has been used: each run is one path, with what was decided on the way and what came out.
"""

from collections.abc import Callable
from typing import Any, Final, NamedTuple

import z3

PATHS_MAX: Final = 4_096  # a function that loops on a symbolic number never comes to an end


class Unsupported(Exception):
    """The function does something to a symbolic integer that has no exact meaning here; so nothing is proved about it."""


class Obligation(NamedTuple):
    """What must hold where a path is read, so that the reading is exact: `holds` whenever `given` was decided before."""

    what: str
    given: Any
    holds: Any


class PathTaken(NamedTuple):
    """One path: what was decided on it, what the reading of it relies on, and what the function returned."""

    condition: Any
    obligations: tuple[Obligation, ...]
    result: Any


class Run:
    """One run of the function: the decisions to be taken, those taken, the obligations met."""

    def __init__(self, planned: tuple[bool, ...]) -> None:
        self.planned, self.taken = planned, list[tuple[Any, bool]]()
        self.obligations: list[Obligation] = []
        self.shift_max: Any = 0  # what no shift may exceed; the reading says

    def decide(self, formula: z3.ExprRef) -> bool:
        """Answer a question: as planned, and with yes beyond the plan."""
        place = len(self.taken)
        answer = self.planned[place] if place < len(self.planned) else True
        self.taken.append((formula, answer))
        return answer

    def oblige(self, what: str, formula: z3.ExprRef) -> None:
        """Note what has to hold here for the reading to be exact."""
        self.obligations.append(Obligation(what, self.condition(), formula))

    def condition(self) -> z3.ExprRef:
        """Return what the decisions so far say together."""
        return z3.And([formula if answer else z3.Not(formula) for formula, answer in self.taken])


class Condition:
    """A comparison of symbolic integers, as yet neither true nor false."""

    __hash__ = None  # type: ignore[assignment]  # as for all values whose equality is not a truth value

    def __init__(self, run: Run, formula: z3.ExprRef) -> None:
        self._run, self.formula = run, formula

    def __bool__(self) -> bool:
        return self._run.decide(self.formula)

    def __eq__(self, value: object) -> bool:
        raise Unsupported("a comparison is compared")


def explore(call: Callable[[Run], Any]) -> list[PathTaken]:
    """Return every path of `call`, which makes its symbolic integers for the run that it is given.

    Each plan ends in a decision that was answered differently before: so the paths exclude each other and leave nothing out.
    """
    plans: list[tuple[bool, ...]] = [()]
    paths = []
    while plans:
        run = Run(plans.pop())
        try:
            result = call(run)
        except TypeError as error:  # an operation that the symbolic integers lack
            raise Unsupported(str(error)) from error
        paths.append(PathTaken(run.condition(), tuple(run.obligations), result))
        if len(paths) > PATHS_MAX:
            raise Unsupported(f"more than {PATHS_MAX} paths")
        answers = tuple(answer for _, answer in run.taken)
        plans += [(*answers[:place], False) for place in range(len(run.planned), len(answers))]
    return paths
