"""SEGMENT [I-10] [I-11] [I-12]: whatever is accepted makes a valid TCP packet on its own."""

import struct
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.wire.inner import parse
from core.wire.layout import Defect, Kind, Malformed
from core.wire.records import Segment
from core.wire.segment import encode_segment, template, unpack_segment

MTU = 1280


class Super(NamedTuple):
    """What TCP segmentation offload hands over."""

    vnet: bytes
    headers: bytes
    size: int
    payload: bytes


def vnet(gso: int, hdr_len: int, size: int, start: int, *, flags: int = 1, offset: int = 16) -> bytes:
    """A virtio_net_hdr."""
    return struct.pack("<BBHHHH", flags, gso, hdr_len, size, start, offset)


def headers(version: int, ip_options: int, tcp_options: int, payload: int) -> bytes:
    """IP and TCP headers of a super-packet; options in words of 4 bytes."""
    tcp = bytes(12) + bytes(((5 + tcp_options) << 4, 0x18)) + bytes(6) + b"\1" * (4 * tcp_options)
    if version == 4:
        ihl = 5 + ip_options
        return (
            bytes((0x40 | ihl, 0)) + (4 * ihl + len(tcp) + payload).to_bytes(2, "big") + bytes(5) + b"\6" + bytes(10 + 4 * ip_options) + tcp
        )
    return b"\x60\0\0\0" + (len(tcp) + payload).to_bytes(2, "big") + b"\6\x40" + bytes(32) + tcp


@st.composite
def supers(draw: st.DrawFn) -> Super:
    """Super-packets of all header lengths, up to 64 KiB."""
    version = draw(st.sampled_from([4, 6]))
    ip_options = draw(st.integers(0, 10)) if version == 4 else 0
    tcp_options = draw(st.integers(0, 10))
    length = len(headers(version, ip_options, tcp_options, 0))
    size = draw(st.integers(1, MTU - length))
    payload = draw(st.integers(1, min(65535 - length, 40 * size)))
    head = headers(version, ip_options, tcp_options, payload)
    start = 20 + 4 * ip_options if version == 4 else 40
    return Super(vnet(1 if version == 4 else 4, length, size, start), head, size, draw(st.randoms()).randbytes(payload))


def refused(body: bytes, mtu: int = MTU) -> Defect:
    """The defect for which the body is refused."""
    with pytest.raises(Malformed) as caught:
        unpack_segment(body, mtu)
    return caught.value.defect


def body(segment: Segment) -> bytes:
    """The bytes of a segment, right or wrong."""
    return segment.place.to_bytes(2, "little") + segment.vnet + segment.headers + segment.chunk


@given(supers())
def test_round_trip(whole: Super) -> None:
    """A stream of a user would arrive changed, or a packet of it be longer than the link."""
    ready = template(whole.vnet, whole.headers, MTU)
    arrived = b""
    for place, at in enumerate(range(0, len(whole.payload), whole.size)):
        chunk = whole.payload[at : at + whole.size]
        kind, raw = parse(encode_segment(place, ready, chunk), MTU)
        segment = unpack_segment(raw, MTU)
        assert kind is Kind.SEGMENT
        assert segment == Segment(place, whole.vnet, whole.headers, chunk)
        assert len(segment.headers + segment.chunk) <= MTU
        arrived += segment.chunk
    assert arrived == whole.payload


@given(supers(), st.integers(0, 65535))
def test_the_kernels_hint_is_corrected(whole: Super, hint: int) -> None:
    """Packets that this machine forwards would be refused at the other end: their hdr_len is the whole first segment."""
    hinted = whole.vnet[:2] + hint.to_bytes(2, "little") + whole.vnet[4:]
    assert template(hinted, whole.headers, MTU) == whole.vnet + whole.headers


@given(supers(), st.data())
def test_a_chunk_is_the_one_of_its_place(whole: Super, data: st.DataObject) -> None:
    """A receiver that misses the other chunks could not tell the last one, nor where this one belongs."""
    last = (len(whole.payload) - 1) // whole.size
    place = data.draw(st.integers(0, last))
    chunk = whole.payload[place * whole.size :][: whole.size]
    good = Segment(place, whole.vnet, whole.headers, chunk)
    assert unpack_segment(body(good), MTU) == good
    for wrong in (
        good._replace(chunk=chunk[:-1]),
        good._replace(chunk=chunk + b"\0"),
        good._replace(chunk=b""),
        good._replace(place=last + 1),
        good._replace(place=65535 if last < 65535 else 0, chunk=b"\0" * (whole.size + 1)),
    ):
        assert refused(body(wrong)) is Defect.BODY


HEAD4 = headers(4, 0, 3, 3000)
HEAD6 = headers(6, 0, 0, 3000)
V4 = vnet(1, 52, 1000, 20)
V6 = vnet(4, 60, 1000, 40)


def changed(raw: bytes, at: int, value: int) -> bytes:
    """The bytes with one of them set."""
    return raw[:at] + bytes((value,)) + raw[at + 1 :]


REFUSED = {
    "no gso": (vnet(0, 52, 1000, 20), HEAD4),
    "gso UDP (old)": (vnet(3, 52, 1000, 20), HEAD4),
    "gso UDP": (vnet(5, 52, 1000, 20), HEAD4),
    "gso with ECN": (vnet(0x81, 52, 1000, 20), HEAD4),
    "gso TCPv6 with ECN": (vnet(0x84, 60, 1000, 40), HEAD6),
    "TCPv6 over IPv4": (vnet(4, 52, 1000, 20), HEAD4),
    "TCPv4 over IPv6": (vnet(1, 60, 1000, 40), HEAD6),
    "no checksum": (vnet(1, 52, 1000, 20, flags=0), HEAD4),
    "checksum valid": (vnet(1, 52, 1000, 20, flags=2), HEAD4),
    "more flags": (vnet(1, 52, 1000, 20, flags=3), HEAD4),
    "checksum of UDP": (vnet(1, 52, 1000, 20, offset=6), HEAD4),
    "checksum start too early": (vnet(1, 52, 1000, 16), HEAD4),
    "checksum start too late": (vnet(1, 52, 1000, 24), HEAD4),
    "checksum start too late, IPv6": (vnet(4, 60, 1000, 44), HEAD6),
    "size 0": (vnet(1, 52, 0, 20), HEAD4),
    "longer than M": (vnet(1, 52, MTU - 51, 20), HEAD4),
    "protocol UDP": (V4, changed(HEAD4, 9, 17)),
    "next header UDP": (V6, changed(HEAD6, 6, 17)),
    "an extension header": (V6, changed(HEAD6, 6, 0)),
    "IP version 5": (V4, changed(HEAD4, 0, 0x55)),
    "IP header of 16 bytes": (vnet(1, 52, 1000, 16), changed(HEAD4, 0, 0x44)),
    "IP header longer than all": (vnet(1, 52, 1000, 60), changed(HEAD4, 0, 0x4F)),
    "IP header that leaves 16 for TCP": (vnet(1, 52, 1000, 36), changed(changed(HEAD4, 0, 0x49), 48, 0x40)),
    "TCP header shorter": (V4, changed(HEAD4, 32, 0x70)),
    "TCP header longer": (V4, changed(HEAD4, 32, 0x90)),
    "no payload": (V4, headers(4, 0, 3, 0)),
    "IP length below the headers": (V4, changed(changed(HEAD4, 2, 0), 3, 51)),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refusals(name: str) -> None:
    """A peer could make this end write a packet that is not one, or that no link of M bytes has."""
    described, head = REFUSED[name]
    chunk_lengths = {min(int.from_bytes(described[4:6], "little"), 3000), 1000, 1}
    for length in chunk_lengths:
        assert refused(described[:0] + bytes(2) + described + head + bytes(length)) is Defect.BODY
    with pytest.raises(Malformed):
        template(described, head, MTU)


@pytest.mark.parametrize(("described", "head"), [(V4, HEAD4), (V6, HEAD6)])
def test_what_the_refusals_start_from(described: bytes, head: bytes) -> None:
    """The test above would pass because everything is refused."""
    unpack_segment(bytes(2) + described + head + bytes(1000), MTU)
    template(described, head, MTU)


def test_nothing_follows_the_last_full_chunk() -> None:
    """An empty packet would be made for a place that the super-packet has not."""
    good = Segment(2, V4, HEAD4, bytes(1000))
    assert unpack_segment(body(good), MTU) == good
    assert refused(body(good._replace(place=3, chunk=b""))) is Defect.BODY


@pytest.mark.parametrize("hdr_len", [0, 39, 121, 65535])
def test_header_lengths(hdr_len: int) -> None:
    """Headers would be taken that no TCP packet has."""
    assert refused(bytes(2) + vnet(1, hdr_len, 1000, 20) + HEAD4 + bytes(1000)) is Defect.LENGTH
    with pytest.raises(Malformed):
        template(V4, (HEAD4 + bytes(70000))[:hdr_len], MTU)


@pytest.mark.parametrize("length", range(12))
def test_a_description_that_is_cut(length: int) -> None:
    """A short body of a peer could stop the process."""
    assert refused(body(Segment(0, V4, HEAD4, b""))[:length]) is Defect.LENGTH
    with pytest.raises(Malformed):
        template(V4[: min(length, 9)], HEAD4, MTU)


@given(supers(), st.data())
def test_any_changed_byte(whole: Super, data: st.DataObject) -> None:
    """A peer could stop the process, or have a chunk accepted in two forms."""
    raw = bytearray(body(Segment(0, whole.vnet, whole.headers, whole.payload[: whole.size])))
    for _ in range(3):
        raw[data.draw(st.integers(0, min(130, len(raw) - 1)))] = data.draw(st.integers(0, 255))
    try:
        segment = unpack_segment(bytes(raw), MTU)
    except Malformed:
        return
    assert body(segment) == raw
    assert template(segment.vnet, segment.headers, MTU) == segment.vnet + segment.headers
    assert 0 < len(segment.chunk) <= MTU - len(segment.headers)
