"""Pseudonyms: who is linkable for whom, and for how long (clauses A-14, A-18).

A pseudonym is a keyed BLAKE2b of 8 bytes, separated by what it stands for. Each calendar month has a key of its own: equal names in one
month are the same thing, names of different months cannot be compared. Whoever holds a month's key can test a guess; when it is destroyed
nobody can, and the chain stays valid. One secret leads from month to month, and never back.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from hashlib import blake2b
from types import MappingProxyType
from typing import Final, NamedTuple, Self

from core.crypto.primitives import expand
from core.crypto.secret import Holder, Secret
from core.errors import CallerFault
from core.reasons import Reason

KEY_BYTES: Final = 32
PSEUDONYM_BYTES: Final = 8
CACHED: Final = 4_096  # as many sessions and peers are looked up instead of computed
MONTHS_CACHED: Final = 16  # whose names are ready; evidence that waited may be of an older month
MONTHS_MAX: Final = 12 * 1_000  # no month is later: 64 bits of nanoseconds end in 2554
BILLION: Final = 1_000_000_000
EPOCH: Final = 1970
YEAR: Final = 12  # months
OF_MONTH, NEXT, LATE = b"jvp names month", b"jvp names next", b"jvp names late"


class Pseudonyms:
    """Names of sessions (48-bit handles), devices (32-byte keys) and peers (16-byte address, port) under one key.

    Leaks: a repeated name is found in a cache, so timing shows that it was seen lately; the log shows that anyhow.
    """

    def __init__(self, key: bytes) -> None:
        """Take the 32-byte key. CallerFault for another length."""
        if len(key) != KEY_BYTES:
            raise CallerFault(f"a pseudonym key has {KEY_BYTES} bytes, this has {len(key)}")

        @lru_cache(maxsize=CACHED)
        def of(what: bytes, value: bytes) -> str:
            return blake2b(value, digest_size=PSEUDONYM_BYTES, key=key, person=what).hexdigest()

        self._of = of

    def session(self, handle: int) -> str:
        """Return the pseudonym of a session handle."""
        return self._of(b"session", handle.to_bytes(8, "little"))

    def device(self, public_key: bytes) -> str:
        """Return the pseudonym of a device key."""
        return self._of(b"device", public_key)

    def peer(self, address: bytes, port: int) -> str:
        """Return the pseudonym of an endpoint."""
        return self._of(b"peer", address + port.to_bytes(2, "little"))


class Owed(NamedTuple):
    """What was done with keys and is not in the log yet: of which months, and how often or how many."""

    first: int
    last: int
    times: int

    def and_also(self, other: "Owed | None") -> "Owed":
        """Return both as one."""
        if other is None:
            return self
        return Owed(min(self.first, other.first), max(self.last, other.last), self.times + other.times)


class Ring(Holder):
    """The keys of the months: a secret from which those of `month` and later ones follow, and the keys of ended months that are kept.

    Months count from January 1970, which is 0. `born` is the month in which the ring began, `seen` the last one that a clock has shown.
    """

    __slots__ = ("_kept", "_secret", "born", "month", "owed", "seen")

    def __init__(
        self, month: int, secret: Secret, kept: Mapping[int, Secret], *, born: int, seen: int, owed: Mapping[Reason, Owed] | None = None
    ) -> None:
        """Take what a key file holds. CallerFault for a secret of another length."""
        if len(secret) != KEY_BYTES:
            raise CallerFault(f"the secret of the names has {KEY_BYTES} bytes, this has {len(secret)}")
        self.month, self._secret, self._kept = month, secret, MappingProxyType(dict(sorted(kept.items())))
        self.born, self.seen, self.owed = born, seen, MappingProxyType(dict(owed or {}))

    @classmethod
    def fresh(cls, secret: bytes, month: int) -> Self:
        """Begin with 32 random bytes in a month."""
        return cls(month, Secret(secret), {}, born=month, seen=month)

    @property
    def kept(self) -> tuple[int, ...]:
        """The ended months whose keys are still there."""
        return tuple(self._kept)

    def secrets(self) -> tuple[Secret, Mapping[int, Secret]]:
        """Return what the key file has to hold."""
        return self._secret, self._kept

    def names(self, month: int) -> Pseudonyms:
        """Return the names of a month.

        Those of a month whose key is destroyed are under one that is not used otherwise: nobody can compare them with those of before.
        Leaks: how far away the month is.
        """
        if month < self.month:
            key = self._kept[month] if month in self._kept else expand(self._secret, LATE + month.to_bytes(4, "little"), KEY_BYTES)
            return Pseudonyms(key.expose())
        return Pseudonyms(expand(self._led(month), OF_MONTH, KEY_BYTES).expose())

    def can_name(self, month: int) -> bool:
        """Return whether the key of this month is there."""
        return month >= self.month or month in self._kept

    def turned(self, now: int, months: int) -> "Ring":
        """Return what is left when the clock shows a month, and the keys of so many ended months are kept; this ring if nothing changes.

        Only a clock that goes from one month to the next one turns it: one that leaps may be wrong, and what is destroyed is gone (A-18).
        """
        if now != self.seen + 1 or now <= self.month:
            aged = self._aged(self.month, self._secret, self._kept, months)
            return aged if now == self.seen else aged.having_seen(now)
        kept = dict(self._kept)
        for month in range(self.month, now):
            kept[month] = expand(self._led(month), OF_MONTH, KEY_BYTES)
        return self._aged(now, self._led(now), kept, months).having_seen(now)

    def without(self, before: int) -> "Ring":
        """Return what is left when somebody destroys the keys of ended months before one; this ring if there is none."""
        gone = [month for month in self._kept if month < before]
        return self.less(gone, Reason.NAMES_DESTROYED) if gone else self

    def anew(self, secret: bytes, now: int) -> "Ring":
        """Return a ring that has nothing of this one: every key is destroyed, that of the month in use with them."""
        gone = Owed(min((*self._kept, self.month)), max(self.month, now), len(self._kept) + 1)
        owed = dict(self.owed) | {Reason.NAMES_DESTROYED: gone.and_also(self.owed.get(Reason.NAMES_DESTROYED))}
        return Ring(now, Secret(secret), {}, born=now, seen=now, owed=owed)

    def noting(self, reason: Reason, what: Owed) -> "Ring":
        """Return this ring, owing the log this too."""
        return self._with(owed=dict(self.owed) | {reason: what.and_also(self.owed.get(reason))})

    def settled(self, told: Mapping[Reason, Owed]) -> "Ring":
        """Return this ring without what the log was told; what was added since is owed still."""
        left = {reason: what.times - (told[reason].times if reason in told else 0) for reason, what in self.owed.items()}
        return self._with(owed={reason: self.owed[reason]._replace(times=times) for reason, times in left.items() if times > 0})

    def _led(self, month: int) -> Secret:
        """Return the secret of a month that has not ended."""
        if not self.month <= month < MONTHS_MAX:
            raise CallerFault(f"nothing leads from month {self.month} to month {month}")
        secret = self._secret
        for _ in range(self.month, month):
            secret = expand(secret, NEXT, KEY_BYTES)
        return secret

    def _aged(self, month: int, secret: Secret, kept: Mapping[int, Secret], months: int) -> "Ring":
        """Return a ring of this month, without the keys that are older than is allowed."""
        ring = self if month == self.month else Ring(month, secret, kept, born=self.born, seen=self.seen, owed=self.owed)
        gone = [each for each in kept if each < month - months]
        return ring.less(gone, Reason.NAMES_OVER) if gone else ring

    def less(self, gone: list[int], reason: Reason) -> "Ring":
        """Return this ring without the keys of these months, owing the log why."""
        left = {month: key for month, key in self._kept.items() if month not in gone}
        return self._with(kept=left).noting(reason, Owed(min(gone), max(gone), len(gone)))

    def having_seen(self, now: int) -> "Ring":
        """Return this ring after a clock has shown a month."""
        return Ring(self.month, self._secret, self._kept, born=self.born, seen=now, owed=self.owed)

    def _with(self, kept: Mapping[int, Secret] | None = None, owed: Mapping[Reason, Owed] | None = None) -> "Ring":
        kept, owed = self._kept if kept is None else kept, self.owed if owed is None else owed
        return Ring(self.month, self._secret, kept, born=self.born, seen=self.seen, owed=owed)


class Names:
    """The names that a writer gives: of each event those of the month of its own time."""

    def __init__(self, ring: Ring) -> None:
        """Begin with the keys of a ring."""
        self.use(ring)

    def use(self, ring: Ring) -> None:
        """Go on with these keys, and keep nothing of others."""
        self.ring = ring
        self._since = self._until = 0
        self._of = lru_cache(maxsize=MONTHS_CACHED)(ring.names)

    def at(self, wall_ns: int) -> Pseudonyms:
        """Return the names at a time, nanoseconds since 1970."""
        if not self._since <= wall_ns < self._until:
            month = month_of(wall_ns)
            self._since, self._until, self._now = begin_of(month), begin_of(month + 1), self._of(month)
        return self._now


def month_of(wall_ns: int) -> int:
    """Return the calendar month (UTC) of a time in ns since 1970; January 1970 is 0."""
    at = datetime.fromtimestamp(wall_ns // BILLION, UTC)
    return (at.year - EPOCH) * YEAR + at.month - 1


def begin_of(month: int) -> int:
    """Return when a month begins, in ns since 1970."""
    return int(datetime(EPOCH + month // YEAR, month % YEAR + 1, 1, tzinfo=UTC).timestamp()) * BILLION


def written(month: int) -> str:
    """Return a month as in 2026-11."""
    return f"{EPOCH + month // YEAR:04d}-{month % YEAR + 1:02d}"


def read(text: str) -> int:
    """Return the month that is written so. ValueError for anything else."""
    year, _, month = text.partition("-")
    found = (int(year) - EPOCH) * YEAR + int(month) - 1
    if written(found) != text or not 0 <= found < MONTHS_MAX:
        raise ValueError(f"{text!r} is no month such as 2026-11")
    return found


def names_of(secret: bytes, month: int = 0) -> Names:
    """Return the names of a ring that has begun with this secret in this month."""
    return Names(Ring.fresh(secret, month))
