"""The suites of proofs, by name. A further one is a function that yields tasks, and a line in `SUITES`."""

from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Final, NamedTuple

from core.crypto.replay import step
from core.limits import COUNTER_LIMIT
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


class Result(NamedTuple):
    """Whether it is proved, and in words what was looked at or what failed."""

    proved: bool
    detail: str


class Task(NamedTuple):
    """One row: its name, and what has to be run to know."""

    name: str
    run: Callable[[], Result]


Suite = Callable[[bool], Iterator[Task]]  # told whether it may take long


def window(long: bool) -> Iterator[Task]:  # noqa: FBT001 - the signature of a suite
    """The anti-replay theorem about the shipped function, run on symbolic integers."""
    readings: list[Reading] = [AllWidths(), Exact(64)]
    if long:
        readings += [Exact(128), Exact(256), Exact(512), Exact()]
    seconds = QUERY_SECONDS_LONG if long else QUERY_SECONDS
    for reading in readings:
        yield Task(reading.name, lambda reading=reading: _theorem(reading, seconds))  # type: ignore[misc]  # a default binds the loop's value


def small_windows(long: bool) -> Iterator[Task]:  # noqa: ARG001, FBT001 - the signature of a suite
    """Every order of arrival in small windows, on the shipped function, against a set."""
    for width, counters in SMALL:
        name = f"W = {width}, counters {counters.start:,} to {counters.stop - 1:,}"
        yield Task(name, lambda width=width, counters=counters: _fixpoint(width, counters))  # type: ignore[misc]  # as above


def broken_windows(long: bool) -> Iterator[Task]:  # noqa: ARG001, FBT001 - the signature of a suite
    """Each mutant of the shipped function is refuted, or is listed as equivalent."""
    yield Task("mutants of the window", _mutants)


def protocol_models(long: bool) -> Iterator[Task]:  # noqa: ARG001, FBT001 - the signature of a suite
    """The ProVerif models, their logs and the table of results say the same; the tool itself is not run here."""
    for name in models.table()["models"]:
        yield Task(name, lambda name=name: _model(name))  # type: ignore[misc]  # as above
    yield Task("what the models describe", _wire)


SUITES: Final[Mapping[str, Suite]] = MappingProxyType(
    {"window": window, "small windows": small_windows, "broken windows": broken_windows, "protocol models, as recorded": protocol_models}
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
