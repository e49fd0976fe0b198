"""Measuring: runs of calls in random order, Welch's t at five crop levels, and the size of the effect.

Method: O. Reparaz, J. Balasch, I. Verbauwhede, "dude, is my code constant time?", IACR ePrint 2016/1123: |t| above 4.5 is the usual alarm.
As timing samples are not independent, the size of the effect is reported too: the difference of the medians with a bootstrapped interval.
"""

import gc
from collections.abc import Callable
from time import perf_counter_ns
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

CROPS: Final = (100, 99, 95, 90, 75)  # per cent of the fastest calls that are kept: interrupts and collections are slow
ALARM: Final = 4.5
LOUD: Final = 10.0  # what a positive control has to reach
WARM_UP: Final = 200
RESAMPLES: Final = 200

Times = NDArray[np.float64]


class Subject(NamedTuple):
    """A function under test; `make` returns its arguments for class 0 or 1, in buffers that are new each time."""

    name: str
    what: str
    make: Callable[[int], tuple[Any, ...]]
    call: Callable[..., object]


class Run(NamedTuple):
    """What one run showed: the greatest |t| over the crops, difference of the medians in ns, and its 95 % interval."""

    t: float
    effect_ns: float
    low_ns: float
    high_ns: float
    median_ns: float


def run(subject: Subject, calls: int, rng: np.random.Generator) -> Run:
    """Call the subject `calls` times and compare its two classes."""
    classes = rng.integers(0, 2, calls + WARM_UP)
    times = np.empty(calls + WARM_UP)
    make, call = subject.make, subject.call
    gc.collect()
    gc.disable()
    try:
        for at, kind in enumerate(classes.tolist()):
            arguments = make(kind)
            begin = perf_counter_ns()
            call(*arguments)
            times[at] = perf_counter_ns() - begin
    finally:
        gc.enable()
    times, classes = times[WARM_UP:], classes[WARM_UP:]
    first, second = times[classes == 0], times[classes == 1]
    t = max(abs(welch(*_cropped(first, second, crop))) for crop in CROPS)
    low, high = _interval(first, second, rng)
    return Run(t, float(np.median(first) - np.median(second)), low, high, float(np.median(times)))


def welch(first: Times, second: Times) -> float:
    """Return Welch's t of two samples; 0 where neither varies."""
    spread = first.var(ddof=1) / len(first) + second.var(ddof=1) / len(second)
    return float((first.mean() - second.mean()) / np.sqrt(spread)) if spread else 0.0


def _cropped(first: Times, second: Times, crop: int) -> tuple[Times, Times]:
    """Keep what is not slower than the given share of all calls: one limit for both classes."""
    limit = np.percentile(np.concatenate((first, second)), crop)
    return first[first <= limit], second[second <= limit]


def _interval(first: Times, second: Times, rng: np.random.Generator) -> tuple[float, float]:
    """Return the 95 % interval of the difference of medians, by resampling at most 5,000 calls of each class."""
    one, two = first[:5_000], second[:5_000]
    medians = [np.median(rng.choice(one, len(one))) - np.median(rng.choice(two, len(two))) for _ in range(RESAMPLES)]
    return float(np.percentile(medians, 2.5)), float(np.percentile(medians, 97.5))
