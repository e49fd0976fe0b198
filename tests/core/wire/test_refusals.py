"""Records of refusals stay bounded and add up [D-20] [D-21]."""

from hypothesis import given
from hypothesis import strategies as st

from core.errors import PeerFault
from core.reasons import Reason
from core.values import Endpoint, Instant
from core.wire.layout import Defect, Malformed
from core.wire.refusals import Tally, reason_of

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


def test_what_each_record_of_refusals_says() -> None:
    """[D-21] A record would have another source, time or number, or come a moment late."""
    told: list[tuple[object, Reason, int, Endpoint | None, Instant]] = []
    tally = Tally(lambda *said: told.append(said), 2, INTERVAL)
    here, there, now = Endpoint(bytes(16), 1), Endpoint(bytes(16), 2), Instant(5)
    for remote in (here, there, here, there):
        tally.add("key", REASONS[0], remote, now)
    assert told == [("key", REASONS[0], 1, here, now), ("key", REASONS[0], 1, there, now)]
    assert tally.deadline() == now + INTERVAL
    tally.flush(Instant(now + INTERVAL - 1))
    assert len(told) == 2
    tally.flush(end := Instant(now + INTERVAL))
    assert told[2:] == [("key", REASONS[0], 2, there, end)]
    assert tally.deadline() is None


def test_an_interval_that_goes_on_outlives_the_end_of_another() -> None:
    """[D-21] The sums of what began later are never told, or before their time; or those that are left are lost when a process stops."""
    told: list[tuple[object, int]] = []
    tally = Tally(lambda key, _reason, times, _remote, _at: told.append((key, times)), 1, INTERVAL)
    for key, at in (("first", 0), ("first", 1), ("second", 400), ("second", 401), ("second", 402)):
        tally.add(key, REASONS[0], None, Instant(at))
    tally.flush(Instant(INTERVAL))
    assert told == [("first", 1), ("second", 1), ("first", 1)]
    assert tally.deadline() == 400 + INTERVAL
    tally.flush(Instant(INTERVAL + 1), everything=True)
    assert told[3:] == [("second", 2)]


def test_the_reason_of_a_refusal_of_either_kind() -> None:
    """Bytes that are not JVP/1 would stop the gateway's loop instead of being counted."""
    assert reason_of(PeerFault(Reason.UNBOUND_PATH)) is Reason.UNBOUND_PATH
    assert reason_of(Malformed(Defect.TYPE)) is Reason.TYPE_UNKNOWN
