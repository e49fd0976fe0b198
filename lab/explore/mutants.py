# ruff: noqa: N814 - the alphabets of two machines have the same names, and stand side by side here
"""The tables, changed in one cell: each change breaks a claim, or is of a kind that is harmless (`harmless.py`)."""

from collections.abc import Iterator, Mapping
from itertools import pairwise
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from core.client.states import Effect as CE
from core.client.states import Input as CI
from core.client.states import State as CS
from core.client.table import MACHINE as CLIENT
from core.client.table import Row as ClientRow
from core.reasons import Event, Reason
from core.session.states import Effect as GE
from core.session.states import Input as GI
from core.session.states import State as GS
from core.session.table import MACHINE as GATEWAY
from core.session.table import Row as GatewayRow
from lab.explore import expected, model
from lab.explore.model import A_MACHINE

TABLES: Final[dict[str, A_MACHINE]] = {"gateway": GATEWAY, "client": CLIENT}
EVENTS: Final = {
    "gateway": (Event.SESSION_BORN, Event.SESSION_MOVED, Event.SESSION_ENDED, Event.SESSION_CHANGED),
    "client": (Event.CLIENT_ATTACHED, Event.CLIENT_MOVED, Event.CLIENT_CHANGED, Event.CLIENT_ENDED),
}


class Mutant(NamedTuple):
    """One changed cell: which table, which cell, its name, and the row that stands there now, or None."""

    side: str
    cell: tuple[Any, Any]
    name: str
    row: Any


class Judged(NamedTuple):
    """How many situations and steps there are, what the shipped tables break, and for each mutant the claims that it breaks."""

    situations: int
    steps: int
    broken: tuple[str, ...]
    mutants: Mapping[Mutant, frozenset[str]]


def mutants() -> Iterator[Mutant]:
    """Yield every change of one cell of both tables."""
    yield from _mutants("gateway", GATEWAY, GS, GI, GE)
    yield from _mutants("client", CLIENT, CS, CI, CE)


def _mutants(side: str, machine: A_MACHINE, states: Any, inputs: Any, effects: Any) -> Iterator[Mutant]:
    reasons = sorted({row.reason for row in machine.cells.values() if row.reason})
    for cell in ((state, heard) for state in states for heard in inputs):
        row, where = machine.cells.get(cell), f"{side} {cell[0].name} {cell[1].name}"
        for change, changed in changes(row, states, effects, reasons, side) if row else added(side, cell, states):
            yield Mutant(side, cell, f"{where}: {change}", changed)


def changes(row: Any, states: Any, effects: Any, reasons: list[Reason], side: str) -> Iterator[tuple[str, Any]]:
    """Yield each change of one row in one cell."""
    yield "dropped", None
    for state in (None, *states):
        if state is not row.goes_to:
            yield f"goes to {state.name if state else 'nowhere'}", row._replace(goes_to=state)
    for at, effect in enumerate(row.effects):
        yield f"without {effect.name}", row._replace(effects=row.effects[:at] + row.effects[at + 1 :])
    for effect in effects:
        if effect not in row.effects:
            yield f"and {effect.name}", row._replace(effects=(*row.effects, effect))
    for at, (one, other) in enumerate(pairwise(row.effects)):
        yield f"{other.name} before {one.name}", row._replace(effects=(*row.effects[:at], other, one, *row.effects[at + 2 :]))
    for event in EVENTS[side]:
        if event is not row.event:
            yield f"records {event.name}", row._replace(event=event)
    for reason in (None, *reasons):
        if reason is not row.reason:
            yield f"because of {reason.name if reason else 'the cause'}", row._replace(reason=reason)


def added(side: str, cell: tuple[Any, Any], states: Any) -> Iterator[tuple[str, Any]]:
    """Yield rows for an empty cell: to each state, doing nothing."""
    make = GatewayRow if side == "gateway" else ClientRow
    event = EVENTS[side][3 if side == "gateway" else 2]
    for state in (None, *states):
        row: Any = make("new", (cell[0],), cell[1], state, (), event, Reason.HEALTH_SAMPLED)
        yield f"added, {'to ' + state.name if state else 'stays'}", row


def judge() -> Judged:
    """Compare both tables, and every mutant, with what is expected, in every situation that can be reached."""
    situations = model.situations()
    wrong = {cell: differs(cell, cases) for cell, cases in situations.items()}
    broken = [f"{cell[0]} {cell[1].name} {cell[2].name}: {'; '.join(sorted(claims))}" for cell, claims in wrong.items() if claims]
    for side, table in TABLES.items():
        broken += [
            f"{side} {clause} {effect.name}: {expected.CLAIMS['idle']}" for clause, effect in idle_in_all_cells(side, table, situations)
        ]
        never = [cell for cell in table.cells if (side, *cell) not in situations]
        broken += [f"{side} {state.name} {heard.name}: {expected.CLAIMS['heard']}" for state, heard in never]
    found = {mutant: judged(mutant, situations.get((mutant.side, *mutant.cell), [])) for mutant in mutants()}
    steps = sum(map(len, situations.values()))
    return Judged(len(set(model.gateways())) + len(model.clients()), steps, tuple(broken), found)


def judged(mutant: Mutant, cases: list[Any]) -> frozenset[str]:
    """Return the claims that a mutant breaks."""
    if not cases:
        return frozenset((expected.CLAIMS["heard"],) if mutant.row else ())
    base = TABLES[mutant.side]
    cells = {key: row for key, row in base.cells.items() if key != mutant.cell} | ({mutant.cell: mutant.row} if mutant.row else {})
    claims = differs((mutant.side, *mutant.cell), cases, base._replace(cells=MappingProxyType(cells)))
    if claims or not mutant.row or mutant.cell not in base.cells:
        return claims
    shipped = base.cells[mutant.cell]
    new = idle(mutant.side, mutant.cell, mutant.row, cases) - idle(mutant.side, mutant.cell, shipped, cases)
    return frozenset((expected.CLAIMS["idle"],) if new - set(shipped.effects) else ())


def idle(side: str, cell: tuple[Any, Any], row: Any, cases: list[Any]) -> set[Any]:
    """Return the effects of a row that show in none of these situations."""
    base = TABLES[side]
    at, with_it = (side, *cell), MappingProxyType({**base.cells, cell: row})
    full = [after(at, case, base._replace(cells=with_it)) for case in cases]
    found = set()
    for effect in row.effects:
        lacking = row._replace(effects=tuple(each for each in row.effects if each is not effect))
        machine = base._replace(cells=MappingProxyType({**base.cells, cell: lacking}))
        if full == [after(at, case, machine) for case in cases]:
            found.add(effect)
    return found


def idle_in_all_cells(side: str, table: A_MACHINE, situations: Mapping[model.Cell, list[Any]]) -> list[tuple[str, Any]]:
    """Return the effects of shipped rows that show in none of the row's cells."""
    idles: dict[tuple[str, Any], bool] = {}
    for cell, row in table.cells.items():
        nothing = idle(side, cell, row, situations.get((side, *cell), []))
        for effect in row.effects:
            idles[row.clause, effect] = idles.get((row.clause, effect), True) and effect in nothing
    return [each for each, nowhere in idles.items() if nowhere]


def after(cell: model.Cell, at: Any, machine: A_MACHINE) -> Any:
    """Return what a table makes of one situation, or None."""
    step = (
        model.gateway_step(machine, at, cell[2], model.newest(at) + 1) if cell[0] == "gateway" else model.client_step(machine, at, cell[2])
    )
    return step and step.after


def differs(cell: model.Cell, cases: list[Any], machine: A_MACHINE | None = None) -> frozenset[str]:
    """Return the claims that a step of a table breaks in some situation of a cell, each judged alone."""
    return frozenset(claim for case in cases for claim in differs_in(cell, machine or TABLES[cell[0]], case))


def differs_in(cell: model.Cell, machine: A_MACHINE, at: Any) -> Iterator[str]:
    """Yield the claims that a step of a table breaks in one situation."""
    side, _, heard = cell
    offer = model.newest(at) + 1 if side == "gateway" else 0
    step = model.gateway_step(machine, at, heard, offer) if side == "gateway" else model.client_step(machine, at, heard)
    wanted = expected.gateway(at, heard, offer) if side == "gateway" else expected.client(at, heard)
    if (step is None) != (wanted is None):
        yield expected.CLAIMS["refused"]
    if step is not None:
        facts: Any = model.gateway_facts if side == "gateway" else model.client_facts
        before, then = facts(step.before), facts(step.after, 1)
        yield from (str(claim.__doc__) for claim in machine.always if not claim(then))
        yield from (str(claim.__doc__) for claim in machine.step if not claim(before, then))
    if step is None or wanted is None:
        return
    event, reason = expected.gateway_record(at, heard) if side == "gateway" else expected.client_record(at, heard)
    if step.event is not event:
        yield expected.CLAIMS["event"]
    if step.reason is not reason:
        yield expected.CLAIMS["reason"]
    yield from (expected.CLAIMS[name] for name in wanted._fields if getattr(wanted, name) != getattr(step.after, name))
