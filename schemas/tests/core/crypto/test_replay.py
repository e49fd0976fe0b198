"""The window against a set of all counters ever accepted: exhaustively where it is small, at random where it is not."""

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.crypto.replay import Verdict, step
from core.limits import COUNTER_LIMIT


def oracle(accepted: frozenset[int], counter: int, width: int) -> Verdict:
    """Return the verdict of RFC 4303, 3.4.3, from the set of all counters accepted so far."""
    top = max(accepted, default=0)
    if counter <= top - width:
        return Verdict.STALE
    return Verdict.REPLAY if counter in accepted else Verdict.ACCEPT


@pytest.mark.parametrize(("width", "counters", "states"), [(4, 10, 1 << 10), (8, 14, 1 << 14)])
def test_every_order_of_arrival(width: int, counters: int, states: int) -> None:
    """For some order of arrival a packet is delivered twice, or a fresh one within the window is thrown away."""
    start: tuple[int, int, frozenset[int]] = (0, 0, frozenset())
    known, todo, seen_verdicts = {start}, [start], set()
    while todo:
        top, bitmap, accepted = todo.pop()
        for counter in range(counters):
            verdict, *after = step(top, bitmap, counter, width)
            seen_verdicts.add(verdict)
            assert verdict is oracle(accepted, counter, width)
            now = accepted | {counter} if verdict is Verdict.ACCEPT else accepted
            if verdict is not Verdict.ACCEPT:
                assert after == [top, bitmap]
            world = (after[0], after[1], now)
            assert after[0] == max(now, default=0)
            assert after[1] >> width == 0
            if world not in known:
                known.add(world)
                todo.append(world)
    assert seen_verdicts == {Verdict.ACCEPT, Verdict.REPLAY, Verdict.STALE}
    assert len(known) == len({accepted for _, _, accepted in known}) == states


@settings(max_examples=200)
@given(st.lists(st.one_of(st.integers(0, 3000), st.integers(0, 40), st.integers(0, COUNTER_LIMIT - 1)), max_size=60))
def test_the_width_in_use(arrivals: list[int]) -> None:
    """At the width that is shipped, a packet is delivered twice or wrongly thrown away."""
    top, bitmap, accepted = 0, 0, frozenset[int]()
    for counter in arrivals:
        expected = oracle(accepted, counter, 1024)
        verdict, top, bitmap = step(top, bitmap, counter)
        assert verdict is expected
        if verdict is Verdict.ACCEPT:
            accepted |= {counter}


def test_edges_of_the_width_in_use() -> None:
    """The window is one packet too narrow or too wide."""
    _, top, bitmap = step(0, 0, 5000)
    assert step(top, bitmap, 5000 - 1023)[0] is Verdict.ACCEPT
    assert step(top, bitmap, 5000 - 1024)[0] is Verdict.STALE
    _, top, bitmap = step(top, bitmap, 5000 + 1023)
    assert step(top, bitmap, 5000)[0] is Verdict.REPLAY
    _, top, bitmap = step(top, bitmap, 5000 + 1024)
    assert step(top, bitmap, 5000)[0] is Verdict.STALE
    assert step(top, bitmap, 5001)[0] is Verdict.ACCEPT


def test_the_first_packet_has_counter_zero() -> None:
    """The first packet of every epoch is thrown away, or accepted twice."""
    verdict, top, bitmap = step(0, 0, 0)
    assert (verdict, top, bitmap) == (Verdict.ACCEPT, 0, 1)
    assert step(top, bitmap, 0)[0] is Verdict.REPLAY


def test_the_limit() -> None:
    """A key is used beyond its last nonce, or counters wrap around to ones that were used."""
    assert COUNTER_LIMIT == 2**64 - 2**13 - 1
    for top, bitmap in ((0, 0), (COUNTER_LIMIT - 1, 1)):
        for counter in (COUNTER_LIMIT, COUNTER_LIMIT + 1, 2**64 - 1):
            assert step(top, bitmap, counter) == (Verdict.LIMIT, top, bitmap)
    assert step(0, 1, COUNTER_LIMIT - 1) == (Verdict.ACCEPT, COUNTER_LIMIT - 1, 1)
    assert step(COUNTER_LIMIT - 1, 1, 0)[0] is Verdict.STALE


class Watched(int):
    """An integer that remembers the largest shift it was asked for."""

    largest = 0

    def __lshift__(self, by: int) -> int:
        Watched.largest = max(Watched.largest, by)
        return int(self) << by


FULL = (1 << 1024) - 1


@pytest.mark.parametrize(("jump", "expected"), [(1, FULL), (1023, 1 << 1023 | 1), (1024, 1), (1025, 1), (2**20, 1)])
def test_a_far_jump_costs_nothing(jump: int, expected: int) -> None:
    """One packet with a far counter takes a gigabyte of memory before it is even authenticated."""
    Watched.largest = 0
    assert step(7, Watched(FULL), 7 + jump) == (Verdict.ACCEPT, 7 + jump, expected)
    assert Watched.largest == (jump if jump < 1024 else 0)


class Symbol:
    """A stand-in for a solver's integer: only the operators that the proof defines, comparisons decided by a hidden value."""

    def __init__(self, value: int) -> None:
        self.value = value

    def _with(self, other: "Symbol | int", operation: Callable[[int, int], int]) -> "Symbol":
        return Symbol(operation(self.value, other.value if isinstance(other, Symbol) else other))

    def __gt__(self, other: "Symbol | int") -> bool:
        return bool(self._with(other, int.__gt__).value)

    def __ge__(self, other: "Symbol | int") -> bool:
        return bool(self._with(other, int.__ge__).value)

    def __sub__(self, other: "Symbol | int") -> "Symbol":
        return self._with(other, int.__sub__)

    def __lshift__(self, other: "Symbol | int") -> "Symbol":
        return self._with(other, int.__lshift__)

    def __rlshift__(self, other: int) -> "Symbol":
        return Symbol(other << self.value)

    def __rshift__(self, other: "Symbol | int") -> "Symbol":
        return self._with(other, int.__rshift__)

    def __or__(self, other: "Symbol | int") -> "Symbol":
        return self._with(other, int.__or__)

    def __and__(self, other: "Symbol | int") -> "Symbol":
        return self._with(other, int.__and__)


@pytest.mark.parametrize("counter", [0, 1, 2, 5, 6, 9, COUNTER_LIMIT])
def test_a_solver_can_run_it(counter: int) -> None:
    """The function uses an operator that the proof does not model, so that the proof is about another text."""
    symbolic: Callable[..., tuple[object, ...]] = step  # a stand-in for int is what the types forbid
    verdict, *window = symbolic(Symbol(5), Symbol(0b1001), Symbol(counter), 4)
    assert (verdict, *(value.value if isinstance(value, Symbol) else value for value in window)) == step(5, 0b1001, counter, 4)
