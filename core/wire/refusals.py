"""Refusals: the reasons of malformed bytes, and records of refusals that stay bounded whatever arrives."""

from collections.abc import Callable, Hashable
from typing import Any, Final

from core.errors import PeerFault
from core.reasons import Reason
from core.values import Endpoint, Instant
from core.wire.layout import Defect, Malformed

DEFECT_REASON: Final = {
    Defect.LENGTH: Reason.LENGTH_WRONG, Defect.TYPE: Reason.TYPE_UNKNOWN, Defect.VERSION: Reason.VERSION_UNKNOWN,
    Defect.RESERVED: Reason.RESERVED_NOT_ZERO,
}  # fmt: skip


def reason_of(fault: PeerFault | Malformed) -> Reason:
    """Return why a frame is refused of which nothing is proven."""
    return fault.reason if isinstance(fault, PeerFault) else DEFECT_REASON[fault.defect]


class Tally:
    """Bounded records of refusals: for each key `burst` at once in an interval, and the rest as sums when the interval ends [D-21]."""

    def __init__(self, emit: Callable[[Any, Reason, int, Endpoint | None, Instant], None], burst: int, interval_ns: int) -> None:
        self._emit, self._burst, self._interval = emit, burst, interval_ns
        self._windows: dict[Hashable, tuple[Instant, list[int], dict[Reason, tuple[int, Endpoint | None]]]] = {}
        self._earliest: Instant | None = None

    def add(self, key: Hashable, reason: Reason, remote: Endpoint | None, now: Instant) -> None:
        """Count one refusal; record it at once while the burst lasts."""
        window = self._windows.get(key)
        if window is None:
            window = self._windows[key] = (Instant(now + self._interval), [0], {})
            self._earliest = self._earliest or window[0]  # the intervals are equally long, so they end as they began
        _, emitted, held = window
        if emitted[0] < self._burst:
            emitted[0] += 1
            self._emit(key, reason, 1, remote, now)
        else:
            held[reason] = (held[reason][0] + 1 if reason in held else 1, remote)

    def flush(self, now: Instant, *, everything: bool = False) -> None:
        """Record the sums of the intervals that have ended."""
        if self._earliest is None or (now < self._earliest and not everything):
            return
        for key in [key for key, (ends, _, _) in self._windows.items() if everything or ends <= now]:
            for reason, (times, remote) in self._windows.pop(key)[2].items():
                self._emit(key, reason, times, remote, now)
        self._earliest = min((ends for ends, _, _ in self._windows.values()), default=None)

    def deadline(self) -> Instant | None:
        """Return when the next interval ends."""
        return self._earliest
