"""One key as this process knows it, and what documents and clock make it hear."""

from collections.abc import Callable
from typing import Final, NamedTuple

from core.errors import require
from core.keys.states import PRIORITY, Effect, Input, Kind, State
from core.keys.table import MACHINE, TABLE, Facts, Row
from core.machine import Actor
from core.reasons import Event, Reason
from core.values import Fact, Instant
from jvpn.keys.documents import RETIRED, Revoked


class Validity(NamedTuple):
    """What is known of a key: whether it is listed, seconds since 1970 of its time, whether a newer one is offered, how it is revoked."""

    listed: bool = True
    not_before: int = 0
    not_after: int | None = None
    succeeded: bool = False
    revoked: Revoked | None = None


class Times(NamedTuple):
    """The time of a device's key, as the allow list has it: seconds since 1970, from the first until before the second [K-41]."""

    valid_from: int = 0
    valid_until: int | None = None

    def hold(self, wall_s: int) -> bool:
        """Tell whether this is a time of the key."""
        return self.valid_from <= wall_s and (self.valid_until is None or wall_s < self.valid_until)


ALWAYS: Final = Times()


class Key(Actor[State, Input, Effect, Facts, None]):
    """A key by its public part, 32 bytes. `held`: the private part is here. Facts are handed to `record` with a serial of `serial`."""

    machine = MACHINE

    def __init__(self, kind: Kind, public: bytes, serial: Callable[[], int], record: Callable[[Fact], None], *, held: bool) -> None:
        self.kind, self.public, self.held = kind, public, held
        self.state, self.offered, self.accepted = State.PRE_ACTIVE, False, False
        self._serial, self.record = serial, record
        self._last = 0

    def facts(self) -> Facts:
        """Return what the claims speak about."""
        return Facts(self.state, self.version, self.offered, self.accepted, self.held)

    def born(self, reason: Reason, now: Instant) -> None:
        """Record where the key comes from: KEY_GENERATED, KEY_IMPORTED or KEY_LISTED."""
        self._tell(reason, 0, now)

    def take(self, row: Row, now: Instant, _offer: None = None) -> None:
        """Go where the row goes."""
        before, self.state, self.version = self.state, row.goes_to or self.state, self.version + 1
        for effect in row.effects:
            match effect:
                case Effect.OFFER:
                    self.offered = self.accepted = True
                case Effect.WITHDRAW:
                    self.offered = False
                case Effect.REFUSE:
                    self.offered = self.accepted = False
                case Effect.ERASE:  # pragma: no branch - the last effect there is, as mypy sees
                    self.held = False
        require(row.reason is not None, "each row of a key's table has its reason")
        self._tell(row.reason or Reason.INVARIANT_BROKEN, before, now)

    def abandon(self, now: Instant) -> None:
        """Accept the key no more, whatever else is wrong."""
        before = self.state
        if self.accepted or before < State.DEACTIVATED:
            self.state, self.version = max(before, State.DEACTIVATED), self.version + 1
            self.offered = self.accepted = False
            self._tell(Reason.INVARIANT_BROKEN, before, now)

    def judge(self, found: Validity, wall_s: int, now: Instant) -> None:
        """Hear what is due at this time, in the order of priority [K-32]."""
        due = {
            Input.REVOKED: found.revoked is not None and found.revoked.reason != RETIRED,
            Input.WITHDRAWN: not found.listed or (found.revoked is not None and found.revoked.reason == RETIRED),
            Input.VALID_UNTIL: found.not_after is not None and found.not_after <= wall_s,
            Input.VALID_FROM: found.not_before <= wall_s,
            Input.SUCCEEDED: found.succeeded,
        }
        for heard in PRIORITY:
            if due.get(heard) and (self.state, heard) in TABLE:
                self.hear(heard, now)

    def _tell(self, reason: Reason, before: int, now: Instant) -> None:
        fact = Fact(Event.KEY_CHANGED, reason, self._serial(), self._last, now, state_from=before, state_to=self.state,
                    state_version=self.version, carrier_to=self.kind, device=self.public)  # fmt: skip
        self._last = fact.serial
        self.record(fact)
