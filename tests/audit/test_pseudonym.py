"""Pseudonyms, and the keys of the months."""

from datetime import UTC, datetime
from hashlib import blake2b
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit.pseudonym import Names, Owed, Pseudonyms, Ring, begin_of, month_of, names_of, read, written
from core.crypto.secret import Secret
from core.errors import CallerFault
from core.reasons import Reason
from tests.audit.made import KEY

DEVICE = bytes(range(32))
NOW = read("2026-12")


def test_what_is_named_is_kept_apart() -> None:
    """A-14: a session and a device whose bytes are equal would look like one thing."""
    names = Pseudonyms(KEY)
    address = bytes(range(16))

    def keyed(what: bytes, value: bytes) -> str:
        return blake2b(value, digest_size=8, key=KEY, person=what).hexdigest()

    assert names.session(5) == keyed(b"session", b"\5" + bytes(7))
    assert names.device(DEVICE) == keyed(b"device", DEVICE)
    assert names.peer(address, 258) == keyed(b"peer", address + b"\2\1")


@pytest.mark.parametrize("key", [b"", KEY[:-1], KEY + b"\0"])
def test_a_key_of_another_length_is_refused(key: bytes) -> None:
    """A-14: a cut key could be guessed, and with it every pseudonym."""
    with pytest.raises(CallerFault):
        Pseudonyms(key)
    with pytest.raises(CallerFault):
        Ring.fresh(key, NOW)


@given(st.integers(0, 2**64 - 1))
def test_a_month_is_that_of_the_calendar_in_utc(wall_ns: int) -> None:
    """A-18: an event would be named by another month than its own, and rules that count within a month would miss it."""
    at = datetime.fromtimestamp(wall_ns // 10**9, UTC)
    month = month_of(wall_ns)
    assert written(month) == f"{at:%Y-%m}"
    assert read(written(month)) == month
    assert begin_of(month) <= wall_ns < begin_of(month + 1)


@pytest.mark.parametrize("text", ["", "2026", "2026-13", "2026-00", "2026-1", "1969-12", "x-1", "26-11", "2026-011", "9999-12"])
def test_what_is_no_month_is_refused(text: str) -> None:
    """A command would destroy the keys of another month than was meant."""
    with pytest.raises(ValueError, match=r"no month|invalid literal"):
        read(text)


def test_one_is_the_same_within_a_month_and_another_in_the_next() -> None:
    """A-18: who is seen in one month could be followed through years; or rules would lose sight of them within an hour."""
    names = names_of(KEY, NOW)
    last, first = begin_of(NOW + 1) - 1, begin_of(NOW + 1)
    assert names.at(begin_of(NOW)).device(DEVICE) == names.at(last).device(DEVICE) != names.at(first).device(DEVICE)
    assert names.at(last).device(DEVICE) == names_of(KEY, NOW).at(begin_of(NOW)).device(DEVICE)  # by the event's time, whatever was before
    shown = [names.at(begin_of(NOW + number)).device(DEVICE) for number in range(24)]
    assert len(set(shown)) == 24


def test_two_that_share_the_secret_agree_in_every_month() -> None:
    """A-18: two gateways with one key file would name a device differently after the first turn."""
    ours, theirs = Ring.fresh(KEY, NOW), Ring.fresh(KEY, NOW)
    for month in range(NOW + 1, NOW + 5):
        ours = ours.turned(month, 12)
        assert ours.names(month).device(DEVICE) == theirs.names(month).device(DEVICE)
        assert [ours.names(each).device(DEVICE) for each in ours.kept] == [theirs.names(each).device(DEVICE) for each in ours.kept]
    assert ours.month == NOW + 4
    assert ours.kept == tuple(range(NOW, NOW + 4))


def test_a_destroyed_month_is_not_in_what_is_left() -> None:
    """A-18: whoever takes the key file later would resolve the months whose keys were destroyed."""
    ring = Ring.fresh(KEY, NOW)
    before = ring.names(NOW).device(DEVICE)
    for month in range(NOW + 1, NOW + 4):
        ring = ring.turned(month, 1)
    assert ring.kept == (NOW + 2,)
    assert ring.owed == {Reason.NAMES_OVER: Owed(NOW, NOW + 1, 2)}
    secret, kept = ring.secrets()
    left = [secret.expose(), *(key.expose() for key in kept.values())]
    assert KEY not in left
    for one in left:  # nothing that is left leads back, by any step that leads forward
        names = names_of(one, NOW)
        assert before not in {names.at(begin_of(month)).device(DEVICE) for month in range(NOW, NOW + 6)} | {Pseudonyms(one).device(DEVICE)}
    late = ring.names(NOW).device(DEVICE)
    assert late == ring.names(NOW).device(DEVICE) != before  # an event that comes so late is named, and cannot be compared
    assert not ring.can_name(NOW)
    assert ring.can_name(NOW + 2)


def test_no_month_is_kept_if_none_is_allowed() -> None:
    """A-18: whoever wants nothing to be resolved after a month's end would have it for a month more."""
    ring = Ring.fresh(KEY, NOW).turned(NOW + 1, 0)
    assert (ring.month, ring.kept, dict(ring.owed)) == (NOW + 1, (), {Reason.NAMES_OVER: Owed(NOW, NOW, 1)})


@pytest.mark.parametrize("leap", [2, 13, 800, -1, -30])
def test_a_clock_that_leaps_destroys_nothing(leap: int) -> None:
    """A-18: a wrong time for a second would destroy what an investigation needs; it is put right, and all is as before."""
    ring = Ring.fresh(KEY, NOW)
    for month in range(NOW + 1, NOW + 4):
        ring = ring.turned(month, 12)
    there = ring.month
    device = ring.names(there).device(DEVICE)
    leapt = ring.turned(there + leap, 12)
    assert (leapt.month, leapt.kept, dict(leapt.owed)) == (there, ring.kept, {})
    assert leapt.turned(there + leap, 12) is leapt
    back = leapt.turned(there, 12)
    assert back.names(there).device(DEVICE) == device
    assert back.turned(there + 1, 12).month == there + 1


def test_one_that_was_off_for_months_turns_at_the_next_months_end() -> None:
    """A-18: the keys of a laptop that slept for a season would be kept for ever."""
    ring = Ring.fresh(KEY, NOW).turned(NOW + 5, 2)
    assert ring.month == NOW
    assert ring.names(NOW + 5).device(DEVICE) == Ring.fresh(KEY, NOW).names(NOW + 5).device(DEVICE)
    ring = ring.turned(NOW + 6, 2)
    assert (ring.month, ring.kept) == (NOW + 6, (NOW + 4, NOW + 5))
    assert ring.owed == {Reason.NAMES_OVER: Owed(NOW, NOW + 3, 4)}


def test_a_shorter_time_holds_at_once() -> None:
    """A-18: whoever shortens the time would wait for the next month to be obeyed."""
    ring = Ring.fresh(KEY, NOW)
    for month in range(NOW + 1, NOW + 6):
        ring = ring.turned(month, 12)
    assert ring.turned(ring.month, 2).kept == (NOW + 3, NOW + 4)
    assert ring.turned(ring.month, 12) is ring


def test_what_somebody_destroys_is_gone() -> None:
    """A-19: a command would say that months cannot be resolved, and they could."""
    ring = Ring.fresh(KEY, NOW)
    for month in range(NOW + 1, NOW + 4):
        ring = ring.turned(month, 12)
    less = ring.without(NOW + 2)
    assert (less.kept, dict(less.owed)) == ((NOW + 2,), {Reason.NAMES_DESTROYED: Owed(NOW, NOW + 1, 2)})
    assert less.without(NOW + 2) is less
    none = less.anew(bytes(32), NOW + 3)
    assert none.owed == {Reason.NAMES_DESTROYED: Owed(NOW, NOW + 3, 4)}
    assert none.kept == ()
    assert none.names(NOW + 3).device(DEVICE) != ring.names(NOW + 3).device(DEVICE)


def test_what_was_told_is_owed_no_more_and_the_rest_is() -> None:
    """A-19: somebody who asks while the log is told would leave no trace."""
    ring = Ring.fresh(KEY, NOW).noting(Reason.NAMES_RESOLVED, Owed(NOW, NOW, 1))
    told = dict(ring.owed)
    more = ring.noting(Reason.NAMES_RESOLVED, Owed(NOW - 1, NOW, 2)).noting(Reason.NAMES_OVER, Owed(1, 2, 2))
    assert more.settled(told).owed == {Reason.NAMES_RESOLVED: Owed(NOW - 1, NOW, 2), Reason.NAMES_OVER: Owed(1, 2, 2)}
    assert ring.settled(told).owed == {}


def test_names_forget_what_was_destroyed_under_them() -> None:
    """A-19: a running writer would go on naming by a key that its operator has destroyed."""
    ring = Ring.fresh(KEY, NOW)
    names = Names(ring)
    before = names.at(begin_of(NOW)).device(DEVICE)
    names.use(ring.anew(bytes(32), NOW))
    assert names.at(begin_of(NOW)).device(DEVICE) != before


def test_every_step_of_the_secret_is_another() -> None:
    """A-18: the key of one month would open another one's names."""
    ring, seen = Ring.fresh(KEY, NOW), []
    for month in range(NOW + 1, NOW + 4):
        seen.append(ring.secrets()[0].expose())
        ring = ring.turned(month, 12)
    seen += [key.expose() for key in ring.secrets()[1].values()]
    assert len(set(seen)) == len(seen) == 6
    assert all(one != after for one, after in pairwise(seen))
    with pytest.raises(CallerFault, match="nothing leads"):
        ring.names(12_000)
    assert isinstance(ring.secrets()[0], Secret)
