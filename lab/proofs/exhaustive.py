"""Every order of arrival, on the real code, for windows small enough to reach every state there is.

The oracle is the set of all counters accepted, and the window's rule said of it in one line each. No solver and no reading stands between.
"""

from collections.abc import Sequence
from typing import NamedTuple

from core.crypto.replay import Verdict
from core.limits import COUNTER_LIMIT
from lab.proofs.readings import Step


class Outcome(NamedTuple):
    """How many states were reached, how many steps were taken from them, and the first step that the oracle disagrees with, if any."""

    states: int
    steps: int
    mismatch: str


def oracle(accepted: frozenset[int], counter: int, width: int) -> Verdict:
    """Return the verdict of RFC 4303, 3.4.3, from the set of all counters accepted so far [W-1] [W-3] [W-5]."""
    if counter >= COUNTER_LIMIT:
        return Verdict.LIMIT
    if counter <= max(accepted, default=0) - width:
        return Verdict.STALE
    return Verdict.REPLAY if counter in accepted else Verdict.ACCEPT


def fixpoint(function: Step, width: int, counters: Sequence[int]) -> Outcome:
    """Take every step from every state that can be reached with these counters, until there is no new one."""
    start = (0, 0, frozenset[int]())
    known, waiting, steps = {start}, [start], 0
    while waiting:
        top, bitmap, accepted = waiting.pop()
        for counter in counters:
            steps += 1
            verdict, *window = function(top, bitmap, counter, width)
            expected = oracle(accepted, counter, width)
            now = accepted | {counter} if expected is Verdict.ACCEPT else accepted
            wanted = [max(now, default=0), bits(now, width)] if expected is Verdict.ACCEPT else [top, bitmap]
            if (verdict, window) != (expected, wanted):
                return Outcome(
                    len(known), steps, f"after {sorted(accepted)} comes {counter}: {verdict.name} {window}, not {expected.name} {wanted}"
                )
            state = (wanted[0], wanted[1], now)
            if state not in known:
                known.add(state)
                waiting.append(state)
    return Outcome(len(known), steps, "")


def bits(accepted: frozenset[int], width: int) -> int:
    """Return the bitmap that says of each number inside the window whether it was accepted."""
    top = max(accepted, default=0)
    return sum(1 << top - counter for counter in accepted if counter > top - width)
