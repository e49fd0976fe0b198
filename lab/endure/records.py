"""What a gateway would record: sessions that are born, jump and end, their health, and refusals; as records, without end.

One counter gives all serials, as in a gateway, so that a gap in those of the log is exactly what is missing.
"""

from array import array
from collections import deque
from collections.abc import Iterator
from random import Random
from typing import Final, NamedTuple

from audit.record import pack
from audit.vocabulary import vocabulary
from core.reasons import Carrier, Event, Reason
from core.session.states import State
from core.values import Endpoint, Fact, Instant
from lab.tamper.material import session

BOOT: Final = b"one boot"
BEGIN_NS: Final = 1_790_553_600_000_000_000  # 2026-09-28, two months' ends before SPAN_NS is over
SPAN_NS: Final = 36 * 86_400 * 1_000_000_000
MONTHS: Final = ("2026-09", "2026-10", "2026-11")
HOUR_NS: Final = 3_600_000_000_000
OPEN: Final = 12  # sessions at a time
STORY: Final = 0.35  # of all records, those that tell of sessions; the rest is health and refusals
ADDRESS: Final = bytes(10) + b"\xff\xff\xc0\x00\x02"


class Fed(NamedTuple):
    """One record; evidence has an outbox id, telemetry 0."""

    outbox_id: int
    data: bytes


class Stream:
    """Records, one after the other. `events`: over so many of them two ends of a month are passed; `clock_ns` is how wrong the clock is."""

    def __init__(self, dice: Random, events: int) -> None:
        """Nothing is made yet."""
        self.telemetry = array("Q")  # serials, in the order in which they were made
        self.evidence = array("Q")
        self.clock_ns = 0
        self._dice, self._serial, self._step_ns = dice, 0, max(1, SPAN_NS // max(1, events))
        self._wall_ns, self._handle = BEGIN_NS, 0
        self._open: deque[Iterator[Fact]] = deque()
        self._kinds = vocabulary().kinds

    @property
    def made(self) -> int:
        """How many records there were."""
        return self._serial

    def next(self) -> Fed:
        """Return the next record."""
        self._serial += 1
        self._wall_ns = BEGIN_NS + min(self._serial * self._step_ns, SPAN_NS)
        fact = self._fact()._replace(serial=self._serial, at=Instant(self._serial * 1_000))
        evidence = self._kinds[fact.event.name].event_class == "evidence"
        (self.evidence if evidence else self.telemetry).append(self._serial)
        outbox_id = len(self.evidence) if evidence else 0
        return Fed(outbox_id, pack(fact, self._wall_ns + self.clock_ns, BOOT, outbox_id))

    def lost(self, times: int) -> bytes:
        """Return the record that so many were lost for want of room (O-22)."""
        fact = Fact(Event.TELEMETRY_LOST, Reason.TELEMETRY_OVERFLOW, 0, 0, Instant(self._serial * 1_000), times=times)
        return pack(fact, self._wall_ns + self.clock_ns, BOOT)

    def _fact(self) -> Fact:
        if self._dice.random() >= STORY:
            return self._noise()
        if len(self._open) < OPEN:
            self._handle += 1
            self._open.append(iter(session(self._handle, self._dice.randrange(4))))
        self._open.rotate(self._dice.randrange(OPEN))
        fact = next(self._open[0], None)
        if fact is None:
            self._open.popleft()
            return self._noise()
        return fact

    def _noise(self) -> Fact:
        """A sample of health, or a refusal: what comes in masses."""
        if self._dice.random() < 0.5:  # noqa: PLR2004 - half of each
            remote = Endpoint(ADDRESS + bytes((self._serial % 256,)), 40_000 + self._serial % 20_000)
            return Fact(Event.TRAFFIC_REFUSED, Reason.MAC1_WRONG, 0, 0, Instant(0), carrier_to=Carrier.UDP, remote=remote, times=1)
        bytes_in, bytes_out = self._dice.randrange(1 << 20), self._dice.randrange(1 << 24)
        return Fact(
            Event.SESSION_HEALTH, Reason.HEALTH_SAMPLED, 0, 0, Instant(0),
            handle=self._handle + 1, correlation=self._serial.to_bytes(16, "big"),
            state_from=State.ATTACHED, state_to=State.ATTACHED, state_version=2, carrier_to=Carrier.UDP,
            measures=(bytes_in, bytes_out, bytes_in // 900, bytes_out // 900),
        )  # fmt: skip
