"""When to leave the cluster alone: a circuit breaker with exponential backoff."""

import hashlib
import os
import time
from collections.abc import Callable
from enum import Enum
from typing import Final

FIRST_SECONDS: Final = 0.25
CAP_SECONDS: Final = 30.0


class Circuit(Enum):
    """CLOSED: send. OPEN: wait, then send one event. PROBING: that one event is on its way."""

    CLOSED = "closed"
    OPEN = "open"
    PROBING = "probing"


def spread() -> float:
    """Return a number in [0, 1) that differs between processes and calls: not secret, so made of what is at hand."""
    seed = f"{os.getpid()} {time.monotonic_ns()}".encode()
    return int.from_bytes(hashlib.sha256(seed).digest()[:6], "big") / 2**48


class Breaker:
    """Counts failures in a row; ``pause`` says how long to wait: 0.25 s doubled for each, at most 30 s, times 0.5 to 1."""

    def __init__(self, spread: Callable[[], float] = spread) -> None:
        """Start closed."""
        self.circuit = Circuit.CLOSED
        self.why = ""
        self.failures = 0
        self._spread = spread

    def fail(self, why: str) -> None:
        """Nothing went through: open."""
        self.circuit, self.why = Circuit.OPEN, why
        self.failures += 1

    def slow(self, why: str) -> None:
        """Something went through, but the cluster has too much to do: stay closed, pause before going on."""
        self.circuit, self.why = Circuit.CLOSED, why
        self.failures = max(1, self.failures)

    def succeed(self) -> None:
        """Everything went through: close, forget the failures."""
        self.circuit, self.why, self.failures = Circuit.CLOSED, "", 0

    def probe(self) -> None:
        """The pause is over: one event may go."""
        if self.circuit is Circuit.OPEN:
            self.circuit = Circuit.PROBING

    def pause(self) -> float:
        """Seconds to wait before the next request; 0 after success."""
        if not self.failures:
            return 0.0
        # Doubling stops being computed where it has reached the cap: no overflow after a year of outage.
        full = min(CAP_SECONDS, FIRST_SECONDS * (1 << min(self.failures - 1, 10)))
        return full * (0.5 + self._spread() / 2)
