"""Our own executor of correlations, with exact windows.

A correlation is judged at each event that one of its rules matches. Its window there are the events of the same group at `t` and before,
back to but not including `t - timespan`: two events exactly a timespan apart are never in one window. Events are taken in the order of
their times, those of one time in the order of their logs. An event that lacks a group-by field belongs to no group; one that lacks the
counted field adds nothing.
"""

from collections import Counter, defaultdict, deque
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from observability.detections.load import Correlation


class Hit(NamedTuple):
    """An event that rules of a correlation match: when (µs since 1970), its place, its group, its value of the counted field."""

    at: int
    place: tuple[str, int]
    rules: frozenset[str]
    group: tuple[object, ...]
    value: object
    event: str


class Truth(NamedTuple):
    """The correlation is true at `window[-1]`; `first`: it was not already, for the events before."""

    window: tuple[Hit, ...]
    first: bool


def truths(correlation: Correlation, hits: Iterable[Hit]) -> Iterator[Truth]:
    """Yield each event at which the correlation is true, by group and time. The hits may come in any order."""
    groups: defaultdict[tuple[object, ...], list[Hit]] = defaultdict(list)
    for hit in hits:
        groups[hit.group].append(hit)
    for group in groups.values():
        window: deque[Hit] = deque()
        before: int | None = None
        state = _State(correlation)
        for hit in sorted(group, key=lambda each: (each.at, each.place)):
            while window and hit.at - window[0].at >= correlation.timespan_us:
                state.forget(window.popleft())
            window.append(hit)
            state.take(hit)
            if not state.true(window):
                before = None
                continue
            yield Truth(tuple(window), before is None or hit.at - before >= correlation.timespan_us)
            before = hit.at


class _State:
    """What is known of a window without going through it again."""

    def __init__(self, correlation: Correlation) -> None:
        self._of = correlation
        self._rules: Counter[str] = Counter()
        self._values: Counter[object] = Counter()
        self._sum = 0

    def take(self, hit: Hit) -> None:
        self._rules.update(hit.rules)
        if hit.value is not None:
            self._values[hit.value] += 1
            self._sum += hit.value if isinstance(hit.value, int) else 0

    def forget(self, hit: Hit) -> None:
        self._rules.subtract(hit.rules)
        if hit.value is not None:
            self._values[hit.value] -= 1
            self._sum -= hit.value if isinstance(hit.value, int) else 0
            if not self._values[hit.value]:
                del self._values[hit.value]

    def true(self, window: deque[Hit]) -> bool:
        match self._of.kind:
            case "event_count":
                return len(window) >= self._of.least
            case "value_count":
                return len(self._values) >= self._of.least
            case "value_sum":
                return self._sum >= self._of.least
            case "temporal":
                return all(self._rules[name] > 0 for name in self._of.rules)
            case _:
                return all(self._rules[name] > 0 for name in self._of.rules) and _ordered(self._of.rules, window)


def _ordered(rules: tuple[str, ...], window: deque[Hit]) -> bool:
    """Return whether the newest event is of the last rule, and others before it, one each, of the rules before, in order."""
    left = list(rules)
    for hit in reversed(window):
        if left[-1] in hit.rules:
            left.pop()
            if not left:
                return True
        elif len(left) == len(rules):
            return False
    return False
