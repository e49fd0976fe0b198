"""The values that cross the core's border: in as arguments, out as outputs. All frozen, all sized."""

from collections.abc import Mapping
from enum import Enum, auto
from typing import Any, NamedTuple, NewType

from core.reasons import Event, Reason

Instant = NewType("Instant", int)
"""Nanoseconds of CLOCK_BOOTTIME, which counts suspended time."""

NO_CORRELATION = bytes(16)
NO_DEVICE = bytes(32)
ROW_LIVE = 1
ROW_TOMBSTONE = 2


class Endpoint(NamedTuple):
    """Transport address: 16 bytes (IPv4 as v4-mapped IPv6) and port."""

    address: bytes
    port: int


class Path(NamedTuple):
    """Where a session lives; compared by value. `serial` is 0 for datagram carriers and unique per stream connection."""

    carrier: int
    serial: int
    local: Endpoint
    remote: Endpoint


class PathEvent(Enum):
    """What an adapter says about a path."""

    OPENED = auto()
    CLOSED = auto()
    TOO_BIG = auto()


class Fact(NamedTuple):
    """One record. Which fields and measures an event carries is in the registry; unused ones are zero."""

    event: Event
    reason: Reason
    serial: int
    caused_by: int
    at: Instant
    handle: int = 0
    correlation: bytes = NO_CORRELATION
    state_from: int = 0
    state_to: int = 0
    state_version: int = 0
    binding_version: int = 0
    attempt: int = 0
    carrier_from: int = 0
    carrier_to: int = 0
    device: bytes = NO_DEVICE
    remote: Endpoint | None = None
    times: int = 0
    measures: tuple[int, int, int, int] = (0, 0, 0, 0)


class Row(NamedTuple):
    """The store's row of one session (protocol section 6). Times are wall seconds; `sealed` needs KEK number `kek`."""

    handle: int
    binding_version: int
    state: int
    node: bytes
    boot: bytes
    attempt: int
    next: int
    device: bytes
    gateway_key: bytes
    born: int
    expires: int
    inner4: bytes
    inner6: bytes
    kek: int
    sealed: bytes


class Get(NamedTuple):
    """Read one row."""

    handle: int


class Tombstone(NamedTuple):
    """End a session for good: beats any version, keeps `expires`, empties `sealed`; ending it twice changes nothing."""

    handle: int
    fact: Fact


class Create(NamedTuple):
    """Write a first row; `supersede` ends other sessions of the device in the same transaction."""

    row: Row
    fact: Fact
    supersede: tuple[Tombstone, ...] = ()


class CompareAndSet(NamedTuple):
    """Replace a live row whose binding_version is `expect`."""

    row: Row
    expect: int
    fact: Fact


Operation = Get | Create | CompareAndSet | Tombstone


class Outcome(Enum):
    """How the store answered one operation."""

    WON = auto()
    LOST = auto()
    FOUND = auto()
    ABSENT = auto()
    FULL = auto()
    FAILED = auto()


class Answer(NamedTuple):
    """The store's answer to one ticket; `row` is the stored row where there is one, `handles` the device's live sessions on FULL."""

    ticket: int
    outcome: Outcome
    row: Row | None = None
    handles: tuple[int, ...] = ()


class CloseSession(NamedTuple):
    """Order to a gateway: end this session; to a client with handle 0: end its own."""

    session: int = 0


class AllowList(NamedTuple):
    """Order to a gateway: these devices and no others, by public key; sessions of the others end."""

    devices: Mapping[bytes, Any]


class Connect(NamedTuple):
    """Order to a client: make a session."""


class Settle(NamedTuple):
    """Order before a stop: record what is only summed so far. Sessions stay: they can be taken up again from the store."""


Order = CloseSession | AllowList | Connect | Settle


class Transmit(NamedTuple):
    """Send frames on a path: equal lengths, the last may be shorter."""

    path: Path
    frames: list[bytes]


class Deliver(NamedTuple):
    """Inner IP packets for the TUN."""

    session: int
    packets: list[bytes]


class Ask(NamedTuple):
    """Ask the store; its Answer carries the same ticket."""

    ticket: int
    operation: Operation


class Record(NamedTuple):
    """Telemetry: hand this fact to the audit writer without waiting."""

    fact: Fact


class Route(NamedTuple):
    """Inner traffic of these addresses does (`up`) or does not enter here."""

    session: int
    addresses: tuple[bytes, ...]
    up: bool


class Dial(NamedTuple):
    """Client only: open a path of this carrier; `path_event` says whether it worked."""

    carrier: int


Output = Transmit | Deliver | Ask | Record | Route | Dial
