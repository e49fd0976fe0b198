"""Records of refusals stay bounded and add up [D-20] [D-21]."""

from hypothesis import given
from hypothesis import strategies as st

from core.reasons import Reason
from core.values import Endpoint, Instant
from core.wire.refusals import Tally

INTERVAL, BURST = 1_000, 3
REASONS = (Reason.UNBOUND_PATH, Reason.COUNTER_STALE)


@given(st.lists(st.tuples(st.integers(0, 400), st.integers(0, 2), st.sampled_from(REASONS)), max_size=200))
def test_each_refusal_is_in_one_record(arrivals: list[tuple[int, int, Reason]]) -> None:
    """D-21: a flood would fill the log, or refusals be missing from it."""
    told: list[tuple[object, Reason, int]] = []
    now = 0

    def emit(key: object, reason: Reason, times: int, _remote: Endpoint | None, _at: Instant) -> None:
        told.append((key, reason, times))

    tally = Tally(emit, BURST, INTERVAL)
    for wait, key, reason in arrivals:
        now += wait
        if (due := tally.deadline()) is not None and due <= now:
            tally.flush(Instant(now))
        tally.add(key, reason, None, Instant(now))
    tally.flush(Instant(now), everything=True)
    assert tally.deadline() is None
    for key in range(3):
        for reason in REASONS:
            offered = len([1 for _, other, why in arrivals if (other, why) == (key, reason)])
            assert sum(times for other, why, times in told if (other, why) == (key, reason)) == offered
        assert len([1 for other, _, _ in told if other == key]) <= (BURST + len(REASONS)) * (now // INTERVAL + 1)
