# ruff: noqa: E701, E702, D101 - records of few fields, each described above its line; thirty class bodies would hide them
"""The values that cross the core's border: in as arguments, out as outputs. All frozen, all sized."""

from collections.abc import Callable, Mapping
from enum import Enum
from types import MappingProxyType
from typing import Any, NamedTuple, NewType

from core.reasons import Event, Reason

Instant = NewType("Instant", int)
"""Nanoseconds of CLOCK_BOOTTIME, which counts suspended time."""

Entropy = Callable[[int], bytes]
"""So many fresh random bytes."""

NO_CORRELATION, NO_DEVICE = bytes(16), bytes(32)
ROW_LIVE, ROW_TOMBSTONE = 1, 2
NOBODY: Mapping[bytes, Reason] = MappingProxyType({})

PathEvent = Enum("PathEvent", "OPENED CLOSED TOO_BIG")
"""What an adapter says about a path."""

Outcome = Enum("Outcome", "WON LOST FOUND ABSENT FULL FAILED")
"""How the store answered one operation."""


# fmt: off
# Transport address: 16 bytes (IPv4 as v4-mapped IPv6) and port.
class Endpoint(NamedTuple): address: bytes; port: int
# Where a session lives; compared by value. `serial` is 0 for datagram carriers and unique per stream connection.
class Path(NamedTuple): carrier: int; serial: int; local: Endpoint; remote: Endpoint


# One record. Which fields and measures an event carries is in the registry; unused ones are zero. Of KEY_CHANGED `carrier_to` is the key's
# kind, of DOCUMENT_JUDGED the role (1 root, 2 keyset, 3 revocations), and `binding_version` the document's version.
class Fact(NamedTuple):
    event: Event; reason: Reason; serial: int; caused_by: int; at: Instant
    handle: int = 0; correlation: bytes = NO_CORRELATION
    state_from: int = 0; state_to: int = 0; state_version: int = 0; binding_version: int = 0
    attempt: int = 0; carrier_from: int = 0; carrier_to: int = 0
    device: bytes = NO_DEVICE; remote: Endpoint | None = None
    times: int = 0; measures: tuple[int, int, int, int] = (0, 0, 0, 0)


# The store's row of one session (protocol section 6). Times are wall seconds; `sealed` needs KEK number `kek`.
class Row(NamedTuple):
    handle: int; binding_version: int; state: int
    node: bytes; boot: bytes; attempt: int; next: int
    device: bytes; gateway_key: bytes; born: int; expires: int
    inner4: bytes; inner6: bytes; kek: int; sealed: bytes


# Operations of the store. Read one row.
class Get(NamedTuple): handle: int
# End a session for good: keeps `expires`, empties `sealed`; ending it twice changes nothing. Beats any version unless one is expected.
class Tombstone(NamedTuple): handle: int; fact: Fact; expect: int | None = None
# Write a first row; `supersede` ends other sessions of the device in the same transaction.
class Create(NamedTuple): row: Row; fact: Fact; supersede: tuple[Tombstone, ...] = ()
# Replace a live row whose binding_version is `expect`.
class CompareAndSet(NamedTuple): row: Row; expect: int; fact: Fact
# Find a device's live sessions: FOUND with their rows, which may be none.
class Live(NamedTuple): device: bytes
# The answer to one ticket; `row` is the stored row where there is one, `rows` the device's live sessions on FULL and to Live.
class Answer(NamedTuple): ticket: int; outcome: Outcome; row: Row | None = None; rows: tuple[Row, ...] = ()

# An entry of the allow list: X25519 public key (32 bytes) and the inner addresses (4 and 16 bytes) that it owns.
class Device(NamedTuple): public: bytes; inner4: bytes; inner6: bytes

# Orders. To a gateway: end this session; to a client with handle 0: end its own.
class CloseSession(NamedTuple): session: int = 0
# To a gateway: these devices and no others, by public key; sessions of the others end.
class AllowList(NamedTuple): devices: Mapping[bytes, Device]
# To a gateway: serve under these keys, the newest first; sessions of a static key that is not among them end.
class Keyring(NamedTuple): statics: tuple[Any, ...]; locator_keys: tuple[Any, ...]
# Why nobody may come in now (None: they may); which keys, own or of the peer, are accepted no more, and which are not for what is new; why.
class Admission(NamedTuple): refusal: Reason | None = None; ended: Mapping[bytes, Reason] = NOBODY; shut: Mapping[bytes, Reason] = NOBODY
# To a client: make a session.
class Connect(NamedTuple): pass
# Before a stop: record what is only summed so far. Sessions stay: they can be taken up again from the store.
class Settle(NamedTuple): pass

# Outputs. Send frames on a path: equal lengths, the last may be shorter.
class Transmit(NamedTuple): path: Path; frames: list[bytes]
# Inner IP packets for the TUN.
class Deliver(NamedTuple): session: int; packets: list[bytes]
# Ask the store; its Answer carries the same ticket.
class Ask(NamedTuple): ticket: int; operation: "Operation"
# Telemetry: hand this fact to the audit writer without waiting.
class Record(NamedTuple): fact: Fact
# Inner traffic of these addresses does (`up`) or does not enter here.
class Route(NamedTuple): session: int; addresses: tuple[bytes, ...]; up: bool
# Client only: open a path of this carrier; `path_event` says whether it worked.
class Dial(NamedTuple): carrier: int

Operation = Get | Create | CompareAndSet | Tombstone | Live
Order = CloseSession | AllowList | Keyring | Admission | Connect | Settle
Output = Transmit | Deliver | Ask | Record | Route | Dial
