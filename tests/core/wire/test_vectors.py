"""The pinned vectors of the wire: what another implementation has to make and to refuse, byte for byte [F-1] [I-1] [M-2].

The straight-line encoders here are the second opinion: they read as the specification's table, and made the file.
"""

import hashlib
import hmac
import json
from collections.abc import Callable
from typing import Any

import pytest

from core.crypto.primitives import same
from core.wire import inner, layout, macs, messages, records, segment
from core.wire.layout import Defect, Kind, Malformed
from lab.sim.frames import Health
from tests.support import ROOT

VECTORS = json.loads((ROOT / "schemas/vectors/wire.json").read_text())

Fields = dict[str, Any]


def le(value: int, length: int) -> bytes:
    """Little-endian."""
    return value.to_bytes(length, "little")


def head(number: int) -> bytes:
    """Type, version and two zeros."""
    return le(number, 1) + le(1, 1) + le(0, 2)


def directions(f: Fields) -> bytes:
    """The body of HEALTH."""
    longs = ("packets", "octets", "lost", "reordered")
    shorts = ("rtt_us", "jitter_us")
    return b"".join(
        b"".join(le(f[way][name], 8) for name in longs) + b"".join(le(f[way][name], 4) for name in shorts) for way in ("up", "down")
    )


def direction(f: Fields) -> records.Direction:
    """One half of HEALTH."""
    return records.Direction(**f)


def frame_of(f: Fields, kind: int, body: bytes, total: int) -> bytes:
    """An inner frame of `total` bytes."""
    return le(kind, 1) + le(len(body), 2) + body + b"\0" * (total - 3 - len(body))


STRAIGHT: dict[str, Callable[[Fields], bytes]] = {
    "Init": lambda f: head(1) + le(f["sender_index"], 4) + f["noise"] + f["mac1"] + f["mac2"],
    "Resp": lambda f: head(2) + le(f["sender_index"], 4) + le(f["receiver_index"], 4) + f["noise"],
    "Cookie": lambda f: head(3) + le(f["receiver_index"], 4) + f["cookie"] + f["proof"],
    "Data": lambda f: le(4, 1) + le(0, 3) + le(f["receiver_index"], 4) + le(f["counter"], 8) + f["sealed"],
    "Reattach": lambda f: head(5) + le(f["sender_index"], 4) + f["locator"] + f["noise"] + f["mac"],
    "ReattachResp": lambda f: head(6) + le(f["sender_index"], 4) + le(f["receiver_index"], 4) + f["noise"],
    "InitPayload": lambda f: le(f["carrier"], 1) + le(f["flags"], 1) + le(0, 14),
    "RespPayload": lambda f: (
        le(f["status"], 1) + le(0, 1) + le(f["sender_index"], 4) + le(f["lifetime_s"], 4) + le(f["policy_version"], 4) + le(0, 2)
    ),
    "ReattachPayload": lambda f: (
        le(f["kind"], 1) + le(f["carrier"], 1) + le(f["binding_version"], 8) + le(f["cause"], 1) + le(0, 1) + le(f["outage_ms"], 4)
    ),
    "ReattachRespPayload": lambda f: (
        le(f["status"], 1)
        + le(0, 1)
        + le(f["retry_after_ms"], 2)
        + le(f["sender_index"], 4)
        + le(f["binding_version"], 8)
        + le(f["remaining_ms"], 8)
    ),
    "IP": lambda f: f["packet"],
    "SEGMENT": lambda f: le(f["place"], 2) + f["vnet"] + f["headers"] + f["chunk"],
    "CONFIRM": lambda f: le(f["mtu"], 2),
    "ACK": lambda f: (
        le(f["binding_version"], 8)
        + le(f["mtu"], 2)
        + f["inner4"]
        + f["inner6"]
        + f["resolver"]
        + le(len(f["locators"]), 1)
        + b"".join(f["locators"])
    ),
    "PROBE": lambda f: le(f["id"], 4) + le(f["sent"], 8),
    "PROBE_ACK": lambda f: le(f["id"], 4) + le(f["sent"], 8) + le(f["received"], 8) + le(f["highest"], 8) + le(f["since"], 8),
    "CLOSE": lambda f: le(f["code"], 1),
    "HINT": lambda f: le(f["what"], 1),
    "HEALTH": directions,
}

MACS: dict[str, Callable[[Fields], bytes]] = {
    "k1": lambda f: hashlib.sha256(b"jumping-vpn/1 mac1" + f["public"]).digest(),
    "mac1": lambda f: hmac.new(f["key"], f["before"], "sha256").digest()[:16],
    "mac2": lambda f: hmac.new(f["cookie"], f["before"], "sha256").digest()[:16],
    "cookie": lambda f: hmac.new(f["secret"], f["address"] + le(f["port"], 2), "sha256").digest()[:16],
    "proof": lambda f: hmac.new(f["key"], b"cookie" + f["mac1"] + f["cookie"], "sha256").digest()[:16],
    "reattach": lambda f: hmac.new(f["key"], f["before"], "sha256").digest()[:16],
}

# What the product makes of the same fields.
BODIES: dict[str, Callable[[Fields], bytes]] = {
    "IP": lambda f: f["packet"],
    "SEGMENT": lambda f: le(f["place"], 2) + segment.template(f["vnet"], f["headers"], 1280) + f["chunk"],
    "CONFIRM": lambda f: records.pack(records.Confirm(**f)),
    "ACK": lambda f: inner.Ack(**f).pack(),
    "PROBE": lambda f: records.pack(records.Probe(**f)),
    "PROBE_ACK": lambda f: records.pack(records.ProbeAck(**f)),
    "CLOSE": lambda f: records.pack(records.Close(**f)),
    "HINT": lambda f: records.pack(records.Hint(**f)),
    "HEALTH": lambda f: Health(direction(f["up"]), direction(f["down"])).pack(),
}

# And of the bytes.
UNPACK: dict[str, Callable[[bytes], Fields]] = {
    "IP": lambda raw: {"packet": raw},
    "SEGMENT": lambda raw: segment.unpack_segment(raw, 1280)._asdict(),
    "CONFIRM": lambda raw: records.unpack(records.Confirm, raw)._asdict(),
    "ACK": lambda raw: inner.Ack.unpack(raw)._asdict(),
    "PROBE": lambda raw: records.unpack(records.Probe, raw)._asdict(),
    "PROBE_ACK": lambda raw: records.unpack(records.ProbeAck, raw)._asdict(),
    "CLOSE": lambda raw: records.unpack(records.Close, raw)._asdict(),
    "HINT": lambda raw: records.unpack(records.Hint, raw)._asdict(),
    "HEALTH": lambda raw: {way: half._asdict() for way, half in Health.unpack(raw)._asdict().items()},
}

PRODUCT_MACS: dict[str, Callable[[Fields], bytes]] = {
    "k1": lambda f: macs.k1(f["public"]),
    "mac1": lambda f: macs.mac(f["key"], f["before"]),
    "mac2": lambda f: macs.mac(f["cookie"], f["before"]),
    "cookie": lambda f: macs.cookie_for(f["secret"], f["address"], f["port"]),
    "proof": lambda f: macs.cookie_proof(f["key"], f["mac1"], f["cookie"]),
    "reattach": lambda f: macs.mac(f["key"], f["before"]),
}


def decoded(value: object) -> Any:  # noqa: ANN401 - the fields of a vector, which go into functions of many signatures
    """The fields of a vector: hex becomes bytes, lists become tuples."""
    if isinstance(value, dict):
        return {name: decoded(part) for name, part in value.items()}
    if isinstance(value, list):
        return tuple(decoded(part) for part in value)
    return bytes.fromhex(value) if isinstance(value, str) else value


def each(section: str) -> pytest.MarkDecorator:
    """Parametrise with the vectors of a section, by name."""
    return pytest.mark.parametrize("vector", VECTORS[section], ids=[vector["name"] for vector in VECTORS[section]])


def refusal(call: Callable[[], object]) -> Defect:
    """The defect that the call reports."""
    with pytest.raises(Malformed) as caught:
        call()
    return caught.value.defect


def test_everything_has_a_vector() -> None:
    """A message, payload, inner kind or MAC could change without anyone noticing."""
    assert {int(vector["hex"][:2], 16) for vector in VECTORS["frames"]} == set(layout.Type)
    assert {vector["kind"] for vector in VECTORS["inner"]} == {kind.name for kind in Kind}
    payloads = {"InitPayload", "RespPayload", "ReattachPayload", "ReattachRespPayload"}
    assert {vector["record"] for vector in VECTORS["payloads"]} == payloads
    assert {vector["mac"] for vector in VECTORS["macs"]} == set(MACS)
    assert {vector["defect"] for vector in VECTORS["refused"]} == {defect.name for defect in Defect}


@each("frames")
def test_frames(vector: Fields) -> None:
    """Two implementations of JVP/1 could not hear each other's messages."""
    fields, raw = decoded(vector["fields"]), bytes.fromhex(vector["hex"])
    message = getattr(records, vector["record"])(**fields)
    assert STRAIGHT[vector["record"]](fields) == raw
    assert messages.encode(message) == raw
    parsed = messages.parse(raw)
    assert (type(parsed), parsed) == (type(message), message)


@each("payloads")
def test_payloads(vector: Fields) -> None:
    """Two implementations would finish a handshake and misread what it said."""
    fields, raw = decoded(vector["fields"]), bytes.fromhex(vector["hex"])
    make = getattr(records, vector["record"])
    assert STRAIGHT[vector["record"]](fields) == raw
    assert records.pack(make(**fields)) == raw
    assert records.unpack(make, raw) == make(**fields)


@each("inner")
def test_inner_frames(vector: Fields) -> None:
    """Two implementations would open each other's packets and make other things of them."""
    fields, raw, name = decoded(vector["fields"]), bytes.fromhex(vector["hex"]), vector["kind"]
    assert frame_of(fields, vector["number"], STRAIGHT[name](fields), len(raw)) == raw
    roomy = name in {"PROBE", "PROBE_ACK"}
    assert inner.encode(Kind[name], BODIES[name](fields), len(raw) if roomy else None) == raw
    kind, body = inner.parse(raw, 1280)
    assert (kind, kind.name) == (vector["number"], name)
    assert UNPACK[name](body) == fields


@each("macs")
def test_macs(vector: Fields) -> None:
    """A gateway would drop every knock of another implementation's clients."""
    fields, raw = decoded(vector["fields"]), bytes.fromhex(vector["hex"])
    assert MACS[vector["mac"]](fields) == raw
    assert same(PRODUCT_MACS[vector["mac"]](fields), raw)


@each("refused")
def test_refused(vector: Fields) -> None:
    """A byte form that nobody may send would be accepted, and then relied upon."""
    raw = bytes.fromhex(vector["hex"])
    calls: dict[str, Callable[[], object]] = {
        "frame": lambda: messages.parse(raw),
        "inner": lambda: UNPACK[(part := inner.parse(raw, 1280))[0].name](part[1]),
        "payload": lambda: records.unpack(getattr(records, vector["record"]), raw),
    }
    assert refusal(calls[vector["layer"]]) is Defect[vector["defect"]]
