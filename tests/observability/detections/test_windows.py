"""Windows: exact at both ends, by group, and the same as what anybody would work out by hand."""

from collections.abc import Iterable, Sequence
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from observability.detections.load import Correlation
from observability.detections.windows import Hit, truths

SECOND = 1_000_000
KINDS = ("event_count", "value_count", "value_sum", "temporal", "temporal_ordered")


def correlation(kind: str, least: int = 3, span: int = 10 * SECOND, rules: Sequence[str] = ("a", "b")) -> Correlation:
    """Return a correlation."""
    return Correlation(
        name="c", title="", level="high", description="", falsepositives=(), response="", tags=(), kind=kind,
        rules=tuple(rules), group_by=("device",), timespan_us=span, least=least, field="count",
    )  # fmt: skip


def hit(at: int, rules: str = "a", *, group: str = "g", value: object = 1, seq: int = 0) -> Hit:
    """Return an event that rules match."""
    return Hit(at, ("chain", seq or at), frozenset(rules), (group,), value, f"{at}-{seq}")


def true_at(of: Correlation, hits: Iterable[Hit]) -> list[tuple[int, bool]]:
    """Return the times at which it is true, and whether it was not before."""
    return [(truth.window[-1].at, truth.first) for truth in truths(of, hits)]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("distance", "true"), [(-1_000, True), (-1, True), (0, False), (1, False), (1_000, False)])
def test_the_edge(kind: str, distance: int, true: bool) -> None:
    """An attack that keeps the rhythm of the window would never be seen; or two events be joined that no window holds."""
    span = 10 * SECOND
    hits = [hit(5, "a", value=1), hit(5 + span // 2, "x", value=2), hit(5 + span + distance, "b", value=3)]
    least = 6 if kind == "value_sum" else 3
    assert bool(true_at(correlation(kind, least), hits)) is true


@pytest.mark.parametrize("kind", KINDS)
def test_another_group(kind: str) -> None:
    """Events of two devices would be taken for those of one."""
    hits = [hit(1, "a", value=1), hit(2, "a", value=2), hit(3, "b", value=3, group="h")]
    assert not true_at(correlation(kind, 6 if kind == "value_sum" else 3), hits)


@pytest.mark.parametrize(("kind", "least"), [("event_count", 3), ("value_count", 3), ("value_sum", 6)])
def test_one_less(kind: str, least: int) -> None:
    """A threshold would be one lower or one higher than it is written."""
    hits = [hit(1, value=1), hit(2, value=2), hit(3, value=3)]
    assert true_at(correlation(kind, least), hits) == [(3, True)]
    assert not true_at(correlation(kind, least + 1), hits)


def test_values_that_leave_the_window() -> None:
    """A value that was seen once would count for ever."""
    hits = [hit(0, value="x"), hit(1, value="x"), hit(2, value="y"), hit(10 * SECOND, value="z"), hit(10 * SECOND + 1, value="z")]
    assert true_at(correlation("value_count"), hits) == [(10 * SECOND, True)]


def test_order() -> None:
    """What came after would be taken for what came before; one event be its own past."""
    ordered = correlation("temporal_ordered", 0)
    assert true_at(ordered, [hit(1, "a"), hit(2, "b")]) == [(2, True)]
    assert not true_at(ordered, [hit(1, "b"), hit(2, "a")])
    assert not true_at(ordered, [hit(1, "ab")])
    assert true_at(ordered, [hit(1, "ab"), hit(2, "ab")]) == [(2, True)]
    assert true_at(correlation("temporal", 0), [hit(1, "b"), hit(2, "a")]) == [(2, True)]
    assert true_at(correlation("temporal", 0), [hit(1, "ab")]) == [(1, True)]
    three = correlation("temporal_ordered", 0, rules="abc")
    assert true_at(three, [hit(1, "a"), hit(2, "b"), hit(3, "a"), hit(4, "c")]) == [(4, True)]
    assert not true_at(three, [hit(1, "b"), hit(2, "a"), hit(3, "c")])


def test_events_of_one_time_are_in_the_order_of_their_log() -> None:
    """Two events of one microsecond would be ordered by chance."""
    ordered = correlation("temporal_ordered", 0)
    assert true_at(ordered, [hit(5, "b", seq=2), hit(5, "a", seq=1)]) == [(5, True)]
    assert not true_at(ordered, [hit(5, "b", seq=1), hit(5, "a", seq=2)])


def test_an_alert_is_told_once_and_again_after_a_pause() -> None:
    """A flood of an hour would be a thousand alerts; or the second flood, an hour later, be none."""
    hits = [hit(at) for at in (*range(1, 8), *range(100 * SECOND, 100 * SECOND + 4))]
    assert [at for at, first in true_at(correlation("event_count"), hits) if first] == [3, 100 * SECOND + 2]


@given(
    st.sampled_from(KINDS),
    st.lists(st.tuples(st.integers(0, 40), st.sampled_from(["a", "b", "ab"]), st.sampled_from("gh"), st.integers(1, 4)), max_size=14),
    st.integers(1, 5),
)
def test_it_is_what_the_definition_says(kind: str, events: list[tuple[int, str, str, int]], least: int) -> None:
    """The window that slides would forget or keep something that the definition does not."""
    hits = [hit(at, rules, group=group, value=value, seq=seq) for seq, (at, rules, group, value) in enumerate(events, 1)]
    of = correlation(kind, least, span=10)
    expected = []
    for last in sorted(hits, key=lambda each: (each.group, each.at, each.place)):
        window = [
            each
            for each in hits
            if each.group == last.group and last.at - 10 < each.at <= last.at and (each.at, each.place) <= (last.at, last.place)
        ]
        if defined(kind, window, last, least):
            expected.append(last)
    found = [truth.window[-1] for truth in truths(of, hits)]
    assert sorted(found, key=lambda each: (each.group, each.at, each.place)) == expected


def defined(kind: str, window: list[Hit], last: Hit, least: int) -> bool:
    """Say whether a correlation of rules a and b is true for a window, as the documents define it."""
    match kind:
        case "event_count":
            return len(window) >= least
        case "value_count":
            return len({each.value for each in window}) >= least
        case "value_sum":
            return sum(each.value for each in window if isinstance(each.value, int)) >= least
        case "temporal":
            return {"a", "b"} <= frozenset().union(*(each.rules for each in window))
        case _:
            return "b" in last.rules and any("a" in each.rules for each, end in product(window, [last]) if each != end)
