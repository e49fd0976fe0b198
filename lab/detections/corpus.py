"""The labelled corpus: benign events, near misses, attacks, and stories that correlations must see or not see, all from one seed.

Each attack and each story is about nodes, sessions, devices and peers of its own, so that nothing adds up but what is meant to. The
stories stand at the edges of their windows: one microsecond and one millisecond inside, on the edge, and outside.
"""

import random
from collections.abc import Iterator
from itertools import count
from typing import Any, Final, NamedTuple

from lab.detections.made import START_US, Who, event_of
from lab.detections.truth import Spec, Told, correlations, fires, label, pairs, silent

MEAN_GAP_US: Final = 50_000
ATTACKS: Final = 0.05  # of all events
MISSES: Final = 0.10
POOL: Final = 40  # benign sessions
MS: Final = 1_000


class Labelled(NamedTuple):
    """An event, the rules that must match it, and the correlations that must be true at it."""

    event: dict[str, Any]
    rules: frozenset[str]
    correlations: frozenset[str]


class Step(NamedTuple):
    """One event of a story: when after its beginning (µs), what, in which group, with which value of what is counted."""

    at: int
    spec: Spec
    group: int = 0
    value: int = 0


class Story(NamedTuple):
    """Some events, and whether the correlation must be true at the last one; before that it must not be."""

    of: Told
    what: str
    steps: tuple[Step, ...]
    true: bool


def corpus(seed: int, events: int) -> list[Labelled]:
    """Return at least this many events, in the order of their times."""
    dice = random.Random(seed)  # nosec B311  # the same corpus in each run
    fresh = count(1_000)
    quiet = [spec for spec in pairs() if not label(spec)]
    near = [spec for told in silent().values() for spec in told]
    loud = [spec for told in fires().values() for spec in told]
    planned: list[tuple[int, Spec, Who, frozenset[str]]] = []
    at = START_US
    for _ in range(events):
        at += dice.randrange(1, 2 * MEAN_GAP_US)
        which = dice.random()
        if which < ATTACKS + MISSES:
            number = next(fresh)
            planned.append((at, dice.choice(loud if which < ATTACKS else near), Who(number, number, number, number), frozenset()))
        else:
            member = dice.randrange(1, POOL)
            planned.append((at, dice.choice(quiet), Who(1, member, member, member), frozenset()))
    for story in stories():
        begin = dice.randrange(START_US, at)
        planned += _placed(story, begin, next(fresh) * 1_000)
    planned.sort(key=lambda each: each[0])
    return [Labelled(event_of(spec, when, seq, who), label(spec), true) for seq, (when, spec, who, true) in enumerate(planned)]


def _placed(story: Story, begin: int, number: int) -> Iterator[tuple[int, Spec, Who, frozenset[str]]]:
    """Yield a story's events with names that are only its own."""
    for index, step in enumerate(story.steps):
        who = dict.fromkeys(Who._fields, number)
        if story.of.value in who:
            who[story.of.value] += step.value
        who[story.of.group] += 500 * step.group
        last = index == len(story.steps) - 1
        yield begin + step.at, step.spec, Who(**who), frozenset({story.of.name} if story.true and last else ())


def stories() -> Iterator[Story]:
    """Yield the stories of all correlations."""
    for told in correlations():
        yield from _counted(told) if told.least else _told_in_order(told)


def _edges(told: Told) -> Iterator[tuple[str, int, bool]]:
    """Yield how far the last event of a story is from the first, in µs, and whether one window holds both."""
    span = told.seconds * 1_000_000
    yield from (("1 us inside", span - 1, True), ("1 ms inside", span - MS, True), ("on the edge", span, False))
    yield from (("1 us outside", span + 1, False), ("1 ms outside", span + MS, False))


def _counted(told: Told) -> Iterator[Story]:
    """Yield stories of something that is counted or summed."""
    summed = told.kind == "value_sum"
    size = max(len(told.events), 2) if summed else told.least
    parts = [told.least - 2 * (size - 1)] + [2] * (size - 1) if summed else [0] * size

    def steps(distance: int, numbers: list[int]) -> list[Step]:
        made = []
        for index, number in enumerate(numbers):
            spec = told.events[index % len(told.events)]
            spec = spec._replace(more=(*spec.more, ("count", number))) if summed else spec
            made.append(Step(distance * index // (len(numbers) - 1), spec, value=index))
        return made

    for what, distance, true in _edges(told):
        yield Story(told, what, tuple(steps(distance, parts)), true)
    close = steps(MS * size, parts)
    yield Story(told, "another group", (*close[:-1], close[-1]._replace(group=1)), true=False)
    if summed:
        yield Story(told, "one less", tuple(steps(MS * size, [*parts[:-1], parts[-1] - 1])), true=False)
    elif told.kind == "value_count":
        yield Story(told, "one value twice", (*close[:-1], close[-1]._replace(value=0)), true=False)
    else:
        yield Story(told, "one less", tuple(close[:-1]), true=False)


def _told_in_order(told: Told) -> Iterator[Story]:
    """Yield stories of two events that must come together, or one after the other."""
    first, second = told.events
    for what, distance, true in _edges(told):
        yield Story(told, what, (Step(0, first), Step(distance, second)), true)
    yield Story(told, "at once", (Step(0, first), Step(1, second)), true=True)
    yield Story(told, "the other way round", (Step(0, second), Step(MS, first)), true=told.kind == "temporal")
    yield Story(told, "another group", (Step(0, first), Step(MS, second, group=1)), true=False)
    yield Story(told, "one of them twice", (Step(0, second), Step(MS, second)), true=False)
