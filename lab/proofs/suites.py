"""The suites of proofs, by name. A further one is a function that yields tasks, and a line in `SUITES`."""

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from types import MappingProxyType
from typing import Final, NamedTuple

from core.crypto.replay import step
from core.limits import COUNTER_LIMIT
from lab.coupled import faults as coupled_faults
from lab.coupled.__main__ import named, told
from lab.coupled.models import LARGER, MODELS
from lab.coupled.search import Search
from lab.coupled.world import Bounds as Coupled
from lab.explore import faults
from lab.explore import mutants as cells
from lab.explore.alone import ALONE
from lab.explore.harmless import sort_out
from lab.explore.search import search
from lab.explore.stuck import stuck
from lab.explore.world import Bounds
from lab.proofs import models
from lab.proofs.exhaustive import fixpoint
from lab.proofs.mutants import EQUIVALENT, judge, mutants
from lab.proofs.paths import Unsupported
from lab.proofs.readings import AllWidths, Exact, Reading
from lab.proofs.window import prove

QUERY_SECONDS: Final = 60.0  # for one question to the solver
QUERY_SECONDS_LONG: Final = 600.0
MUTANT_WIDTH: Final = 8
SMALL: Final = ((4, range(10)), (8, range(14)), (5, range(16)), (4, range(COUNTER_LIMIT - 7, COUNTER_LIMIT + 2)))

EXPLORED: Final = (
    Bounds(moves=2, waits=0, memory=0),
    Bounds(born=0, moves=0, waits=1, attacker=0),
    Bounds(gateways=2, attempts=1, waits=0, memory=0),
    Bounds(store_faults=1, waits=0, memory=0),
    Bounds(crashes=1, waits=0, memory=0, attacker=0),
    Bounds(orders=1, waits=0, memory=0, attacker=0),
)
"""Bounds within which everything is looked at in the tests: the engines in production's form, under an adversary."""
EXPLORED_LONG: Final = (
    Bounds(gateways=2, moves=2, attempts=2, waits=0, attacker=0, memory=0, worlds=300_000),
    Bounds(waits=1, moves=2, worlds=15_000),
    Bounds(born=0, waits=2, moves=1, client_crashes=1, crashes=1, store_faults=1, worlds=15_000),
    Bounds(crashes=1, store_faults=1, waits=1, memory=0, worlds=15_000),
    Bounds(orders=1, says=1, waits=1, store_faults=1, memory=0, worlds=15_000),
    Bounds(tcp=1, waits=2, moves=1, memory=0, worlds=3_000),
)
"""Larger ones; where the number of worlds ends the search first, the row says so: then what was looked at is all that is shorter."""
RECOVER: Final = 10
RECOVER_LONG: Final = 500


class Result(NamedTuple):
    """Whether it is proved, and in words what was looked at or what failed."""

    proved: bool
    detail: str


class Task(NamedTuple):
    """One row: its name, and what has to be run to know."""

    name: str
    run: Callable[[], Result]


Suite = Callable[[bool], Iterator[Task]]  # told whether it may take long


def window(long: bool) -> Iterator[Task]:
    """The anti-replay theorem about the shipped function, run on symbolic integers."""
    readings: list[Reading] = [AllWidths(), Exact(64)]
    if long:
        readings += [Exact(128), Exact(256), Exact(512), Exact()]
    seconds = QUERY_SECONDS_LONG if long else QUERY_SECONDS
    for reading in readings:
        yield Task(reading.name, partial(_theorem, reading, seconds))


def small_windows(long: bool) -> Iterator[Task]:
    """Every order of arrival in small windows, on the shipped function, against a set."""
    for width, counters in SMALL:
        name = f"W = {width}, counters {counters.start:,} to {counters.stop - 1:,}"
        yield Task(name, partial(_fixpoint, width, counters))


def broken_windows(long: bool) -> Iterator[Task]:
    """Each mutant of the shipped function is refuted, or is listed as equivalent."""
    yield Task("mutants of the window", _mutants)


def protocol_models(long: bool) -> Iterator[Task]:
    """The ProVerif models, their logs and the table of results say the same; the tool itself is not run here."""
    for name in models.table()["models"]:
        yield Task(name, partial(_model, name))
    yield Task("what the models describe", _wire)


def explored(long: bool) -> Iterator[Task]:
    """The running engines, breadth first under an adversary."""
    for bounds in EXPLORED + (EXPLORED_LONG if long else ()):
        given = {name: value for name, value in bounds._asdict().items() if value != Bounds._field_defaults[name] and name != "worlds"}
        name, recover = ", ".join(f"{key} {value}" for key, value in given.items()), RECOVER if bounds in EXPLORED else RECOVER_LONG
        yield Task(name, partial(_explored, bounds, recover))


def tables(long: bool) -> Iterator[Task]:
    """Each table against what the specification says of each input, with its mutants; both together, to the last world within bounds."""
    yield Task("tables, as expected", _tables)
    yield Task("nothing is stuck", _stuck)
    for bounds in MODELS + (LARGER if long else ()):
        yield Task(f"together: {named(bounds)}", partial(_coupled, bounds))


def planted(long: bool) -> Iterator[Task]:
    """Each fault that is put into the engines is caught by the claim that names it; and each claim, judged alone, is seen to fail.

    The same of the claims about both tables together.
    """
    for name, fault in faults.FAULTS.items():
        yield Task(name, partial(_planted, fault, alone=False))
    for name, fault in ALONE.items():
        yield Task(f"{name}, alone", partial(_planted, fault, alone=True))
    for name, broken in coupled_faults.ALONE.items():
        yield Task(f"tables together: {name}, alone", partial(_seen, name, broken))
    for row, (claim, broken) in coupled_faults.NEEDED.items():
        yield Task(f"tables together: {row}", partial(_seen, claim.__name__, broken))


SUITES: Final[Mapping[str, Suite]] = MappingProxyType(
    {
        "window": window,
        "small windows": small_windows,
        "broken windows": broken_windows,
        "protocol models, as recorded": protocol_models,
        "tables": tables,
        "explored": explored,
        "planted faults": planted,
    }
)


def _theorem(reading: Reading, seconds: float) -> Result:
    try:
        proof = prove(step, reading, query_seconds=seconds)
    except Unsupported as unsupported:
        return Result(proved=False, detail=f"cannot be read: {unsupported}")
    failed = "; ".join(f"{finding.condition} {finding.why}" for finding in proof.findings)
    return Result(not proof.findings, failed or f"{proof.paths} paths, {proof.claims} claims")


def _fixpoint(width: int, counters: range) -> Result:
    outcome = fixpoint(step, width, counters)
    return Result(not outcome.mismatch, outcome.mismatch or f"{outcome.states:,} states, {outcome.steps:,} steps")


def _mutants() -> Result:
    refuted, wrong = 0, list[str]()
    for mutant in mutants():
        finding = judge(mutant, MUTANT_WIDTH, QUERY_SECONDS)
        if (finding is None) != (mutant.name in EQUIVALENT) or (finding and not finding.refuted):
            wrong.append(f"{mutant.name}: {finding.why if finding else 'passes every condition'}")
        refuted += finding is not None
    return Result(not wrong, "; ".join(wrong) or f"{refuted} refuted, {len(EQUIVALENT)} equivalent and listed")


def _model(name: str) -> Result:
    faults = models.faults_of_model(name)
    entry = models.table()["models"][name]
    return Result(
        not faults,
        "; ".join(faults)
        or f"text, log and table agree: {len(entry['queries'])} results by {models.table()['tool']}, {entry['seconds']} s",
    )


def _wire() -> Result:
    faults = models.faults_of_wire()
    return Result(not faults, "; ".join(faults) or "messages and key derivation are those that the models were compared with")


def _explored(bounds: Bounds, recover: int) -> Result:
    report = search(bounds, recover)
    broken = f"{report.found.claim} after {report.found.actions}" if report.found else ""
    reached = "all within the bounds" if report.complete else f"stopped at this number: all up to {report.depth} actions"
    return Result(not broken, broken or f"{report.worlds:,} worlds, {report.edges:,} edges, {reached}; {report.recovered:,} recovered")


def _tables() -> Result:
    judged = cells.judge()
    kinds = sort_out(judged.mutants)
    wrong = [*judged.broken, *kinds.without, *kinds.wrong]
    told = f"{judged.situations} situations, {judged.steps:,} steps; {len(judged.mutants):,} mutants, {sum(kinds.kinds.values()):,} of them"
    return Result(not wrong, "; ".join(wrong) or f"{told} harmless, of {len(kinds.kinds)} kinds")


def _stuck() -> Result:
    found = stuck()
    return Result(not found, "; ".join(found) or "each situation that is not final has a clock, and a way to a session or an end")


def _coupled(bounds: Coupled) -> Result:
    report = Search(bounds).run()
    steps = "; ".join(", ".join(map(told, action)) for action in report.found.actions) if report.found else ""
    broken = f"{report.found.claim}: {steps}" if report.found else "" if report.complete else f"stopped at {report.worlds:,} worlds"
    size = f"{report.worlds:,} worlds, {report.edges:,} edges, up to {report.depth} actions, all within the bounds"
    return Result(not broken, broken or f"{size}; from each a way on ({report.recovered:,} situations)")


def _seen(claim: str, fault: coupled_faults.Fault) -> Result:
    steps, worlds = coupled_faults.caught(claim, fault)
    return Result(steps > 0, f"broken in {steps} actions, after {worlds:,} worlds" if steps else f"NOT BROKEN in {worlds:,} worlds")


def _planted(fault: faults.Fault, *, alone: bool) -> Result:
    claim, steps, worlds, _ = faults.caught(fault, alone=alone)
    return Result(claim in fault.claims, f"{claim or 'NOT CAUGHT'}, in {steps} actions, after {worlds:,} worlds")
