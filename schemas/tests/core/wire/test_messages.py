"""Frames [F-2] to [F-7]."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import Invariant
from core.wire import layout, records
from core.wire.layout import Defect, Malformed, Type
from core.wire.messages import Fixed, data_header, encode, init_header, parse, parse_data, reattach_header

Message = Fixed | records.Data

index = st.integers(0, 2**32 - 1)


def exactly(n: int) -> st.SearchStrategy[bytes]:
    """Byte strings of one length."""
    return st.binary(min_size=n, max_size=n)


block = exactly(16)
sealed = st.integers(2, 89).flatmap(lambda blocks: st.binary(min_size=16 * blocks, max_size=16 * blocks))
fixed = st.one_of(
    st.builds(records.Init, index, exactly(1312), block, block),
    st.builds(records.Resp, index, index, exactly(1168)),
    st.builds(records.Cookie, index, block, block),
    st.builds(records.Reattach, index, block, exactly(64), block),
    st.builds(records.ReattachResp, index, index, exactly(72)),
)
data = st.builds(records.Data, index, st.integers(0, 2**64 - 1), sealed)
message = st.one_of(fixed, data)

ONE_OF_EACH: list[Message] = [
    records.Init(1, bytes(1312), bytes(16), bytes(16)),
    records.Resp(1, 2, bytes(1168)),
    records.Cookie(1, bytes(16), bytes(16)),
    records.Reattach(1, bytes(16), bytes(64), bytes(16)),
    records.ReattachResp(1, 2, bytes(72)),
    records.Data(1, 2, bytes(32)),
]


def defect(frame: bytes) -> Defect:
    """The defect for which `parse` refuses the frame."""
    with pytest.raises(Malformed) as caught:
        parse(frame)
    return caught.value.defect


@given(message)
def test_round_trip(sent: Message) -> None:
    """What one end sends would not be what the other end receives."""
    received = parse(encode(sent))
    assert (type(received), received) == (type(sent), sent)


@pytest.mark.parametrize("sent", ONE_OF_EACH)
def test_every_other_length_is_refused(sent: Message) -> None:
    """A message would have a second form, and a field could be read that is not there."""
    frame = encode(sent)
    allowed = set(range(48, 1441, 16)) if isinstance(sent, records.Data) else {layout.SIZES[frame[0]]}
    for length in range(1, 1600):
        if length not in allowed:
            assert defect((frame + bytes(1600))[:length]) is Defect.LENGTH
    for length in allowed:
        parse((frame + bytes(1600))[:length])


@pytest.mark.parametrize("sent", ONE_OF_EACH)
@pytest.mark.parametrize("at", [1, 2, 3])
@pytest.mark.parametrize("bit", range(8))
def test_version_and_zeros(sent: Message, at: int, bit: int) -> None:
    """A later version's message would be taken for one of ours."""
    frame = bytearray(encode(sent))
    frame[at] ^= 1 << bit
    version = at == 1 and not isinstance(sent, records.Data)
    assert defect(bytes(frame)) is (Defect.VERSION if version else Defect.RESERVED)


@given(st.integers(0, 255).filter(lambda number: number not in set(Type)), st.binary(max_size=1500))
def test_unknown_types(number: int, rest: bytes) -> None:
    """Bytes that no message begins with would be treated as some message."""
    assert defect(bytes((number,)) + rest) is Defect.TYPE


@given(st.binary(max_size=1500))
def test_any_bytes(frame: bytes) -> None:
    """One datagram of a stranger could stop the gateway."""
    for read in (parse, parse_data):
        try:
            read(frame)
        except Malformed:
            continue
        assert frame


@given(st.sampled_from(sorted(layout.SIZES)), st.data())
def test_any_bytes_of_the_right_length(number: int, draw: st.DataObject) -> None:
    """The same, and a frame that is accepted would not be the one form of its message."""
    frame = bytes((number,)) + draw.draw(st.sampled_from([b"\1\0\0", b"\1\0\1", b"\0\0\0", b"\2\0\0"]))
    frame += draw.draw(exactly(layout.SIZES[number] - 4))
    try:
        received = parse(frame)
    except Malformed:
        assert frame[1:4] != b"\1\0\0"
    else:
        assert encode(received) == frame


@given(data)
def test_data_in_the_fast_lane(sent: records.Data) -> None:
    """The data path would read other numbers than the careful path."""
    frame = encode(sent)
    assert parse_data(frame) == (sent.receiver_index, sent.counter)
    assert frame[: layout.DATA_HEADER] == data_header(sent.receiver_index, sent.counter)


@pytest.mark.parametrize("sent", ONE_OF_EACH[:-1])
def test_the_fast_lane_takes_nothing_else(sent: Message) -> None:
    """A handshake message would be opened as data."""
    frame = (encode(sent) + bytes(1440))[:1440]
    with pytest.raises(Malformed) as caught:
        parse_data(frame)
    assert caught.value.defect is Defect.TYPE


@given(fixed)
def test_headers_are_the_frames_beginnings(sent: Message) -> None:
    """The two ends would put different bytes into a prologue, and no handshake would ever succeed."""
    frame = encode(sent)
    if isinstance(sent, records.Init):
        assert init_header(sent.sender_index) == frame[:8]
    if isinstance(sent, records.Reattach):
        assert reattach_header(sent.sender_index, sent.locator) == frame[:24]


@pytest.mark.parametrize("length", [0, 16, 31, 33, 1425, 1440])
def test_data_that_cannot_be(length: int) -> None:
    """A mistake of ours would leave as a frame that every receiver refuses."""
    with pytest.raises(Invariant):
        encode(records.Data(1, 1, bytes(length)))


def test_a_locator_has_its_length() -> None:
    """A header of the wrong length would go into a prologue."""
    with pytest.raises(Invariant):
        reattach_header(1, bytes(15))
