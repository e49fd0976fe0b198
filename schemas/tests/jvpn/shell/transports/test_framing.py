"""LE16 length || message: however the stream is cut, the same messages come out, and a bad length ends it at once."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.wire.layout import DATA_MAX, STREAM_MAX, Type
from jvpn.shell.transports.framing import Deframer, framed
from tests.jvpn.shell.transports.driving import LARGEST, message

messages = st.lists(st.builds(message, st.sampled_from(list(STREAM_MAX)), st.integers(8, 84), st.integers(0, 99)), max_size=8)


def test_the_bytes_are_those_of_the_protocol() -> None:
    """Another implementation reads these bytes: two of length, low one first, then the message."""
    assert framed([b"\x04abc", b"\x04" + bytes(299)]) == b"\x04\x00\x04abc" + b"\x2c\x01\x04" + bytes(299)
    assert framed([]) == b""


@given(messages, st.lists(st.integers(1, 40), min_size=1, max_size=8))
def test_any_cut_of_the_stream_gives_the_same_messages(sent: list[bytes], cuts: list[int]) -> None:
    """TCP cuts where it likes: a message would be lost or torn whenever the network felt like it."""
    stream, cut, got, turn = framed(sent), Deframer(), [], 0
    while stream:
        size = cuts[turn % len(cuts)]
        got += cut.feed(stream[:size])
        stream, turn = stream[size:], turn + 1
    assert got == sent
    assert not cut.broken


def test_the_largest_message_of_each_type_passes() -> None:
    """A bound that is one too small would end every connection at its first handshake or full packet."""
    cut = Deframer()
    assert cut.feed(framed(LARGEST)) == LARGEST
    assert not cut.broken


BAD = {
    "zero": bytes(2),
    "cookie": framed([message(Type.COOKIE, 40)])[:3],
    "unknown type": b"\x10\x00\x07",
    "type zero": b"\x10\x00\x00",
    **{f"{kind.name} too long": (STREAM_MAX[kind] + 1).to_bytes(2, "little") + bytes([kind]) for kind in Type if kind in STREAM_MAX},
}


@pytest.mark.parametrize("bad", BAD.values(), ids=BAD)
def test_a_bad_length_breaks_the_stream_before_its_message_comes(bad: bytes) -> None:
    """A peer that announces what cannot be would make the gateway wait, and hold memory, for nothing."""
    good = message()
    cut = Deframer()
    assert cut.feed(framed([good]) + bad) == [good]
    assert cut.broken
    assert cut.feed(framed([good])) == []
    byte_by_byte = Deframer()
    assert [byte_by_byte.feed(bytes([byte])) for byte in bad] == [[]] * len(bad)
    assert byte_by_byte.broken


@given(st.binary(max_size=6_000))
def test_no_bytes_make_it_hold_more_than_one_message(stream: bytes) -> None:
    """Four thousand unproven connections each hold what this holds: with no bound the gateway's memory is the attacker's."""
    cut = Deframer()
    for at in range(0, len(stream), 1_000):
        for got in cut.feed(stream[at : at + 1_000]):
            assert 0 < len(got) <= STREAM_MAX[got[0]]
        assert len(cut._rest) < 2 + DATA_MAX
