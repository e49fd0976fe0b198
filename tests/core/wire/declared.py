"""The formats of JVP/1 as declared to the library `construct`, from docs/spec/formats.md and nothing of `core`: a second opinion.

Names of fields are those of the core's records, so that accepted messages can be compared field by field.
"""

from collections.abc import Mapping
from typing import Any, Final

from construct import (
    Array,
    BitsInteger,
    BitStruct,
    Bytes,
    Bytewise,
    Check,
    Const,
    Construct,
    ConstructError,
    GreedyBytes,
    Int8ul,
    Int16ub,
    Int16ul,
    Int32ul,
    Int64ul,
    Padding,
    Struct,
    Terminated,
    len_,
    this,
)

MTUS: Final = (1_280, 1_380)
SEGMENT, CONFIRM, ACK, PROBE, PROBE_ACK = 2, 3, 4, 5, 6
IP: Final = 1
TCP: Final = 6
KINDS: Final = 9


def blocks(size: int) -> int:
    """Return the least multiple of 16 that is not below `size`."""
    return -(-size // 16) * 16


def head(number: int) -> tuple[Construct, ...]:
    """Type, version, two zeros [F-5] [F-6]."""
    return Const(bytes((number, 1, 0, 0))), "sender_index" / Int32ul


# fmt: off
INIT = Struct(*head(1), "noise" / Bytes(32 + 1_200 + 48 + 32), "mac1" / Bytes(16), "mac2" / Bytes(16), Terminated)
RESP = Struct(*head(2), "receiver_index" / Int32ul, "noise" / Bytes(32 + 1_104 + 32), Terminated)
COOKIE = Struct(Const(b"\3\1\0\0"), "receiver_index" / Int32ul, "cookie" / Bytes(16), "proof" / Bytes(16), Terminated)
DATA = Struct(Const(b"\4\0\0\0"), "receiver_index" / Int32ul, "counter" / Int64ul, "sealed" / GreedyBytes,
              Check(len_(this.sealed) >= 32), Check(len_(this.sealed) <= blocks(15 + MTUS[1]) + 16), Check(len_(this.sealed) % 16 == 0))
REATTACH = Struct(*head(5), "locator" / Bytes(16), "noise" / Bytes(32 + 32), "mac" / Bytes(16), Terminated)
REATTACH_RESP = Struct(*head(6), "receiver_index" / Int32ul, "noise" / Bytes(32 + 40), Terminated)
FRAMES: Final[Mapping[str, Construct]] = {
    "Init": INIT, "Resp": RESP, "Cookie": COOKIE, "Data": DATA, "Reattach": REATTACH, "ReattachResp": REATTACH_RESP,
}

ZERO: Final = Const(b"\0")
PAYLOADS: Final[Mapping[str, Construct]] = {  # [F-9]
    "InitPayload": Struct("carrier" / Int8ul, "flags" / Const(0, Int8ul), Const(bytes(14)), Terminated),
    "RespPayload": Struct("status" / Int8ul, ZERO, "sender_index" / Int32ul, "lifetime_s" / Int32ul, "policy_version" / Int32ul,
                          Const(bytes(2)), Terminated),
    "ReattachPayload": Struct("kind" / Int8ul, Check((this.kind == 1) | (this.kind == 2)), "carrier" / Int8ul, "binding_version" / Int64ul,
                              "cause" / Int8ul, ZERO, "outage_ms" / Int32ul, Terminated),
    "ReattachRespPayload": Struct("status" / Int8ul, ZERO, "retry_after_ms" / Int16ul, "sender_index" / Int32ul,
                                  "binding_version" / Int64ul, "remaining_ms" / Int64ul, Terminated),
}

MTU: Final = ("mtu" / Int16ul, Check((this.mtu == MTUS[0]) | (this.mtu == MTUS[1])))
DIRECTION: Final = Struct("packets" / Int64ul, "octets" / Int64ul, "lost" / Int64ul, "reordered" / Int64ul, "rtt_us" / Int32ul,
                          "jitter_us" / Int32ul)
VNET: Final = Struct("flags" / Int8ul, "gso_type" / Int8ul, "hdr_len" / Int16ul, "gso_size" / Int16ul, "csum_start" / Int16ul,
                     "csum_offset" / Int16ul)
BODIES: Final[Mapping[int, Construct]] = {
    3: Struct(*MTU, Terminated),
    4: Struct("binding_version" / Int64ul, Check(this.binding_version < 2**53), *MTU, "inner4" / Bytes(4), "inner6" / Bytes(16),
              "resolver" / Bytes(16), "count" / Int8ul, Check(this.count <= 32), "locators" / Array(this.count, Bytes(16)), Terminated),
    5: Struct("id" / Int32ul, "sent" / Int64ul, Terminated),
    6: Struct("id" / Int32ul, "sent" / Int64ul, "received" / Int64ul, "highest" / Int64ul, "since" / Int64ul, Terminated),
    7: Struct("code" / Int8ul, Terminated),
    8: Struct("what" / Int8ul, Check((this.what == 1) | (this.what == 2)), Terminated),
    9: Struct("up" / DIRECTION, "down" / DIRECTION, Terminated),
}
IPV4 = BitStruct("version" / Const(4, BitsInteger(4)), "words" / BitsInteger(4), Padding(8), "total" / Bytewise(Int16ub), Padding(40),
                        "protocol" / BitsInteger(8), Padding(80))
IPV6: Final = BitStruct("version" / Const(6, BitsInteger(4)), Padding(28), "payload" / Bytewise(Int16ub), "protocol" / BitsInteger(8),
                        Padding(264))
TCP_HEADER: Final = BitStruct(Padding(96), "words" / BitsInteger(4), Padding(60))
INNER: Final = Struct("kind" / Int8ul, Check((this.kind > 0) & (this.kind <= KINDS)), "length" / Int16ul, "body" / Bytes(this.length),
                      "padding" / GreedyBytes)
# fmt: on


NOT_FIELDS: Final = frozenset({"_io", "count"})


def plain(value: object) -> object:
    """Return fields as values that compare: no internals of the library, no constants without a name, no counts."""
    if isinstance(value, dict):
        return {key: plain(each) for key, each in value.items() if key not in NOT_FIELDS}
    return tuple(map(plain, value)) if isinstance(value, list) else value


def opened(declared: Construct, raw: bytes) -> dict[str, Any] | None:
    """Return the fields of what is declared, or None where the bytes are not that."""
    try:
        fields = declared.parse(raw)
    except ConstructError:
        return None
    return {name: plain(each) for name, each in fields.items() if name not in NOT_FIELDS}


def frame(raw: bytes) -> tuple[str, dict[str, Any]] | None:
    """Return name and fields of a frame, or None where it is to be refused."""
    found = [(name, fields) for name, declared in FRAMES.items() if (fields := opened(declared, raw)) is not None]
    return found[0] if found else None


def stated(packet: bytes) -> int | None:
    """Return the length that an IP packet's own header states [I-3]."""
    four, six = (opened(Struct("it" / IPV4), packet[:20]), opened(Struct("it" / IPV6), packet[:40]))
    if four:
        return int(four["it"]["total"])
    return 40 + int(six["it"]["payload"]) if six else None


def inner(raw: bytes, mtu: int) -> tuple[int, Any] | None:
    """Return kind and fields of an inner frame for a TUN of `mtu` bytes, or None; of IP the packet [I-1] to [I-11]."""
    fields = opened(INNER, raw)
    if fields is None or len(raw) % 16 or len(raw) > blocks(15 + mtu) or any(fields["padding"]):
        return None
    kind, body = fields["kind"], fields["body"]
    if kind not in {CONFIRM, ACK, PROBE, PROBE_ACK} and len(fields["padding"]) >= 16:
        return None
    if kind == IP:
        return (kind, body) if len(body) <= mtu and stated(body) == len(body) else None
    content = segment(body, mtu) if kind == SEGMENT else opened(BODIES[kind], body)
    if content is None or (kind in {CONFIRM, ACK} and len(raw) != blocks(15 + content["mtu"])):
        return None
    return kind, content


def segment(body: bytes, mtu: int) -> dict[str, Any] | None:
    """Return the fields of a SEGMENT, or None [I-10] [I-11]."""
    start = opened(Struct("place" / Int16ul, "vnet" / VNET, "rest" / GreedyBytes), body)
    if start is None:
        return None
    vnet, headers, chunk = start["vnet"], start["rest"][: start["vnet"]["hdr_len"]], start["rest"][start["vnet"]["hdr_len"] :]
    four, six = opened(Struct("it" / IPV4), headers), opened(Struct("it" / IPV6), headers)
    ip, own, whole = (four["it"], four["it"]["words"] * 4, four["it"]["total"]) if four else (six and six["it"], 40, stated(headers))
    tcp = opened(TCP_HEADER, headers[own:])
    if not ip or whole is None or tcp is None or not 40 <= len(headers) <= 120 or own < 20:
        return None
    size, payload, place = vnet["gso_size"], whole - len(headers), start["place"]
    sound = (
        (vnet["flags"], vnet["gso_type"], vnet["csum_offset"], vnet["csum_start"]) == (1, 1 if four else 4, 16, own)
        and vnet["hdr_len"] == len(headers) == own + 4 * tcp["words"]
        and ip["protocol"] == TCP
        and 0 < size <= mtu - len(headers)
        and tcp["words"] >= 5
    )
    if not sound or place * size >= payload or len(chunk) != min(size, payload - place * size):
        return None
    return {"place": place, "vnet": body[2:12], "headers": headers, "chunk": chunk}
