"""The least and the greatest that is accepted, one more and one less; and what a burst is sorted into."""

import pytest

from core.wire.inner import ZEROS, encode, encode_ip, parse
from core.wire.layout import DATA_MAX, DATA_MIN, Defect, Kind, Malformed
from core.wire.messages import data_header, sort
from core.wire.segment import encode_segment, template, unpack_segment
from tests.core.wire.test_inner import MTUS, defect, ipv4, ipv6
from tests.core.wire.test_segment import headers, vnet


def data(index: int, counter: int, size: int = DATA_MIN) -> bytes:
    """Return a frame in the form of DATA."""
    return data_header(index, counter) + bytes(size - 16)


def test_a_burst_is_sorted_by_index_and_order() -> None:
    """[D-2] Packets of one burst change their order, are taken for those of another session, or are lost."""
    one, two, three = data(7, 5), data(9, 0), data(7, 4)
    assert sort([one, two, three]) == ({7: [(5, one), (4, three)], 9: [(0, two)]}, [])


@pytest.mark.parametrize(
    "frame",
    [data(1, 1, 32), data(1, 1, 49), data(1, 1, DATA_MAX + 16), data(1, 1, DATA_MAX + 1), data(1, 1)[:15], b"", b"\4\1" + data(1, 1)[2:]],
)
def test_what_has_not_the_form_of_data_is_not_opened(frame: bytes) -> None:
    """[F-7] A frame of any length reaches the AEAD, or an empty one stops the gateway."""
    assert sort([frame]) == ({}, [frame])


@pytest.mark.parametrize("size", [DATA_MIN, DATA_MAX])
def test_the_least_and_the_greatest_data(size: int) -> None:
    """[F-7] The greatest packet, or the shortest frame, never arrives."""
    assert sort([frame := data(3, 8, size)]) == ({3: [(8, frame)]}, [])


@pytest.mark.parametrize("mtu", MTUS)
@pytest.mark.parametrize("packet", [ipv4, ipv6])
def test_the_greatest_packet(packet: object, mtu: int) -> None:
    """[I-3] A packet of just M bytes is refused, which is what each download consists of."""
    assert callable(packet)
    assert parse(encode_ip(packet(mtu)), mtu) == (Kind.IP, packet(mtu))
    assert defect(encode_ip(packet(mtu + 1)), mtu) is Defect.BODY


@pytest.mark.parametrize("length", [255, 256, 512, 1_000])
def test_a_length_of_two_bytes_is_read_as_one(length: int) -> None:
    """[I-3] A packet whose header states another length than it has is passed on, or one of some length never is."""
    for packet in (ipv4(length), ipv6(length)):
        assert parse(encode_ip(packet)) == (Kind.IP, packet)
    for stated in (length // 2, length * 2, length + 1):
        assert defect(encode_ip(b"\x45\0" + stated.to_bytes(2, "big") + bytes(length - 4))) is Defect.BODY


def test_a_whole_block_of_padding_is_refused() -> None:
    """[I-1] A frame has two forms, or the second one stops the gateway."""
    packet = ipv4(29)
    assert encode_ip(packet) == b"\1\x1d\0" + packet
    assert defect(encode_ip(packet) + bytes(16)) is Defect.LENGTH


@pytest.mark.parametrize(("kind", "length"), [(Kind.CLOSE, 1), (Kind.HEALTH, 80)])
def test_bodies_that_nobody_reads_have_one_length(kind: Kind, length: int) -> None:
    """[I-8] [I-9] Something is hidden in a frame that is acted on without being read."""
    assert parse(encode(kind, bytes(length))) == (kind, bytes(length))
    for wrong in (length - 1, length + 1):
        assert defect(encode(kind, bytes(wrong))) is Defect.LENGTH


@pytest.mark.parametrize(("ip_options", "tcp_options", "size", "payload"), [(0, 0, 40, 1), (10, 10, 40, 41), (0, 0, 1, 7), (0, 1, 1, 1)])
def test_a_chunk_of_one_byte(ip_options: int, tcp_options: int, size: int, payload: int) -> None:
    """[I-10] [I-11] The last byte of a download never arrives, or the shortest or the longest headers are refused."""
    head = headers(4, ip_options, tcp_options, payload)
    super_packet = template(vnet(1, len(head), size, 20 + 4 * ip_options), head, 1_280)
    last = (payload - 1) // size
    kind, body = parse(encode_segment(last, super_packet, b"x"))
    assert (kind, unpack_segment(body, 1_280).chunk) == (Kind.SEGMENT, b"x")
    with pytest.raises(Malformed):
        unpack_segment(encode_segment(last, super_packet, b"")[3:], 1_280)


def test_zeros_are_as_many_as_a_block_needs() -> None:
    """[I-1] Padding is looked up by its length: one that is missing is found by no packet but that of a user."""
    assert tuple(bytes(n) for n in range(16)) == ZEROS
