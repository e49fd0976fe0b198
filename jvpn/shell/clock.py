"""The two clocks: one for decisions, one for people. The only module that reads either."""

import time
from collections.abc import Callable

from core.values import Instant


def boottime() -> Instant:
    """Return nanoseconds since the machine started, suspended time included (CLOCK_BOOTTIME): a laptop's sleep ages its sessions."""
    return Instant(time.clock_gettime_ns(time.CLOCK_BOOTTIME))


def wall() -> int:
    """Return nanoseconds since 1970 (CLOCK_REALTIME): for timestamps that people read, and validity given in dates. It may jump."""
    return time.clock_gettime_ns(time.CLOCK_REALTIME)


def past(wall_clock: Callable[[], int] = wall, since: Callable[[], int] = boottime) -> Callable[[], int]:
    """Return a clock for what cannot be undone: the wall as it was now and `since` then, or the wall itself where that is less.

    Nanoseconds since 1970. A wall clock that is set forward, rightly or not, makes nothing older: what is deleted by this clock has
    expired by the one that decides about sessions too, which is the wall at the start and CLOCK_BOOTTIME.
    """
    start = wall_clock() - since()
    return lambda: min(start + since(), wall_clock())
