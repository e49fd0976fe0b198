# ruff: noqa: N814 - the alphabets of two machines have the same names, and stand side by side here
"""The tables, changed in one cell: each change breaks a claim, or stands in `accepted.toml` with its reason, and both lists are exact."""

import tomllib
from collections.abc import Iterator, Mapping
from itertools import pairwise
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from core.client.states import Effect as CE
from core.client.states import Input as CI
from core.client.states import State as CS
from core.client.table import MACHINE as CLIENT
from core.client.table import Row as ClientRow
from core.errors import Invariant
from core.reasons import Event, Reason
from core.session.states import Effect as GE
from core.session.states import Input as GI
from core.session.states import State as GS
from core.session.table import MACHINE as GATEWAY
from core.session.table import Row as GatewayRow
from lab.explore import expected, model
from lab.explore.model import A_MACHINE

ACCEPTED: Final = Path(__file__).with_name("accepted.toml")
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
    """How many situations and steps there are, what the shipped tables break, and for each mutant the claim that it breaks, or nothing."""

    situations: int
    steps: int
    broken: tuple[str, ...]
    mutants: Mapping[str, str]


def mutants() -> Iterator[Mutant]:
    """Yield every change of one cell of both tables."""
    yield from _mutants("gateway", GATEWAY, GS, GI, GE)
    yield from _mutants("client", CLIENT, CS, CI, CE)


def _mutants(side: str, machine: A_MACHINE, states: Any, inputs: Any, effects: Any) -> Iterator[Mutant]:  # noqa: ANN401 - types of enums
    reasons = sorted({row.reason for row in machine.cells.values() if row.reason})
    for cell in ((state, heard) for state in states for heard in inputs):
        row, where = machine.cells.get(cell), f"{side} {cell[0].name} {cell[1].name}"
        for change, changed in changes(row, states, effects, reasons, side) if row else added(side, cell, states):
            yield Mutant(side, cell, f"{where}: {change}", changed)


def changes(row: Any, states: Any, effects: Any, reasons: list[Reason], side: str) -> Iterator[tuple[str, Any]]:  # noqa: ANN401 - rows of both
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


def added(side: str, cell: tuple[Any, Any], states: Any) -> Iterator[tuple[str, Any]]:  # noqa: ANN401 - as above
    """Yield rows for an empty cell: to each state, doing nothing."""
    make = GatewayRow if side == "gateway" else ClientRow
    event = EVENTS[side][3 if side == "gateway" else 2]
    for state in (None, *states):
        row: Any = make("new", (cell[0],), cell[1], state, (), event, Reason.HEALTH_SAMPLED)
        yield f"added, {'to ' + state.name if state else 'stays'}", row


def judge() -> Judged:
    """Compare both tables, and every mutant, with what is expected, in every situation that can be reached."""
    sessions, devices = list(model.gateways()), list(model.clients())
    by_cell: dict[tuple[str, Any, Any], list[Any]] = {}
    steps = 0
    for at in sessions:
        for heard, then in model.hears(at):
            by_cell.setdefault(("gateway", at.state, heard), []).append(then)
            steps += 1
    for device in devices:
        for said in model.client_hears(device):
            by_cell.setdefault(("client", device.state, said), []).append(device)
            steps += 1
    broken = []
    for (side, state, heard), cases in by_cell.items():
        machine: A_MACHINE = GATEWAY if side == "gateway" else CLIENT
        if claim := next(filter(None, (differs(side, machine, case, heard) for case in cases)), ""):
            broken.append(f"{side} {state.name} {heard.name}: {claim}")
    found = {}
    for mutant in mutants():
        base: A_MACHINE = GATEWAY if mutant.side == "gateway" else CLIENT
        cells = {key: row for key, row in base.cells.items() if key != mutant.cell} | ({mutant.cell: mutant.row} if mutant.row else {})
        machine = base._replace(cells=MappingProxyType(cells))
        cases = by_cell.get((mutant.side, *mutant.cell), [])
        found[mutant.name] = next(filter(None, (differs(mutant.side, machine, case, mutant.cell[1]) for case in cases)), "")
    return Judged(len(sessions) + len(devices), steps, tuple(broken), found)


def differs(side: str, machine: A_MACHINE, at: Any, heard: Any) -> str:  # noqa: ANN401 - ends of both kinds
    """Return the claim that a step of a table breaks in one situation, or nothing."""
    offer = model.newest(at) + 1 if side == "gateway" else 0
    step = model.gateway_step(machine, at, heard, offer) if side == "gateway" else model.client_step(machine, at, heard)
    wanted = expected.gateway(at, heard, offer) if side == "gateway" else expected.client(at, heard)
    if step is None or wanted is None:
        return expected.CLAIMS["refused"] if (step is None) != (wanted is None) else ""
    facts: Any = model.gateway_facts if side == "gateway" else model.client_facts
    try:
        machine.check(facts(step.before), facts(step.after, 1))
    except Invariant as broken:
        return str(broken)
    event, reason = expected.gateway_record(at, heard) if side == "gateway" else expected.client_record(at, heard)
    if step.event is not event or step.reason is not reason:
        return expected.CLAIMS["event" if step.event is not event else "reason"]
    return next((expected.CLAIMS[name] for name in wanted._fields if getattr(wanted, name) != getattr(step.after, name)), "")


def accepted() -> dict[str, str]:
    """Return the mutants that may survive, each with its reason: each entry names changes, and the cells in which all of them survive."""
    entries = tomllib.loads(ACCEPTED.read_text(encoding="utf-8"))["accepted"]
    return {
        f"{entry['side']} {cell}: {change}": entry["reason"] for entry in entries for change in entry["changes"] for cell in entry["cells"]
    }
