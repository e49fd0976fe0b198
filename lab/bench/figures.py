"""Figures: times that are taken in turns, their medians and spread, and the bars that ratios of them are held against.

Nothing here says how fast a machine is: each judgement compares two things that were measured in the same run.
"""

import gc
from collections.abc import Callable, Sequence
from math import isfinite
from statistics import median, quantiles
from time import perf_counter_ns
from typing import Any, Final, NamedTuple

ROUNDS_FOR_QUARTILES: Final = 2
THOUSAND, SMALL = 1_000, 0.1  # how a figure reads
WORDS: Final = {True: "met", False: "**not met**", None: ""}


class Subject(NamedTuple):
    """Something to time. `make` prepares one call and `settle` follows it, both untimed; one call does `of` things at once."""

    name: str
    what: str
    make: Callable[[], Any]
    call: Callable[[Any], Any]
    settle: Callable[[Any, Any], object] = lambda _made, _result: None
    of: int = 1


class Series(NamedTuple):
    """A subject's rounds: the median time of one thing in each, in nanoseconds."""

    name: str
    what: str
    rounds: tuple[float, ...]

    @property
    def median(self) -> float:
        """The median of the rounds."""
        return median(self.rounds)

    @property
    def spread(self) -> tuple[float, float]:
        """The quartiles of the rounds."""
        if len(self.rounds) < ROUNDS_FOR_QUARTILES:
            return self.median, self.median
        low, _, high = quantiles(self.rounds, n=4, method="inclusive")
        return low, high

    def plain(self) -> dict[str, Any]:
        """Return what is written down."""
        low, high = self.spread
        return {"name": self.name, "what": self.what, "median_ns": round(self.median), "quartiles_ns": [round(low), round(high)]}


class Bar(NamedTuple):
    """A figure that is to be at most `most` (infinite: it is only shown), in `unit`; with `spread` where it comes of several rounds."""

    name: str
    what: str
    value: float
    most: float
    unit: str = ""
    spread: tuple[float, float] | None = None

    @property
    def met(self) -> bool:
        """Whether the figure is within the bar."""
        return self.value <= self.most

    def plain(self) -> dict[str, Any]:
        """Return what is written down."""
        quartiles = {"quartiles": [round(each, 5) for each in self.spread]} if self.spread else {}
        judged = {"at_most": round(self.most, 5), "met": self.met} if isfinite(self.most) else {}
        return {"name": self.name, "what": self.what, "value": round(self.value, 5), "unit": self.unit} | judged | quartiles


def ratio(name: str, what: str, top: Series, bottom: Series, most: float) -> Bar:
    """Return the bar for top : bottom. It is taken round by round, so that what slows a whole round down slows both."""
    each = Series(name, what, tuple(over / under for over, under in zip(top.rounds, bottom.rounds, strict=True)))
    return Bar(name, what, each.median, most, "", each.spread)


def row(bar: dict[str, Any]) -> str:
    """Return the line of a table for what `Bar.plain` gives."""
    unit, quartiles = bar["unit"], " to ".join(number(each, bar["unit"]) for each in bar.get("quartiles", ()))
    most = number(bar["at_most"], unit) if "met" in bar else ""
    return f"| {bar['what']} | {number(bar['value'], unit)} | {quartiles} | {most} | {WORDS[bar.get('met')]} |"


def number(value: float, unit: str) -> str:
    """Return a figure as it reads best."""
    if unit:
        return f"{value:,.0f} {unit}" if value >= THOUSAND else f"{value:.2f} {unit}"
    return f"1/{1 / value:.0f}" if 0 < value < SMALL else f"{value:.2f}"


def in_turns(subjects: Sequence[Subject], rounds: int, calls: int, tell: Callable[[str], object] = lambda _: None) -> dict[str, Series]:
    """Time the subjects in turns, in another order each round, after one round that does not count."""
    times: dict[str, list[float]] = {subject.name: [] for subject in subjects}
    for number in range(rounds + 1):
        tell(f"round {number} of {rounds}")
        at = number % len(subjects)
        for subject in (*subjects[at:], *subjects[:at]):
            took = _once(subject, calls)
            if number:
                times[subject.name].append(took)
    return {subject.name: Series(subject.name, subject.what, tuple(times[subject.name])) for subject in subjects}


def _once(subject: Subject, calls: int) -> float:
    """Return the median time of one thing over `calls` calls, with the collector held off."""
    times, call = [], subject.call
    gc.collect()
    gc.disable()
    try:
        for _ in range(calls):
            made = subject.make()
            begin = perf_counter_ns()
            result = call(made)
            times.append(perf_counter_ns() - begin)
            subject.settle(made, result)
    finally:
        gc.enable()
    return median(times) / subject.of
