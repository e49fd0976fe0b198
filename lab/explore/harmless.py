"""Kinds of changes of one cell that make no difference. A function's name is the kind, its docstring the reason; who belongs is computed.

Each kind says more than that nothing was noticed: it names what makes the change harmless, and looks for that alone.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from functools import cache
from itertools import pairwise
from typing import Any, Final, NamedTuple

from lab.explore import model
from lab.explore.mutants import TABLES, Mutant, idle


def names_the_state_in_which_it_stays(mutant: Mutant) -> bool:
    """To go to the state where one is, and to stay, are the same."""
    row, state = shipped(mutant), mutant.cell[0]
    same = mutant.row and (mutant.row.goes_to or state) == (row.goes_to or state)
    return bool(same and mutant.row._replace(goes_to=row.goes_to) == row)


def lacks_what_is_idle_here(mutant: Mutant) -> bool:
    """The effect shows in other cells of its row, and in none of the situations of this one."""
    row = shipped(mutant)
    if not mutant.row or mutant.row._replace(effects=row.effects) != row or len(mutant.row.effects) != len(row.effects) - 1:
        return False
    (lacking,) = set(row.effects) - set(mutant.row.effects)
    return lacking in idle_here(mutant.side, mutant.cell)


def changes_an_order_that_does_not_matter(mutant: Mutant) -> bool:
    """The two effects commute in every situation of every cell, or one of them is idle in all situations of this one."""
    row = shipped(mutant)
    if not mutant.row or sorted(mutant.row.effects, key=str) != sorted(row.effects, key=str) or mutant.row.effects == row.effects:
        return False
    one, other = next(pair for pair, new in zip(pairwise(row.effects), pairwise(mutant.row.effects), strict=True) if pair == new[::-1])
    return commute(mutant.side, one, other) or bool({one, other} & idle_here(mutant.side, mutant.cell))


def shipped(mutant: Mutant) -> Any:
    """Return the row that is changed; a cell that is empty has one that no mutant equals."""
    return TABLES[mutant.side].cells.get(mutant.cell) or mutant.row._replace(clause="", effects=(None,))


@cache
def idle_here(side: str, cell: tuple[Any, Any]) -> frozenset[Any]:
    """Return the effects of a shipped row that show in none of the situations of one of its cells."""
    return frozenset(idle(side, cell, TABLES[side].cells[cell], cases().get((side, *cell), [])))


@cache
def cases() -> dict[model.Cell, list[Any]]:
    """Return all situations, by cell."""
    return model.situations()


@cache
def commute(side: str, one: Any, other: Any) -> bool:
    """Tell whether the order of two effects makes no difference in any situation that can be reached."""
    ends: list[Any] = [*model.gateways()] if side == "gateway" else [*model.clients()]
    do: Callable[[Any, Any], Any] = (
        (lambda at, effect: model.gateway_effect(at, effect, model.newest(at) + 1)) if side == "gateway" else model.client_effect
    )
    return all(do(do(at, one), other) == do(do(at, other), one) for at in ends)


KINDS: Final[tuple[Callable[[Mutant], bool], ...]] = (
    names_the_state_in_which_it_stays, lacks_what_is_idle_here, changes_an_order_that_does_not_matter,
)  # fmt: skip


def kind_of(mutant: Mutant) -> str:
    """Return the first kind that a change belongs to, or nothing."""
    return next((kind.__name__ for kind in KINDS if kind(mutant)), "")


class Sorted(NamedTuple):
    """The changes that break no claim, by kind; those of no kind; and kinds that are wrong: a member breaks a claim, or there is none."""

    kinds: Mapping[str, int]
    without: tuple[str, ...]
    wrong: tuple[str, ...]


def sort_out(judged: Mapping[Mutant, frozenset[str]]) -> Sorted:
    """Return what is harmless among judged changes, and what should be and is not."""
    of = {mutant: kind_of(mutant) for mutant in judged}
    kinds = Counter(kind for mutant, kind in of.items() if kind and not judged[mutant])
    without = tuple(mutant.name for mutant, kind in of.items() if not kind and not judged[mutant])
    wrong = [f"{kind}: {mutant.name}" for mutant, kind in of.items() if kind and judged[mutant]]
    return Sorted(kinds, without, (*wrong, *(f"{kind.__name__}: nobody" for kind in KINDS if kind.__name__ not in kinds)))
