"""The two clocks: one for decisions, one for people. The only module that reads either."""

import time

from core.values import Instant


def boottime() -> Instant:
    """Return nanoseconds since the machine started, suspended time included (CLOCK_BOOTTIME): a laptop's sleep ages its sessions."""
    return Instant(time.clock_gettime_ns(time.CLOCK_BOOTTIME))


def wall() -> int:
    """Return nanoseconds since 1970 (CLOCK_REALTIME): for timestamps that people read, and validity given in dates. It may jump."""
    return time.clock_gettime_ns(time.CLOCK_REALTIME)
