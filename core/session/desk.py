"""What all sessions of one gateway share: identity, policy, keys of the row, indices, tickets, and the list of outputs."""

import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from core import limits
from core.crypto.chain import Locators, next_kek, seal, unseal
from core.crypto.primitives import PrivateKey, TagMismatch
from core.crypto.secret import Holder, Secret
from core.errors import PeerFault, given
from core.reasons import Event, Reason
from core.values import Admission, Ask, Device, Endpoint, Entropy, Fact, Instant, Operation, Output, Path, Record, Row
from core.wire.refusals import Tally

if TYPE_CHECKING:
    from core.session.session import Session
    from core.wire.epoch import Epoch

HOUR_S: Final = 3_600
BOUND: Final = struct.Struct("<QQB8s8sQQ32s32sQQ4s16sQ")
"""Every field of a Row but the sealed one, as associated data: what the store says of a session is what was sealed [K-5]."""


@dataclass(frozen=True, slots=True)
class Policy:
    """Values of protocol section 5 that a configuration may set within the bounds of `limits`."""

    version: int = 1
    mtu: int = limits.MTU_DEFAULT
    resolver: bytes = bytes(16)
    lifetime_s: int = limits.LIFETIME_S
    transport_loss_ns: int = limits.TRANSPORT_LOSS_NS
    voluntary_per_minute: int = limits.VOLUNTARY_PER_MINUTE
    forced_per_minute: int = limits.FORCED_PER_MINUTE
    health_ns: int = limits.HEALTH_NS
    device_to_device: bool = False


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Identity(Holder):
    """The gateway's keys and names: statics and locator keys (newest first), node and boot (8 bytes each), KEK of `kek_hour`.

    `wall_ns` is the wall clock at Instant 0: rows carry wall seconds, everything else counts Instants.
    """

    statics: tuple[PrivateKey, ...]
    node: bytes
    boot: bytes
    locator_keys: tuple[Secret, ...]
    kek: Secret
    kek_hour: int
    wall_ns: int


class Keks(Holder):
    """Key-encryption keys of rows by hour, ratcheted forward; older than the longest lifetime plus an hour they are dropped [K-6]."""

    __slots__ = ("_keys", "_newest")

    def __init__(self, hour: int, key: Secret) -> None:
        self._keys, self._newest = {hour: key}, hour

    def seal(self, row: Row, nonce: bytes, secrets: tuple[Secret, Secret]) -> Row:
        """Return `row` with its sealed part; `secrets` are (session id, chain) and `nonce` is 12 fresh bytes [K-5]."""
        return row._replace(sealed=seal(given(self._at(row.kek), "the KEK of this hour exists"), nonce, *secrets, BOUND.pack(*row[:-1])))

    def unseal(self, row: Row, hour: int) -> tuple[Secret, Secret] | None:
        """Return (session id, chain) of a row; None when it is not as it was sealed, or its key is destroyed.

        A row of an hour after the next is refused before anything is computed: one wrong number must not ratchet the keys of now away.
        """
        kek = self._at(row.kek) if row.kek <= hour + 1 else None
        try:
            return unseal(kek, row.sealed, BOUND.pack(*row[:-1])) if kek is not None else None
        except (TagMismatch, struct.error):  # what does not fit the layout was never sealed
            return None

    def _at(self, hour: int) -> Secret | None:
        """Return the key of `hour`, or None when it is destroyed. Leaks: the hour."""
        while self._newest < hour:
            self._keys[self._newest + 1] = next_kek(self._keys[self._newest])
            self._newest += 1
            self._keys.pop(self._newest - limits.LIFETIME_S_MAX // HOUR_S - 2, None)
        return self._keys.get(hour)


@dataclass(slots=True)
class Desk:
    """The gateway as its sessions see it."""

    identity: Identity
    policy: Policy
    devices: Mapping[bytes, Device]
    entropy: Entropy
    sessions: dict[int, "Session"] = field(default_factory=dict)
    by_device: dict[bytes, tuple["Session", ...]] = field(default_factory=dict)
    indices: dict[int, tuple["Session", "Epoch"]] = field(default_factory=dict)
    retired: dict[int, None] = field(default_factory=dict)
    routes: dict[bytes, "Session"] = field(default_factory=dict)
    streams: dict[Path, set["Session"]] = field(default_factory=dict)
    changed: set["Session"] = field(default_factory=set)
    tickets: dict[int, tuple[object, Operation]] = field(default_factory=dict)
    out: list[Output] = field(default_factory=list)
    admission: Admission = field(default_factory=Admission)
    _serial: int = 0
    _ticket: int = 0
    statics: tuple[PrivateKey, ...] = field(init=False)
    locators: tuple[Locators, ...] = field(init=False)
    keks: Keks = field(init=False)
    refusals: Tally = field(init=False)
    strangers: Tally = field(init=False)

    def __post_init__(self) -> None:
        self.take(self.identity.statics, self.identity.locator_keys)
        self.keks = Keks(self.identity.kek_hour, self.identity.kek)
        self.refusals = Tally(self._refused, limits.REFUSALS_PER_SECOND, limits.SECOND)
        self.strangers = Tally(self._stranger, 1, limits.SUMMARY_NS)

    def take(self, statics: tuple[PrivateKey, ...], locator_keys: tuple[Secret, ...]) -> None:
        """Serve under these static keys and locator keys, the newest first; what is retired is served and not offered [K-10]."""
        self.statics, self.locators = statics, tuple(Locators(key) for key in locator_keys)

    def admit(self, *keys: bytes) -> None:
        """Raise PeerFault when nobody may begin or move anything now [K-30], or nobody under one of these keys [K-34] [K-35]."""
        for reason in (self.admission.refusal, *(self.admission.ended.get(key, self.admission.shut.get(key)) for key in keys)):
            if reason is not None:
                raise PeerFault(reason)

    def wall_s(self, now: Instant) -> int:
        """Return the wall clock in seconds at `now`."""
        return (self.identity.wall_ns + now) // limits.SECOND

    def owns(self, row: Row | None) -> bool:
        """Tell whether this process was the last to write a row."""
        return row is not None and (row.node, row.boot) == (self.identity.node, self.identity.boot)

    def add(self, session: "Session") -> None:
        """Know a session from now on."""
        self.sessions[session.handle] = session
        self.changed.add(session)
        mine = self.by_device.get(session.device.public, ())
        self.by_device[session.device.public] = mine if session in mine else (*mine, session)

    def remove(self, session: "Session") -> None:
        """Forget a session that has ended."""
        self.sessions.pop(session.handle, None)
        mine = tuple(each for each in self.by_device.pop(session.device.public, ()) if each is not session)
        if mine:
            self.by_device[session.device.public] = mine

    def leave(self, path: Path, session: "Session") -> None:
        """Forget that a session is on a connection."""
        there = self.streams.get(path, set())
        there.discard(session)
        if not there:
            self.streams.pop(path, None)

    def route(self, session: "Session", now: Instant, *, newborn: bool = False, probed: bool = False) -> None:
        """Send a device's inner traffic to a session: a newborn has it until an older one probes; who speaks keeps it [D-7]."""
        holder = self.routes.get(session.device.inner4)
        speaks = holder is not None and holder.active is not None and now - holder.heard_at < limits.ROUTE_KEPT_NS
        older = probed and holder is not None and (session.born, session.since) <= (holder.born, holder.since)
        if newborn or older or not speaks:
            self.routes[session.device.inner4] = self.routes[session.device.inner6] = session

    def serial(self) -> int:
        """Return the next number of a fact of this process."""
        self._serial += 1
        return self._serial

    def ask(self, operation: Operation, asker: object) -> int:
        """Ask the store; its answer reaches `asker`. Return the ticket."""
        self._ticket += 1
        self.tickets[self._ticket] = asker, operation
        self.out.append(Ask(self._ticket, operation))
        return self._ticket

    def new_index(self) -> int:
        """Return 32 random bits that name no live epoch [D-3]."""
        while (index := int.from_bytes(self.entropy(4), "little")) in self.indices:
            pass
        return index

    def retire(self, index: int) -> None:
        """Remember the index of a candidate that was replaced, so that a late CONFIRM has its own reason; bounded."""
        self.retired[index] = None
        if len(self.retired) > limits.PENDING_MAX:
            del self.retired[next(iter(self.retired))]

    def stranger(self, reason: Reason, path: Path, now: Instant) -> None:
        """Count a refusal of something unproven: one summary a reason in ten seconds [D-20]."""
        self.strangers.add(reason, reason, path.remote, now)

    def _stranger(self, _key: object, reason: Reason, times: int, remote: Endpoint | None, now: Instant) -> None:
        self.out.append(Record(Fact(Event.TRAFFIC_REFUSED, reason, self.serial(), 0, now, remote=remote, times=times)))

    def _refused(self, session: "Session", reason: Reason, times: int, remote: Endpoint | None, now: Instant) -> None:
        self.out.append(Record(session.fact(Event.SESSION_REFUSED, reason, now)._replace(remote=remote, times=times)))
