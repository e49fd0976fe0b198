"""The codec against an independent, declarative description of the formats: the same verdict on all bytes, and the same fields."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.wire import records
from core.wire.inner import Ack, encode, encode_ip
from core.wire.inner import parse as parse_inner
from core.wire.layout import Kind, Malformed
from core.wire.messages import encode as encode_frame
from core.wire.messages import parse
from core.wire.segment import encode_segment
from lab.sim.frames import Health
from tests.core.wire import declared
from tests.core.wire.test_segment import supers
from tests.core.wire.unpacking import UNPACK

BYTE, U16, U32, U64 = (st.integers(0, 2 ** (8 * size) - 1) for size in (1, 2, 4, 8))
FRAME_FIELDS: Final[dict[Any, tuple[st.SearchStrategy[Any], ...]]] = {
    records.Init: (U32, *(st.binary(min_size=n, max_size=n) for n in (1_312, 16, 16))),
    records.Resp: (U32, U32, st.binary(min_size=1_168, max_size=1_168)),
    records.Cookie: (U32, *(st.binary(min_size=16, max_size=16) for _ in range(2))),
    records.Reattach: (U32, *(st.binary(min_size=n, max_size=n) for n in (16, 64, 16))),
    records.ReattachResp: (U32, U32, st.binary(min_size=72, max_size=72)),
    records.Data: (U32, U64, st.integers(2, 89).flatmap(lambda n: st.binary(min_size=16 * n, max_size=16 * n))),
}
FRAMES: Final = st.one_of([st.builds(make, *fields) for make, fields in FRAME_FIELDS.items()])
PAYLOAD_FIELDS: Final[dict[Any, tuple[st.SearchStrategy[Any], ...]]] = {
    records.InitPayload: (BYTE, st.just(0)),
    records.RespPayload: (BYTE, U32, U32, U32),
    records.ReattachPayload: (st.sampled_from([1, 2]), BYTE, U64, BYTE, U32),
    records.ReattachRespPayload: (BYTE, U16, U32, U64, U64),
}
DIRECTIONS: Final = st.builds(records.Direction, U64, U64, U64, U64, U32, U32)
MTUS: Final = st.sampled_from(declared.MTUS)
BLOCK: Final = st.binary(min_size=16, max_size=16)
ACKS: Final = st.builds(
    Ack, st.integers(0, 2**53 - 1), MTUS, st.binary(min_size=4, max_size=4), BLOCK, BLOCK, st.lists(BLOCK, max_size=32).map(tuple)
)


def fields(value: object) -> Any:  # noqa: ANN401 - of any record of the codec; compared, and given to a library without types
    """Return a record as plain values, by the names of its fields."""
    if hasattr(value, "_asdict"):
        return {name: fields(each) for name, each in value._asdict().items()}
    return value


def ours(raw: bytes) -> tuple[str, dict[str, Any]] | None:
    """Return name and fields of a frame as the codec sees them, or None where it refuses."""
    try:
        message = parse(raw)
    except Malformed:
        return None
    return type(message).__name__, fields(message)


def ours_of(make: Callable[..., Any], raw: bytes) -> dict[str, Any] | None:
    """The same of a payload of this kind."""
    try:
        return dict(fields(records.unpack(make, raw)))
    except Malformed:
        return None


def ours_inside(raw: bytes, mtu: int) -> tuple[int, Any] | None:
    """The same of an inner frame and its body."""
    try:
        kind, body = parse_inner(raw, mtu)
        return int(kind), fields(UNPACK[kind](body, mtu))
    except Malformed:
        return None


@st.composite
def ip_packets(draw: st.DrawFn) -> bytes:
    """Packets of both versions whose headers say the truth, of at most 1,280 bytes."""
    version, length = draw(st.sampled_from([4, 6])), draw(st.integers(0, 1_240))
    rest = draw(st.randoms(use_true_random=False)).randbytes(length)
    if version == 4:
        return b"\x45\0" + (20 + length).to_bytes(2, "big") + bytes(16) + rest
    return b"\x60\0\0\0" + length.to_bytes(2, "big") + bytes(34) + rest


@st.composite
def inner_frames(draw: st.DrawFn, kinds: Sequence[Kind] = tuple(Kind)) -> bytes:
    """Inner frames of these kinds, as the codec writes them."""
    kind, body = draw(st.sampled_from(kinds)), b""
    match kind:
        case Kind.IP:
            return encode_ip(draw(ip_packets()))
        case Kind.SEGMENT:
            whole = draw(supers())
            place = draw(st.integers(0, (len(whole.payload) - 1) // whole.size))
            return encode_segment(place, whole.vnet + whole.headers, whole.payload[place * whole.size :][: whole.size])
        case Kind.CONFIRM:
            body = records.pack(records.Confirm(draw(MTUS)))
        case Kind.ACK:
            body = draw(ACKS).pack()
        case Kind.PROBE:
            return encode(kind, records.pack(records.Probe(draw(U32), draw(U64))), 16 * draw(st.integers(1, 81)))
        case Kind.PROBE_ACK:
            ack = records.ProbeAck(draw(U32), *(draw(U64) for _ in range(4)))
            return encode(kind, records.pack(ack), 16 * draw(st.integers(3, 81)))
        case Kind.CLOSE:
            body = records.pack(records.Close(draw(BYTE)))
        case Kind.HINT:
            body = records.pack(records.Hint(draw(st.sampled_from([1, 2]))))
        case Kind.HEALTH:
            body = Health(draw(DIRECTIONS), draw(DIRECTIONS)).pack()
    return encode(kind, body)


@st.composite
def flawed(draw: st.DrawFn, true: st.SearchStrategy[bytes]) -> bytes:
    """True bytes with a few changes, mostly near the beginning, where the fields are."""
    raw = bytearray(draw(true))
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, min(len(raw), draw(st.sampled_from([4, 16, 60, 2_000]))) - 1)) if raw else 0
        match draw(st.sampled_from(["set", "set", "set", "cut", "grow", "block"])):
            case "set" if raw:
                raw[at] = draw(st.one_of(st.sampled_from([0, 1, 2, 3, 4, 5, 6, 9, 10, 255]), BYTE))
            case "cut":
                del raw[len(raw) - draw(st.integers(0, 17)) :]
            case "grow":
                raw += bytes(draw(st.integers(1, 17)))
            case _:
                raw += bytes(16)
    return bytes(raw)


def neighbours(raw: bytes, most: int = 100) -> Iterator[bytes]:
    """Yield what differs in one byte of the first ones, by the values at which a check may be wrong."""
    for at in range(min(len(raw), most)):
        for value in {0, 1, 2, 127, 128, 255, raw[at] ^ 1, (raw[at] + 1) % 256}:
            yield raw[:at] + bytes((value,)) + raw[at + 1 :]


@pytest.mark.parametrize("name", declared.FRAMES)
def test_each_byte_of_a_header(name: str) -> None:
    """[F-5]: one reserved byte would be looked at by one side only."""
    lengths = {"Init": 1_352, "Resp": 1_180, "Cookie": 40, "Data": 64, "Reattach": 104, "ReattachResp": 84}
    head = bytes((1 + list(declared.FRAMES).index(name), 0 if name == "Data" else 1, 0, 0))
    raw = head + bytes(lengths[name] - 4)
    assert ours(raw) is not None
    for each in neighbours(raw, 24):
        assert ours(each) == declared.frame(each)


@pytest.mark.parametrize("name", declared.PAYLOADS)
def test_each_byte_of_a_payload(name: str) -> None:
    """[F-9]: a field would be cut, signed or shifted on one side."""
    make = getattr(records, name)
    for each in neighbours(records.pack(make(1, *([0] * (len(make._fields) - 1))))):
        assert ours_of(make, each) == declared.opened(declared.PAYLOADS[name], each)


TCP_HEADERS: Final = b"\x45\0\0\x8c" + bytes(5) + b"\6" + bytes(22) + b"\x50" + bytes(7)
SEGMENT: Final = b"\0\0" + bytes((1, 1, 40, 0, 0xD8, 4, 20, 0, 16, 0)) + TCP_HEADERS + bytes(100)  # the greatest size that fits in 1,280
EXAMPLES: Final = {
    Kind.IP: encode_ip(b"\x45\0\0\x14" + bytes(16)),
    Kind.SEGMENT: encode(Kind.SEGMENT, SEGMENT),
    Kind.CONFIRM: encode(Kind.CONFIRM, records.pack(records.Confirm(1_280))),
    Kind.ACK: encode(Kind.ACK, Ack(1, 1_280, bytes(4), bytes(16), bytes(16), (bytes(16),)).pack()),
    Kind.PROBE: encode(Kind.PROBE, bytes(12)),
    Kind.PROBE_ACK: encode(Kind.PROBE_ACK, bytes(36)),
    Kind.CLOSE: encode(Kind.CLOSE, bytes(1)),
    Kind.HINT: encode(Kind.HINT, b"\1"),
    Kind.HEALTH: encode(Kind.HEALTH, bytes(80)),
}


@pytest.mark.parametrize("kind", Kind)
def test_each_byte_of_an_inner_frame(kind: Kind) -> None:
    """[I-1] to [I-11]: a check would be off by one on one side."""
    assert ours_inside(EXAMPLES[kind], 1_280) is not None
    for each in neighbours(EXAMPLES[kind]):
        assert ours_inside(each, 1_280) == declared.inner(each, 1_280)


@given(FRAMES)
@settings(max_examples=200)
def test_frames_that_the_codec_writes(message: records.Init) -> None:
    """Another implementation, made from the document, would refuse what we send, or read other fields."""
    assert declared.frame(encode_frame(message)) == (type(message).__name__, fields(message))


@pytest.mark.parametrize("name", declared.FRAMES)
@given(data=st.data())
@settings(max_examples=40)
def test_frames_that_the_document_allows(name: str, data: st.DataObject) -> None:
    """We would refuse what another implementation, made from the document, sends."""
    make = getattr(records, name)
    message = data.draw(st.builds(make, *FRAME_FIELDS[make]))
    raw = declared.FRAMES[name].build(fields(message))
    assert ours(raw) == (name, fields(message))


@given(st.one_of(flawed(FRAMES.map(encode_frame)), st.binary(max_size=200)))
@settings(max_examples=300)
def test_frames_of_all_kinds(raw: bytes) -> None:
    """[F-1] to [F-7]: a frame would have a second form that one side accepts and the other refuses."""
    assert ours(raw) == declared.frame(raw)


@pytest.mark.parametrize("name", declared.PAYLOADS)
@given(data=st.data())
@settings(max_examples=60)
def test_payloads(name: str, data: st.DataObject) -> None:
    """[F-9]: a handshake would state one thing and be understood as another."""
    make = getattr(records, name)
    value = data.draw(st.builds(make, *PAYLOAD_FIELDS[make]))
    raw = declared.PAYLOADS[name].build(fields(value))
    assert records.pack(value) == raw
    assert fields(records.unpack(make, raw)) == declared.opened(declared.PAYLOADS[name], raw)
    wrong = data.draw(flawed(st.just(raw)))
    assert ours_of(make, wrong) == declared.opened(declared.PAYLOADS[name], wrong)


@given(inner_frames(), MTUS)
@settings(max_examples=300)
def test_inner_frames_that_the_codec_writes(raw: bytes, mtu: int) -> None:
    """[I-1] to [I-12]: what is inside would be read in two ways."""
    verdict = ours_inside(raw, mtu)
    assert verdict == declared.inner(raw, mtu)
    assert verdict is not None or mtu < max(declared.MTUS)


@given(st.one_of(flawed(inner_frames()), flawed(inner_frames()), st.binary(max_size=96)), MTUS)
@settings(max_examples=600)
def test_inner_frames_of_all_kinds(raw: bytes, mtu: int) -> None:
    """[I-2]: an inner frame would have a second form that one side accepts and the other refuses."""
    assert ours_inside(raw, mtu) == declared.inner(raw, mtu)


@pytest.mark.parametrize("kind", sorted(declared.BODIES))
@given(data=st.data())
@settings(max_examples=40)
def test_bodies_that_the_document_allows(kind: int, data: st.DataObject) -> None:
    """We would refuse a body that another implementation, made from the document, builds."""
    raw = data.draw(inner_frames((Kind(kind),)))
    verdict = declared.inner(raw, max(declared.MTUS))
    assert verdict is not None
    body = dict(verdict[1])
    if "locators" in body:
        body["count"] = len(body["locators"])
    built = declared.BODIES[kind].build(body)
    again = (bytes((kind,)) + len(built).to_bytes(2, "little") + built).ljust(len(raw), b"\0")
    assert ours_inside(again, max(declared.MTUS)) == verdict
