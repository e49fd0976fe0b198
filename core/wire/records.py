# ruff: noqa: E701, E702, D101 - this is the specification's table of fields, and reads as one; nineteen class bodies would hide it
"""The records of JVP/1: which fields, in the order of their bytes, all little-endian (protocol section 1) [F-1]."""

import struct
from collections.abc import Callable, Container
from typing import Any, Final, NamedTuple, TypeVar

from core.errors import Invariant, require
from core.limits import BINDING_VERSION_MAX, LOCATORS_PER_ACK, MTU_ALLOWED
from core.wire.layout import Change, Defect, Malformed

T = TypeVar("T", bound=tuple[Any, ...])


# fmt: off
# Frames, behind type, version and zeros [F-6] [F-7]. The encrypted parts of `noise` are: e1, s, payload / ct, payload / payload / payload.
class Init(NamedTuple): sender_index: int; noise: bytes; mac1: bytes; mac2: bytes
class Resp(NamedTuple): sender_index: int; receiver_index: int; noise: bytes
class Cookie(NamedTuple): receiver_index: int; cookie: bytes; proof: bytes
class Reattach(NamedTuple): sender_index: int; locator: bytes; noise: bytes; mac: bytes
class ReattachResp(NamedTuple): sender_index: int; receiver_index: int; noise: bytes
class Data(NamedTuple): receiver_index: int; counter: int; sealed: bytes
# Payloads [F-9]. A status other than 0 is a refusal; `kind` is a Change; cause and outage are what the client says.
class InitPayload(NamedTuple): carrier: int; flags: int = 0
class RespPayload(NamedTuple): status: int; sender_index: int; lifetime_s: int; policy_version: int
class ReattachPayload(NamedTuple): kind: int; carrier: int; binding_version: int; cause: int; outage_ms: int
class ReattachRespPayload(NamedTuple): status: int; retry_after_ms: int; sender_index: int; binding_version: int; remaining_ms: int
# Bodies of inner frames [I-4] to [I-11]; IP is a packet; SEGMENT (`place` is its index), ACK and HEALTH are composed.
class Segment(NamedTuple): place: int; vnet: bytes; headers: bytes; chunk: bytes
class Confirm(NamedTuple): mtu: int
class AckHead(NamedTuple): binding_version: int; mtu: int; inner4: bytes; inner6: bytes; resolver: bytes; locators: int
class Probe(NamedTuple): id: int; sent: int
class ProbeAck(NamedTuple): id: int; sent: int; received: int; highest: int; since: int
class Close(NamedTuple): code: int
class Hint(NamedTuple): what: int
class Direction(NamedTuple): packets: int; octets: int; lost: int; reordered: int; rtt_us: int; jitter_us: int

# An x is a byte that has to be zero; the last column holds the values that a field may have.
_TABLE: Final[tuple[tuple[object, str, dict[str, Container[int]]], ...]] = (
    (Init,                "I 1312s 16s 16s",  {}),
    (Resp,                "I I 1168s",        {}),
    (Cookie,              "I 16s 16s",        {}),
    (Reattach,            "I 16s 64s 16s",    {}),
    (ReattachResp,        "I I 72s",          {}),
    (InitPayload,         "B B 14x",          {"flags": (0,)}),
    (RespPayload,         "B x I I I 2x",     {}),
    (ReattachPayload,     "B B Q B x I",      {"kind": frozenset(Change)}),
    (ReattachRespPayload, "B x H I Q Q",      {}),
    (Confirm,             "H",                {"mtu": MTU_ALLOWED}),
    (AckHead,             "Q H 4s 16s 16s B", {"mtu": MTU_ALLOWED, "locators": range(LOCATORS_PER_ACK + 1),
                                           "binding_version": range(BINDING_VERSION_MAX + 1)}),
    (Probe,               "I Q",              {}),
    (ProbeAck,            "I Q Q Q Q",        {}),
    (Close,               "B",                {}),
    (Hint,                "B",                {"what": frozenset(Change)}),
    (Direction,           "Q Q Q Q I I",      {}),
)
# fmt: on
_FORMS: Final = {make: (struct.Struct("<" + form), "x" in form, allowed) for make, form, allowed in _TABLE}


def pack(value: tuple[Any, ...]) -> bytes:
    """Return the bytes of a record, an outage as at most 2^32 - 1; raise Invariant where struct alone would pad or cut in silence."""
    if isinstance(value, ReattachPayload):
        value = value._replace(outage_ms=min(value.outage_ms, 2**32 - 1))
    form, _, allowed = _FORMS[type(value)]
    try:
        raw = form.pack(*value)
    except struct.error as error:
        raise Invariant(f"{type(value).__name__}: {error}") from error
    require(form.unpack(raw) == value and _fits(value, allowed), f"each field of {type(value).__name__} has its length and range")
    return raw


def unpack(make: Callable[..., T], raw: bytes) -> T:
    """Return the record in `raw`; raise Malformed unless its length is exact, zeros are zero [F-5] and values allowed."""
    form, reserved, allowed = _FORMS[make]
    if len(raw) != form.size:
        raise Malformed(Defect.LENGTH)
    value = make(*form.unpack(raw))
    if reserved and form.pack(*value) != raw:  # an x is passed over when read and zero when written
        raise Malformed(Defect.RESERVED)
    if not _fits(value, allowed):
        raise Malformed(Defect.BODY)
    return value


def _fits(value: tuple[Any, ...], allowed: dict[str, Container[int]]) -> bool:
    return not allowed or all(getattr(value, name) in values for name, values in allowed.items())
