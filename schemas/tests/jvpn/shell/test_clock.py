"""The clocks are the ones they claim to be."""

import time

import pytest

from jvpn.shell import clock


def test_decisions_use_the_clock_that_counts_suspended_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """A laptop that slept for a day would still trust keys that ended in the night; the wall clock would let anyone who sets it decide."""
    monkeypatch.setattr(time, "clock_gettime_ns", {time.CLOCK_BOOTTIME: 7, time.CLOCK_REALTIME: 8}.__getitem__)
    assert (clock.boottime(), clock.wall()) == (7, 8)


def test_boottime_never_goes_back() -> None:
    """A deadline would come twice."""
    readings = [clock.boottime() for _ in range(100)]
    assert readings == sorted(readings)
