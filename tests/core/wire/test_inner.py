"""Inner frames and composed bodies [I-1] to [I-9]."""

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from core.errors import Invariant
from core.limits import BINDING_VERSION_MAX
from core.wire.inner import Ack, encode, encode_ip, packet_length, parse
from core.wire.layout import Defect, Kind, Malformed, confirm_length, padded
from core.wire.records import Confirm, Direction, pack
from lab.sim.frames import Health
from tests.core.wire.unpacking import UNPACK

MTUS = (1280, 1380)
u64 = st.integers(0, 2**64 - 1)
u32 = st.integers(0, 2**32 - 1)
block = st.binary(min_size=16, max_size=16)
acks = st.builds(
    Ack,
    st.integers(0, BINDING_VERSION_MAX),
    st.sampled_from(MTUS),
    st.binary(min_size=4, max_size=4),
    block,
    block,
    st.lists(block, max_size=32).map(tuple),
)
halves = st.builds(Direction, u64, u64, u64, u64, u32, u32)

PLAIN = (Kind.CLOSE, Kind.HINT, Kind.HEALTH, Kind.SEGMENT)  # with one length each
ROOMY = (Kind.PROBE, Kind.PROBE_ACK)


def ipv4(length: int) -> bytes:
    """An IPv4 packet of `length` bytes, as far as the wire looks at it."""
    return b"\x45\0" + length.to_bytes(2, "big") + b"\xaa" * (length - 4)


def ipv6(length: int) -> bytes:
    """An IPv6 packet of `length` bytes, as far as the wire looks at it."""
    return b"\x60\0\0\0" + (length - 40).to_bytes(2, "big") + b"\xaa" * (length - 6)


def defect(plain: bytes, mtu: int = 1380) -> Defect:
    """The defect for which the inner frame is refused."""
    with pytest.raises(Malformed) as caught:
        parse(plain, mtu)
    return caught.value.defect


def body_of(plain: bytes, mtu: int) -> object:
    """Everything that a receiver makes of an inner frame."""
    kind, body = parse(plain, mtu)
    return UNPACK[kind](body, mtu)


@given(st.sampled_from(MTUS), st.data())
def test_ip_round_trip(mtu: int, data: st.DataObject) -> None:
    """A user's packet would arrive changed or not at all."""
    make, least = data.draw(st.sampled_from([(ipv4, 20), (ipv6, 40)]))
    packet = make(data.draw(st.integers(least, mtu)))
    plain = encode_ip(packet)
    assert plain == encode(Kind.IP, packet)
    assert parse(plain, mtu) == (Kind.IP, packet)
    assert len(plain) == padded(3 + len(packet))


@pytest.mark.parametrize(
    "packet",
    [b"", b"\x45", b"\x40\0\0\x08" + bytes(4), ipv4(20)[:19], b"\x45\0\0\x13" + bytes(15), b"\x60\0\0\0\0\0" + bytes(33),
     b"\x55\0\0\x14" + bytes(16), ipv4(40) + b"\0", ipv4(40)[:-1], ipv6(60) + b"\0", ipv6(60)[:-1], ipv4(1281), b"\0\0\0\x14" + bytes(16)],
)  # fmt: skip
def test_what_is_no_packet(packet: bytes) -> None:
    """The TUN of the other end would be given half a packet, two, or one that no link of M bytes has."""
    assert defect(encode_ip(packet), 1280) is Defect.BODY


def test_packet_length_of_short_bytes() -> None:
    """A packet of a few bytes would stop the process that looks at its header."""
    assert {packet_length(ipv6(40)[:n]) for n in range(20)} == {-1}
    assert [packet_length(ipv4(20)), packet_length(ipv6(40))] == [20, 40]


@given(acks)
def test_ack_round_trip(ack: Ack) -> None:
    """A client would get other addresses or locators than it was given."""
    assert Ack.unpack(ack.pack()) == ack
    assert len(ack.pack()) == 47 + 16 * len(ack.locators)


@given(acks)
def test_ack_is_as_long_as_confirm(ack: Ack) -> None:
    """A path would be committed that carries L only one way."""
    plain = encode(Kind.ACK, ack.pack())
    assert len(plain) + 32 == confirm_length(ack.mtu)
    assert parse(plain, ack.mtu) == (Kind.ACK, ack.pack())


@given(acks, st.binary(max_size=600))
def test_ack_of_another_length(ack: Ack, raw: bytes) -> None:
    """The locators that an ACK counts would not be those that it has."""
    whole = ack.pack()
    for wrong in (raw, whole[:-1], whole + b"\0", whole + bytes(16), whole[:46], b""):
        assume(wrong != whole)
        with pytest.raises(Malformed):
            Ack.unpack(wrong)


def test_an_ack_says_a_binding_that_a_record_can_hold() -> None:
    """I-5: from one number of the gateway on no record of the client could be written any more."""
    raw = Ack(BINDING_VERSION_MAX, 1280, bytes(4), bytes(16), bytes(16), ()).pack()
    assert Ack.unpack(raw).binding_version == 2**53 - 1
    with pytest.raises(Malformed) as caught:
        Ack.unpack((2**53).to_bytes(8, "little") + raw[8:])
    assert caught.value.defect is Defect.BODY


def test_ack_of_ours_that_cannot_be() -> None:
    """A mistake of ours would leave as an ACK that no client takes."""
    good = Ack(1, 1280, bytes(4), bytes(16), bytes(16), ())
    for bad in (
        good._replace(locators=(bytes(15),)),
        good._replace(locators=(bytes(16),) * 33),
        good._replace(inner4=bytes(5)),
        good._replace(mtu=1),
        good._replace(binding_version=2**53),
    ):
        with pytest.raises(Invariant):
            bad.pack()


@given(halves, halves)
def test_health_round_trip(up: Direction, down: Direction) -> None:
    """Up would be taken for down."""
    raw = Health(up, down).pack()
    assert len(raw) == 80
    assert Health.unpack(raw) == Health(up, down)
    for wrong in (raw[:-1], raw + b"\0", raw[:40], raw + raw[:40]):
        with pytest.raises(Malformed):
            Health.unpack(wrong)


@pytest.mark.parametrize("mtu", MTUS)
def test_confirm_has_one_length(mtu: int) -> None:
    """A path would be committed on the word of a short frame that says it is long."""
    plain = encode(Kind.CONFIRM, pack(Confirm(mtu)))
    assert len(plain) + 32 == confirm_length(mtu)
    assert body_of(plain, mtu) == Confirm(mtu)
    for size in range(16, 1424, 16):
        if size != len(plain):
            assert defect((plain + bytes(1424))[:size]) is Defect.LENGTH


def test_confirm_of_more_than_this_session_has() -> None:
    """A session's M would grow after its birth."""
    assert defect(encode(Kind.CONFIRM, pack(Confirm(1380))), 1280) is Defect.LENGTH


@given(st.integers(0, 65535).filter(lambda mtu: mtu not in MTUS), st.sampled_from(range(16, 1424, 16)))
def test_confirm_of_no_m(mtu: int, size: int) -> None:
    """A client would commit to an M that no TUN has."""
    plain = b"\3\2\0" + mtu.to_bytes(2, "little") + bytes(size - 5)
    with pytest.raises(Malformed):
        body_of(plain, 1380)


@pytest.mark.parametrize("kind", ROOMY)
@pytest.mark.parametrize("mtu", MTUS)
def test_probes_of_every_length(kind: Kind, mtu: int) -> None:
    """[I-1] [I-6] The path's MTU could not be looked for, or a probe longer than L(M) would be taken."""
    body = bytes(12 if kind is Kind.PROBE else 36)
    most = confirm_length(mtu) - 32
    for size in range(padded(3 + len(body)), most + 1, 16):
        assert parse(encode(kind, body, size), mtu) == (kind, body)
    assert defect(encode(kind, body).ljust(most + 16, b"\0"), mtu) is Defect.LENGTH


@pytest.mark.parametrize("kind", PLAIN)
def test_the_rest_has_one_length(kind: Kind) -> None:
    """[I-1] A frame would have many forms, and padding could carry what nobody sees."""
    body = bytes(1 if kind is Kind.CLOSE else 80)
    plain = encode(kind, body)
    parse(plain)
    assert defect(plain + bytes(16)) is Defect.LENGTH
    with pytest.raises(Invariant):
        encode(kind, body, len(plain) + 16)


@pytest.mark.parametrize("kind", sorted(Kind))
def test_a_block_of_padding_too_much(kind: Kind) -> None:
    """A body that ends with its block could have another block behind it, or stop the process."""
    plain = bytes((kind,)) + (13).to_bytes(2, "little") + bytes(13)
    if kind in ROOMY:
        assert parse(plain + bytes(16)) == (kind, bytes(13))
    else:
        assert defect(plain + bytes(16)) is Defect.LENGTH
    if kind in PLAIN:
        with pytest.raises(Invariant):
            encode(kind, bytes(13), 32)


@given(st.sampled_from(sorted(Kind)), st.integers(1, 90), st.data())
def test_padding_is_zero(kind: Kind, length: int, data: st.DataObject) -> None:
    """Padding would carry what nobody sees, and a frame would have many forms."""
    body = ipv4(length) if kind is Kind.IP and length >= 20 else (1280).to_bytes(2, "little") * length
    plain = bytearray(encode(kind, body))
    assume(len(plain) > 3 + len(body))
    at = data.draw(st.integers(3 + len(body), len(plain) - 1))
    plain[at] = data.draw(st.integers(1, 255))
    assert defect(bytes(plain), 1280) is Defect.PADDING


@given(st.integers(0, 255).filter(lambda number: number not in set(Kind)), st.integers(1, 80))
def test_unknown_kinds(number: int, blocks: int) -> None:
    """Bytes of a later version would be taken for something that this one knows."""
    assert defect(bytes((number,)) + bytes(16 * blocks - 1)) is Defect.KIND


@given(st.sampled_from(sorted(Kind)), st.integers(0, 1500))
def test_frames_without_whole_blocks(kind: Kind, size: int) -> None:
    """The length of a frame would tell the length of its packet."""
    assume(size % 16 or not size or size > 1408)
    assert defect((bytes((kind,)) + bytes(1500))[:size]) is Defect.LENGTH


@given(st.sampled_from(sorted(Kind)), st.integers(1, 80), st.integers(0, 65535))
def test_lengths_beyond_the_frame(kind: Kind, blocks: int, length: int) -> None:
    """A body would be read that is not there."""
    assume(length > 16 * blocks - 3)
    assert defect(bytes((kind,)) + length.to_bytes(2, "little") + bytes(16 * blocks - 3)) is Defect.LENGTH


@pytest.mark.parametrize(
    ("kind", "length", "pad_to"),
    [(Kind.CLOSE, 1406, None), (Kind.CLOSE, 70000, None), (Kind.PROBE, 12, 1424), (Kind.PROBE, 12, 17), (Kind.PROBE_ACK, 36, 32)],
)
def test_impossible_frames_of_ours(kind: Kind, length: int, pad_to: int | None) -> None:
    """A mistake of ours would leave as a frame that every receiver refuses."""
    with pytest.raises(Invariant):
        encode(kind, bytes(length), pad_to)


@given(st.sampled_from(MTUS), st.integers(0, 11), st.integers(0, 200), st.binary(max_size=1500))
def test_any_bytes(mtu: int, number: int, length: int, rest: bytes) -> None:
    """A peer that has a key could stop the process that opens its frames."""
    for plain in (rest, (bytes((number,)) + length.to_bytes(2, "little") + rest).ljust(padded(3 + len(rest)), b"\0")):
        try:
            body_of(plain, mtu)
        except Malformed:
            continue
        kind, body = parse(plain, mtu)
        assert encode(kind, body, len(plain)) == plain


@pytest.mark.parametrize("mtu", MTUS)
def test_a_packet_as_long_as_the_link_allows(mtu: int) -> None:
    """[I-3] Every full packet of a download would be refused."""
    assert parse(encode_ip(ipv4(mtu)), mtu) == (Kind.IP, ipv4(mtu))
